"""`af runs export` and `af runs import`: runs taken elsewhere, to be looked at."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from appliance.runs.archive import ImportView


@click.command(
    cls=Command,
    short_help="Write runs into a file, to be looked at elsewhere.",
    examples="""
        af runs export last --to failed.jsonl
        af runs export 01k3 01k4 --to failed.jsonl --minimise
    """,
)
@click.argument("names", nargs=-1, required=True, type=RUN, metavar="RUN...")
@click.option("--to", "to", required=True, type=click.Path(path_type=Path), metavar="FILE", help="A file that is new.")
@click.option("--minimise", is_flag=True, help="Put pseudonyms in the place of people's data, for good.")
@click.option(
    "--definitions/--no-definitions", default=True, help="With the definitions and project files, or without."
)
@pass_af
def export_runs(af: Af, names: tuple[str, ...], to: Path, minimise: bool, definitions: bool) -> None:
    """Write runs, with the runs of their steps, into a file that `af runs import` takes in elsewhere."""
    af.run(_export(af, names, to, minimise=minimise, definitions=definitions))


@click.command(cls=Command, examples="af runs import failed.jsonl")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@pass_af
def import_runs(af: Af, file: Path) -> None:
    """Take in the runs of a file, to be looked at: shown, explained, replayed, supposed of, never gone on with."""
    af.run(_import(af, file))


async def _export(af: Af, names: tuple[str, ...], to: Path, *, minimise: bool, definitions: bool) -> None:
    from appliance.cli.hosts import open_runs
    from appliance.cli.journal import find_run, open_journal
    from appliance.cli.progress import RunProgress
    from appliance.cli.units import counted, size
    from appliance.runs.archive import Export
    from runtime.errors import Conflict

    if to.exists():
        raise Conflict("archive.exists", f"{to} is there already; name a file that is new")
    async with open_journal(af.settings) as store:
        runs = [str(await find_run(store, name)) for name in names]
    async with open_runs(af.settings, "af runs export", progress=RunProgress(af.terminal).work) as opened:
        content = await opened.export(Export(runs=runs, minimise=minimise, definitions=definitions))
    with to.open("xb") as target:
        target.write(content)
    what = f"{counted(len(runs), 'run')} with those of {'its' if len(runs) == 1 else 'their'} steps"
    af.terminal.say(f"{to}: {what}, {size(len(content))}; take it in with: af runs import {to.name}")
    af.terminal.document({"file": str(to), "runs": runs, "bytes": len(content), "minimised": minimise})


async def _import(af: Af, file: Path) -> None:
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress

    content = file.read_bytes()
    async with open_runs(af.settings, "af runs import", progress=RunProgress(af.terminal).work) as opened:
        view = await opened.take_in(content)
    _draw(af, view)
    af.terminal.document(view)


def _draw(af: Af, view: "ImportView") -> None:
    from appliance.cli.report import status
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import counted

    rows = [
        (
            run.run_id,
            status(run.status),
            str(run.entries),
            printable(run.workflow),
            "" if run.is_new else "here already",
        )
        for run in view.runs
    ]
    af.terminal.say(table(("RUN", "STATUS", "ENTRIES", "WORKFLOW", ""), rows, right=(2,)))
    pseudonyms = ", minimised" if view.minimised else ""
    definitions = counted(view.definitions, "definition")
    af.terminal.say(f"from {printable(view.origin)}{pseudonyms}, with {definitions}; only looked at here")
    failed = next((run.run_id for run in view.runs if run.status == "failed"), None)
    if shown := failed or next((run.run_id for run in view.runs), None):
        command = "why" if failed else "show"
        af.terminal.say(f"\n  {click.style('next', dim=True)}\n    {af.me} runs {command} {shown}")
