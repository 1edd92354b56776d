"""Traces of runs as data: ids that follow from the run alone, and the W3C trace context of what a step sends. Pure.

The same journal gives the same ids, so that what is exported twice is one trace.
"""

import re
from hashlib import sha256
from typing import Literal

import msgspec

from runtime.domain.canonical import Json

Attribute = str | int | float | bool | tuple[str, ...]
SpanKind = Literal["internal", "client"]


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened within a span."""

    name: str
    at_us: int
    attributes: dict[str, Attribute] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work with a beginning and an end."""

    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""
    parent_id: str = ""
    name: str
    kind: SpanKind = "internal"
    start_us: int
    end_us: int
    """Of a piece that has not ended: when its run was heard of last."""
    attributes: dict[str, Attribute]
    error: str = ""
    """The code of what went wrong; empty: nothing did."""
    events: tuple[SpanEvent, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Trace and span of runs that this one is a part of, or that are parts of it."""


class SpanTexts(msgspec.Struct, frozen=True):
    """What spans say, as the guard looks at it: of each its name and its attributes."""

    spans: list[dict[str, Json]]


def trace_id_of(run: str, context: str = "") -> str:
    """The trace of a run: that of the context that it was asked for in, else one of its own."""
    if context:
        return context.split("-")[1]
    return sha256(f"agentflow trace\0{run}".encode()).hexdigest()[:32]


def span_id_of(run: str, *parts: str) -> str:
    """A span of a run: of the run itself, of a step (`step`, its id), of a call (its passage)."""
    return sha256("\0".join(["agentflow span", run, *parts]).encode()).hexdigest()[:16]


def step_span_of(run: str, step: str) -> str:
    """The span of all attempts at a step."""
    return span_id_of(run, "step", step)


def traceparent(run: str, step: str, context: str = "") -> str:
    """The W3C trace context of what is sent for a run: `00-TRACE-SPAN-FLAGS`.

    `context`: what the run was asked for in; its trace and its flags go on. Where there is no run, it is handed on.
    """
    if not run.startswith("r-"):
        return context
    span = step_span_of(run, step) if step else span_id_of(run)
    return f"00-{trace_id_of(run, context)}-{span}-{context[-2:] or '01'}"


def traceparent_of_message(message: str) -> str:
    """The W3C trace context of a message that belongs to no run: a trace of its own, which follows from its id."""
    return f"00-{trace_id_of(message)}-{span_id_of(message)}-01"


def context_of(header: str | None) -> str:
    """The trace context that a request came with, as it is kept; empty for none, and for one that says nothing.

    W3C: what cannot be read is treated as if it had not been sent. A later version is read as far as this one goes.
    """
    found = _TRACEPARENT.fullmatch((header or "").strip())
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return ""
    trace, span, flags = found[2], found[3], found[4]
    return f"00-{trace}-{span}-{flags}" if set(trace) != {"0"} and set(span) != {"0"} else ""


_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
