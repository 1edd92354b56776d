"""Two runs beside each other: where they part, and what each of them took. Pure."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from runtime.domain.command import FinishRun, StartStep
from runtime.domain.event import EVENTS, NO_USAGE, RunStarted, SignalReceived, StepFailed, StepSucceeded, Usage
from runtime.domain.history import Change, changes
from runtime.domain.ids import StepId
from runtime.domain.journal import Body, Entry, write
from runtime.domain.run import RunState, StepState, fold

_MARK = re.compile(rb"<([A-Z_]+_[0-9]+)_[A-Z0-9]{4}>")
"""A pseudonym: what it is, which one, and the mark of its run."""

Verdict = Literal["equal", "different", "only_left", "only_right"]


class StepPair(msgspec.Struct, frozen=True, kw_only=True):
    """One step, as it was in each of the runs."""

    step: StepId
    left: StepState | None
    right: StepState | None
    verdict: Verdict
    """Whether they came to the same: status, result, error and agent; not what they took."""


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """The first entries that say something else; 0 where one of the runs had ended."""

    left_seq: int
    right_seq: int
    left: str
    """What the entry is: `step.succeeded answer`; `nothing`."""
    right: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same in two runs, and what is not."""

    steps: tuple[StepPair, ...]
    """In the order in which either run first had them."""
    parting: Parting | None
    """Where they part; None: they never do."""
    input_changes: tuple[Change, ...]
    output_changes: tuple[Change, ...]


def compare(
    left: RunState, left_entries: Sequence[Entry], right: RunState, right_entries: Sequence[Entry]
) -> Comparison:
    """Hold two runs beside each other. Pseudonyms are equal that stand for the same place in their run's values."""
    left, left_entries = _unmarked(left, left_entries)
    right, right_entries = _unmarked(right, right_entries)
    names = _merged(list(left.steps), list(right.steps))
    return Comparison(
        steps=tuple(_pair(name, left.steps.get(name), right.steps.get(name)) for name in names),
        parting=_parting(left_entries, right_entries),
        input_changes=tuple(changes(left.input, right.input)),
        output_changes=tuple(changes(left.output, right.output)),
    )


def spent(state: RunState) -> Usage:
    """What a run has spent itself: without what another run had spent on the answers that it took."""
    reused = state.reused_usage or NO_USAGE
    return Usage(
        state.usage.input_tokens - reused.input_tokens,
        state.usage.output_tokens - reused.output_tokens,
        state.usage.cost_usd_micros - reused.cost_usd_micros,
    )


def _unmarked(state: RunState, entries: Sequence[Entry]) -> tuple[RunState, Sequence[Entry]]:
    """A minimised run without what tells its pseudonyms from those of every other run."""
    if not state.is_minimised:
        return state, entries
    rows = [write(state.run, entry) for entry in entries]
    plain = [
        Entry(row.seq, row.at_us, msgspec.json.decode(_MARK.sub(rb"<\1>", row.data), type=type(entry.body)))
        for row, entry in zip(rows, entries, strict=True)
    ]
    return fold(state.run, plain), plain


def _pair(name: StepId, left: StepState | None, right: StepState | None) -> StepPair:
    verdict: Verdict = "different"
    if left is None or right is None:
        verdict = "only_right" if left is None else "only_left"
    elif _outcome(left) == _outcome(right):
        verdict = "equal"
    return StepPair(step=name, left=left, right=right, verdict=verdict)


def _outcome(step: StepState) -> tuple[object, ...]:
    return (step.status, step.agent, step.output, step.error if step.status == "failed" else None)


def _merged(left: list[StepId], right: list[StepId]) -> list[StepId]:
    """Both orders in one: what only the right one has stands behind what it has in common before it."""
    merged = list(left)
    place = 0
    for name in right:
        if name in merged:
            place = merged.index(name) + 1
        else:
            merged.insert(place, name)
            place += 1
    return merged


def _parting(left: Sequence[Entry], right: Sequence[Entry]) -> Parting | None:
    """The first difference in what happened and what was decided on it; times, ids and usage do not count."""
    mine, theirs = [_told(entry) for entry in left], [_told(entry) for entry in right]
    ours = [each for each in mine if each is not None]
    others = [each for each in theirs if each is not None]
    for (seq, what, said), (other_seq, other_what, other_said) in zip(ours, others, strict=False):
        if (what, said) != (other_what, other_said):
            return Parting(left_seq=seq, right_seq=other_seq, left=what, right=other_what)
    if len(ours) == len(others):
        return None
    longer = ours[len(others) :] or others[len(ours) :]
    seq, what, _ = longer[0]
    if len(ours) > len(others):
        return Parting(left_seq=seq, right_seq=0, left=what, right="nothing")
    return Parting(left_seq=0, right_seq=seq, left="nothing", right=what)


def _told(entry: Entry) -> tuple[int, str, object] | None:
    """What an entry says that is compared; None for one that only keeps books."""
    body = entry.body
    match body:
        case RunStarted():
            return entry.seq, "run.started", body.input
        case StepSucceeded():
            return entry.seq, f"{body.TYPE} {body.step}", body.output
        case StepFailed():
            return entry.seq, f"{body.TYPE} {body.step}", (body.error.code, body.error.message)
        case SignalReceived():
            return entry.seq, f"{body.TYPE} {body.name}", body.payload
        case StartStep():
            return entry.seq, f"{body.TYPE} {body.step}", (body.agent, body.attempt, body.via)
        case FinishRun():
            return entry.seq, f"{body.TYPE} {body.status}", (body.state, body.via)
    return (entry.seq, body.TYPE, None) if _counts(body) else None


def _counts(body: Body) -> bool:
    return isinstance(body, EVENTS) and body.TYPE not in ("subrun.started", "subrun.waiting")
