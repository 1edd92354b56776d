"""RunState, and the fold that makes it from a journal.

A state belongs to one fold: `apply` changes it in place and reads nothing but its arguments, so folding
the same entries always gives the same state.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.command import (
    AwaitSignal,
    FinishRun,
    KeepPlan,
    KeepTree,
    Listen,
    Replan,
    SetTimer,
    StartStep,
    StopStep,
)
from runtime.domain.cost import Estimate
from runtime.domain.event import (
    NO_USAGE,
    CancelRequested,
    ErrorInfo,
    Parent,
    Reused,
    RunMigrated,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    SubrunsWaiting,
    SubrunWait,
    TaskMoved,
    TaskTold,
    TimerFired,
    Usage,
    WhatIf,
)
from runtime.domain.human import TaskState, is_expiry, step_of
from runtime.domain.ids import DEFAULT_TENANT, AgentId, DefinitionHash, RunId, StepId, TenantId, state_of
from runtime.domain.journal import Body, Entry
from runtime.domain.plan import Plan
from runtime.domain.tree import TreeMemory
from runtime.errors import Corrupt

RunStatus = Literal["new", "running", "waiting", "succeeded", "failed", "cancelled"]
StepStatus = Literal["running", "waiting", "succeeded", "failed", "stopped"]
FINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


class StepState(msgspec.Struct, kw_only=True):
    """The latest attempt of one step."""

    step: StepId
    agent: AgentId | None
    attempt: int
    status: StepStatus
    scheduled_us: int
    due_us: int
    """When the attempt may start; later than `scheduled_us` by a retry's back-off."""
    signal: str = ""
    ended_us: int = 0
    duration_ms: int = 0
    output: Json = None
    error: ErrorInfo | None = None
    usage: Usage = NO_USAGE
    evidence: dict[str, Json] | None = None
    why: str = ""
    runs: list[RunId] | msgspec.UnsetType = msgspec.UNSET
    """The runs that its attempts have of their own, in the order in which they began; not set where there are none."""
    waits: tuple[SubrunWait, ...] | msgspec.UnsetType = msgspec.UNSET
    """What the runs that it has under way wait for, when all of them wait; not set while one goes on."""
    taken_over_at: int | msgspec.UnsetType = msgspec.UNSET
    """The attempt with which another agent took over; not set where none did."""
    reused: Reused | msgspec.UnsetType = msgspec.UNSET
    """Where its latest answer or failure was taken from; not set where the agent was asked."""
    task: TaskState | msgspec.UnsetType = msgspec.UNSET
    """The task for people that it is; not set for any other."""

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of it goes on until somebody answers it, or runs of its own."""
        return self.status == "waiting" or bool(self.waits)


class RunState(msgspec.Struct, kw_only=True):
    """Everything a journal says about its run at one sequence number."""

    run: RunId
    seq: int = 0
    at_us: int = 0
    status: RunStatus = "new"
    workflow: str = ""
    definition: DefinitionHash = DefinitionHash("")
    tenant: TenantId = DEFAULT_TENANT
    actor: str = ""
    is_minimised: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether pseudonyms stand here in place of people's data; not set where they do not."""
    role: str | msgspec.UnsetType = msgspec.UNSET
    """The role of who asked; not set where there is none."""
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    """The W3C trace context that it was asked for in; not set where there was none."""
    session: str | msgspec.UnsetType = msgspec.UNSET
    """Hash of the name of its session; not set where the name stands in the input, or there is none."""
    estimate: Estimate | msgspec.UnsetType = msgspec.UNSET
    """What it was expected to take; not set where nobody asked before."""
    parent: Parent | msgspec.UnsetType = msgspec.UNSET
    """The step that it is a part of; not set where there is none."""
    what_if: WhatIf | msgspec.UnsetType = msgspec.UNSET
    """What it supposes; not set for a run like any other."""
    reused_usage: Usage | msgspec.UnsetType = msgspec.UNSET
    """Of `usage`, what another run has spent, whose answers were taken; not set where there are none."""
    input: Json = None
    started_us: int = 0
    ended_us: int = 0
    steps: dict[StepId, StepState] = {}
    """In the order in which they were first scheduled."""
    visits: dict[str, int] = {}
    """How often each state was entered."""
    replans: list[Replan] | msgspec.UnsetType = msgspec.UNSET
    """How the plan was changed, in order; not set where it was not."""
    signals: list[str] | msgspec.UnsetType = msgspec.UNSET
    """The signals that are taken at any time; not set where there are none."""
    path: list[str] = []
    """States in the order entered, those that only decide and the final one included."""
    open: dict[StepId, None] = {}
    """Steps that run or wait now, oldest first."""
    timers: dict[str, int] = {}
    """Due time in microseconds of each timer that is set."""
    last: StepId | None = None
    """The step that answered last; its output is the run's."""
    last_failed: StepId | None = None
    """The step that failed last."""
    usage: Usage = NO_USAGE
    error: ErrorInfo | None = None
    tree: TreeMemory | msgspec.UnsetType = msgspec.UNSET
    """What the run's behaviour tree remembers; not set where none has been ticked."""
    plan: Plan | msgspec.UnsetType = msgspec.UNSET
    """The plan that the run goes by; not set where none was made."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to this run."""
        return self.status in FINAL

    @property
    def output(self) -> Json:
        """What the run has answered so far: the output of the step that answered last."""
        return None if self.last is None else self.steps[self.last].output

    def awaited(self) -> dict[str, StepId]:
        """The signals this run waits for, and the step each would answer."""
        return {self.steps[step].signal: step for step in self.open if self.steps[step].status == "waiting"}

    def awaited_within(self) -> dict[str, list[RunId]]:
        """The signals that runs of its steps wait for, and which runs those are."""
        within: dict[str, list[RunId]] = {}
        for step in self.open:
            for wait in self.steps[step].waits or ():
                for signal in wait.signals:
                    within.setdefault(signal, []).append(wait.run)
        return within

    def is_overdue(self, now_us: int) -> bool:
        """Whether a time limit has passed that nobody has told it of."""
        return not self.is_final and min(self.timers.values(), default=now_us + 1) <= now_us

    def awaits(self) -> list[str]:
        """Every signal with which somebody can answer it, sorted: its own and those of runs of its steps."""
        return sorted({*self.awaited(), *self.awaited_within()})


