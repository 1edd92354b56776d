"""What every planner shares: retries with back-off, the run's own time limit, and cancellation.

Whatever it does not settle itself goes to the plan inside: the machine, the tree or the model's plan.
"""

from collections.abc import Sequence
from hashlib import sha256

from msgspec import UnsetType

from runtime.domain.command import RUN_TIMER, Command, FinishRun, SetTimer, StartStep, StopStep
from runtime.domain.event import (
    CancelRequested,
    ErrorInfo,
    Event,
    RunMigrated,
    RunStarted,
    SignalReceived,
    StepFailed,
    SubrunStarted,
    SubrunsWaiting,
    TaskMoved,
    TaskTold,
    TimerFired,
)
from runtime.domain.human import step_of
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId, state_of
from runtime.domain.run import RunState
from runtime.domain.workflow import RetryPolicy, Workflow, agent_of, attempt_limits
from runtime.errors import Unavailable
from runtime.planners.fsm import FsmPlanner
from runtime.planners.human import answered, expired, levelled, people_asked
from runtime.planners.llm import LlmPlanner
from runtime.planners.replan import ReplanPlanner
from runtime.planners.tree.planner import TreePlanner
from runtime.ports import Planner


def planner_for(workflow: Workflow) -> Planner:
    """Build the planner of a definition. Raises Unavailable for a kind that this build does not run."""
    plan: FsmPlanner | TreePlanner | LlmPlanner
    if workflow.planner == "fsm" and workflow.fsm is not None:
        plan = FsmPlanner(workflow)
    elif workflow.planner == "behavior_tree" and workflow.tree is not None:
        plan = TreePlanner(workflow)
    elif workflow.planner == "llm" and workflow.llm is not None:
        plan = LlmPlanner(workflow)
    else:
        raise _unavailable(workflow)
    return LifecyclePlanner(workflow, ReplanPlanner(workflow, plan) if workflow.replan else plan)


def _unavailable(workflow: Workflow) -> Unavailable:
    return Unavailable(
        "planner.unavailable",
        f"{workflow.name!r} is planned by {workflow.planner!r}, which this version loads but cannot run; "
        "use planner type fsm, behavior_tree or llm",
        retryable=False,
    )


def planner_without_plan() -> Planner:
    """For a run whose definition cannot be read any more: it decides what every planner does, such as to cancel."""
    return LifecyclePlanner(Workflow(name="", hash=DefinitionHash("")), _NoPlan())


class LifecyclePlanner:
    """Wraps a plan with the rules that hold for all of them."""

    def __init__(self, workflow: Workflow, plan: Planner) -> None:
        self._workflow = workflow
        self._plan = plan

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has been folded into `state`."""
        return people_asked(self._workflow, state, self._decide(state, event))

    def _decide(self, state: RunState, event: Event) -> Sequence[Command]:
        match event:
            case RunStarted() if self._workflow.timeout_ms:
                return [SetTimer(timer=RUN_TIMER, delay_ms=self._workflow.timeout_ms), *self._plan.decide(state, event)]
            case TimerFired(timer=timer) if step_of(timer):
                ended = expired(state, timer)
                return levelled(state, timer) if ended is None else self._decide(state, ended)
            case SignalReceived() if (done := answered(state, event)) is not None:
                return self._plan.decide(state, done)
            case TaskMoved() | TaskTold():
                return []
            case StepFailed() if (again := self._retry(state, event) or self._take_over(state, event)) is not None:
                return [again]
            case SubrunStarted() | SubrunsWaiting() | RunMigrated():
                return []
            case CancelRequested(reason=reason):
                return _stop_all(state, FinishRun(status="cancelled", error=ErrorInfo("run.cancelled", reason)))
            case TimerFired(timer=timer) if timer == RUN_TIMER:
                late = ErrorInfo("run.timeout", f"the run took longer than {self._workflow.timeout_ms / 1000:g} s")
                return _stop_all(state, FinishRun(status="failed", error=late))
        return self._plan.decide(state, event)

    def _retry(self, state: RunState, event: StepFailed) -> StartStep | None:
        known = state.steps[event.step]
        agent, name = known.agent, state_of(event.step)
        policy = attempt_limits(self._workflow, name, agent or AgentId(name)).retry
        taken_over_at = 1 if isinstance(known.taken_over_at, UnsetType) else known.taken_over_at
        if not event.error.retryable or event.attempt - taken_over_at + 1 >= policy.max_attempts:
            return None
        delay_ms = backoff_ms(policy, state.run, event.step, event.attempt)
        return StartStep(step=event.step, agent=agent, attempt=event.attempt + 1, delay_ms=delay_ms)

    def _take_over(self, state: RunState, event: StepFailed) -> StartStep | None:
        """The fallback of an agent that could not answer has the same step, with attempts of its own."""
        agent = state.steps[event.step].agent or AgentId(state_of(event.step))
        fallback = agent_of(self._workflow, agent).fallback_agent
        if fallback is None:
            return None
        why = f"{event.error.code} of {agent}: {event.error.message}"
        return StartStep(step=event.step, agent=fallback, attempt=event.attempt + 1, why=why)


class _NoPlan:
    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        return []


def backoff_ms(policy: RetryPolicy, run: RunId, step: StepId, attempt: int) -> int:
    """How long to wait behind the `attempt`-th failure: exponential, capped, with jitter derived from the names."""
    delay = min(policy.initial_ms * policy.multiplier ** (attempt - 1), policy.max_ms)
    share = int.from_bytes(sha256(f"{run}/{step}/{attempt}".encode()).digest()[:4], "big") / 2**32
    return max(1, round(delay * (1 + policy.jitter_ratio * (2 * share - 1))))


def _stop_all(state: RunState, finish: FinishRun) -> list[Command]:
    return [*(StopStep(step=step) for step in state.open), finish]
