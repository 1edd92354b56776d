"""The auditor of calls: which tool or host, under which profile, allowed or refused and why, and what it took."""

from collections.abc import Sequence

import msgspec

from runtime.domain.exec_profile import Used
from tui.lines import Column, Line, Source, Span, listed, named, wrap
from tui.shapes import Call
from tui.words import age, clock, dollars, micros, sign, size, span, used_words

COLUMNS = (
    Column("verdict", 10),
    Column("what", 5),
    Column("target", 0),
    Column("agent", 12, from_width=70),
    Column("outcome", 20, from_width=58),
    Column("under", 19, from_width=126),
    Column("took", 7, is_right=True, from_width=80),
    Column("out", 8, is_right=True, from_width=110),
    Column("in", 8, is_right=True, from_width=110),
    Column("age", 5, is_right=True),
)
EMPTY = "No call of a tool, a model server or a host stands in the audit log yet."


def calls_source(calls: Sequence[Call], now_us: int) -> Source:
    """The list, newest first."""
    return listed(COLUMNS, calls, lambda call: _cells(call, now_us), lambda call: str(call.seq), empty=EMPTY)


def call_lines(call: Call, width: int = 71) -> list[Line]:
    """One call in full."""
    mark, style = sign(call.verdict)
    is_tool = call.kind == "tool"
    profile = call.policy.removeprefix("sha256:") or "none: refused before there was one"
    driver = str(call.facts.get("driver") or "none: inside the appliance")
    of_tool = [("profile", profile), ("driver", driver), ("from the cache", "yes" if _is_cached(call) else "no")]
    facts: list[tuple[str, str]] = [
        ("outcome", call.outcome or "under way"),
        *(of_tool if is_tool else [("policy", call.policy or "none")]),
        ("asked by", call.purpose),
        ("run", f"{call.run}  step {call.step}" if call.run else "none"),
        ("zone", call.zone),
        ("found", ", ".join(f"{name} {number}" for name, number in call.found.items()) or "nothing to redact"),
        ("sent", size(call.sent_bytes)),
        ("received", size(call.received_bytes)),
        ("took", "–" if call.duration_ms is None else span(call.duration_ms)),
        *([("used", used_words(msgspec.convert(used, Used)))] if (used := call.facts.get("used")) else []),
        ("cost", f"{dollars(call.cost_usd)}, {call.tokens} tokens"),
        ("audit line", f"{call.seq} at {clock(micros(call.at))}Z"),
        *((name, _said(value)) for name, value in call.facts.items() if name not in ("driver", "is_cached", "used")),
    ]
    lines: list[Line] = [[(f"{mark} {call.verdict}", style)], *wrap(f"{call.kind} {call.target}", width, "strong")]
    lines += wrap(call.why, width, "warn") if call.why else []
    return [*lines, *named(facts, width, room=18)]


def _cells(call: Call, now_us: int) -> Sequence[Span]:
    mark, style = sign(call.verdict)
    return (
        (f"{mark} {call.verdict}", style),
        (call.kind, "dim"),
        (call.target, "strong"),
        (call.agent, ""),
        (call.outcome or "under way", "bad" if call.verdict != "allowed" else "dim"),
        (_under(call), "dim"),
        ("" if call.duration_ms is None else span(call.duration_ms), "dim"),
        (size(call.sent_bytes), "dim"),
        (size(call.received_bytes), "dim"),
        (age(micros(call.at), now_us), "dim"),
    )


def _under(call: Call) -> str:
    """Driver and the beginning of the profile's hash, or the policy; `cache` where nothing was done."""
    if call.kind != "tool":
        return call.policy
    profile = call.policy.removeprefix("sha256:")[:8]
    driver = "cache" if _is_cached(call) else str(call.facts.get("driver") or "inside")
    return f"{driver} {profile}" if profile else ""


def _is_cached(call: Call) -> bool:
    return call.facts.get("is_cached") is True


def _said(value: object) -> str:
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else str(value)
