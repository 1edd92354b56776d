"""`af runs why`: why a run failed, on one screen of 80 columns and 24 lines."""

from typing import TYPE_CHECKING, NamedTuple

import click
from msgspec import UNSET

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from appliance.runs.causes import DifferenceView, LinkView, WhyView


class _Room(NamedTuple):
    """How much of each part is shown."""

    has_gaps: bool
    message: int
    manual: int
    chain: int
    differences: int


LINES = 23
"""One line of 24 is the shell's."""
ROOMS = (
    _Room(True, 4, 2, 6, 4),
    _Room(False, 4, 2, 6, 4),
    _Room(False, 3, 2, 5, 3),
    _Room(False, 2, 1, 4, 2),
)
"""Tried in turn until the screen fits."""
ALL = _Room(True, 0, 0, 0, 0)
KINDS = {
    "failed": "failed",
    "refused": "was refused",
    "late": "ran out of time",
    "unanswered": "was not answered",
    "judged": "was not good enough",
    "undecided": "could not go on",
    "replanned": "was planned anew",
    "cancelled": "was cancelled",
    "interrupted": "was interrupted",
}


@click.command(
    cls=Command,
    examples="""
        af runs why last
        af runs why last --json | jq .first
    """,
)
@click.argument("run", type=RUN)
@click.option("--full", "is_full", is_flag=True, help="Cut nothing, on as many lines as it takes.")
@pass_af
def why_run(af: Af, run: str, is_full: bool) -> None:
    """Say why a run failed: the first cause, what it led to, how often that was before, and what to do.

    The first cause need not be the last error: it is looked for back along the steps, in the runs of steps too.
    """
    af.run(_why(af, run, is_full=is_full))


async def _why(af: Af, name: str, *, is_full: bool) -> None:
    from appliance.cli.journal import find_run, open_journal, pinned, reading_catalogue
    from appliance.runs.causes import why_view

    async with open_journal(af.settings) as store:
        catalogue = reading_catalogue(store, af.settings.data)
        run = await find_run(store, name)
        view = await why_view(store, lambda definition: pinned(catalogue, definition), run)
    af.terminal.say(why_report(view, me=af.me, is_full=is_full))
    af.terminal.document(view)


