"""`af tools`: which tools there are rules for, and who may call them. Reads files alone and calls nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.domain.workflow import AgentSpec, Workflow
    from runtime.policies.permissions import ToolRules

REFUSED = 3
BUILT_IN = ("create_ticket",)
"""Tools of the appliance itself; those of MCP servers are listed by `af mcp`."""


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one tool before anybody calls it."""

    name: str
    is_built_in: bool
    level: str
    rate_limits: list[str]
    roles: list[str]
    """Those that may call it; empty where no document declares roles, so that none is needed."""
    set_by: list[str]
    """The documents that say something of it."""


@click.group(
    cls=Group,
    examples="""
        af tools list
        af tools list --workflow ./my-desk --json
        af tools why create_ticket --as clerk
    """,
)
def tools() -> None:
    """Show who may call which tool.

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
    """List the tools that are built in or that a document has rules for."""
    from appliance.cli.terminal import printable, table

    _, rules = _read(af, where)
    views = [_view(name, rules) for name in _names(rules)]
    rows = [
        (
            printable(view.name),
            view.level,
            ", ".join(view.rate_limits) or "–",
            printable(", ".join(view.roles)) if any(each.roles is not None for each in rules) else "any",
            "yes" if view.is_built_in else "no",
        )
        for view in views
    ]
    af.terminal.say(table(("TOOL", "LEVEL", "RATE", "ROLES", "BUILT IN"), rows))
    af.terminal.document(views)


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
    from runtime.policies.permissions import Caller, rulings

    workflow, rules = _read(af, where)
    spec = _agent(workflow, agent)
    caller = Caller(
        tenant=tenant,
        role=role,
        agent=agent,
        agent_role=spec.role if spec else "",
        agent_tools=spec.tools if spec else None,
        workflow=workflow.name if workflow else "",
    )
    found = rulings(tool, caller, rules)
    is_allowed = all(ruling.is_allowed for ruling in found)
    for ruling in found:
        mark = click.style("✓", fg="green") if ruling.is_allowed else click.style("✗", fg="red")
        af.terminal.say(f"{mark} {printable(ruling.rule)}\n  {printable(ruling.why)}")
        if not ruling.is_allowed:
            af.terminal.say(f"  to grant it: {printable(ruling.grant)}")
    if not found:
        af.terminal.say("no rule says anything of it, so any caller may call it")
    if tool not in _names(rules):
        af.terminal.say(f"there is no tool {tool!r} among those that are built in or named by a document")
    af.terminal.document(
        {
            "tool": tool,
            "is_allowed": is_allowed,
            "is_known": tool in _names(rules),
            "rulings": msgspec.to_builtins(found),
        }
    )
    return 0 if is_allowed else REFUSED


def _read(af: Af, where: Path | None) -> "tuple[Workflow | None, Sequence[ToolRules]]":
    from appliance.loader import load
    from appliance.tool_rules import rule_book

    book = rule_book(af.data_folder)
    if where is None:
        return None, book.own
    workflow = load(where, aliases=af.settings.models.answered)
    return workflow, book.of(workflow)


def _agent(workflow: "Workflow | None", name: str) -> "AgentSpec | None":
    if not name:
        return None
    agents = {} if workflow is None else {str(each): spec for each, spec in workflow.agents.items()}
    if name not in agents:
        raise NotFound("agent.not_found", f"there is no agent {name!r}; --workflow has: {', '.join(agents) or 'none'}")
    return agents[name]


def _names(rules: "Sequence[ToolRules]") -> list[str]:
    return sorted({*BUILT_IN, *(name for document in rules for name in document.tools)})


def _view(name: str, rules: "Sequence[ToolRules]") -> ToolView:
    from runtime.policies.permissions import Caller, level_of, rulings

    limits = [found.rate_limit for document in rules if (found := document.tools.get(name)) is not None]
    roles = sorted({role for document in rules for role in document.roles or ()})
    return ToolView(
        name=name,
        is_built_in=name in BUILT_IN,
        level=level_of(name, rules),
        rate_limits=[f"{limit.calls:,} in {limit.per_ms / 1_000:g} s" for limit in limits if limit is not None],
        roles=[
            role
            for role in roles
            if all(each.is_allowed for each in rulings(name, Caller(tenant="", role=role), rules))
        ],
        set_by=[document.source for document in rules if name in document.tools],
    )
