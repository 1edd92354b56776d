"""`af mcp`: the Model Context Protocol from the command line."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from appliance.auth.callers import Caller
    from appliance.cli.hosts import Runs
    from appliance.mcp_offers import Host, OnEntry
    from appliance.views import RunView
    from runtime.domain.canonical import Json
    from runtime.domain.ids import RunId
    from runtime.domain.workflow import Workflow


@click.group(
    cls=Group,
    examples="""
        af mcp serve
    """,
)
def mcp() -> None:
    """Offer workflows to other programs over the Model Context Protocol.

    `af serve` offers them over HTTP too, at /mcp.
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
    """Offer workflows to the program that started this one, over stdin and stdout.

    The setting mcp.workflows says which. Runs are worked on here, or by the server that has the data folder. Ends
    when stdin does.
    """
    af.run_sealed(_serve(af))


async def _serve(af: Af) -> None:
    from appliance.auth.callers import LOCAL_CALLER
    from appliance.cli.hosts import open_runs
    from appliance.cli.version import own_version
    from appliance.mcp_offers import workflow_offers
    from appliance.wiring import silent
    from runtime.tools.mcp.server import McpServer

    async with open_runs(af.settings, "af mcp serve", progress=silent) as runs:
        server = McpServer(workflow_offers(_host(runs), af.settings.mcp.workflows), version=own_version())
        await server.serve_stdio(LOCAL_CALLER)


def _host(runs: "Runs") -> "Host":
    from appliance.mcp_offers import Host

    async def begin(workflow: "Workflow", given: "Json", _: "Caller") -> "RunId":
        return await runs.submit(await runs.target(workflow.name), given)

    async def settled(run: "RunId", _: "Caller", on_entry: "OnEntry") -> "RunView":
        state = await runs.watched(run, on_entry)
        return await (runs.restored(state) if state.is_minimised else runs.view(state))

    async def cancel(run: "RunId", _: "Caller") -> None:
        await runs.cancel(run, "the client cancelled")

    catalogue = runs.catalogue
    return Host(
        names=catalogue.names,
        find=catalogue.find,
        begin=begin,
        settled=settled,
        cancel=cancel,
        record=runs.record,
    )