def why_report(view: "WhyView", *, me: str = "af", is_full: bool = False) -> str:
    """The screen; with `is_full` as long as it is."""
    from appliance.cli.terminal import columns, printable, width

    head = _head(view)
    if view.first is None:
        said = view.meaning or "it has not failed"
        return "\n".join([head, "", f"  {printable(said)}", *_next(view, me)])
    for room in (ALL,) if is_full else ROOMS:
        parts = [
            [head],
            _first(view, room),
            _chain(view, room),
            _signature(view, me),
            _differences(view, room),
            _next(view, me),
        ]
        shown = [part for part in parts if part]
        report = ("\n\n" if room.has_gaps else "\n").join("\n".join(part) for part in shown)
        if sum(-(-max(1, width(line)) // columns()) for line in report.split("\n")) <= LINES:
            break
    return report


def _head(view: "WhyView") -> str:
    """How the run ended; when, and all of a long name, where there is room."""
    from appliance.cli.report import status
    from appliance.cli.terminal import clip, columns, printable, width
    from appliance.cli.units import local_time, microseconds

    ended = f"  {local_time(microseconds(view.ended_at))}" if view.ended_at else ""
    room = columns() - width(status(view.status)) - len(view.run_id) - 4
    ended = ended if width(view.workflow) + len(ended) <= room else ""
    return (
        f"{status(view.status)}  {click.style(clip(printable(view.workflow), room), bold=True)}  {view.run_id}{ended}"
    )


def _first(view: "WhyView", room: _Room) -> list[str]:
    """What went wrong first, in words, and what the manual says of it."""
    from appliance.cli.terminal import printable

    first = view.first
    assert first is not None, "the caller has looked"
    what = f"{_subject(first, view)} {KINDS[first.kind]}{_times(first)}"
    where = f"in run {first.run_id}, " if first.run_id != view.run_id else ""
    lines = [
        f"{click.style('FIRST CAUSE', fg='red', bold=True)}  {click.style(printable(what), bold=True)}",
        click.style(f"  {where}entry {first.seq} of its journal", dim=True),
        *_wrapped(f"{first.code}: {first.message or 'no reason given'}", most=room.message),
    ]
    if view.meaning:
        advice = f". What to do: {view.advice}" if view.advice not in ("", "nothing") else ""
        lines += [click.style(line, dim=True) for line in _wrapped(f"{view.meaning}{advice}", most=room.manual)]
    return lines


def _chain(view: "WhyView", room: _Room) -> list[str]:
    """What it led to, a line each."""
    from appliance.cli.terminal import clip, columns, printable
    from appliance.cli.units import clock_time, microseconds

    if len(view.chain) < 2 and not view.pauses and not (view.first and view.first.then):
        return []
    known = [*view.pauses, *view.chain]
    links = sorted(known, key=lambda link: (microseconds(link.at),)) if view.pauses else known
    lines = []
    for link in links:
        then = f" → {link.then}" if link.then else ""
        code = link.message.partition(":")[0] if link.kind == "interrupted" else link.code
        said = f"{_subject(link, view)} {KINDS[link.kind]}{_times(link)}  {code}{then}"
        lines.append(f"  {clock_time(microseconds(link.at))}  {printable(said)}")
    if room.chain and len(lines) > room.chain:
        half = room.chain // 2
        lines = [*lines[:half], f"  … {len(lines) - 2 * half + 1} more; all with --full", *lines[1 - half :]]
    last = f"               then the run {'was cancelled' if view.status == 'cancelled' else 'failed'}"
    shown = [clip(each, columns()) for each in (*lines, last)] if room.chain else [*lines, last]
    return [click.style("HOW IT WENT ON", bold=True), *shown]


def _signature(view: "WhyView", me: str) -> list[str]:
    """How often before."""
    from appliance.cli.terminal import clip, columns
    from appliance.cli.units import counted, local_time, microseconds

    found = view.signature
    assert found is not None, "a failure has one"
    label = click.style("SEEN", bold=True)
    elsewhere = f"; {found.other_definitions} under other definitions" if found.other_definitions else ""
    among = counted(found.looked_at, "failed run")
    if not found.before and not found.since:
        said = f"never before among {among}" if found.looked_at else "the first failed run"
        return [clip(f"{label}  {said}{elsewhere} (signature {found.id})", columns())]
    counts = [f"{found.before} before" if found.before else "", f"{found.since} since" if found.since else ""]
    times = " and ".join(each for each in counts if each)
    last = f", the last {local_time(microseconds(found.last_at))[:-3]}" if found.last_at else ""
    said = f"{times}, in {among}{last}{elsewhere}: {me} runs why {found.runs[0]}"
    return [clip(f"{label}  {said}", columns())] if len(said) < columns() - 6 else _two(label, said)


def _two(label: str, said: str) -> list[str]:
    head, _, tail = said.rpartition(": ")
    return [f"{label}  {head}", f"      {tail}"]


def _differences(view: "WhyView", room: _Room) -> list[str]:
    """What was different in the runs that succeeded."""
    from appliance.cli.terminal import clip, columns, printable

    label = click.style("DIFFERENT", bold=True)
    if not view.succeeded:
        return [f"{label}  no run of {printable(view.workflow)} has succeeded yet to hold it beside"]
    lines = [f"  the definition: {printable(change)}" for change in view.changes]
    lines += [f"  {printable(_told(each))}" for each in view.differences]
    of = f" of {printable(view.held_workflow)}" if view.held != view.run_id else ""
    beside = f"{view.succeeded} runs{of} that" if view.succeeded > 1 else f"the run{of} that"
    if not lines:
        return [f"{label}  nothing tells it apart from {beside} succeeded"]
    shown = [clip(line, columns()) for line in lines[: room.differences]] if room.differences else lines
    return [f"{label}  from {beside} succeeded", *shown]


def _told(difference: "DifferenceView") -> str:
    if difference.what == "went through":
        return f"it went through {_value(difference.here)}; they did not"
    here = "is missing" if difference.here is UNSET else f"is {_value(difference.here)}"
    return f"{difference.what} {here}; they had {difference.there or 'none'}"


def _next(view: "WhyView", me: str) -> list[str]:
    lines = [f"  {me} {each.command}" for each in view.next]
    widest = max(map(len, lines), default=0)
    shown = [
        f"{line:<{widest}}  {click.style(f'# {each.why}', dim=True)}" if widest + len(each.why) < 76 else line
        for line, each in zip(lines, view.next, strict=True)
    ]
    return [click.style("NEXT", bold=True), *shown] if shown else []


def _subject(link: "LinkView", view: "WhyView") -> str:
    agent = f" ({link.agent})" if link.agent and link.agent != link.step.partition("~")[0] else ""
    is_named = link.workflow == link.step.partition("~")[0]  # an agent that is given items has runs of its own name
    part = f" of workflow {link.workflow}" if link.run_id != view.run_id and not is_named else ""
    return f"step {link.step!r}{agent}{part}" if link.step else f"the run{part}"


def _times(link: "LinkView") -> str:
    return f" {link.times} times" if link.times > 1 else ""


def _wrapped(text: str, *, most: int) -> "list[str]":
    from appliance.cli.terminal import paragraphs

    lines = paragraphs(text).split("\n")
    if most and len(lines) > most:
        lines = [*lines[:most]]
        lines[-1] = f"{lines[-1][:-1]}…"
    return lines


def _value(value: object) -> str:
    from appliance.cli.terminal import compact

    if isinstance(value, str):
        return f"'{value}'"
    return f"{value:,g}" if isinstance(value, int | float) and not isinstance(value, bool) else compact(value)
