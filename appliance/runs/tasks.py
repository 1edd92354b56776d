"""Tasks for people as documents: what waits, for whom, since when, and who did what with it.

Everything is read from a run's journal. A step that waits for a signal is such a task too, one that anybody may answer.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from runtime.agents.human_task import MOST_CHARACTERS, title_of
from runtime.agents.templates import Template
from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal
from runtime.domain.event import SignalReceived, TaskMoved, TaskTold, TimerFired
from runtime.domain.human import TaskStatus, is_expiry, parts_of, status_of, step_of
from runtime.domain.ids import AgentId, RunId, StepId, TenantId, state_of
from runtime.domain.journal import Entry, rfc3339
from runtime.domain.run import RunState, StepState, apply
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.errors import AgentFlowError, Conflict, NotFound
from runtime.planners.scope import scope
from runtime.policies.human import FORM
from runtime.ports import RunSummary, StateStore

MOST_TASKS = 1_000
"""Of one list; those that wait longest are in it."""
_PAGE_RUNS = 500
Way = Literal["taken", "assigned", "returned"]
VERBS: dict[Way, str] = {"taken": "claim", "assigned": "assign", "returned": "return"}
"""What people call the ways of a task."""


class DoneView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a task."""

    at: str
    entry: int
    """The entry of the run's journal that says so."""
    what: str
    """`opened`, `taken`, `assigned`, `returned`, `reminded`, `escalated`, `told`, `completed`, `expired`."""
    actor: str = ""
    role: str = ""
    said: str = ""


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """One task."""

    task_id: str
    """The run's id, a dot, and the step."""
    run_id: RunId
    workflow: str
    step: StepId
    signal: str
    status: TaskStatus
    title: str
    instructions: str
    roles: list[str]
    """Who may take and answer it now; empty: anybody, or the assignee alone."""
    assignee: str
    taken_by: str
    level: int
    """How often its time ran out."""
    decisions: list[str]
    """What may be decided; empty: it waits for a signal, which takes any JSON."""
    form: Json
    """JSON Schema of the fields of an answer; null: it takes none."""
    why: str
    """The condition that led there; empty: none."""
    opened_at: str
    escalates_at: str | None
    expires_at: str | None
    part_of: RunId | None
    """The run whose step its run is a part of; null: it is a run by itself."""
    answer: Json = None
    decided_by: str = ""
    history: list[DoneView] = []
    """What happened to it; in lists it is left out."""


class TaskList(msgspec.Struct, frozen=True, kw_only=True):
    """Open tasks, the longest wait first."""

    tasks: list[TaskView]
    more: bool
    """Whether others wait that are not in it."""


def steps_of(state: RunState, *, is_open: bool = True) -> list[StepState]:
    """The steps of a run that are tasks for people, waits for signals included."""
    found = [step for step in state.steps.values() if step.task or step.signal]
    return [step for step in found if not is_open or (step.step in state.open and step.status == "waiting")]


def task_view(
    state: RunState, step: StepState, workflow: Workflow | None, *, entries: Sequence[Entry] = ()
) -> TaskView:
    """One task; with the `entries` of its run also its history, and its words as they were when it was opened."""
    task = step.task or None
    spec = None if workflow is None else workflow.agents.get(step.agent or AgentId(state_of(step.step)))
    title, instructions = _words(_as_opened(state, step.step, entries), step, spec if task else None)
    timers = {parts_of(timer)[0]: due for timer, due in state.timers.items() if step_of(timer) == step.step}
    expires_us = timers.get("expire", None if task else state.timers.get(step.step))
    is_open = step.step in state.open
    status: TaskStatus = "created" if is_open else "completed" if step.status == "succeeded" else "cancelled"
    return TaskView(
        task_id=task_id(state.run, step.step),
        run_id=state.run,
        workflow=state.workflow,
        step=step.step,
        signal=step.signal,
        status=status if task is None else status_of(task, is_open=is_open),
        title=title,
        instructions=instructions,
        roles=[] if task is None else [*task.terms.roles_at(task.level)],
        assignee=task.assignee if task else "",
        taken_by=task.taken_by if task else "",
        level=task.level if task else 0,
        decisions=[*task.terms.decisions] if task else [],
        form=spec.config.get(FORM) if spec is not None and task else None,
        why=step.why,
        opened_at=rfc3339(step.scheduled_us),
        escalates_at=rfc3339(timers["escalate"]) if "escalate" in timers else None,
        expires_at=None if expires_us is None else rfc3339(expires_us),
        part_of=state.parent.run if state.parent else None,
        answer=step.output,
        decided_by=task.decided_by if task else "",
        history=[*_history(step.step, step.signal, entries)],
    )


def task_list(views: Iterable[TaskView]) -> TaskList:
    """The document of a list."""
    found = sorted(views, key=lambda view: (view.opened_at, view.task_id))
    return TaskList(tasks=found[:MOST_TASKS], more=len(found) > MOST_TASKS)


class Waits(NamedTuple):
    """What waits for people in the runs of one workflow."""

    tasks: int
    oldest_us: int
    """Since when the one waits that waits longest."""


