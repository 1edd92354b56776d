"""Why a run failed: the first cause, what it led to, how often it happened, and what to do. Pure.

Each part that leads somewhere has a key: an entry of a journal, a run, a command.
"""

import re
from collections.abc import Iterator, Sequence

from tui.journal import compact
from tui.lines import Line, Source, wrap
from tui.panels.runs import short
from tui.shapes import Why, WhyLink
from tui.words import clock, counted, micros, sign

Row = tuple[Line, str]
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
SCREENS = {
    "runs show": "Enter: time travel",
    "what-if": "Enter: what-if",
    "runs compare": "Enter: side by side",
    "runs signal": "Enter: answer",
    "runs list --status waiting": "Enter: the list",
    "costs": "Enter: costs",
    "models status": "Enter: agents and models",
    "audit list --refused": "Enter: its calls",
}
"""What a command begins with → what Enter does instead; any other is copied."""


def why_source(why: Why, width: int) -> Source:
    """The whole text; the cursor goes over all lines, and Enter does something on those with a key."""
    found = why_rows(why, width)
    return Source(count=len(found), line=lambda index, _: found[index][0], key=lambda index: _key(found, index))


def why_rows(why: Why, width: int) -> list[Row]:
    """Lines, each with what Enter on it leads to; empty: nothing."""
    if why.first is None:
        mark, style = sign(why.status)
        said = why.meaning or f"{why.workflow} has not failed"
        found: list[Row] = [([(f"{mark} {why.status}", style)], ""), *_texts(said, width)]
        return [*found, *_next(why, width)]
    parts = (_cause(why, width), _chain(why, width), _often(why), _others(why, width), _next(why, width))
    return [row for part in parts for row in part]


def screen_of(command: str) -> str:
    """What Enter does for a command; empty: it is copied."""
    return next((said for begin, said in SCREENS.items() if command.startswith(begin)), "")


def named_in(command: str) -> tuple[list[str], int]:
    """The runs and the entry that a command names."""
    at = re.search(r"--at (\d+)", command)
    return re.findall(r"\br-[0-9a-z]+", command), int(at[1]) if at else 0


def _cause(why: Why, width: int) -> Iterator[Row]:
    assert why.first is not None, "a run that failed has a cause"
    first = why.first
    yield [("the first cause", "head")], ""
    yield from _link(first, why, width)
    yield from _texts(first.message, width)
    for text, style in ((why.meaning, "dim"), (why.advice if why.advice != "nothing" else "", "strong")):
        if text:
            yield from _texts(text[:1].upper() + text[1:], width, style)


def _chain(why: Why, width: int) -> Iterator[Row]:
    rest = sorted([*why.chain[1:], *why.pauses], key=lambda link: link.at)
    if not rest and not (why.first and why.first.then):
        return
    yield [], ""
    yield [("what it led to", "head")], ""
    if why.first and why.first.then:
        yield from _texts(f"→ {why.first.then}", width, "dim")
    for link in rest:
        yield from _link(link, why, width)
        if link.message and why.first and link.message != why.first.message:
            yield from _texts(link.message, width)
        if link.then:
            yield from _texts(f"→ {link.then}", width, "dim")
    yield [(f"  then the run {'was cancelled' if why.status == 'cancelled' else 'failed'}", "dim")], ""


def _link(link: WhyLink, why: Why, width: int) -> Iterator[Row]:
    who = f"step {link.step}" if link.step else "the run"
    times = f" {link.times}×" if link.times > 1 else ""
    elsewhere = f"  in run {short(link.run_id)} of {link.workflow}" if link.run_id not in ("", why.run_id) else ""
    line: Line = [
        ("✗ ", "bad"),
        (f"{who} {KINDS.get(link.kind, link.kind)}{times}", "strong"),
        (f"  {link.code}", "bad"),
        (f"{elsewhere}  entry {link.seq}", "dim"),
    ]
    at = f"  {clock(micros(link.at))}Z" if link.at else ""
    if sum(len(said) for said, _ in line) + len(at) <= width:
        line.append((at, "dim"))
    yield line, f"at {link.run_id or why.run_id} {link.seq}"


def _often(why: Why) -> Iterator[Row]:
    seen = why.signature
    if seen is None:
        return
    yield [], ""
    others = seen.before + seen.since
    said = f"{others} of {counted(seen.looked_at, 'other failed run')}" if others else "never before"
    yield [("the same went wrong  ", "head"), (said, "warn" if others else "")], ""
    for run in seen.runs:
        yield [("  ", ""), (run, ""), ("  Enter: open", "dim")], f"run {run}"


def _others(why: Why, width: int) -> Iterator[Row]:
    yield [], ""
    if not why.succeeded:
        yield [(f"no run of {why.workflow} has succeeded yet to hold it beside", "dim")], ""
        return
    of = f" of {why.held_workflow}" if why.held != why.run_id else ""
    beside = f"{counted(why.succeeded, 'run')}{of} that succeeded"
    if not why.differences and not why.changes:
        yield [(f"nothing tells it apart from {beside}", "dim")], ""
        return
    yield [(f"different in {beside}", "head")], ""
    for found in why.differences:
        here = compact(found.here) or "nothing"
        if found.what == "went through":
            yield from _texts(f"it went through {here}; they did not", width)
        else:
            yield from _texts(f"{found.what} is {here}; they had {found.there or 'none'}", width)
    for change in why.changes:
        yield from _texts(f"the definition: {change}", width)


def _next(why: Why, width: int) -> Iterator[Row]:
    if why.next:
        yield [], ""
        yield [("next", "head")], ""
    for step in why.next:
        key = f"do {step.command}"
        does = screen_of(step.command)
        yield [("▸ ", "busy"), (step.why or step.command, "strong"), (f"  {does or 'Enter: copy'}", "dim")], key
        if not does:
            for line in wrap(f"af {step.command}", width, "dim", indent="    "):
                yield line, key


def _texts(said: str, width: int, style: str = "") -> Iterator[Row]:
    for line in wrap(said, width, style, indent="  "):
        yield line, ""


def _key(rows: Sequence[Row], index: int) -> str:
    """Lines that lead nowhere are told apart by their number, so that the cursor can stand on them."""
    return f"{index} {rows[index][1]}"
