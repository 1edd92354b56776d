"""`af run`: one run, or one for every line of a file."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import read_input
from appliance.cli.words import DURATION, WORKFLOW

if TYPE_CHECKING:
    from appliance.cli.hosts import Runs
    from appliance.cli.progress import RunProgress
    from appliance.runs.views import RunView
    from runtime.domain.canonical import Json
    from runtime.domain.ids import RunId
    from runtime.domain.run import RunState

EXIT_CODES = {"failed": 1, "cancelled": 1}
REFUSED = 3


@click.command(
    cls=Command,
    examples="""
        af run support --input '{"message": "My card was swallowed, what now?"}'
        af run ./my-desk --input @question.json --json | jq .output
        af run support --as support_agent --input @question.json
        af run support --inputs questions.jsonl --concurrency 8 > answers.jsonl
        af run support --inputs questions.jsonl --resume > answers.jsonl
    """,
)
@click.argument("workflow", type=WORKFLOW)
@click.option("--input", "given", metavar="JSON", help="The input: JSON, @FILE, or - for stdin.")
@click.option(
    "--as", "role", metavar="ROLE", default="", help="The role to ask in, by which tools and budgets are granted."
)
@click.option("--inputs", metavar="FILE", type=click.Path(path_type=Path), help="A run for every line of JSON in FILE.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    metavar="N",
    default=4,
    show_default=True,
    help="With --inputs: runs at once.",
)
@click.option("--resume", is_flag=True, help="With --inputs: go on where the last batch of this file stopped.")
@click.option("--jsonl", is_flag=True, help="With --inputs: lines of JSON, which is what it writes anyway.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end, or print the run's id at once.")
@click.option("--timeout", "timeout_ms", type=DURATION, help="Wait no longer than this, such as 90s.")
@click.option(
    "--restore", is_flag=True, help="Answer with what pseudonyms of a minimised run stand for; it is audited."
)
@click.option(
    "--preflight/--no-preflight",
    "with_estimate",
    default=True,
    help="Keep with the run what it is expected to take; with --inputs the setting `preflight` says so.",
)
@pass_af
def run(
    af: Af,
    workflow: str,
    *,
    given: str | None,
    role: str,
    inputs: Path | None,
    concurrency: int,
    resume: bool,
    jsonl: bool,
    wait: bool,
    timeout_ms: int | None,
    restore: bool,
    with_estimate: bool,
) -> int:
    """Run WORKFLOW: a name, a file, or a project's folder.

    A run that waits for a person ends this command with exit code 0 and says how to answer it; one that failed
    with 1, or with 3 when a policy refused what it needs. With --inputs the answers come in the order of the lines:
    {"input", "run_id", "status", "output"}.
    """
    if inputs is not None:
        if given is not None or not wait or restore or role:
            raise click.UsageError("--inputs goes with none of --input, --as, --no-wait and --restore")
        from appliance.cli.batch import Batch, run_batch

        return af.run_sealed(run_batch(af, Batch(workflow, inputs, concurrency, is_resumed=resume)))
    if resume or jsonl:
        raise click.UsageError("--resume and --jsonl go with --inputs FILE")
    asked = _Asked(workflow, read_input(given), role, wait, timeout_ms, restore, with_estimate)
    return af.run_sealed(_run_one(af, asked))


def exit_code(view: "RunView") -> int:
    """0 for a run that succeeded or waits, 1 for one that failed or was cancelled, 3 when a policy made it fail."""
    from runtime.policies.refusals import is_refusal

    if view.status == "failed" and view.error and is_refusal(view.error.code):
        return REFUSED
    return EXIT_CODES.get(view.status, 0)


class _Asked(NamedTuple):
    workflow: str
    given: "Json"
    role: str
    wait: bool
    timeout_ms: int | None
    restore: bool
    with_estimate: bool


async def _run_one(af: Af, asked: _Asked) -> int:
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress
    from appliance.cli.report import run_report

    progress = RunProgress(af.terminal)
    try:
        async with open_runs(af.settings, "af run", known=af.known, progress=progress.work) as runs:
            target = await runs.target(asked.workflow)
            submitted = await runs.submit(target, asked.given, with_estimate=asked.with_estimate, role=asked.role)
            af.parting = f"run {submitted} keeps what it has done; go on with: {af.me} runs resume {submitted}"
            if not asked.wait:
                return await _leave(af, runs, submitted)
            state = await _wait(af, runs, submitted, progress, asked.timeout_ms)
            view = await (runs.restored(state) if asked.restore else runs.view(state))
    finally:
        progress.clear()
    af.terminal.say(run_report(view, me=af.me))
    af.terminal.document(view)
    return exit_code(view)


async def _leave(af: Af, runs: "Runs", submitted: "RunId") -> int:
    af.terminal.say(submitted)
    if runs.is_served:
        af.terminal.note(f"look at it with: {af.me} runs show {submitted}")
    else:
        af.terminal.note(f"nobody works on it yet; go on with: {af.me} serve, or {af.me} runs resume {submitted}")
    af.terminal.document({"run_id": submitted, "status": "running"})
    return 0


async def _wait(
    af: Af, runs: "Runs", submitted: "RunId", progress: "RunProgress", timeout_ms: int | None
) -> "RunState":
    import asyncio

    from runtime.errors import Unavailable

    try:
        async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000):
            return await runs.watched(submitted, progress.step)
    except TimeoutError:
        go_on = f"{af.me} runs {'show' if runs.is_served else 'resume'} {submitted}"
        raise Unavailable(
            "run.not_finished",
            f"run {submitted} has not ended within {(timeout_ms or 0) / 1_000:g} s; it is kept. Go on with: {go_on}",
            run_id=submitted,
        ) from None
