"""`af tools list|show|why`: which tools there are, and who may call them. Reads files alone and calls nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.tool_use import call, grant
from runtime.domain.tool import SECURITY_LEVELS, ToolSpec
from runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.domain.egress import Sender
    from runtime.domain.tool import ToolSpec
    from runtime.domain.workflow import AgentSpec, Workflow
    from runtime.policies.permissions import ToolRules

REFUSED = 3


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one tool before anybody calls it."""

    name: str
    type: str
    """What runs it; empty: nobody declares it, and there are only rules for it."""
    description: str
    level: str
    rate_limits: list[str]
    roles: list[str]
    """Those that may call it; empty where no document declares roles, so that none is needed."""
    set_by: list[str]
    """Who declares it, and the documents that have rules for it."""


@click.group(
    cls=Group,
    examples="""
        af tools list
        af tools list --workflow ./my-desk --json
        af tools show create_ticket
        af tools why create_ticket --as clerk
        af tools grant create_ticket --to clerk
        af tools call create_ticket --as clerk --input '{"subject": "Card lost"}'
    """,
)
def tools() -> None:
    """Show tools, say who may call which and why, grant them, call them.

    The rules stand in tools.yaml of the data folder, for every workflow, and in each workflow's tool_registry; a call
    takes the consent of all of them.
    """


_WORKFLOW = click.option(
    "--workflow", "where", metavar="PATH", type=click.Path(path_type=Path), help="A file or folder: its rules as well."
)


@tools.command("list", examples="af tools list\n        af tools list --json | jq '.[].name'")
@_WORKFLOW
@pass_af
def list_(af: Af, where: Path | None) -> None:
    """List the tools that are here: built in, declared, approved of servers; and those that only have rules."""
    from appliance.cli.terminal import printable, table

    found = _read(af, where)
    views = [_view(name, found) for name in found.names()]
    needs_role = any(each.roles is not None for each in found.rules)
    rows = [
        (
            printable(view.name),
            view.type or "nobody declares it",
            view.level,
            ", ".join(view.rate_limits) or "–",
            printable(", ".join(view.roles)) or "none" if needs_role else "any",
            printable(", ".join(view.set_by)),
        )
        for view in views
    ]
    af.terminal.say(table(("TOOL", "TYPE", "LEVEL", "RATE", "ROLES", "SET BY"), rows))
    af.terminal.document(views)


@tools.command(
    "show",
    examples="""
        af tools show create_ticket
        af tools show invoice_total --workflow ./my-desk --as clerk --json
    """,
)
@click.argument("tool")
@click.option("--as", "role", metavar="ROLE", default="", help="The role whose call it is; none without it.")
@click.option("--tenant", default="default", show_default=True, help="Whose call.")
@_WORKFLOW
@pass_af
def show(af: Af, tool: str, *, role: str, tenant: str, where: Path | None) -> None:
    """Show a tool: what it takes and answers, what it costs, what it needs, and what a call may reach here."""
    from appliance.cli.tool_page import page
    from appliance.tools.listing import reach
    from runtime.policies.permissions import Caller

    found = _read(af, where)
    spec = found.specs.get(tool)
    if spec is None:
        raise NotFound("tool.unknown", f"there is no tool {tool[:100]!r} here; there are: {', '.join(found.specs)}")
    profile, denials = reach(spec, Caller(tenant=tenant, role=role), found.rules, af.settings)
    af.terminal.say(page(spec, profile, denials))
    af.terminal.document(
        {
            "tool": msgspec.to_builtins(spec),
            "profile": None if denials else {name: getattr(profile, name) for name in profile.__struct_fields__},
            "denied": msgspec.to_builtins(denials),
        }
    )