def how_it_ended(state: RunState) -> str:
    """What a run that is final has: `succeeded`, `failed`, `been cancelled`."""
    return f"been {state.status}" if state.status == "cancelled" else state.status


def fold(run: RunId, entries: Iterable[Entry]) -> RunState:
    """The state after all entries. Raises Corrupt at a gap in the sequence."""
    state = RunState(run=run)
    for entry in entries:
        apply(state, entry)
    return state


def apply(state: RunState, entry: Entry) -> None:
    """Fold one entry into the state. Raises Corrupt when it is not the next one."""
    if entry.seq != state.seq + 1:
        raise Corrupt(
            "journal.gap", f"run {state.run!r}: entry {entry.seq} follows {state.seq}; expected {state.seq + 1}"
        )
    state.seq = entry.seq
    state.at_us = entry.at_us
    _APPLY[type(entry.body)](state, entry.body)


def _started(state: RunState, event: RunStarted) -> None:
    state.status = "running"
    state.workflow, state.definition = event.workflow, event.definition
    state.tenant, state.actor, state.input = event.tenant, event.actor, event.input
    if event.minimised:
        state.is_minimised = True
    if event.role:
        state.role = event.role
    if event.traceparent:
        state.traceparent = event.traceparent
    if event.session:
        state.session = event.session
    if event.estimate:
        state.estimate = event.estimate
    if event.parent:
        state.parent = event.parent
    if event.what_if:
        state.what_if = event.what_if
    state.started_us = state.at_us


