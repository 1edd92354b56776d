"""`af runs`: what has been run, what runs, what waits; answer it, stop it, go on with it."""

from typing import TYPE_CHECKING

import click

from appliance.cli.answering import follow_answer
from appliance.cli.archive import export_runs, import_runs
from appliance.cli.command import Group
from appliance.cli.compare import compare_runs
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import read_input
from appliance.cli.migrate import migrate_run
from appliance.cli.why import why_run
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.runs.views import RunView
    from runtime.domain.ids import RunId
    from runtime.policies.human import Person
    from runtime.ports import RunSummary

KINDS = ["run", "what_if", "imported"]
STATUSES = ["running", "waiting", "succeeded", "failed", "cancelled"]


@click.group(
    cls=Group,
    examples="""
        af runs list --status failed
        af runs show last
        af runs why last
        af runs signal last person --data '{"answer": "We have called you."}'
    """,
)
def runs() -> None:
    """List, show, explain, signal, cancel and resume runs.

    RUN is an id, a unique beginning or end of one, or `last`.
    """


@runs.command(
    "list",
    examples="""
        af runs list
        af runs list --status waiting --workflow support
        af runs list --kind what_if
        af runs list --json | jq -r '.runs[].run_id'
    """,
)
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Only these; repeatable.")
@click.option("--workflow", default="", help="Only runs of this workflow.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    default=("run", "imported"),
    help="Only these; repeatable. Without it, what-ifs are left out.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), metavar="N", default=20, show_default=True)
@pass_af
def list_runs(af: Af, statuses: tuple[str, ...], workflow: str, kinds: tuple[str, ...], limit: int) -> None:
    """List runs, newest first."""
    af.run(_list(af, statuses, workflow, kinds, limit))


@runs.command(
    "show",
    examples="""
        af runs show last --json
        af runs show last --at 7
        af runs show last --at 14:03:12.5
        af runs show last --at 7 --restore
    """,
)
@click.argument("run", type=RUN)
@click.option(
    "--at",
    metavar="SEQ|TIME",
    help="As it was at this entry of its journal, or at this time, and what the entry changed.",
)
@click.option("--full", "is_full", is_flag=True, help="Cut nothing.")
@click.option("--restore", "is_restored", is_flag=True, help="With what its pseudonyms stand for; it is audited.")
@pass_af
def show_run(af: Af, run: str, *, at: str | None, is_full: bool, is_restored: bool) -> None:
    """Show one run: its path, steps, answer and errors, as it is now or as it was."""
    if at is not None:
        from appliance.cli.history import show_at

        af.run(show_at(af, run, at, is_full=is_full, is_restored=is_restored))
        return
    af.run((_show_restored if is_restored else _show)(af, run, is_full=is_full))


@runs.command("cancel", examples="af runs cancel last --reason 'asked twice'")
@click.argument("run", type=RUN)
@click.option("--reason", default="", help="Kept in the journal.")
@pass_af
def cancel_run(af: Af, run: str, reason: str) -> None:
    """Stop a run and what it is doing."""
    view = af.run(_cancel(af, run, reason))
    _show_outcome(af, view)


@runs.command(
    "signal",
    examples="""
        af runs signal last person --data '{"answer": "We have called you."}'
        af runs signal 01k3 person --data @answer.json
    """,
)
@click.argument("run", type=RUN)
@click.argument("name")
@click.option("--data", "payload", metavar="JSON", help="The answer: JSON, @FILE, or - for stdin.")
@click.option("--as", "actor", metavar="NAME", default="", help="Who answers, where it is a task for people.")
@click.option("--role", metavar="ROLE", default="", help="In what role.")
@pass_af
def signal_run(af: Af, run: str, name: str, *, payload: str | None, actor: str, role: str) -> int:
    """Answer a RUN that waits for the signal NAME, and follow it to its end."""
    from appliance.cli.hosts import ACTOR
    from appliance.cli.run import exit_code
    from runtime.policies.human import Person

    view = af.run_sealed(_signal(af, run, name, payload=payload, by=Person(actor or ACTOR, role)))
    _show_outcome(af, view)
    return exit_code(view)


@runs.command("resume", examples="af runs resume")
@click.argument("names", nargs=-1, type=RUN, metavar="[RUN]...")
@pass_af
def resume_runs(af: Af, names: tuple[str, ...]) -> int:
    """Go on with runs that were interrupted; with all of them when none is named."""
    from appliance.cli.resume import resumed
    from appliance.cli.run import exit_code

    views = af.run_sealed(resumed(af, names))
    for view in views:
        _show_outcome(af, view, is_document=False)
    if not views:
        af.terminal.say("nothing was interrupted")
    af.terminal.document({"runs": views})
    return max((exit_code(view) for view in views), default=0)


runs.add_command(migrate_run)
runs.add_command(why_run, "why")
runs.add_command(compare_runs, "compare")
runs.add_command(export_runs, "export")
runs.add_command(import_runs, "import")


async def _list(af: Af, statuses: "Sequence[str]", workflow: str, kinds: "Sequence[str]", limit: int) -> None:
    from appliance.cli.journal import open_journal
    from appliance.runs.views import run_lines

    async with open_journal(af.settings) as store:
        found = await store.runs(
            status=statuses,
            workflow=workflow,
            kinds=kinds,  # type: ignore[arg-type]  # choices of the option
            limit=limit + 1,
        )
    _draw_list(af, found[:limit], has_more=len(found) > limit, is_filtered=bool(statuses or workflow))
    af.terminal.document({"runs": run_lines(found[:limit]), "has_more": len(found) > limit})


def _draw_list(af: Af, found: "Sequence[RunSummary]", *, has_more: bool, is_filtered: bool) -> None:
    from appliance.cli.report import status
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import ago, local_time
    from runtime.engine.clock import SystemClock
    from runtime.store.lock import is_held

    if not found:
        none = "no such runs" if is_filtered else f"no runs yet; start one: {af.me} demo support"
        af.terminal.say(none)
        return
    now_us = SystemClock().now_us()
    is_plain = all(s.kind == "run" for s in found)  # what a run is else needs the room
    rows = [
        (
            s.run,
            status(s.status),
            local_time(s.created_us)[:-3],
            *([ago(s.created_us, now_us)] if is_plain else []),
            printable(_named(s)),
        )
        for s in found
    ]
    af.terminal.say(table(("RUN", "STATUS", "STARTED", *([""] if is_plain else []), "WORKFLOW"), rows))
    if any(s.status == "running" for s in found) and not is_held(af.settings.data):
        af.terminal.note(f"nobody works on what is running; go on with: {af.me} runs resume")
    if has_more:
        af.terminal.note(f"the newest {len(found)}; more with --limit")


def _named(summary: "RunSummary") -> str:
    """The workflow, and what the run is where it is none like any other."""
    kinds = {"what_if": "what-if ", "imported": "imported "}
    return f"{kinds.get(summary.kind, '')}{summary.workflow}"


async def _show(af: Af, name: str, *, is_full: bool) -> None:
    from appliance.cli.journal import entries, find_run, open_journal, reading_catalogue, view_of
    from appliance.cli.report import parts_shown, run_report
    from appliance.cli.tool_uses import tool_uses
    from runtime.domain.run import fold

    async with open_journal(af.settings) as store:
        run = await find_run(store, name)
        told = await entries(store, run)
        state = fold(run, told)
        view = await view_of(reading_catalogue(store, af.settings.data), store, state)
        shown = [part for step in view.steps for part in parts_shown(step, is_full=is_full)]
        given = {part: fold(part, await entries(store, part)).input for part in shown}
    tools = tool_uses(told, is_full=is_full)
    page = run_report(view, given=state.input, tools=tools, parts_given=given, is_full=is_full, me=af.me)
    af.terminal.say(page)
    af.terminal.document(view)


async def _show_restored(af: Af, name: str, *, is_full: bool) -> None:
    from appliance.cli.hosts import open_runs
    from appliance.cli.journal import entries
    from appliance.cli.progress import RunProgress
    from appliance.cli.report import run_report
    from runtime.domain.run import fold

    run = await _find(af, name)
    async with open_runs(af.settings, "af runs show", known=af.known, progress=RunProgress(af.terminal).work) as opened:
        view = await opened.restored(fold(run, await entries(opened.store, run)))
    af.terminal.say(run_report(view, is_full=is_full, me=af.me))
    af.terminal.document(view)


async def _cancel(af: Af, name: str, reason: str) -> "RunView":
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress

    run = await _find(af, name)
    async with open_runs(
        af.settings, "af runs cancel", known=af.known, progress=RunProgress(af.terminal).work
    ) as opened:
        await opened.cancel(run, reason)
        return await opened.view(await opened.settled(run))


async def _signal(af: Af, name: str, signal: str, *, payload: str | None, by: "Person") -> "RunView":
    answer = None if payload is None else read_input(payload, "--data")
    run = await _find(af, name)
    return await follow_answer(af, run, "af runs signal", lambda opened: opened.signal(run, signal, answer, by))


async def _find(af: Af, name: str) -> "RunId":
    from appliance.cli.journal import find_run, open_journal

    async with open_journal(af.settings) as store:
        return await find_run(store, name)


def _show_outcome(af: Af, view: "RunView", *, is_document: bool = True) -> None:
    from appliance.cli.report import run_report

    af.terminal.say(run_report(view, me=af.me))
    if is_document:
        af.terminal.document(view)
