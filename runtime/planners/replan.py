"""Replanning: what a workflow's policies do where its plan would give up, or when somebody signals from outside.

The plan inside decides first. Only a run that it would end as failed is planned anew, and each time the journal says
why: the command `plan.changed`. Pure.
"""

from collections.abc import Sequence

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, Listen, Replan, StartStep, StopStep
from runtime.domain.event import ErrorInfo, Event, RunStarted, SignalReceived, StepSucceeded
from runtime.domain.ids import AgentId, StepId, state_of, step_id
from runtime.domain.run import RunState
from runtime.domain.workflow import REVIEW, ReplanRule, Trigger, Workflow
from runtime.planners.fsm import FsmPlanner


class ReplanPlanner:
    """Wraps the machine of a workflow that says how to replan."""

    def __init__(self, workflow: Workflow, plan: FsmPlanner) -> None:
        self._workflow = workflow
        self._plan = plan
        self._signals = {rule.signal: rule for rule in workflow.replan if rule.on == "external_event"}

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has been folded into `state`."""
        match event:
            case RunStarted() if self._signals:
                return [Listen(signals=tuple(self._signals)), *self._plan.decide(state, event)]
            case SignalReceived(name=name, payload=payload) if name == REVIEW and _answered(state) == REVIEW:
                return self._reviewed(state, payload)
            case SignalReceived(name=name) if name in self._signals:
                return self._signalled(state, self._signals[name])
            case StepSucceeded(step=step) if (back := self._repaired(state, step)) is not None:
                return [back]
        commands = self._plan.decide(state, event)
        finish = commands[-1] if commands else None
        if not isinstance(finish, FinishRun) or finish.error is None or not finish.state:
            return commands
        return self._replanned(state, finish.state, finish.error) or commands

    def _replanned(self, state: RunState, name: str, error: ErrorInfo) -> list[Command]:
        """What to do in place of failing in a state; nothing where no rule has anything left."""
        trigger = _trigger(error)
        visit = state.steps.get(step_id(name, state.visits.get(name, 1)))
        agent = AgentId(name) if visit is None or visit.agent is None else visit.agent
        for rule in self._workflow.replan:
            if rule.on == trigger and rule.agent in ("", agent) and _times(state, rule) < rule.max_times:
                return self._carried_out(state, rule, self._again(name), f"{error.code} in {name}")
        return []

    def _signalled(self, state: RunState, rule: ReplanRule) -> list[Command]:
        """Stop what is under way, and go on as the rule says."""
        under_way = [step for step in state.open if state_of(step) != REVIEW]
        if not under_way or _times(state, rule) >= rule.max_times:
            return []
        stops: list[Command] = [StopStep(step=step) for step in state.open]
        name = state_of(under_way[0])
        return [*stops, *self._carried_out(state, rule, name, f"signal {rule.signal!r} in {name}")]

    def _carried_out(self, state: RunState, rule: ReplanRule, name: str, cause: str) -> list[Command]:
        times = _times(state, rule) + 1
        why = f"{cause}: {rule.strategy} ({times} of {rule.max_times})"
        change = Replan(trigger=rule.on, strategy=rule.strategy, state=name, to=rule.to, why=why)
        match rule.strategy:
            case "conservative":
                delay_ms = rule.backoff_ms * 2 ** (times - 1)
                return [change, _delayed(self._plan.enter(state, name, why=why), delay_ms)]
            case "adaptive" | "escalation":
                return [change, self._plan.enter(state, rule.to, why=why)]
            case "human_in_loop":
                visit = state.visits.get(REVIEW, 0) + 1
                wait = AwaitSignal(step=step_id(REVIEW, visit), signal=REVIEW, why=why)
                return [change, wait]

    def _repaired(self, state: RunState, step: StepId) -> Command | None:
        """Back to the state that failed, once an adaptive change has done its step."""
        change = state.replans[-1] if state.replans else None
        if change is None or change.strategy != "adaptive" or state.steps[step].why != change.why:
            return None
        return self._plan.enter(state, change.state, why=f"{state_of(step)} has answered")

    def _reviewed(self, state: RunState, payload: Json) -> list[Command]:
        """Go on as a person says: `{"retry": true}`, `{"to": STATE}`; anything else ends the run."""
        assert state.replans, "a person is asked by a change"
        said = payload if isinstance(payload, dict) else {}
        target = said.get("to", state.replans[-1].state if said.get("retry") is True else None)
        if isinstance(target, str) and self._plan.has(target):
            return [self._plan.enter(state, target, why="a person said so")]
        error = ErrorInfo("replan.refused", f"a person did not let the run go on after {state.replans[-1].why}")
        return [FinishRun(status="failed", state=state.replans[-1].state, error=error)]

    def _again(self, name: str) -> str:
        """Where work that failed in a state is done again: a gate sends it back."""
        spec = self._workflow.fsm.states.get(name) if self._workflow.fsm else None
        return name if spec is None or spec.gate is None else spec.gate.back_to


def _answered(state: RunState) -> str:
    """The state that answered last."""
    return "" if state.last is None else state_of(state.last)


def _trigger(error: ErrorInfo) -> Trigger:
    if error.code.startswith("budget."):
        return "budget_exceeded"
    return "quality_below_threshold" if error.code == "quality.below_threshold" else "agent_failure"


def _times(state: RunState, rule: ReplanRule) -> int:
    made = [(each.trigger, each.strategy, each.to) for each in state.replans or ()]
    return made.count((rule.on, rule.strategy, rule.to))


def _delayed(command: Command, delay_ms: int) -> Command:
    return msgspec.structs.replace(command, delay_ms=delay_ms) if isinstance(command, StartStep) else command
