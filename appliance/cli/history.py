"""`af runs show --at`: a run as it was at one point of its journal, and what that entry changed."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.terminal import clip, columns, compact, printable
from appliance.cli.units import local_time
from runtime.errors import Invalid

if TYPE_CHECKING:
    from appliance.cli.context import Af
    from appliance.runs.history import StateView
    from runtime.domain.history import Change
    from runtime.domain.ids import RunId
    from runtime.domain.journal import Entry

MAX_CHANGES = 20
NOTHING = "–"
NOTHING_NEW: tuple[object, ...] = (msgspec.UNSET, None, "", 0, [], {})
"""What is not worth a line where there was nothing before."""


async def show_at(af: "Af", name: str, at: str, *, is_full: bool, is_restored: bool = False) -> None:
    """Show a run at `at`: a sequence number, an instant, or a local time of the day or date on which the run began.

    `is_restored`: with what its pseudonyms stand for; the audit log says that somebody looked.
    """
    from appliance.cli.entries import entry_line
    from appliance.cli.journal import entries, find_run, open_journal, pinned, reading_catalogue
    from appliance.runs.history import state_view

    async with open_journal(af.settings) as store:
        run = await find_run(store, name)
        summary, journal = await store.run(run), await entries(store, run)
        workflow = await pinned(reading_catalogue(store, af.settings.data), summary.definition)
    when = point(at, summary.created_us)
    view = await _restored(af, run, journal, when) if is_restored else state_view(run, journal, when, workflow)
    entry = journal[view.seq - 1]
    told = msgspec.structs.replace(entry, body=msgspec.convert(view.entry.data, type(entry.body)))
    af.terminal.say(state_report(view, entry_line(told, is_full=is_full), is_full=is_full, me=af.me))
    af.terminal.document(view)


async def _restored(af: "Af", run: "RunId", journal: "list[Entry]", at: str) -> "StateView":
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress
    from runtime.domain.run import fold

    async with open_runs(af.settings, "af runs show", known=af.known, progress=RunProgress(af.terminal).work) as opened:
        return await opened.restored_at(fold(run, journal), at)


def point(text: str, started_us: int) -> str:
    """What was typed as `seq_at` reads it: local times get their date, from the run's start, and their time zone.

    A time goes on to the end of its last digit: whoever types what a screen shows means the entry that it shows.
    Raises Invalid for what is neither a number nor a time.
    """
    if text.isdigit():
        return text
    typed = f"{local_time(started_us)[:10]}T{text}" if ":" in text and "-" not in text.split("+")[0] else text
    try:
        instant = datetime.fromisoformat(typed)
    except ValueError:
        raise Invalid(
            "run.no_such_point",
            "--at takes the number of an entry, as `af logs` shows it, a local time, such as 14:03:12.5 or "
            f"2026-01-31 14:03, or one with its time zone; found {text!r}",
        ) from None
    instant = instant if instant.tzinfo else instant.astimezone()
    return (instant + _last_digit(typed)).isoformat()


def _last_digit(typed: str) -> timedelta:
    """How much of a time is left open: a day of a date, 59.999999 s of `14:03`, 999 µs of `14:03:12.377`."""
    found = re.search(r"[T ]\d\d(:?\d\d)?(:?\d\d)?(?:[.,](\d{1,6}))?", typed)
    if found is None or found[1] is None:
        return timedelta(hours=24 if found is None else 1) - timedelta(microseconds=1)
    if found[2] is None:
        return timedelta(minutes=1) - timedelta(microseconds=1)
    return timedelta(microseconds=10 ** (6 - len(found[3] or "")) - 1)


def state_report(view: "StateView", line: str, *, is_full: bool = False, me: str = "af") -> str:
    """The entry, what it changed, and the run as it then was."""
    from appliance.cli import report

    label = f"entry {view.seq} of {view.last_seq}"
    run = view.run
    parts = [
        f"{click.style(label, bold=True)}  {local_time(_us(view.entry.at))}\n{line}",
        changed(view.changes, is_full=is_full),
        report.headline(run),
        report.path(run),
        report.steps(run),
        *(report.answer(run, is_full=is_full) if run.output is not None and is_full else ()),
        report.trouble(run),
        timers(view),
        _next(view, me),
    ]
    return "\n\n".join(part for part in parts if part)


def changed(found: "Iterable[Change]", *, is_full: bool = False) -> str:
    """One line a change: `steps.answer.status  running → succeeded`."""
    shown = [each for each in _leaves(found) if each.before not in NOTHING_NEW or each.after not in NOTHING_NEW]
    names = [printable(".".join(each.path)) for each in shown]
    widest = min(36, max(map(len, names), default=0))
    lines = [
        f"  {click.style(f'{name:<{widest}}', dim=True)}  {_said(each.before)} → {_said(each.after)}"
        if each.before is not msgspec.UNSET
        else f"  {click.style(f'{name:<{widest}}', dim=True)}  {_said(each.after)}"
        for name, each in zip(names, shown, strict=True)
    ]
    if is_full:
        return "\n".join(lines)
    cut = [clip(line, columns()) for line in lines[:MAX_CHANGES]]
    if len(lines) > MAX_CHANGES:
        cut.append(click.style(f"  … {len(lines) - MAX_CHANGES} more changes; all with --full", dim=True))
    return "\n".join(cut)


def timers(view: "StateView") -> str:
    """What would end the waiting."""
    return "\n".join(f"  timer {printable(name)} comes due {local_time(_us(at))}" for name, at in view.timers.items())


def _leaves(found: "Iterable[Change]") -> "Iterable[Change]":
    """The changes, with mappings that are new shown key by key."""
    from runtime.domain.history import Change

    for change in found:
        if change.before is msgspec.UNSET and isinstance(change.after, dict) and len(change.path) < 2 and change.after:
            yield from _leaves(Change(path=(*change.path, key), after=value) for key, value in change.after.items())
        else:
            yield change


def _said(value: object) -> str:
    return NOTHING if value is msgspec.UNSET or value is None else compact(value)


def _us(at: str) -> int:
    from appliance.cli.units import microseconds

    return microseconds(at)


def _next(view: "StateView", me: str) -> str:
    lines = [click.style("  next", dim=True)]
    if view.seq > 1:
        lines.append(f"    {me} runs show {view.run_id} --at {view.seq - 1}")
    if view.seq < view.last_seq:
        lines.append(f"    {me} runs show {view.run_id} --at {view.seq + 1}")
    lines.append(f"    {me} logs {view.run_id}")
    return "\n".join(lines)
