"""`af test`: the scenarios of a project, run offline and held against what they expect."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.interrupts import ended_as_by_ctrl_c

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from appliance.scenarios.format import Suite
    from appliance.scenarios.tally import SuiteResult

DEFAULT_JOBS = 2
MOST_NAMED = 10


class Project(click.ParamType[Path]):
    """A folder or a file, or the name of a template."""

    name = "project"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Files and folders, and the templates that have scenarios."""
        from appliance.scenarios.format import FILE
        from appliance.workflows import TEMPLATES

        names = sorted(file.parent.name for file in TEMPLATES.glob(f"*/{FILE}"))
        found = [CompletionItem(name) for name in names if incomplete and name.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="file")]

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; of a template that is no path here, where it lies in the program."""
        from appliance.workflows import TEMPLATES

        path = Path(str(value))
        template = TEMPLATES / str(value)
        return template if not path.exists() and path.name == str(value) and template.is_dir() else path


PROJECT = Project()


@click.command(
    cls=Command,
    examples="""
        af test
        af test ./my-desk -k refund
        af test ./my-desk --keep --fail-fast
        af test projects/ --jobs 4 --junit report.xml
        af test support --json | jq '.files[].scenarios[] | select(.passed == false)'
    """,
)
@click.argument("targets", nargs=-1, metavar="[PROJECT|DIR|FILE]...", type=PROJECT)
@click.option(
    "-k", "--scenario", "names", multiple=True, metavar="NAME", help="Only those whose name holds NAME; repeatable."
)
@click.option(
    "--workflow", "workflows", multiple=True, metavar="W", help="Only those of this workflow: its file or folder."
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first that fails.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), metavar="N", default=DEFAULT_JOBS, show_default=True, help="Runs at once."
)
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write a report in JUnit's XML too.")
@click.option("--keep", is_flag=True, help="Keep the data folder of the runs, to look at them.")
@pass_af
def test(
    af: Af,
    *,
    targets: tuple[Path, ...],
    names: tuple[str, ...],
    workflows: tuple[str, ...],
    fail_fast: bool,
    jobs: int,
    junit: Path | None,
    keep: bool,
) -> int:
    """Run the scenarios of a project, offline, and say which hold.

    A project has them in scenarios.yaml, or in a folder scenarios/; without an argument they are looked for here.
    They run with the models of this machine, or with answers that a scenario plays, in a data folder of their own
    that is removed at the end; nothing is sent beyond this machine, and your runs, budgets and secrets are not touched.

    Exit code 0 when all passed, 1 when some failed, 2 when a file is wrong, 4 when a model is not here.
    """
    from appliance.scenarios.documents import document
    from appliance.scenarios.documents import junit as junit_of
    from appliance.scenarios.finding import chosen, files_of, read_all
    from appliance.scenarios.tally import totals

    files = [file for target in targets or (Path(),) for file in files_of(target)]
    suites = chosen(read_all(list(dict.fromkeys(files))), names=names, workflows=workflows)
    with rehearsal(af, keep=keep) as kept:
        _check(af, suites)
        showing = _Showing(suites, jobs=jobs, fail_fast=fail_fast, keep=kept)
        began = monotonic()
        found = (af.run_sealed if af.is_sealed else af.run)(_run(af, showing))
        took_ms = (monotonic() - began) * 1_000
        if junit is not None:
            _write(junit, junit_of(found))
        _sum_up(af, found, targets, took_ms=took_ms, kept=kept)
        af.terminal.document(document(found, took_ms=round(took_ms), kept=str(af.data) if kept else ""))
    return 1 if totals(found).failed else 0


@contextmanager
def rehearsal(af: Af, *, keep: bool = False) -> Iterator[str]:
    """A data folder of its own for this invocation, removed at the end unless `keep` is set; how `af` is called for it
    then."""
    from appliance.cli.context import program
    from appliance.scenarios.running import settings_for_tests, take_tools

    user: Settings = af.settings
    with ended_as_by_ctrl_c(), _folder(keep=keep) as folder:
        try:
            take_tools(user, folder)
            _ = af.me  # how it was called, before the data folder is another one
            af.is_sealed, af.is_rehearsal = user.mode == "air_gapped", True
            af.data, af.settings = folder, settings_for_tests(user, folder)
            yield f"{program()} --data {shlex.quote(str(folder))}" if keep else ""
        finally:
            if not keep:
                af.close()  # the log lies there


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    from appliance.own_folder import temporary_folder

    if keep:
        import tempfile

        yield Path(tempfile.mkdtemp(prefix="agentflow-kept-"))
        return
    with temporary_folder("test") as folder:
        yield folder


class _Showing(NamedTuple):
    suites: "list[Suite]"
    jobs: int
    fail_fast: bool
    keep: str
    """How `af` is called for the data folder that stays; empty: none stays."""


async def _run(af: Af, asked: _Showing) -> "list[SuiteResult]":
    from appliance.cli.progress import RunProgress
    from appliance.cli.scenario_runs import Showing
    from appliance.scenarios.running import bench

    progress = RunProgress(af.terminal)
    total = sum(len(suite.scenarios) + len(suite.datasets) for suite in asked.suites)
    showing = Showing(af, progress, jobs=asked.jobs, fail_fast=asked.fail_fast, keep=asked.keep, total=total)
    try:
        progress.line.show("▸ opening a data folder …")
        async with bench(af.settings, progress=progress.work, known=af.known) as on:
            return await showing.run(on, asked.suites)
    finally:
        progress.clear()


def _check(af: Af, suites: "list[Suite]") -> None:
    """Look for everything that would make each of them fail. Raises InvalidDefinition, and Unavailable for models."""
    from appliance.scenarios.definitions import Definitions, check, missing_models
    from runtime.errors import Unavailable

    absent = missing_models(check(suites, Definitions(af.settings)), af.settings)
    if absent:
        raise Unavailable(
            "scenarios.no_models",
            f"the scenarios ask {' and '.join(absent)}, not in {af.settings.models_folder}. Fetch once: af models "
            'fetch; or let each scenario play what they say: answers: {AGENT: ["…"]}',
            retryable=False,
        )


def _write(file: Path, content: bytes) -> None:
    from runtime.errors import Unusable

    try:
        file.write_bytes(content)
    except OSError as error:
        raise Unusable("scenarios.unwritable", f"{file} cannot be written: {error.strerror or error}") from None


def _sum_up(af: Af, found: "list[SuiteResult]", targets: tuple[Path, ...], *, took_ms: float, kept: str) -> None:
    """The totals, what failed, and what to do next."""
    from appliance.cli.scenario_report import failed_names, summary
    from appliance.scenarios.tally import totals

    af.terminal.say(f"\n{summary(totals(found), took_ms=took_ms)}")
    failed = failed_names(found)
    for name, place in failed[:MOST_NAMED] if len(failed) > 1 else ():
        af.terminal.say(f"  {click.style('✗', fg='red')} {name}  {click.style(place, dim=True)}")
    if len(failed) > MOST_NAMED:
        af.terminal.say(f"  and {len(failed) - MOST_NAMED} more")
    if kept:
        af.terminal.say(f"  kept in {af.data}\n    {kept} runs list")
    elif failed:
        where = "".join(f" {shlex.quote(str(target))}" for target in targets)
        af.terminal.say(click.style("  next", dim=True))
        af.terminal.say(f"    {af.me} test{where} -k {shlex.quote(failed[0][0])} --keep")