def waits_of(states: Iterable[RunState]) -> dict[tuple[TenantId, str], Waits]:
    """Open tasks and awaited signals by tenant and workflow; those that only ask what would have been left out."""
    found: dict[tuple[TenantId, str], Waits] = {}
    for state in states:
        for step in () if state.what_if else steps_of(state):
            before = found.get((state.tenant, state.workflow), Waits(0, step.scheduled_us))
            after = Waits(before.tasks + 1, min(before.oldest_us, step.scheduled_us))
            found[state.tenant, state.workflow] = after
    return found


async def unfinished_runs(store: StateStore) -> AsyncIterator[RunSummary]:
    """Every run that may have open tasks."""
    before: RunId | None = None
    while page := await store.runs(status=("waiting", "running"), kinds=("run",), limit=_PAGE_RUNS, before=before):
        for summary in page:
            yield summary
        before = page[-1].run


def is_wanted(view: TaskView, *, role: str = "", person: str = "", status: str = "", workflow: str = "") -> bool:
    """Whether a task is one of those that somebody asks for; empty: any."""
    is_for = not role or role in view.roles or not (view.roles or view.assignee)
    is_theirs = not person or person in (view.assignee, view.taken_by)
    return is_for and is_theirs and status in ("", view.status) and workflow in ("", view.workflow)


def task_id(run: RunId, step: StepId) -> str:
    """What a task is called."""
    return f"{run}.{step}"


def parts_of_id(given: str) -> tuple[str, StepId | None]:
    """The run of a task, as it is written, and its step; None: that of the run's only open one."""
    run, dot, step = given.partition(".")
    return run, StepId(step) if dot else None


def chosen(state: RunState, step: StepId | None) -> StepState:
    """The task of a step; without one the only open one of the run, or the last one that is over.

    Raises NotFound and Conflict.
    """
    if step is not None:
        found = state.steps.get(step)
        if found is None or not (found.task or found.signal):
            there = ", ".join(each.step for each in steps_of(state, is_open=False)) or "none"
            raise NotFound(
                "human.not_found", f"run {state.run!r} has no task {str(step)[:60]!r} for people; it has {there}"
            )
        return found
    waiting = steps_of(state)
    if len(waiting) == 1:
        return waiting[0]
    if not waiting and (over := steps_of(state, is_open=False)):
        return over[-1]
    if waiting:
        names = ", ".join(task_id(state.run, each.step) for each in waiting)
        raise Conflict("human.several", f"run {state.run!r} has {len(waiting)} open tasks; name one: {names}")
    raise NotFound("human.not_found", f"run {state.run!r} has no task for people; af human list has those there are")


def _as_opened(state: RunState, step: StepId, entries: Sequence[Entry]) -> RunState:
    """The run when the task was opened: what was answered beside it since changes none of its words."""
    if not entries:
        return state
    opened = max(
        (each.seq for each in entries if isinstance(each.body, AwaitSignal) and each.body.step == step), default=0
    )
    before = RunState(run=state.run)
    for entry in entries:
        if entry.seq > opened:
            break
        apply(before, entry)
    return before


def _words(state: RunState, step: StepState, spec: AgentSpec | None) -> tuple[str, str]:
    if spec is None:
        return f"signal {step.signal}", ""
    return _rendered(title_of(spec), state, step), _rendered(spec.prompt, state, step)


def _rendered(source: str, state: RunState, step: StepState) -> str:
    try:
        template = Template(source)
        data = scope(state, template.names | {"input"}, step.step)
        return str(template.render({**data, "task": state.input}) or "")[:MOST_CHARACTERS]
    except AgentFlowError as error:
        return f"({error.code})"


def _history(step: StepId, signal: str, entries: Sequence[Entry]) -> Iterator[DoneView]:
    state = RunState(run=RunId(""))
    for entry in entries:
        awaited = state.awaited().get(signal) == step
        apply(state, entry)
        done = _done(entry, step, signal if awaited else None)
        if done is not None:
            yield done


def _done(entry: Entry, step: StepId, signal: str | None) -> DoneView | None:
    at, seq = rfc3339(entry.at_us), entry.seq
    match entry.body:
        case AwaitSignal(step=opened, why=why) if opened == step:
            return DoneView(at=at, entry=seq, what="opened", said=why)
        case TaskMoved(step=moved, how=how, actor=actor, role=role) if moved == step:
            said = [f"to {entry.body.person}"] if how == "assigned" else []
            return DoneView(
                at=at,
                entry=seq,
                what=how,
                actor=actor,
                role=role,
                said=": ".join(filter(None, [*said, entry.body.note])),
            )
        case TaskTold(step=told, notice=notice, channels=channels) if told == step:
            went = ", ".join(f"{channel} {code}" for channel, code in channels.items())
            return DoneView(at=at, entry=seq, what="told", said=f"{notice}: {went}")
        case TimerFired(timer=timer) if step_of(timer) == step:
            kind, level, number = parts_of(timer)
            if is_expiry(timer):
                return DoneView(at=at, entry=seq, what="expired")
            what, count = ("reminded", number) if kind == "remind" else ("escalated", level + 1)
            return DoneView(at=at, entry=seq, what=what, said=str(count))
        case SignalReceived(name=name, actor=actor, role=role, payload=payload) if name == signal:
            decision = payload.get("decision") if isinstance(payload, dict) else None
            return DoneView(
                at=at,
                entry=seq,
                what="completed",
                actor=actor,
                role=role,
                said=decision if isinstance(decision, str) else "",
            )
    return None
