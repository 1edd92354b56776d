"""What a journal's entry says that people's data may be in, taken out and put back. Pure but for the minimiser.

The planner decides on what the journal holds, so live and in replay it sees the same; agents and tools get the values
back. Names of workflows, steps, signals and actors stay as they are.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from runtime.domain.canonical import Json, kept
from runtime.domain.command import FinishRun, KeepPlan
from runtime.domain.event import (
    CancelRequested,
    ErrorInfo,
    Event,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    TaskMoved,
)
from runtime.domain.journal import Body, Entry
from runtime.domain.minimise import Holder
from runtime.domain.plan import Plan
from runtime.errors import Invalid, Refused, Unavailable
from runtime.ports import Minimiser

Kind = TypeVar("Kind", bound=Body)

SAID: dict[type[object], tuple[str, ...]] = {
    RunStarted: ("input",),
    StepSucceeded: ("output", "evidence"),
    StepFailed: ("error",),
    SignalReceived: ("payload",),
    TaskMoved: ("note",),
    CancelRequested: ("reason",),
    KeepPlan: ("plan",),
    FinishRun: ("error",),
}
"""Entries → their fields that people's data may be in; whatever is not here names things."""


def said_by(body: Body) -> Json:
    """The fields that may hold people's data; None when it has none."""
    fields = SAID.get(type(body))
    if fields is None:
        return None
    said: Json = msgspec.to_builtins({name: getattr(body, name) for name in fields})
    if isinstance(body, RunStarted) and body.what_if is not None and isinstance(said, dict):
        said["values"] = body.what_if.values
    if isinstance(body, KeepPlan):  # its lists are tuples here; the canonical form would change the kinds of numbers
        said = msgspec.json.decode(msgspec.json.encode(said))
    return said


def saying(body: Kind, said: Json) -> Kind:
    """The entry with other fields in place of those of `said_by`; one that was left out is empty."""
    if not isinstance(said, dict):
        return body
    fields: dict[str, object] = {name: said.get(name) for name in SAID.get(type(body), ())}
    if "error" in fields:
        fields["error"] = _error(said.get("error"))
    if "plan" in fields:
        fields["plan"] = msgspec.convert(said.get("plan") or {}, Plan)
    for text in ("reason", "note"):
        if text in fields:
            fields[text] = str(said.get(text) or "")
    if "evidence" in fields and not isinstance(said.get("evidence"), dict):
        fields["evidence"] = None
    if isinstance(body, RunStarted) and body.what_if is not None:
        fields["what_if"] = msgspec.structs.replace(body.what_if, values=said.get("values"))
    return msgspec.structs.replace(body, **fields)


def masked(event: Kind, mask: Callable[[Json], Json]) -> Kind:
    """The event without what `mask` takes out; the event itself where nothing is."""
    said = said_by(event)
    found = mask(said)
    return event if found is said or found == said else saying(event, found)


async def minimised(event: Event, holder: Holder, minimiser: Minimiser) -> Event:
    """The event as it may be kept; the values of its pseudonyms are durable when this returns.

    An answer that may not be kept becomes a failure of its step. Raises Refused for any other event, and Unavailable.
    """
    said = said_by(event)
    if said is None:
        return event
    try:
        return saying(event, kept(await minimiser.kept(holder, said))[0])
    except (Refused, Invalid) as refused:
        if not isinstance(event, StepSucceeded | StepFailed):
            raise
        return StepFailed(
            step=event.step,
            error=ErrorInfo(refused.code, refused.message),
            attempt=event.attempt,
            usage=event.usage,
            duration_ms=event.duration_ms,
        )


async def restored(entries: Sequence[Entry], holder: Holder, minimiser: Minimiser) -> list[Entry]:
    """A run's entries with the values that are still in the vault."""
    said = await minimiser.restored(holder, [said_by(entry.body) for entry in entries])
    assert isinstance(said, list), "restoring keeps the shape"
    return [Entry(entry.seq, entry.at_us, saying(entry.body, each)) for entry, each in zip(entries, said, strict=True)]


def no_minimiser(what: str) -> Unavailable:
    """The error for data that may only be kept minimised where nothing minimises."""
    return Unavailable(
        "minimise.missing",
        f"{what} keeps people's data out of its journal, and nothing here does that",
        retryable=False,
    )


def _error(said: Json) -> ErrorInfo | None:
    if not isinstance(said, dict):
        return None
    return ErrorInfo(str(said.get("code") or ""), str(said.get("message") or ""), bool(said.get("retryable")))
