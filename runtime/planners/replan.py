"""Replanning: what a workflow's policies do where its plan would give up, or when somebody signals from outside.

The plan inside decides first. Only a run that it would end as failed is planned anew, and each time the journal says
why: the command `plan.changed`. An agent that a rule leads to, and that is no part of the plan, acts beside it. Pure.
"""

from collections.abc import Sequence
from typing import Protocol

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, Listen, Replan, StartStep, StopStep
from runtime.domain.event import ErrorInfo, Event, RunStarted, SignalReceived, StepFailed, StepSucceeded, TimerFired
from runtime.domain.ids import AgentId, StepId, state_of, step_id
from runtime.domain.run import RunState
from runtime.domain.workflow import REVIEW, ReplanRule, Trigger, Workflow

ENDLESS = "plan.too_long"
"""The error of a run that went in circles; going on would only make it longer."""
BY_PERSON = "a person said so"


class Changeable(Protocol):
    """A plan that can be sent another way."""

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """As every planner's."""

    def has(self, name: str) -> bool:
        """Whether the plan itself can go on from a place of this name."""

    def owns(self, state: RunState, step: StepId) -> bool:
        """Whether a step that was started is the plan's; otherwise it is one that acts beside it."""

    def place_of(self, name: str) -> str:
        """Where work that failed in a place is done again."""

    def enter(self, state: RunState, name: str, *, why: str, delay_ms: int = 0) -> list[Command]:
        """Go on from where the run was, such as a state or a step; what is under way has been stopped."""

    def jump(self, state: RunState, name: str, *, why: str) -> list[Command]:
        """Go on from a place that the plan has, whatever leads there."""

    def give_up(self, state: RunState, *, why: str) -> list[Command]:
        """Go on by the simpler plan that stands behind this one; nothing where there is none."""

    def ask_again(self, state: RunState, *, why: str) -> list[Command]:
        """Have a new plan made, knowing what happened; nothing where nobody makes plans."""

    def accept(self, state: RunState, payload: Json) -> list[Command]:
        """Go by a person's own plan; nothing where it is none."""

    def stop(self, state: RunState) -> list[Command]:
        """Stop all that is under way."""


