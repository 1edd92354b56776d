"""Tasks for people that runs of a run's steps wait with, however deep: they are answered where they are."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import msgspec

from appliance.runs.tasks import steps_of
from appliance.runs.views import RunView, TaskWithinView
from runtime.domain.ids import RunId
from runtime.domain.run import RunState, StepState
from runtime.errors import Corrupt, NotFound

MAX_RUNS = 20
"""That are looked into."""

Read = Callable[[RunId], Awaitable[RunState]]


async def with_tasks(view: RunView, read: Read) -> RunView:
    """The document of a run, with the tasks that runs of its steps wait with."""
    parts = [wait.run_id for step in view.steps for wait in step.waits or ()]
    tasks = [task async for task in tasks_within(parts, read)]
    return msgspec.structs.replace(view, tasks_within=tasks) if tasks else view


def task_ids(view: RunView) -> list[str]:
    """The open tasks of a document, of the run itself and within it."""
    own = [f"{view.run_id}.{step.step}" for step in view.steps if step.status == "waiting" and step.decisions]
    return own + [f"{each.run_id}.{each.step}" for each in view.tasks_within or ()]


async def tasks_within(runs: Iterable[RunId], read: Read) -> AsyncIterator[TaskWithinView]:
    """The open tasks of the first of some runs, and of the runs of their steps."""
    left = [*runs]
    for _ in range(MAX_RUNS):
        if not left:
            return
        try:
            state = await read(left.pop(0))
        except (Corrupt, NotFound):  # what is known of the others is said all the same
            continue
        # without a pause: the state may be the engine's own, and goes on changing
        left += [wait.run for step in state.open for wait in state.steps[step].waits or ()]
        for each in [_task_view(state.run, step) for step in steps_of(state)]:
            if each is not None:
                yield each


def _task_view(run: RunId, step: StepState) -> TaskWithinView | None:
    if not step.task:
        return None
    terms = step.task.terms
    return TaskWithinView(
        run_id=run,
        step=step.step,
        signal=step.signal,
        roles=[*terms.roles_at(step.task.level)],
        decisions=[*terms.decisions],
    )
