"""One run's journal on the client's side: its entries, and the state at any of them. Pure.

The screens fold with the very function that the engine folds with, so a state that they show is the engine's.
"""

import json
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from runtime.domain import telling
from runtime.domain.canonical import Json
from runtime.domain.command import (
    AwaitSignal,
    FinishRun,
    Replan,
)
from runtime.domain.event import (
    EVENTS,
    CancelRequested,
    StepFailed,
    StepSucceeded,
)
from runtime.domain.history import Change, changes
from runtime.domain.ids import RunId
from runtime.domain.journal import Body, Entry, Row, read
from runtime.domain.run import RunState, StepState, apply, fold
from tui.words import clock, micros, one_line

MOST = 4_000
"""Letters of what stands on one line; no screen has more, and a document has a million."""


class _Envelope(msgspec.Struct, frozen=True):
    at: str
    data: msgspec.Raw
    run: RunId
    seq: int
    type: str
    v: int = 1


_envelope = msgspec.json.Decoder(_Envelope)


class RunLog:
    """The entries of one run so far, and the state behind the last one."""

    def __init__(self, run: str) -> None:
        self.run = RunId(run)
        self.entries: list[Entry] = []
        self.state = RunState(run=self.run)
        self._folded = RunState(run=self.run)
        """The state that was asked for last."""

    def take(self, entry: Entry) -> None:
        """Add the next entry; one that is there already changes nothing. Raises Corrupt at a gap."""
        if entry.seq > self.state.seq:
            apply(self.state, entry)
            self.entries.append(entry)

    def state_at(self, seq: int) -> RunState:
        """The state behind an entry."""
        if seq >= self.state.seq:
            return self.state
        if self._folded.seq != seq:
            self._folded = fold(self.run, self.entries[:seq])
        return self._folded

    def changes_at(self, seq: int) -> list[Change]:
        """What an entry changed, its number and time left out."""
        state = fold(self.run, self.entries[: seq - 1])
        before = _seen(state)
        apply(state, self.entries[seq - 1])
        self._folded = state
        return [each for each in changes(before, _seen(state)) if each.path not in (("seq",), ("at_us",))]


def entry_of(envelope: bytes) -> Entry:
    """The entry of an envelope, as a stream gives it. Raises Corrupt when it cannot be read."""
    found = _envelope.decode(envelope)
    digest = sha256(envelope).digest()
    return read(Row(found.run, found.seq, micros(found.at), found.type, bytes(found.data), digest, found.v))


def is_event(body: Body) -> bool:
    """Whether it happened; otherwise it was decided."""
    return isinstance(body, EVENTS)


def status_of(step: StepState) -> str:
    """The status of a step; one whose own runs wait for somebody waits too."""
    return "waiting" if step.is_waiting else step.status


def style_of(body: Body) -> str:
    """The style of an entry's name."""
    match body:
        case StepSucceeded():
            return "good"
        case StepFailed() | CancelRequested():
            return "bad"
        case AwaitSignal() | Replan():
            return "warn"
        case FinishRun():
            return {"succeeded": "good", "failed": "bad"}.get(body.status, "warn")
        case _:
            return "" if is_event(body) else "dim"


def told(body: Body) -> str:
    """What an entry says, on one line."""
    return _begun(telling.told(body))


def compact(value: Json) -> str:
    """JSON on one line, of a long one its beginning; nothing for null."""
    if value is None:
        return ""
    return _begun(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _begun(said: str) -> str:
    return one_line(said if len(said) <= MOST else f"{said[: MOST - 1]}…")


def pretty(value: Json) -> str:
    """JSON over several lines; text as it is."""
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return "\n".join(one_line(line) for line in said.split("\n"))


def change_texts(found: Sequence[Change]) -> list[tuple[str, str, str]]:
    """Place, before and after of each change; empty: there was nothing."""
    return [(".".join(change.path), _value(change, change.before), _value(change, change.after)) for change in found]


def _value(change: Change, value: Json | msgspec.UnsetType) -> str:
    if value is msgspec.UNSET:
        return ""
    if isinstance(value, int) and change.path and change.path[-1].endswith("_us"):
        return f"{clock(value)}.{value // 1_000 % 1_000:03}Z" if value else "never"
    return compact(value) or "null"


def _seen(state: RunState) -> Json:
    found: Json = msgspec.to_builtins(state)
    return found
