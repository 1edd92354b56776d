"""A run at one point of its journal, and what its entry changed: the document of `af runs show --at` and the HTTP API.

Written once, so that the command line and the API never disagree. Nothing here reads a store.
"""

from collections.abc import Sequence

import msgspec

from appliance.runs.views import RunView, run_view
from runtime.domain.canonical import Json
from runtime.domain.history import Change, changes, seq_at
from runtime.domain.ids import RunId
from runtime.domain.journal import Entry, rfc3339
from runtime.domain.run import RunState, apply, fold
from runtime.domain.workflow import Workflow


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a journal."""

    seq: int
    at: str
    type: str
    """Such as `step.succeeded`."""
    data: Json


class StateView(msgspec.Struct, frozen=True, kw_only=True):
    """A run at one point."""

    run_id: RunId
    seq: int
    """Of the entry that was the last one then."""
    last_seq: int
    """Of the last entry so far; from 1 to here are all points of the run."""
    entry: EntryView
    changes: list[Change]
    """What the entry changed: each with `path`, `before` (absent: nothing) and `after`. Steps are named in paths, and
    beside the fields of `run` there are `timers`, `tree` and `plan`."""
    timers: dict[str, str]
    """When each timer that is set comes due."""
    run: RunView


def state_view(run: RunId, entries: Sequence[Entry], at: str, workflow: Workflow | None = None) -> StateView:
    """The run at a point, which is written as `seq_at` reads it. Raises Invalid for a point that there is not."""
    seq = seq_at(run, entries, at)
    entry = entries[seq - 1]
    state = fold(run, entries[: seq - 1])
    before = _compared(state, workflow)
    apply(state, entry)
    return StateView(
        run_id=run,
        seq=seq,
        last_seq=entries[-1].seq,
        entry=EntryView(seq=seq, at=rfc3339(entry.at_us), type=entry.body.TYPE, data=msgspec.to_builtins(entry.body)),
        changes=changes(before, _compared(state, workflow)),
        timers=_timers(state),
        run=run_view(state, workflow),
    )


def _compared(state: RunState, workflow: Workflow | None) -> Json:
    """What two points are compared by: the run's document with its steps by name, and what it does not show."""
    if not state.seq:
        return {}
    document: dict[str, Json] = msgspec.to_builtins(run_view(state, workflow))
    document["steps"] = {step["step"]: step for step in document["steps"]}  # type: ignore[index,call-overload,union-attr,misc]  # a list of steps
    document["timers"] = dict(_timers(state))
    document["tree"] = state.tree.statuses if state.tree else ""
    document["plan"] = msgspec.to_builtins(state.plan) if state.plan else None
    return document


def _timers(state: RunState) -> dict[str, str]:
    return {timer: rfc3339(due_us) for timer, due_us in state.timers.items()}
