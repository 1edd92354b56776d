"""`af tools call` and `af tools grant`: what changes something, or may."""

import re
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import read_input
from runtime.errors import Invalid

if TYPE_CHECKING:
    from runtime.domain.canonical import Json

_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_TOOL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}(\.[A-Za-z0-9_./-]{1,128})?")


@click.command(
    "call",
    cls=Command,
    examples="""
        af tools call create_ticket --input '{"subject": "Card lost"}'
        af tools call create_ticket --as clerk --input @ticket.json --dry-run --json
        af tools call invoice_total --workflow ./my-desk --input '{"lines": [1.5, 2]}'
    """,
)
@click.argument("tool")
@click.option("--as", "role", metavar="ROLE", default="", help="The role to call it in; none without it.")
@click.option("--input", "given", metavar="JSON", help="The arguments: JSON, @FILE, or - for stdin.")
@click.option("--workflow", "where", metavar="NAME|PATH", default="", help="Whose own tools and rules count as well.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Look at every rule, and do not call it.")
@pass_af
def call(af: Af, tool: str, *, role: str, given: str | None, where: str, is_dry: bool) -> None:
    """Call TOOL outside of any run, the way that an agent's calls go: rules, rates, budgets, schemas, audit log.

    A workflow's own tools are called with --workflow, under its rules beside the operator's. Exit code 3 when a rule
    refuses the call.
    """
    from appliance.cli.terminal import printable

    arguments = read_input(given)
    if not isinstance(arguments, dict):
        raise Invalid("tool.arguments", f"--input of tool {tool[:100]!r} must be a JSON object")
    output = af.run_sealed(_called(af, tool, arguments, role=role, where=where, is_dry=is_dry))
    said = msgspec.json.format(msgspec.json.encode(output)).decode()
    if is_dry:
        af.terminal.say("every rule allows the call; it was not made, and would answer something like:")
    af.terminal.say("\n".join(map(printable, said.splitlines())))
    af.terminal.document({"tool": tool, "output": output, "is_dry": is_dry})


@click.command(
    "grant",
    cls=Command,
    examples="""
        af tools grant create_ticket --to clerk
        af tools grant create_ticket --to clerk --dry-run
    """,
)
@click.argument("tool")
@click.option("--to", "role", metavar="ROLE", required=True, help="The role that may call it from now on.")
@click.option("--tenant", default="default", show_default=True, help="Whose calls must be allowed then.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be written, and write nothing.")
@pass_af
def grant(af: Af, tool: str, *, role: str, tenant: str, is_dry: bool) -> None:
    """Add TOOL to what a role may call, in tools.yaml of the data folder; its comments and its form stay.

    The audit log says so before the file is changed. The rules of a workflow are its author's, and stay as they are.
    """
    from appliance.audit.notes import Note, note
    from appliance.cli.terminal import printable
    from appliance.tools.grants import planned, write
    from appliance.tools.listing import every_tool
    from appliance.tools.rules import rule_book

    if not _ROLE.fullmatch(role) or not _TOOL.fullmatch(tool):
        raise Invalid("tools.name", "the name of a role or a tool has letters, digits, '_', '-', of a tool also '.'")
    spec = every_tool(af.settings, rule_book(af.data_folder), None).get(tool)
    plan = planned(af.data_folder, tool, role, tenant=tenant, level="low" if spec is None else spec.security_level)
    if plan.text and not is_dry:
        subject = f"tools.yaml: tool_registry.rbac.roles.{role}.allowed_tools"
        af.run(note(af.settings, Note(event="config.changed", subject=subject, marks={"tool": tool})))
        write(plan)
    done = plan.granted
    said = {
        "added": f"role {role!r} may call {tool!r}",
        "created": f"role {role!r} is new, and may call {tool!r}",
        "granted_before": f"role {role!r} could call {tool!r} before; nothing changed",
        "not_needed": f"{done.file} declares no roles, so any caller may call {tool!r}; nothing changed",
    }[done.done]
    af.terminal.say(("would be: " if is_dry and plan.text else "") + printable(said))
    if plan.text:
        af.terminal.say(f"  {printable(done.rule)}")
    if spec is None:
        af.terminal.note(f"no tool {tool!r} is known here yet; a workflow may declare it")
    af.terminal.document({**msgspec.to_builtins(done), "is_dry": is_dry})


async def _called(af: Af, tool: str, arguments: "dict[str, Json]", *, role: str, where: str, is_dry: bool) -> "Json":
    from appliance.cli.hosts import open_runs
    from appliance.wiring import silent

    async with open_runs(af.settings, "af tools call", progress=silent, known=af.known) as runs:
        target = await runs.target(where) if where else None
        return await runs.call_tool(tool, arguments, by="command line", role=role, is_dry=is_dry, target=target)
