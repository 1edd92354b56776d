"""Runs that wait for a person: what each waits for, and since when."""

from collections.abc import Sequence

import msgspec

from runtime.domain.human import is_end, status_of, step_of
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
    """When it stops to wait, or goes to the next role; null: never."""
    roles: list[str]
    """Who may answer it; empty: anybody, or who is named in `holder`."""
    holder: str
    """Who has taken it, or is named for it; empty: nobody."""
    status: str
    """Of the task for people that it is, such as `escalated`; empty: it is none."""


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
            until=_until(state, step),
            roles=[*task.terms.roles_at(task.level)] if (task := state.steps[step].task) else [],
            holder=task.taken_by or task.assignee if task else "",
            status=status_of(task, is_open=True) if task else "",
        )
        for signal, step in state.awaited().items()
    ]


def _until(state: RunState, step: StepId) -> str | None:
    is_task = bool(state.steps[step].task)
    ends = [
        due
        for timer, due in state.timers.items()
        if (is_end(timer) and step_of(timer) == step) or (timer == step and not is_task)
    ]
    return rfc3339(min(ends)) if ends else None
