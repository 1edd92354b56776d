"""`af logs`: a run's journal as lines, or the program's own log."""

import json
from collections import deque
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.log_records import Wanted, line_of, opened, records_in, records_to_come
from appliance.cli.terminal import printable
from appliance.cli.units import counted, local_time
from appliance.cli.words import DURATION, RUN
from runtime.domain.command import StartStep
from runtime.domain.ids import state_of
from runtime.domain.journal import rfc3339
from runtime.engine.clock import SystemClock
from runtime.errors import AgentFlowError

if TYPE_CHECKING:
    from runtime.domain.journal import Entry

LEVELS = ("debug", "info", "warning", "error")
COLORS = {"warning": "yellow", "error": "red", "critical": "red"}


@click.command(
    cls=Command,
    examples="""
        af logs last
        af logs last --follow
        af logs --level warning --since 24h
        af logs --agent draft --follow --json
        af logs last --json | jq 'select(.type == "step.failed")'
    """,
)
@click.argument("run", type=RUN, required=False)
@click.option("--run", "of_run", metavar="RUN", default="", help="Records of the program's log that name this run.")
@click.option("--agent", default="", help="Records that name this agent; with RUN, entries of its steps.")
@click.option("--level", type=click.Choice(LEVELS), help="Records of this level and above.")
@click.option("--since", "age_ms", type=DURATION, help="Only what happened since then, such as 24h.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), metavar="N", default=200, show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Go on: until the run has ended, or until you stop it.")
@pass_af
def logs(
    af: Af,
    run: str | None,
    *,
    of_run: str,
    agent: str,
    level: str | None,
    age_ms: int | None,
    limit: int,
    follow: bool,
) -> None:
    """Show what happened in RUN: events, and indented what was decided on each.

    Without RUN, show the newest records of the program's own log, oldest first. With --json, each entry as it stands
    in the journal, or each record as it stands in the log.
    """
    since_us = None if age_ms is None else SystemClock().now_us() - age_ms * 1_000
    if run is None:
        wanted = Wanted(
            run=af.run(_known(af, of_run)) if of_run else "",
            agent=agent,
            level=level or "",
            since=rfc3339(since_us) if since_us else "",
        )
        _records(af, wanted, limit=limit, follow=follow)
        return
    if of_run or level:
        raise click.UsageError("--run and --level are for the program's log; leave RUN out to read that")
    af.run(_logs(af, run, agent=agent, since_us=since_us or 0, follow=follow))


async def _known(af: Af, name: str) -> str:
    """The id of a run that is named by a part of it, or as `last`; what was typed where no journal knows it."""
    from appliance.cli.journal import find_run, open_journal

    try:
        async with open_journal(af.settings) as store:
            return await find_run(store, name)
    except AgentFlowError:  # the log may name what the journal has not, or not any more
        return name


def _records(af: Af, wanted: Wanted, *, limit: int, follow: bool) -> None:
    file = af.data_folder / "logs" / "af.log"
    now = opened(file)
    newest = deque((record for record in records_in(file, now) if wanted.takes(record)), maxlen=limit)
    coming = (record for record in records_to_come(file, now) if wanted.takes(record)) if follow else ()
    if now is not None and not follow:
        now.close()
    for record in newest:
        _show(af, record)
    if not newest and not follow:
        journal = f"; what a run did is in its journal: {af.me} logs {wanted.run}" if wanted.run else ""
        af.terminal.note(f"no such records in {file}{journal}")
    for record in coming:
        _show(af, record)


def _show(af: Af, record: dict[str, object]) -> None:
    if af.terminal.is_json:
        af.terminal.raw_line(json.dumps(record, ensure_ascii=False).encode())
        return
    line = printable(line_of(record))
    color = COLORS.get(str(record.get("level")))
    af.terminal.say(click.style(line, fg=color) if color else line)
    for traced in str(record.get("traceback") or "").splitlines():
        af.terminal.say(click.style(f"    {printable(traced)}", dim=True))


async def _logs(af: Af, name: str, *, agent: str, since_us: int, follow: bool) -> None:
    from appliance.cli.entries import entry_line
    from appliance.cli.journal import entries, find_run, open_journal, watch
    from runtime.domain.journal import envelope_of, write

    async with open_journal(af.settings) as store:
        run = await find_run(store, name)
        steps: set[str] = set()
        shown: list[int] = []
        days = [local_time(SystemClock().now_us())[:10]]
        """The day of the line before, which need not be told again; today's goes without saying."""

        def show(entry: "Entry") -> None:
            if entry.at_us < since_us or not _is_of(entry, agent, steps):
                return
            shown.append(entry.seq)
            if af.terminal.is_json:
                af.terminal.raw_line(envelope_of(write(run, entry)))
                return
            if (day := local_time(entry.at_us)[:10]) != days[-1]:
                days.append(day)
                af.terminal.say(click.style(day, dim=True))
            af.terminal.say(entry_line(entry))

        if follow:
            await watch(store, run, show, until_final=True)
            return
        found = await entries(store, run)
        for entry in found:
            show(entry)
        if not shown:
            af.terminal.note(
                f"run {run} has {counted(len(found), 'journal entry', 'journal entries')}, and none like that"
            )


def _is_of(entry: "Entry", agent: str, steps: set[str]) -> bool:
    """Whether an entry is about a step of an agent; `steps` remembers which those are."""
    if not agent:
        return True
    step = getattr(entry.body, "step", "")
    if isinstance(entry.body, StartStep) and (entry.body.agent or state_of(entry.body.step)) == agent:
        steps.add(step)
    return step in steps