class ReplanPlanner:
    """Wraps the plan of a workflow that says how to replan."""

    def __init__(self, workflow: Workflow, plan: Changeable) -> None:
        self._workflow = workflow
        self._plan = plan
        self._signals = {rule.signal: rule for rule in workflow.replan if rule.on == "external_event"}

    def decide(self, state: RunState, event: Event) -> Sequence[Command]:
        """The commands that follow from `event`, which has been folded into `state`."""
        match event:
            case RunStarted() if self._signals:
                return [Listen(signals=tuple(self._signals)), *self._judged(state, event)]
            case SignalReceived(name=name, payload=payload) if name == REVIEW and _answered(state) == REVIEW:
                return self._reviewed(state, event, payload)
            case SignalReceived(name=name) if name in self._signals:
                return self._signalled(state, self._signals[name])
            case StepSucceeded(step=step) if (change := self._repair(state, step)) is not None:
                back = self._plan.enter(state, change.state, why=f"{state_of(step)} has answered")
                return self._or_anew(state, event, back)
            case StepSucceeded(step=step) if not self._plan.owns(state, step):
                return [FinishRun(status="succeeded")]
            case StepFailed(step=step, error=error) if not self._plan.owns(state, step):
                return self._or_anew(state, event, [FinishRun(status="failed", error=error)], _last_place(state))
        return self._judged(state, event)

    def _judged(self, state: RunState, event: Event) -> Sequence[Command]:
        return self._or_anew(state, event, self._plan.decide(state, event))

    def _or_anew(
        self, state: RunState, event: Event, commands: Sequence[Command], place: str | None = None
    ) -> Sequence[Command]:
        """The commands of the plan, or in place of failing what a rule says; nothing changes where none is left.

        `place`: where the work is done again, when that is not where it failed.
        """
        finish = commands[-1] if commands else None
        if not isinstance(finish, FinishRun) or finish.error is None or finish.error.code == ENDLESS:
            return commands
        name, agent = _where(state, event, finish)
        trigger = _trigger(finish.error)
        for rule in self._workflow.replan:
            if rule.on == trigger and rule.agent in ("", agent) and _times(state, rule) < rule.max_times:
                cause, done = f"{finish.error.code} in {name or 'the plan'}", commands[:-1]
                again = self._plan.place_of(finish.state) if place is None else place
                return [*done, *self._carried_out(state, rule, again, cause, done)]
        return commands

    def _signalled(self, state: RunState, rule: ReplanRule) -> list[Command]:
        """Stop what is under way, and go on as the rule says."""
        under_way = [step for step in state.open if state_of(step) != REVIEW]
        if not (under_way or (state.timers and not state.open)) or _times(state, rule) >= rule.max_times:
            return []
        stops = self._plan.stop(state)
        name = state_of(under_way[0]) if under_way else ""
        place = name if not name or self._plan.owns(state, under_way[0]) else _last_place(state)
        cause = f"signal {rule.signal!r} in {name or 'the plan'}"
        return [*stops, *self._carried_out(state, rule, place, cause, stops)]

    def _carried_out(
        self, state: RunState, rule: ReplanRule, place: str, cause: str, done: Sequence[Command]
    ) -> list[Command]:
        """What a rule says; `done`: the commands of this decision so far."""
        times = _times(state, rule) + 1
        why = f"{cause}: {rule.strategy} ({times} of {rule.max_times})"
        change = Replan(trigger=rule.on, strategy=rule.strategy, state=place, to=rule.to, why=why)
        match rule.strategy:
            case "conservative":
                delay_ms = rule.backoff_ms * 2 ** (times - 1)
                return [change, *self._plan.enter(state, place, why=why, delay_ms=delay_ms)]
            case "adaptive" if not rule.to:
                return [change, *self._plan.ask_again(state, why=why)]
            case "escalation" if not rule.to:
                return [change, *self._plan.give_up(state, why=why)]
            case "adaptive" | "escalation":
                return [change, *self._go_to(state, rule.to, why, done)]
            case "human_in_loop":
                visit = state.visits.get(REVIEW, 0) + 1
                wait = AwaitSignal(step=step_id(REVIEW, visit), signal=REVIEW, why=why)
                return [change, wait]

    def _go_to(self, state: RunState, name: str, why: str, done: Sequence[Command] = ()) -> list[Command]:
        """Enter a place of the plan, or have an agent act beside it."""
        if self._plan.has(name):
            return self._plan.jump(state, name, why=why)
        if len(state.steps) >= self._workflow.max_steps:
            limit = f"the run reached its limit of {self._workflow.max_steps:,} steps; raise max_steps"
            return [FinishRun(status="failed", error=ErrorInfo(ENDLESS, limit))]
        begun = sum(isinstance(command, StartStep) and state_of(command.step) == name for command in done)
        return [StartStep(step=step_id(name, state.visits.get(name, 0) + begun + 1), why=why)]

    def _repair(self, state: RunState, step: StepId) -> Replan | None:
        """The adaptive change whose step this is, once it has been done."""
        change = state.replans[-1] if state.replans else None
        if change is None or change.strategy != "adaptive" or not change.to or state.steps[step].why != change.why:
            return None
        return change

    def _reviewed(self, state: RunState, event: Event, payload: Json) -> Sequence[Command]:
        """Go on as a person says: `{"retry": true}`, `{"to": PLACE}`, a plan; ask again for a place that there is
        not; anything else ends the run."""
        assert state.replans, "a person is asked by a change"
        change = state.replans[-1]
        said = payload if isinstance(payload, dict) else {}
        target = said.get("to")
        if target is None and said.get("retry") is True:
            return self._or_anew(state, event, self._plan.enter(state, change.state, why=BY_PERSON))
        if isinstance(target, str) and self._can_go_to(target):
            return self._go_to(state, target, BY_PERSON)
        if accepted := self._plan.accept(state, payload):
            return accepted
        if isinstance(target, str):  # a slip of the pen ends no run
            visit = state.visits.get(REVIEW, 0) + 1
            why = f"there is no {target!r} to go to after {change.why}"
            return [AwaitSignal(step=step_id(REVIEW, visit), signal=REVIEW, why=why)]
        error = ErrorInfo("replan.refused", f"a person did not let the run go on after {change.why}")
        return [FinishRun(status="failed", state=change.state, error=error)]

    def _can_go_to(self, name: str) -> bool:
        beside = self._workflow.planner != "fsm" and AgentId(name) in self._workflow.agents
        return beside or self._plan.has(name)


def stopping(state: RunState) -> list[Command]:
    """Stop every step that runs or waits."""
    return [StopStep(step=step) for step in state.open]


def _answered(state: RunState) -> str:
    """The state that answered last."""
    return "" if state.last is None else state_of(state.last)


def _last_place(state: RunState) -> str:
    return state.replans[-1].state if state.replans else ""


def _where(state: RunState, event: Event, finish: FinishRun) -> tuple[str, str]:
    """Where a plan gives up, for people, and the agent that it is for."""
    name = finish.state
    if name:
        visit = state.steps.get(step_id(name, state.visits.get(name, 1)))
        return name, name if visit is None or visit.agent is None else visit.agent
    if isinstance(event, StepFailed):
        name = state_of(event.step)
        return name, state.steps[event.step].agent or name
    if isinstance(event, TimerFired) and event.timer in state.steps:
        return state_of(StepId(event.timer)), ""
    return "", ""


def _trigger(error: ErrorInfo) -> Trigger:
    if error.code.startswith("budget."):
        return "budget_exceeded"
    return "quality_below_threshold" if error.code.startswith("quality.") else "agent_failure"


def _times(state: RunState, rule: ReplanRule) -> int:
    made = [(each.trigger, each.strategy, each.to) for each in state.replans or ()]
    return made.count((rule.on, rule.strategy, rule.to))
