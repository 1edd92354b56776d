"""`af runs migrate`: move a run to another definition on purpose, and say beforehand what that changes."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from runtime.engine.migrate import Migration


@click.command(
    "migrate",
    cls=Command,
    examples="""
        af runs migrate last --to ./my-project --dry-run
        af runs migrate last --to sha256:4f1c…
    """,
)
@click.argument("run", type=RUN)
@click.option(
    "--to", "to", required=True, metavar="HASH", help="The definition: its hash, or a workflow's name or path."
)
@click.option(
    "--dry-run", "is_dry", is_flag=True, help="Only say what would change; exit code 1 when it cannot be done."
)
@pass_af
def migrate_run(af: Af, run: str, to: str, is_dry: bool) -> int:
    """Move RUN to another definition, which decides from here on.

    A run is pinned to the definition that it began with; nothing but this moves it.
    """
    return af.run(_migrate(af, run, to, is_dry=is_dry))


async def _migrate(af: Af, name: str, to: str, *, is_dry: bool) -> int:
    from appliance.cli.hosts import open_runs
    from appliance.cli.journal import find_run, open_journal
    from appliance.cli.progress import RunProgress

    async with open_journal(af.settings) as store:
        run = await find_run(store, name)
    async with open_runs(
        af.settings, "af runs migrate", known=af.known, progress=RunProgress(af.terminal).work
    ) as opened:
        target = await opened.target(to)
        move = await opened.migrate(run, target, is_dry=is_dry)
    _draw(af, run, move, is_dry=is_dry)
    af.terminal.document({"run_id": run, "is_dry_run": is_dry, **_document(move)})
    return 1 if move.refusals else 0


def _document(move: "Migration") -> dict[str, object]:
    return {
        "previous": move.previous,
        "definition_hash": move.definition,
        "changes": list(move.changes),
        "refusals": list(move.refusals),
    }


def _draw(af: Af, run: str, move: "Migration", *, is_dry: bool) -> None:
    from appliance.cli.terminal import printable

    if move.refusals:
        head = click.style("✗ cannot be moved", fg="red")
    else:
        head = click.style("✓ can be moved" if is_dry else "✓ moved", fg="green")
    lines = [f"{head}  {run}", f"  from  {move.previous}", f"  to    {move.definition}"]
    lines += [f"  {printable(refusal)}" for refusal in move.refusals]
    lines += [f"  {printable(change)}" for change in move.changes or ("nothing that is run is different",)]
    af.terminal.say("\n".join(lines))
