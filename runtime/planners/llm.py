"""The planner that asks a model: the question is a step, the answer an event, and from there on nothing is asked.

The guard judges the answer here, in the decision. One that it refuses is asked for again with what was wrong; then the
declared sub-plan, a state machine, takes over, or a person is asked for a plan, which the guard judges alike. What
the run goes by is kept in the journal (`KeepPlan`).
"""

from collections.abc import Sequence

from msgspec import UnsetType
from msgspec.structs import replace

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, KeepPlan, StartStep, StopStep
from runtime.domain.event import (
    CancelRequested,
    ErrorInfo,
    Event,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from runtime.domain.ids import DefinitionHash, StepId, state_of, step_id
from runtime.domain.plan import PLANNING, Plan, PlanStep
from runtime.domain.run import RunState
from runtime.domain.workflow import FsmSpec, Workflow
from runtime.planners.fsm import FsmPlanner
from runtime.planners.guard import PlanGuard

UNUSABLE = frozenset({"model.answer_invalid", "model.answer_cut"})
"""Errors of a model that answered, with something that is no plan."""
ANEW = "planned anew: "
"""What the reason of a question begins with that is no repair of an answer."""
_BEGIN = RunStarted(workflow="", definition=DefinitionHash(""), input=None)
_ENDED = frozenset({"succeeded", "failed"})
_LOST = frozenset({"running", "waiting", "stopped"})
"""Of a step that was under way when the plan was given up."""


class LlmPlanner:
    """Plans one workflow; built once per definition, with its guard and its machines compiled."""

    def __init__(self, workflow: Workflow) -> None:
        assert workflow.llm is not None, "a workflow that a model plans says how"
        self._spec = workflow.llm
        self._guard = PlanGuard(workflow.llm)
        self._max_steps = workflow.max_steps
        self._execution = _machine(workflow, workflow.llm.execution)
        self._fallback = _machine(workflow, workflow.llm.fallback)

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has been folded into `state`."""
        match event:
            case RunStarted():
                return [StartStep(step=step_id(PLANNING, 1))]
            case CancelRequested():
                return []
            case StepSucceeded(step=step, output=output) if state_of(step) == PLANNING:
                return self._answered(state, output)
            case StepFailed(step=step, error=error) if state_of(step) == PLANNING:
                if error.code in UNUSABLE:
                    return self._ask_again(state, error.message)
                return self._without_plan(state, f"{error.code}: {error.message}")
            case SignalReceived(payload=payload) if state.last is not None and state_of(state.last) == PLANNING:
                return self._planned_by_person(state, payload)
            case TimerFired(timer=timer) if state_of(StepId(timer)) == PLANNING:
                return _fails(state, ErrorInfo("wait.timeout", f"nobody answered step {timer!r} in time"))
        return self._go_on(state, event)

    def has(self, name: str) -> bool:
        """Whether the sub-plan, or the machine that carries out a choice, has such a state."""
        return any(machine is not None and machine.has(name) for machine in (self._execution, self._fallback))

    def owns(self, state: RunState, step: StepId) -> bool:
        """Whether a step is the planning, one of the plan's steps, or of a state of the machine that goes on."""
        if state_of(step) == PLANNING:
            return True
        machine = self._machine_of(state)
        if machine is not None:
            return machine.owns(state, step)
        return not isinstance(state.plan, UnsetType) and any(_step_of(each) == step for each in state.plan.steps)

    def place_of(self, name: str) -> str:
        """A step of the plan, a state, or the planning itself."""
        return name or PLANNING

    def enter(self, state: RunState, name: str, *, why: str, delay_ms: int = 0) -> list[Command]:
        """Go on from a state of the machine, or do a step of the plan again, with those that were stopped with it."""
        machine = self._machine_of(state)
        if machine is not None and machine.has(name):
            return machine.enter(state, name, why=why, delay_ms=delay_ms)
        if not isinstance(state.plan, UnsetType) and name in {step.name for step in state.plan.steps}:
            return self._again(state, state.plan, name, why, delay_ms)
        return [replace(self._ask_anew(state, why), delay_ms=delay_ms)]

    def jump(self, state: RunState, name: str, *, why: str) -> list[Command]:
        """Go on from a state of the machine that goes on now, else of the sub-plan."""
        machine = self._machine_of(state)
        if machine is not None and machine.has(name):
            return machine.enter(state, name, why=why)
        if self._fallback is not None and self._fallback.has(name):
            return [KeepPlan(plan=Plan(source="fallback"), why=why), *self._fallback.enter(state, name, why=why)]
        error = ErrorInfo("replan.refused", f"state {name!r} is part of a strategy, and none has been chosen yet")
        return [FinishRun(status="failed", error=error)]

    def give_up(self, state: RunState, *, why: str) -> list[Command]:
        """Hand over to the declared sub-plan, or to a person where there is none."""
        return [command for command in self._without_plan(state, why) if not isinstance(command, StopStep)]

    def ask_again(self, state: RunState, *, why: str) -> list[Command]:
        """Ask the model for another plan; it is told what happened."""
        if len(state.steps) >= self._max_steps:
            return [FinishRun(status="failed", error=_too_many(self._max_steps))]
        return [self._ask_anew(state, why)]

    def accept(self, state: RunState, payload: Json) -> list[Command]:
        """Go by a person's own plan, when the guard lets it through."""
        found = self._guard.judge(payload)
        return list(self._begin(state, replace(found, source="person"))) if isinstance(found, Plan) else []

    def stop(self, state: RunState) -> list[Command]:
        """Stop every step that runs or waits."""
        return _stopping(state)

    def _ask_anew(self, state: RunState, why: str) -> StartStep:
        return StartStep(step=step_id(PLANNING, state.visits.get(PLANNING, 0) + 1), why=f"{ANEW}{why}")

    def _machine_of(self, state: RunState) -> FsmPlanner | None:
        """The machine that the run goes by now; None: a plan's own steps, or no plan yet."""
        if isinstance(state.plan, UnsetType):
            return None
        return self._fallback if state.plan.source == "fallback" else self._execution

    def _again(self, state: RunState, plan: Plan, name: str, why: str, delay_ms: int) -> list[Command]:
        """Give the steps that have no answer another visit, and start those that wait for nothing."""
        lost = {step.name for step in plan.steps if step.name == name or _status(state, step) in _LOST}
        steps = tuple(
            replace(step, visit=state.visits.get(step.name, 0) + 1) if step.name in lost else step
            for step in plan.steps
        )
        again = replace(plan, steps=steps)
        started = [
            replace(command, delay_ms=delay_ms, why=why) if isinstance(command, StartStep) else command
            for command in self._start_ready(state, again)
        ]
        return [KeepPlan(plan=again, why=why), *started]

    def _answered(self, state: RunState, output: Json) -> Sequence[Command]:
        found = self._guard.judge(output)
        if isinstance(found, Plan):
            return self._begin(state, found)
        return self._ask_again(state, "; ".join(found))

    def _ask_again(self, state: RunState, faults: str) -> Sequence[Command]:
        asked = state.visits[PLANNING]
        if asked - _question(state, asked) < self._spec.repairs:
            return [StartStep(step=step_id(PLANNING, asked + 1), why=faults)]
        return self._without_plan(state, faults)

    def _planned_by_person(self, state: RunState, payload: Json) -> Sequence[Command]:
        found = self._guard.judge(payload)
        if isinstance(found, Plan):
            return self._begin(state, replace(found, source="person"))
        return self._ask_person(state, "; ".join(found))

    def _without_plan(self, state: RunState, why: str) -> Sequence[Command]:
        """The sub-plan takes over, or a person is asked; whatever is under way is stopped."""
        if self._fallback is None:
            return self._ask_person(state, why)
        begun = self._fallback.decide(state, _BEGIN)
        return [*_stopping(state), KeepPlan(plan=Plan(source="fallback"), why=why), *begun]

    def _ask_person(self, state: RunState, why: str) -> Sequence[Command]:
        if len(state.steps) >= self._max_steps:
            return _fails(state, _too_many(self._max_steps))
        wait = AwaitSignal(
            step=step_id(PLANNING, state.visits.get(PLANNING, 0) + 1),
            signal=self._spec.wait_for,
            timeout_ms=self._spec.wait_timeout_ms,
            why=why,
        )
        return [*_stopping(state), wait]

    def _begin(self, state: RunState, plan: Plan) -> Sequence[Command]:
        if self._execution is not None:
            return [KeepPlan(plan=plan), *self._execution.decide(state, _BEGIN)]
        visited = tuple(replace(step, visit=state.visits.get(step.name, 0) + 1) for step in plan.steps)
        plan = replace(plan, steps=visited)
        return [KeepPlan(plan=plan), *self._start_ready(state, plan)]

    def _go_on(self, state: RunState, event: Event) -> Sequence[Command]:
        plan = state.plan
        if isinstance(plan, UnsetType):
            return []
        machine = self._machine_of(state)
        if machine is not None:
            return machine.decide(state, event)
        if isinstance(event, StepFailed):
            failed = next(step for step in plan.steps if _step_of(step) == event.step)
            if failed.on_failure == "stop":
                return _fails(state, event.error, failed.name)
            if failed.on_failure == "fallback":
                return self._without_plan(state, f"{event.error.code} in {failed.name}")
        return self._start_ready(state, plan)

    def _start_ready(self, state: RunState, plan: Plan) -> Sequence[Command]:
        """Start the steps that wait for nothing more; the run has succeeded when there are none left."""
        ended = {step.name for step in plan.steps if _status(state, step) in _ENDED}
        ready = [step for step in plan.steps if not _status(state, step) and ended.issuperset(step.after)]
        if len(state.steps) + len(ready) > self._max_steps:
            return _fails(state, _too_many(self._max_steps))
        if not ready and not state.open:
            return [FinishRun(status="succeeded")]
        return [StartStep(step=_step_of(step), agent=None if step.agent == step.name else step.agent) for step in ready]


def given_to(state: RunState, step: StepId) -> Json:
    """What a step is given: what the run's plan says, else the run's input."""
    steps = () if isinstance(state.plan, UnsetType) else state.plan.steps
    planned = next((each.input for each in steps if _step_of(each) == step), None)
    return state.input if planned is None else planned


def asked_for(state: RunState, step: StepId) -> tuple[str, bool]:
    """Why a visit of the planning asks for a new plan (empty: it is the first), and whether it repairs an answer."""
    asked = int(step.partition("~")[2] or 1)
    first = _question(state, asked)
    return state.steps[step_id(PLANNING, first)].why.removeprefix(ANEW), first < asked


def _question(state: RunState, asked: int) -> int:
    """The visit of the planning that began the question of this one; those between them repair."""
    earlier = range(asked, 1, -1)
    return next((visit for visit in earlier if state.steps[step_id(PLANNING, visit)].why.startswith(ANEW)), 1)


def _machine(workflow: Workflow, fsm: FsmSpec | None) -> FsmPlanner | None:
    return None if fsm is None else FsmPlanner(replace(workflow, fsm=fsm))


def _step_of(step: PlanStep) -> StepId:
    return step_id(step.name, step.visit)


def _status(state: RunState, step: PlanStep) -> str:
    known = state.steps.get(_step_of(step))
    return known.status if known is not None else ""


def _stopping(state: RunState) -> list[Command]:
    return [StopStep(step=step) for step in state.open]


def _fails(state: RunState, error: ErrorInfo, name: str = "") -> list[Command]:
    return [*_stopping(state), FinishRun(status="failed", state=name, error=error)]


def _too_many(limit: int) -> ErrorInfo:
    return ErrorInfo("plan.too_long", f"the run reached its limit of {limit:,} steps; raise max_steps")
