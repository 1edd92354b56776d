"""`af logs`: a run's journal as lines."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from runtime.domain.journal import Entry


@click.command(
    cls=Command,
    examples="""
        af logs last
        af logs last --follow
        af logs last --json | jq 'select(.type == "step.failed")'
    """,
)
@click.argument("run", type=RUN)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@pass_af
def logs(af: Af, run: str, follow: bool) -> None:
    """Show what happened in RUN: events, and indented what was decided on each.

    With --json, each entry as it stands in the journal.
    """
    af.run(_logs(af, run, follow=follow))


async def _logs(af: Af, name: str, *, follow: bool) -> None:
    from appliance.cli.entries import entry_line
    from appliance.cli.journal import entries, find_run, open_journal, watch
    from runtime.domain.journal import envelope_of, write

    async with open_journal(af.settings) as store:
        run = await find_run(store, name)

        def show(entry: "Entry") -> None:
            if af.terminal.is_json:
                af.terminal.raw_line(envelope_of(write(run, entry)))
            else:
                af.terminal.say(entry_line(entry))

        if follow:
            await watch(store, run, show, until_final=True)
            return
        found = await entries(store, run)
        for entry in found:
            show(entry)