@tools.command(
    "why",
    examples="""
        af tools why create_ticket --as clerk
        af tools why create_ticket --workflow ./my-desk --agent file --tenant acme
    """,
)
@click.argument("tool")
@click.option("--as", "role", metavar="ROLE", default="", help="The role of whoever asks for the run; none without it.")
@click.option("--tenant", default="default", show_default=True, help="Whose run.")
@click.option("--agent", metavar="NAME", default="", help="The agent of the workflow that calls it.")
@_WORKFLOW
@pass_af
def why(af: Af, tool: str, *, role: str, tenant: str, agent: str, where: Path | None) -> int:
    """Say what every rule makes of a call of TOOL, and how to grant it; exit code 3 when one refuses it."""
    from appliance.cli.terminal import printable
    from appliance.tools.listing import verdicts
    from runtime.policies.permissions import Caller, rulings

    known = _read(af, where)
    workflow, rules = known.workflow, known.rules
    spec = _agent(workflow, agent)
    caller = Caller(
        tenant=tenant,
        role=role,
        agent=agent,
        agent_role=spec.role if spec else "",
        agent_tools=spec.tools if spec else None,
        workflow=workflow.name if workflow else "",
    )
    there = known.specs.get(tool)
    if there is None:
        found = rulings(tool, caller, rules)
    else:
        found = verdicts(there, caller, rules, af.settings, sender=_sender(there, tenant, workflow, spec))
    is_allowed = all(ruling.is_allowed for ruling in found)
    for ruling in found:
        mark = click.style("✓", fg="green") if ruling.is_allowed else click.style("✗", fg="red")
        af.terminal.say(f"{mark} {printable(ruling.rule)}\n  {printable(ruling.why)}")
        if not ruling.is_allowed:
            af.terminal.say(f"  to grant it: {printable(ruling.grant)}")
    if not found:
        af.terminal.say("no rule says anything of it, so any caller may call it")
    if there is None:
        af.terminal.say(f"there is no tool {tool!r} here: it is not built in, declared, or approved of a server")
    af.terminal.document(
        {
            "tool": tool,
            "is_allowed": is_allowed,
            "is_known": there is not None,
            "rulings": msgspec.to_builtins(found),
        }
    )
    return 0 if is_allowed else REFUSED


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """The tools and rules of a data folder, and of a workflow."""

    workflow: "Workflow | None"
    rules: "Sequence[ToolRules]"
    specs: "dict[str, ToolSpec]"

    def names(self) -> list[str]:
        """Also of tools that only have rules."""
        return sorted({*self.specs, *(name for document in self.rules for name in document.tools)})


def _read(af: Af, where: Path | None) -> _Known:
    from appliance.loader import load
    from appliance.loading.site import site_of
    from appliance.tools.listing import every_tool
    from appliance.tools.rules import rule_book

    book = rule_book(af.data_folder)
    workflow = None if where is None else load(where, site=site_of(af.settings))
    return _Known(
        workflow=workflow,
        rules=book.own if workflow is None else book.of(workflow),
        specs=every_tool(af.settings, book, workflow),
    )


def _sender(spec: "ToolSpec", tenant: str, workflow: "Workflow | None", agent: "AgentSpec | None") -> "Sender":
    """On whose behalf the call would be: the rules of residency of a workflow and its agent count at the door."""
    from runtime.domain.egress import Sender
    from runtime.domain.ids import TenantId
    from runtime.engine.dispatcher import sender_of

    if workflow is None or agent is None:
        return Sender(purpose=f"tool {spec.id!r}", tenant=TenantId(tenant))
    return msgspec.structs.replace(sender_of(workflow, agent), tenant=TenantId(tenant))


def _agent(workflow: "Workflow | None", name: str) -> "AgentSpec | None":
    if not name:
        return None
    agents = {} if workflow is None else {str(each): spec for each, spec in workflow.agents.items()}
    if name not in agents:
        raise NotFound("agent.not_found", f"there is no agent {name!r}; --workflow has: {', '.join(agents) or 'none'}")
    return agents[name]


def _view(name: str, known: _Known) -> ToolView:
    from runtime.policies.permissions import Caller, level_of, rulings

    rules, spec = known.rules, known.specs.get(name)
    own = "low" if spec is None else spec.security_level
    level = max(own, level_of(name, rules), key=SECURITY_LEVELS.index)
    limits = [found.rate_limit for document in rules if (found := document.tools.get(name)) is not None]
    roles = sorted({role for document in rules for role in document.roles or ()})
    said = [document.source for document in rules if name in document.tools]
    declared = [spec.set_by] if spec is not None and not any(spec.set_by.endswith(source) for source in said) else []
    return ToolView(
        name=name,
        type=spec.kind.removeprefix("tool.") if spec is not None else "",
        description=spec.description if spec is not None else "",
        level=level,
        rate_limits=[f"{limit.calls:,} in {limit.per_ms / 1_000:g} s" for limit in limits if limit is not None],
        roles=[
            role
            for role in roles
            if all(each.is_allowed for each in rulings(name, Caller(tenant="", role=role), rules, level=level))
        ],
        set_by=[*declared, *said],
    )


tools.add_command(call)
tools.add_command(grant)