def _scheduled(state: RunState, command: StartStep) -> None:
    state.path.extend(command.via)
    step = state.steps.get(command.step)
    if step is None:
        _enter(state, command.step)
        state.steps[command.step] = step = StepState(
            step=command.step,
            agent=command.agent,
            attempt=0,
            status="running",
            scheduled_us=state.at_us,
            due_us=state.at_us,
            why=command.why,
        )
    elif step.agent != command.agent:
        step.taken_over_at, step.why = command.attempt, command.why
    step.agent = command.agent
    step.attempt = command.attempt
    step.status, step.waits, step.task, step.signal = "running", msgspec.UNSET, msgspec.UNSET, ""
    step.due_us = state.at_us + command.delay_ms * 1000
    state.open[command.step] = None
    state.status = "running"


def _awaited(state: RunState, command: AwaitSignal) -> None:
    state.path.extend(command.via)
    known = state.steps.get(command.step)
    if known is None:
        _enter(state, command.step)
    state.steps[command.step] = step = StepState(
        step=command.step,
        agent=command.agent,
        attempt=command.attempt,
        status="waiting",
        scheduled_us=state.at_us,
        due_us=state.at_us,
        signal=command.signal,
        why=command.why,
    )
    if known is not None:  # a person takes over from an agent
        step.usage, step.taken_over_at, step.runs = known.usage, command.attempt, known.runs
    if command.terms is not None:
        step.task = TaskState(command.terms)
        step.task.offer()
    state.open[command.step] = None
    if command.timeout_ms:
        state.timers[command.step] = state.at_us + command.timeout_ms * 1000
    _wait_alone(state)


def _wait_alone(state: RunState) -> None:
    """The run waits when steps are open and all of them wait."""
    if state.open and all(state.steps[step].is_waiting for step in state.open):
        state.status = "waiting"


def _enter(state: RunState, step: StepId) -> None:
    name = state_of(step)
    state.visits[name] = state.visits.get(name, 0) + 1
    state.path.append(name)


def _succeeded(state: RunState, event: StepSucceeded) -> None:
    step = _end(state, event.step, "succeeded")
    step.output, step.evidence, step.error = event.output, event.evidence, None
    step.duration_ms = event.duration_ms
    _spend(state, step, event.usage, event.reused)
    state.last = event.step


def _failed(state: RunState, event: StepFailed) -> None:
    step = _end(state, event.step, "failed")
    step.error, step.duration_ms = event.error, event.duration_ms
    state.last_failed = event.step
    _spend(state, step, event.usage, event.reused)


def _subrun_started(state: RunState, event: SubrunStarted) -> None:
    step = state.steps[event.step]
    step.runs = [*(step.runs or ()), event.run]
    if step.waits:
        step.waits, state.status = msgspec.UNSET, "running"


def _subruns_waiting(state: RunState, event: SubrunsWaiting) -> None:
    state.steps[event.step].waits = event.waits or msgspec.UNSET
    state.status = "running"
    _wait_alone(state)


def _spend(state: RunState, step: StepState, usage: Usage, reused: Reused | None) -> None:
    if usage is not NO_USAGE:
        step.usage = step.usage.plus(usage)
        state.usage = state.usage.plus(usage)
    if reused is not None:
        step.reused = reused
        state.reused_usage = (state.reused_usage or NO_USAGE).plus(usage)
    elif step.reused:
        step.reused = msgspec.UNSET


def _signalled(state: RunState, event: SignalReceived) -> None:
    answered = state.awaited().get(event.name)
    if answered is not None:
        step = _answer(state, answered, event.payload)
        if step.task:
            step.task.outcome, step.task.decided_by = "completed", event.actor


def _answer(state: RunState, answered: StepId, output: Json) -> StepState:
    step = _end(state, answered, "succeeded")
    step.output = output
    state.last = answered
    _go_on(state)
    return step


def _go_on(state: RunState) -> None:
    if state.status == "waiting":
        state.status = "running"
        _wait_alone(state)


