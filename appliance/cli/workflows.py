"""`af workflows`: what can be run by name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import printable, table

if TYPE_CHECKING:
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


async def _listed(af: Af) -> "Sequence[WorkflowLine]":
    from appliance.cli.catalogue import catalogue

    async with catalogue(af.settings) as known:
        return await known.list()
