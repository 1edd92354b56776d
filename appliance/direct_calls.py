"""Calls of tools that belong to no run: a person's at the command line, another program's over HTTP or MCP.

They go the way of an agent's calls: the operator's rules, roles, rates, budgets, schemas and the audit log.
"""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from appliance.auth.callers import Caller
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.tool import ToolSpec
from runtime.errors import NotFound
from runtime.policies.permissions import Caller as ToolCaller
from runtime.tools.call import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.wiring import Appliance
    from runtime.ports import Tool


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as whoever may call it sees it."""

    name: str
    kind: str
    description: str
    input_schema: dict[str, Json]
    output_schema: dict[str, Json] | None
    is_idempotent: bool
    security_level: str
    usd_micros: int
    """What one call costs."""
    set_by: str


class ToolList(msgspec.Struct, frozen=True):
    """Tools by name."""

    tools: list[ToolView]


def tool_view(spec: ToolSpec) -> ToolView:
    """The view of a specification."""
    return ToolView(
        name=spec.id,
        kind=spec.kind,
        description=spec.description,
        input_schema=spec.input_schema,
        output_schema=spec.output_schema,
        is_idempotent=spec.is_idempotent,
        security_level=spec.security_level,
        usd_micros=spec.cost_usd_micros,
        set_by=spec.set_by,
    )


def chosen(specs: "Sequence[ToolSpec]", patterns: "Sequence[str]") -> list[ToolSpec]:
    """The tools whose names fit one of the patterns."""
    return [spec for spec in specs if any(fnmatchcase(spec.id, pattern) for pattern in patterns)]


async def call_directly(
    appliance: "Appliance",
    tool: str,
    arguments: dict[str, Json],
    *,
    key: str,
    caller: Caller,
    by: str,
    is_dry: bool = False,
) -> Json:
    """What the tool answers. `key`: equal for every attempt at this call; `by`: who asks, for the audit log.

    Raises NotFound, Invalid (arguments), Refused, StepFailure, Unavailable, or what the tool raises.
    """
    found = _found(appliance, tool)
    asked = Asked(
        tool=tool,
        arguments=arguments,
        key=key,
        caller=ToolCaller(tenant=caller.tenant, role=caller.role),
        sender=Sender(purpose=f"{by} {caller.actor!r}", tenant=caller.tenant, role=caller.role),
        price_micros=appliance.price_of_tool(found.spec),
        rules=appliance.rule_book.own,
        is_dry=is_dry,
    )
    return (await appliance.tool_calls.call(asked, lambda _name: found)).output


def _found(appliance: "Appliance", name: str) -> "Tool":
    tools = appliance.toolboxes.own
    try:
        return tools[name]
    except KeyError:
        known = ", ".join(tools) or "none"
        raise NotFound("tool.unknown", f"no tool is called {name[:100]!r} here; there are: {known}") from None