def _end(state: RunState, step: StepId, status: StepStatus) -> StepState:
    record = state.steps[step]
    if record.status == "waiting":  # only waits have timers of their own: the run's timer may share a step's name
        if record.task:
            state.timers = {timer: due for timer, due in state.timers.items() if step_of(timer) != step}
        else:
            state.timers.pop(step, None)
    record.status, record.waits = status, msgspec.UNSET
    record.ended_us = state.at_us
    state.open.pop(step, None)
    _wait_alone(state)
    return record


def _timer_set(state: RunState, command: SetTimer) -> None:
    state.timers[command.timer] = state.at_us + command.delay_ms * 1000


def _timer_fired(state: RunState, event: TimerFired) -> None:
    state.timers.pop(event.timer, None)
    step = state.steps.get(StepId(step_of(event.timer)))
    if step is None or not step.task or step.step not in state.open:
        return
    if is_expiry(event.timer):
        _expire(state, step, step.task)
    else:
        step.task.fire(event.timer)


def _expire(state: RunState, step: StepState, task: TaskState) -> None:
    """Nobody answered in time: what is decided then, or a failure."""
    task.outcome = "expired"
    if task.terms.on_expiry:
        _answer(state, step.step, {"decision": task.terms.on_expiry, "is_expired": True})
        return
    _end(state, step.step, "failed")
    step.error = ErrorInfo("human.expired", f"nobody answered task {step.step!r} in time")
    state.last_failed = step.step
    _go_on(state)


def _task_moved(state: RunState, event: TaskMoved) -> None:
    task = state.steps[event.step].task
    if task:
        task.move(event.how, event.person)


def _task_told(state: RunState, event: TaskTold) -> None:
    task = state.steps[event.step].task
    if task:
        task.tell(event.notice, event.channels)


def _stopped(state: RunState, command: StopStep) -> None:
    _end(state, command.step, "stopped")


def _tree_kept(state: RunState, command: KeepTree) -> None:
    state.tree = command.memory
    for timer in command.stopped:
        state.timers.pop(timer, None)


def _plan_kept(state: RunState, command: KeepPlan) -> None:
    state.plan = command.plan


def _cancel_requested(state: RunState, event: CancelRequested) -> None:
    """The fact alone changes nothing; the commands behind it stop the steps and finish the run."""


def _migrated(state: RunState, event: RunMigrated) -> None:
    state.workflow, state.definition = event.workflow, event.definition
    if event.tree is not None:
        state.tree = event.tree
    state.timers = {event.timers.get(timer, timer): due_us for timer, due_us in state.timers.items()}


def _listened(state: RunState, command: Listen) -> None:
    state.signals = list(command.signals)


def _replanned(state: RunState, command: Replan) -> None:
    state.replans = [*(state.replans or ()), command]


def _finished(state: RunState, command: FinishRun) -> None:
    state.path.extend(command.via)
    if command.state and state.path[-1:] != [command.state]:
        state.path.append(command.state)
    state.status, state.error = command.status, command.error
    state.ended_us = state.at_us
    state.open.clear()
    state.timers.clear()


_APPLY: dict[type[Body], Callable[[RunState, Any], None]] = {
    RunStarted: _started,
    StepSucceeded: _succeeded,
    StepFailed: _failed,
    SubrunStarted: _subrun_started,
    SubrunsWaiting: _subruns_waiting,
    TimerFired: _timer_fired,
    SignalReceived: _signalled,
    TaskMoved: _task_moved,
    TaskTold: _task_told,
    CancelRequested: _cancel_requested,
    RunMigrated: _migrated,
    StartStep: _scheduled,
    AwaitSignal: _awaited,
    SetTimer: _timer_set,
    StopStep: _stopped,
    KeepTree: _tree_kept,
    KeepPlan: _plan_kept,
    Listen: _listened,
    Replan: _replanned,
    FinishRun: _finished,
}
