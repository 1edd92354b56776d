"""`af workflows`: what can be run by name."""

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import printable, table


@click.group(cls=Group, examples="af workflows list")
def workflows() -> None:
    """The workflows that can be run by name: published ones, and the templates of the program."""


@workflows.command("list", examples="af workflows list --json")
@pass_af
def list_workflows(af: Af) -> None:
    """List them."""
    from appliance.cli.catalogue import catalogue

    found = catalogue(af.settings.data).list()
    af.terminal.say(
        table(("WORKFLOW", "SOURCE", "FOLDER"), [(printable(w.name), w.source, str(w.folder)) for w in found])
    )
    af.terminal.say("\nany other: give af run its file or folder")
    af.terminal.document([{"name": w.name, "source": w.source, "folder": str(w.folder)} for w in found])
