"""Why a run failed: the first cause, what it led to, how often it happened, and what to do."""

from collections.abc import Iterator

from tui.journal import compact
from tui.lines import Line, wrap
from tui.shapes import Why, WhyLink
from tui.words import sign


def why_lines(why: Why, width: int) -> list[Line]:
    """The whole text."""
    if why.first is None:
        mark, style = sign(why.status)
        return [[(f"{mark} {why.status}", style), (f"  {why.workflow} has not failed", "")]]
    return [line for part in (_cause(why, width), _often(why), _others(why, width), _next(why, width)) for line in part]


def _cause(why: Why, width: int) -> Iterator[Line]:
    assert why.first is not None, "a run that failed has a cause"
    yield [("the first cause", "head")]
    yield from _link(why.first, width)
    for text in (why.meaning, why.advice):
        if text:
            yield from wrap(text, width, "strong" if text is why.advice else "", indent="  ")
    if len(why.chain) > 1:
        yield []
        yield [("what it led to", "head")]
        for link in why.chain[1:]:
            yield from _link(link, width)


def _link(link: WhyLink, width: int) -> Iterator[Line]:
    times = f"  {link.times}× in a row" if link.times > 1 else ""
    where = f"{link.step}  " if link.step else ""
    yield [("✗ ", "bad"), (where, "strong"), (link.code, "bad"), (f"  entry {link.seq}{times}", "dim")]
    if link.message:
        yield from wrap(link.message, width, indent="  ")
    if link.then:
        yield from wrap(f"then: {link.then}", width, "dim", indent="  ")


def _often(why: Why) -> Iterator[Line]:
    seen = why.signature
    if seen is None:
        return
    yield []
    others = seen.before + seen.since
    said = f"{others} of {seen.looked_at} other failed runs of {why.workflow}" if others else "never before"
    yield [("the same went wrong  ", "head"), (said, "warn" if others else "")]


def _others(why: Why, width: int) -> Iterator[Line]:
    if not why.differences and not why.changes:
        return
    yield []
    yield [(f"different in the {why.succeeded} runs that succeeded", "head")]
    for found in why.differences:
        here = compact(found.here) or "nothing"
        yield from wrap(f"{found.what}: here {here}, there {found.there or 'no such thing'}", width, indent="  ")
    for change in why.changes:
        yield from wrap(change, width, indent="  ")


def _next(why: Why, width: int) -> Iterator[Line]:
    if why.next:
        yield []
        yield [("next", "head")]
    for step in why.next:
        yield [("  af ", "dim"), (step.command, "strong")]
        if step.why:
            yield from wrap(step.why, width, "dim", indent="     ")
