"""The auditor of calls: which tool or host, under which profile, allowed or refused and why, and what it took."""

from collections.abc import Sequence

from tui.lines import Column, Line, Source, Span, listed
from tui.shapes import Call
from tui.words import age, clock, dollars, micros, sign, size, span

COLUMNS = (
    Column("verdict", 10),
    Column("what", 5),
    Column("target", 0),
    Column("agent", 12, from_width=70),
    Column("outcome", 20, from_width=50),
    Column("took", 7, is_right=True, from_width=80),
    Column("out", 8, is_right=True, from_width=110),
    Column("in", 8, is_right=True, from_width=110),
    Column("age", 5, is_right=True),
)
EMPTY = "No call of a tool, a model server or a host stands in the audit log yet."


def calls_source(calls: Sequence[Call], now_us: int) -> Source:
    """The list, newest first."""
    return listed(COLUMNS, calls, lambda call: _cells(call, now_us), lambda call: str(call.seq), empty=EMPTY)


def call_lines(call: Call) -> list[Line]:
    """One call in full."""
    mark, style = sign(call.verdict)
    facts: list[tuple[str, str]] = [
        ("outcome", call.outcome or "under way"),
        ("asked by", call.purpose),
        ("run", f"{call.run}  step {call.step}" if call.run else "none"),
        ("zone", call.zone),
        ("profile or policy", call.policy or "none"),
        ("found", ", ".join(f"{name} {number}" for name, number in call.found.items()) or "nothing to redact"),
        ("sent", size(call.sent_bytes)),
        ("received", size(call.received_bytes)),
        ("took", "–" if call.duration_ms is None else span(call.duration_ms)),
        ("cost", f"{dollars(call.cost_usd)}, {call.tokens} tokens"),
        ("audit line", f"{call.seq} at {clock(micros(call.at))}Z"),
        *((name, str(value)) for name, value in call.facts.items()),
    ]
    head: Line = [(f"{mark} {call.verdict}", style), (f"  {call.kind} {call.target}", "strong")]
    return [head, *([(f"{name:<18}", "dim"), (value, "")] for name, value in facts)]


def _cells(call: Call, now_us: int) -> Sequence[Span]:
    mark, style = sign(call.verdict)
    return (
        (f"{mark} {call.verdict}", style),
        (call.kind, "dim"),
        (call.target, "strong"),
        (call.agent, ""),
        (call.outcome or "under way", "bad" if call.verdict != "allowed" else "dim"),
        ("" if call.duration_ms is None else span(call.duration_ms), "dim"),
        (size(call.sent_bytes), "dim"),
        (size(call.received_bytes), "dim"),
        (age(micros(call.at), now_us), "dim"),
    )
