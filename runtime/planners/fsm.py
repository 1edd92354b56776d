"""The finite-state-machine planner: enter a state, run its agent, follow the transition that holds.

Order in a state that succeeded: `conditional_transitions` from the top, then `condition` (`on_true`,
`on_false`), then `on_success`. A state that failed follows `on_error`. A condition that errors counts as a
failure of its state. Entering a final state ends the run, after its agent has answered when it has one.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, StartStep, StopStep
from runtime.domain.event import (
    CancelRequested,
    ErrorInfo,
    Event,
    RunMigrated,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    SubrunsWaiting,
    TaskMoved,
    TaskTold,
    TimerFired,
)
from runtime.domain.ids import AgentId, StepId, state_of, step_id
from runtime.domain.run import RunState
from runtime.domain.workflow import FsmSpec, FsmState, Gate, Workflow
from runtime.planners.conditions import Condition, compile_condition
from runtime.planners.feedback import judge
from runtime.planners.scope import scope

MAX_DECISIONS = 100
"""States in a row that only decide, before the plan counts as going in circles."""


class FsmPlanner:
    """Plans one workflow; built once per definition, with its conditions compiled."""

    def __init__(self, workflow: Workflow) -> None:
        assert workflow.fsm is not None, "an fsm workflow has an fsm"
        self._spec: FsmSpec = workflow.fsm
        self._agents = workflow.agents
        self._max_steps = workflow.max_steps
        texts = {
            text
            for state in self._spec.states.values()
            for text in (state.condition, *(branch.condition for branch in state.branches))
            if text
        }
        self._conditions: dict[str, Condition] = {text: compile_condition(text) for text in sorted(texts)}

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has been folded into `state`."""
        match event:
            case RunStarted():
                return [self._enter(state, self._spec.initial_state)]
            case StepSucceeded(step=step):
                return [self._succeeded(state, state_of(step))]
            case SignalReceived():
                return [self._succeeded(state, state_of(state.last))] if state.last else []
            case StepFailed(step=step, error=error):
                return [self._failed(state, state_of(step), error)]
            case TimerFired(timer=timer):
                waited = ErrorInfo("wait.timeout", f"nobody answered step {timer!r} in time")
                return [StopStep(step=StepId(timer)), self._failed(state, state_of(StepId(timer)), waited)]
            case CancelRequested() | SubrunStarted() | SubrunsWaiting() | RunMigrated() | TaskMoved() | TaskTold():
                return []

    def enter(self, state: RunState, name: str, *, why: str, delay_ms: int = 0) -> list[Command]:
        """Enter a state whatever leads there; its agent waits first."""
        command = self._enter(state, name, (), why)
        return [replace(command, delay_ms=delay_ms) if delay_ms and isinstance(command, StartStep) else command]

    def jump(self, state: RunState, name: str, *, why: str) -> list[Command]:
        """The same at once."""
        return self.enter(state, name, why=why)

    def has(self, name: str) -> bool:
        """Whether there is such a state."""
        return name in self._spec.states or name in self._spec.final_states

    def owns(self, state: RunState, step: StepId) -> bool:
        """Whether a step is of one of the states."""
        return self.has(state_of(step))

    def place_of(self, name: str) -> str:
        """Where work that failed in a state is done again: a gate sends it back."""
        spec = self._spec.states.get(name)
        return name if spec is None or spec.gate is None else spec.gate.back_to

    def give_up(self, state: RunState, *, why: str) -> list[Command]:
        """Nothing: no plan stands behind a machine."""
        return []

    def ask_again(self, state: RunState, *, why: str) -> list[Command]:
        """Nothing: nobody makes a machine while a run goes on."""
        return []

    def accept(self, state: RunState, payload: Json) -> list[Command]:
        """Nothing: a person names a state."""
        return []

    def stop(self, state: RunState) -> list[Command]:
        """Stop every step that runs or waits."""
        return [StopStep(step=step) for step in state.open]

    def _succeeded(self, state: RunState, name: str) -> Command:
        if name in self._spec.final_states:
            return FinishRun(status="succeeded", state=name)
        spec = self._spec.states[name]
        return self._follow(state, spec, ()) if spec.gate is None else self._judged(state, spec, spec.gate)

    def _judged(self, state: RunState, spec: FsmState, gate: Gate) -> Command:
        """Go on, back, or to a person, as the gate's answer says."""
        found = judge(gate, spec.name, state)
        if isinstance(found, ErrorInfo):
            return self._failed(state, spec.name, found)
        if found.outcome == "exhausted" and not gate.otherwise:
            return self._failed(state, spec.name, ErrorInfo("quality.below_threshold", found.why), (), found.why)
        target = {"passed": spec.on_success, "again": gate.back_to, "exhausted": gate.otherwise}[found.outcome]
        return self._enter(state, target, (), found.why)

    def _failed(
        self, state: RunState, name: str, error: ErrorInfo, via: tuple[str, ...] = (), why: str = ""
    ) -> Command:
        target = self._spec.states[name].on_error if name in self._spec.states else ""
        if not target:
            return FinishRun(status="failed", state=name, error=error, via=via, why=why)
        return self._enter(state, target, via, why or f"{error.code} in {name}")

    def _follow(self, state: RunState, spec: FsmState, via: tuple[str, ...]) -> Command:
        """Take the transition that holds in a state whose work is done."""
        for branch in spec.branches:
            verdict = self._holds(state, branch.condition)
            if isinstance(verdict, ErrorInfo):
                return self._failed(state, spec.name, verdict, via, verdict.message)
            if verdict:
                return self._enter(state, branch.target, via, branch.condition)
        if spec.condition:
            verdict = self._holds(state, spec.condition)
            if isinstance(verdict, ErrorInfo):
                return self._failed(state, spec.name, verdict, via, verdict.message)
            target = (spec.on_true if verdict else spec.on_false) or spec.on_success
            return self._enter(state, target, via, spec.condition if verdict else f"not ({spec.condition})")
        if spec.on_success:
            return self._enter(state, spec.on_success, via)
        dead_end = ErrorInfo("plan.dead_end", f"state {spec.name!r} leads nowhere and is not final")
        return FinishRun(status="failed", state=spec.name, error=dead_end, via=via)

    def _enter(self, state: RunState, name: str, via: tuple[str, ...] = (), why: str = "") -> Command:
        spec = self._spec.states.get(name)
        agent = self._agent_of(name, spec)
        visit = state.visits.get(name, 0) + 1
        if spec is not None and spec.wait_for:
            return AwaitSignal(
                step=step_id(name, visit), signal=spec.wait_for, timeout_ms=spec.timeout_ms, via=via, why=why
            )
        if agent is not None:
            if len(state.steps) >= self._max_steps:
                return FinishRun(status="failed", error=_too_many("steps", self._max_steps), via=via)
            return StartStep(step=step_id(name, visit), agent=None if agent == name else agent, via=via, why=why)
        if spec is None or name in self._spec.final_states:
            return FinishRun(status="succeeded", state=name, via=via, why=why)
        if len(via) >= MAX_DECISIONS:
            return FinishRun(status="failed", error=_too_many("decisions in a row", MAX_DECISIONS), via=via)
        return self._follow(state, spec, (*via, name))

    def _agent_of(self, name: str, spec: FsmState | None) -> AgentId | None:
        if spec is not None and spec.agent is not None:
            return spec.agent
        return AgentId(name) if name in self._agents else None

    def _holds(self, state: RunState, text: str) -> bool | ErrorInfo:
        condition = self._conditions[text]
        return condition.holds(scope(state, condition.roots))


def _too_many(what: str, limit: int) -> ErrorInfo:
    return ErrorInfo(
        "plan.too_long", f"the run reached its limit of {limit:,} {what}; look for a loop, or raise max_steps"
    )
