"""`af mcp`: the Model Context Protocol from the command line."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from appliance.auth.callers import Caller
    from appliance.cli.hosts import Runs
    from appliance.mcp.offers import Host, OnEntry
    from appliance.runs.views import RunView
    from runtime.domain.canonical import Json
    from runtime.domain.ids import RunId
    from runtime.domain.workflow import Workflow


@click.group(
    cls=Group,
    examples="""
        af mcp serve
        af mcp list
        af mcp show files
        af mcp approve files read_text_file
        af mcp call files read_text_file '{"path": "/srv/handbook/cards.md"}'
    """,
)
def mcp() -> None:
    """Use tools of other programs over the Model Context Protocol, and offer workflows and tools to them.

    The setting mcp.servers declares servers of tools; each of their tools is approved by a person before it can be
    called. `af serve` offers the same over HTTP, at /mcp.
    """


@mcp.command(
    "serve",
    examples="""
        af mcp serve
        af --data /srv/agentflow mcp serve
        {"mcpServers": {"agentflow": {"command": "af", "args": ["mcp", "serve"]}}}
    """,
)
@pass_af
def serve(af: Af) -> None:
    """Offer workflows and tools to the program that started this one, over stdin and stdout.

    The settings mcp.workflows and mcp.tools say which. Runs are worked on here, or by the server that has the data
    folder. Ends when stdin does.
    """
    af.run_sealed(_serve(af))


@mcp.command("list", examples="af mcp list --json | jq '.servers[].server'")
@pass_af
def list_servers(af: Af) -> None:
    """List the servers that the settings declare. Asks none of them."""
    from appliance.cli.mcp_servers import listed
    from appliance.cli.terminal import printable, table

    lines = af.run_sealed(listed(af))
    if not lines:
        af.terminal.say("no servers; declare them under mcp.servers in the settings")
    else:
        rows = [
            (line.server, ", ".join(line.grants) or "nothing", str(len(line.approved)), printable(line.at))
            for line in lines
        ]
        af.terminal.say(table(("SERVER", "GRANTED", "APPROVED", "AT"), rows, right=(2,)))
    af.terminal.document({"servers": lines})


@mcp.command("show", examples="af mcp show files")
@click.argument("server")
@pass_af
def show(af: Af, server: str) -> None:
    """Ask SERVER what tools it has, and show which may be called.

    What it says of itself is foreign text, and is shown as it is; a tool that has changed since it was approved is
    shown with what it said then.
    """
    from appliance.cli.mcp_servers import shown, state_text

    state = af.run_sealed(shown(af, server))
    af.terminal.say(state_text(state, me=af.me))
    af.terminal.document(state)


@mcp.command(
    "approve",
    examples="""
        af mcp approve files read_text_file list_directory
        af mcp approve files write_file --digest sha256:…
        af mcp approve files --all
    """,
)
@click.argument("server")
@click.argument("tools", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Every tool that the settings let be used.")
@click.option("--digest", default="", metavar="HASH", help="Only as it was seen then: af mcp show prints it.")
@pass_af
def approve(af: Af, server: str, *, tools: tuple[str, ...], is_all: bool, digest: str) -> None:
    """Approve TOOLS of SERVER as they describe themselves now. A change asks for it again."""
    if bool(tools) is is_all or (digest and len(tools) != 1):
        raise click.UsageError("name the tools, or give --all; --digest goes with one tool")
    from appliance.cli.mcp_servers import approved
    from appliance.cli.terminal import printable

    done = af.run_sealed(approved(af, server, tools, digest))
    for each in done:
        but = "" if each.status == "approved" else f", but may not be called: {each.status}"
        af.terminal.say(f"approved {server}.{printable(each.tool)} ({each.needs}){but}  {each.digest}")
    if not done:
        af.terminal.say(f"{server} has no tool that the settings let be used; see: {af.me} mcp show {server}")
    af.terminal.document({"approved": done})


@mcp.command("revoke", examples="af mcp revoke files write_file")
@click.argument("server")
@click.argument("tool")
@pass_af
def revoke(af: Af, server: str, tool: str) -> None:
    """Take the approval of TOOL of SERVER back."""
    from appliance.cli.mcp_servers import revoked

    was = af.run_sealed(revoked(af, server, tool))
    af.terminal.say(f"{server}.{tool} is approved no more" if was else f"{server}.{tool} was not approved")
    af.terminal.document({"was_approved": was})


@mcp.command(
    "call",
    examples="""
        af mcp call files read_text_file '{"path": "/srv/handbook/cards.md"}'
        af mcp call memory read_graph --json | jq .output
    """,
)
@click.argument("server")
@click.argument("tool")
@click.argument("arguments", default="{}")
@pass_af
def call(af: Af, server: str, tool: str, arguments: str) -> None:
    """Call an approved TOOL of SERVER with ARGUMENTS: a JSON object, @FILE, or - for stdin."""
    from appliance.cli.documents import read_input
    from appliance.cli.mcp_servers import called, output_text

    given = read_input(arguments)
    if not isinstance(given, dict):
        raise click.UsageError("the arguments of a tool are a JSON object")
    output = af.run_sealed(called(af, server, tool, given))
    af.terminal.say(output_text(output))
    af.terminal.document({"output": output})


async def _serve(af: Af) -> None:
    from appliance.auth.callers import LOCAL_CALLER
    from appliance.cli.hosts import open_runs
    from appliance.cli.version import own_version
    from appliance.mcp.offers import offers_of
    from appliance.wiring import silent
    from runtime.tools.mcp.server import McpServer

    async with open_runs(af.settings, "af mcp serve", progress=silent) as runs:
        chosen = af.settings.mcp
        server = McpServer(offers_of(_host(runs), chosen.workflows, chosen.tools), version=own_version())
        await server.serve_stdio(LOCAL_CALLER)


def _host(runs: "Runs") -> "Host":
    from appliance.mcp.offers import Host

    async def begin(workflow: "Workflow", given: "Json", _: "Caller") -> "RunId":
        return await runs.submit(await runs.target(workflow.name), given)

    async def settled(run: "RunId", _: "Caller", on_entry: "OnEntry") -> "RunView":
        state = await runs.watched(run, on_entry)
        return await (runs.restored(state) if state.is_minimised else runs.view(state))

    async def cancel(run: "RunId", _: "Caller") -> None:
        await runs.cancel(run, "the client cancelled")

    async def call_tool(name: str, arguments: "dict[str, Json]", _: "Caller") -> "Json":
        return await runs.call_tool(name, arguments, by="MCP client")

    catalogue = runs.catalogue
    return Host(
        names=catalogue.names,
        find=catalogue.find,
        begin=begin,
        settled=settled,
        cancel=cancel,
        tools=runs.tools,
        call_tool=call_tool,
        record=runs.record,
    )
