"""`af workflows`: what can be run by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import printable, table

if TYPE_CHECKING:
    from appliance.deployment import HistoryView
    from appliance.workflows import WorkflowLine


@click.group(cls=Group, examples="af workflows list")
def workflows() -> None:
    """The workflows that can be run by name: published ones, and the templates of the program."""


@workflows.command("list", examples="af workflows list --json")
@pass_af
def list_workflows(af: Af) -> None:
    """List them."""
    found = af.run(_listed(af))
    rows = [(printable(w.name), w.source, str(w.folder or "(in the journal)")) for w in found]
    af.terminal.say(table(("WORKFLOW", "SOURCE", "FOLDER"), rows))
    af.terminal.say("\nany other: give af run its file or folder")
    af.terminal.document([{"name": w.name, "source": w.source, "folder": str(w.folder or "")} for w in found])


@workflows.command("history", examples="af workflows history support")
@click.argument("name")
@pass_af
def show_history(af: Af, name: str) -> None:
    """List what was published under a name, the newest first: what `af rollback` can go back to."""
    from appliance.cli.units import local_time, microseconds

    found = af.run(_history(af, name))
    rows = [
        (
            each.definition_hash.removeprefix("sha256:")[:12],
            local_time(microseconds(each.at)),
            printable(each.by) or "–",
            "now" if each.is_current else "",
            printable(each.note),
        )
        for each in found.published
    ]
    af.terminal.say(table(("DEFINITION", "PUBLISHED", "BY", "", "NOTE"), rows))
    af.terminal.document(found)


async def _history(af: Af, name: str) -> "HistoryView":
    from urllib.parse import quote

    from appliance.cli.opened import Served, opened
    from appliance.deployment import HistoryView, history

    async with opened(af, "af workflows history") as found:
        if isinstance(found, Served):
            return await found.ask(HistoryView, "GET", f"/v1/workflows/{quote(name, safe='')}/history")
        return await history(found, name)


async def _listed(af: Af) -> "Sequence[WorkflowLine]":
    from appliance.cli.catalogue import catalogue

    async with catalogue(af.settings) as known:
        return await known.list()
