"""Runs that wait for a person: what each waits for, and since when."""

from collections.abc import Sequence

import msgspec

from runtime.domain.ids import RunId, StepId
from runtime.domain.journal import rfc3339
from runtime.domain.run import RunState

MOST_RUNS = 100


class WaitView(msgspec.Struct, frozen=True, kw_only=True):
    """One signal that a run waits for."""

    run_id: RunId
    workflow: str
    step: StepId
    signal: str
    why: str
    """The condition that led there; empty: none."""
    since: str
    part_of: RunId | None
    """The run whose step it is a part of; null: it is a run by itself."""
    until: str | None
    """When it stops to wait; null: never."""


class WaitsView(msgspec.Struct, frozen=True, kw_only=True):
    """Those of the newest hundred waiting runs, the longest wait first."""

    waits: list[WaitView]
    more: bool
    """Whether more runs wait than were looked at."""


def waits_view(states: Sequence[RunState], *, has_more: bool) -> WaitsView:
    """The document."""
    waits = [wait for state in states for wait in waits_of(state)]
    return WaitsView(waits=sorted(waits, key=lambda wait: (wait.since, wait.run_id)), more=has_more)


def waits_of(state: RunState) -> list[WaitView]:
    """What one run waits for by itself: what runs of its steps wait for is theirs."""
    return [
        WaitView(
            run_id=state.run,
            workflow=state.workflow,
            step=step,
            signal=signal,
            why=state.steps[step].why,
            since=rfc3339(state.steps[step].scheduled_us),
            part_of=state.parent.run if state.parent else None,
            until=rfc3339(state.timers[step]) if step in state.timers else None,
        )
        for signal, step in state.awaited().items()
    ]
