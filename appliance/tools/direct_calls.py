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
from runtime.policies.residency import rules_of
from runtime.tools.call import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.wiring import Appliance
    from runtime.domain.workflow import Workflow
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
    workflow: "Workflow | None" = None,
) -> Json:
    """What the tool answers. `key`: equal for every attempt at this call; `by`: who asks, for the audit log.

    `workflow`: whose tools may be called as well, under its rules beside the operator's; ready to run.

    Raises NotFound, Invalid (arguments), Refused, StepFailure, Unavailable, or what the tool raises.
    """
    found = _found(appliance, tool, workflow)
    asked = Asked(
        tool=tool,
        arguments=arguments,
        key=key,
        caller=ToolCaller(tenant=caller.tenant, role=caller.role, workflow="" if workflow is None else workflow.name),
        sender=_sender(caller, by, workflow),
        price_micros=appliance.spending.of_tool(found.spec),
        rules=appliance.rule_book.own if workflow is None else appliance.rule_book.of(workflow),
        is_dry=is_dry,
    )
    return (await appliance.tool_calls.call(asked, lambda _name: found)).output


def _sender(caller: Caller, by: str, workflow: "Workflow | None") -> Sender:
    """On whose behalf the tool reaches anything: a workflow's residency and class of data hold for its tools."""
    sender = Sender(purpose=f"{by} {caller.actor!r}", tenant=caller.tenant, role=caller.role)
    if workflow is None:
        return sender
    data_class = str(workflow.policies.get("data_class") or "")
    return msgspec.structs.replace(
        sender,
        workflow=workflow.name,
        zone_rules=rules_of(workflow.policies, f"workflow {workflow.name!r}"),
        data_class=data_class,
        workflow_class=data_class,
    )


def _found(appliance: "Appliance", name: str, workflow: "Workflow | None") -> "Tool":
    tools = appliance.toolboxes.own if workflow is None else appliance.toolboxes.of(workflow)
    try:
        return tools[name]
    except KeyError:
        known = ", ".join(tools) or "none"
        more = "" if workflow else "; --workflow PATH (over HTTP 'workflow') adds those that a workflow declares"
        raise NotFound("tool.unknown", f"no tool is called {name[:100]!r} here; there are: {known}{more}") from None
