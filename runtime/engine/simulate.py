"""Simulation: the planner alone, fed with scripted results instead of agents.

No agent, model or store is touched; equal arguments give equal entries, ids and times included.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from runtime.domain.canonical import Json, kept
from runtime.domain.command import RUN_TIMER, TREE_AGAIN, TREE_TIMERS, Command
from runtime.domain.event import ErrorInfo, Event, RunStarted, SignalReceived, StepFailed, StepSucceeded, TimerFired
from runtime.domain.human import step_of
from runtime.domain.ids import StepId, state_of
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, StepState, apply
from runtime.domain.workflow import Workflow
from runtime.engine.clock import ManualClock
from runtime.errors import Invalid
from runtime.planners.lifecycle import planner_for
from runtime.ports import Planner

MAX_EVENTS = 10_000
"""Events of one simulation; signals that lead back to their own wait would go on for ever."""


class Succeeds(msgspec.Struct, frozen=True):
    """The step's agent answers, or somebody signals with this payload."""

    output: Json


class Fails(msgspec.Struct, frozen=True):
    """The step's agent fails; a step that waits is not answered in time."""

    error: ErrorInfo


Outcome: TypeAlias = Succeeds | Fails
Script: TypeAlias = Mapping[str, Sequence[Outcome]]
"""State → what its visits and retries come to, in order; the last one repeats."""

SUCCESS = Succeeds({})
"""What a state comes to that the script does not name; of a task for people, the first of its decisions."""
PASSES = Succeeds({"passed": True})
"""What that is at a quality gate."""
FAILURE = Fails(ErrorInfo("simulated.failure", "scripted failure"))
LETTERS: Mapping[str, Outcome] = {"S": SUCCESS, "F": FAILURE}


class Beat(msgspec.Struct, frozen=True):
    """One event, and the commands that were decided on it."""

    seq: int
    at_us: int
    event: Event
    commands: tuple[Command, ...]


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner did."""

    beats: tuple[Beat, ...]
    state: RunState
    unused: tuple[str, ...]
    """States of the script that were never entered."""


def simulate(workflow: Workflow, input: Json, script: Script) -> Simulation:  # `input`: its name in every format
    """Plan a run of `workflow` whose steps come to what `script` says, until it is final or waits for nobody.

    Steps take no time; back-offs and time limits pass on a clock that is moved by hand. Raises Unavailable for a
    planner that this build does not run, Invalid for more than 10,000 events.
    """
    stage = _Stage(workflow)
    stage.play(RunStarted(workflow=workflow.name, definition=workflow.hash, input=kept(input)[0]))
    for event in stage.coming(script):
        stage.play(event)
    entered = set(stage.state.path)
    unused = tuple(sorted(name for name in script if name not in entered))
    return Simulation(beats=tuple(stage.beats), state=stage.state, unused=unused)


def script_of(document: Json) -> dict[str, list[Outcome]]:
    """Read {state: outcome | [outcome, …]}. Raises Invalid, naming the state.

    An outcome is `S` (succeeds with {}), `F` (fails for good), a row of these letters, {output: …},
    {error: {code, message, retryable}} or {signal: payload}.
    """
    if not isinstance(document, dict):
        raise Invalid("outcomes.not_a_mapping", "outcomes must be a mapping from state to outcome, such as answer: SF")
    return {
        state: [outcome for item in _listed(given) for outcome in _outcomes(state, item)]
        for state, given in document.items()
    }


class _Stage:
    """The state, the planner and the clock of one simulation."""

    def __init__(self, workflow: Workflow) -> None:
        self._planner: Planner = planner_for(workflow)
        states = {} if workflow.fsm is None else workflow.fsm.states
        self._gates = frozenset(name for name, state in states.items() if state.gate is not None)
        self._clock = ManualClock()
        self.state = RunState(run=self._clock.new_run_id())
        self.beats: list[Beat] = []

    def play(self, event: Event) -> None:
        """Fold the event, decide on it, fold the commands."""
        at_us = self._clock.now_us()
        seq = self.state.seq + 1
        apply(self.state, Entry(seq, at_us, event))
        commands = tuple(self._planner.decide(self.state, event))
        for number, command in enumerate(commands, start=seq + 1):
            apply(self.state, Entry(number, at_us, command))
        self.beats.append(Beat(seq, at_us, event, commands))

    def coming(self, script: Script) -> Iterator[Event]:
        """The events that follow from the script, one at a time, as long as there are any."""
        turns: dict[str, int] = {}
        while not self.state.is_final:
            if len(self.beats) >= MAX_EVENTS:
                raise Invalid("simulation.endless", f"still going after {MAX_EVENTS:,} events; look for a loop")
            event = self._next(lambda state: self._judged(state, _turn(script, turns, state)))
            if event is None:
                return
            yield event

    def _judged(self, state: str, outcome: Outcome) -> Outcome:
        """Plain success of a quality gate is that it passes."""
        return PASSES if outcome is SUCCESS and state in self._gates else outcome

    def _next(self, take: Callable[[str], Outcome]) -> Event | None:
        """What happens first: a step that is due, or a timer; None when all there is waits without end."""
        steps = [(self.state.steps[step].due_us, step) for step in self.state.open]
        due_us, first = min(steps, default=(0, StepId("")))
        # those of a step that waits are looked at when it is that step's turn
        limits = {timer: at_us for timer, at_us in self.state.timers.items() if _is_of_plan(timer)}
        limit = min(limits, key=lambda timer: limits[timer], default="")
        if limit and (not first or limits[limit] < due_us):
            self._move_to(limits[limit])
            return TimerFired(timer=limit)
        for due_us, step in sorted(steps):
            self._move_to(due_us)
            event = self._comes_to(self.state.steps[step], take(state_of(step)))
            if event is not None:  # else nobody answers this one, and it waits while others go on
                return event
        return None

    def _comes_to(self, step: StepState, outcome: Outcome) -> Event | None:
        match outcome:
            case Succeeds(output=output) if step.status == "waiting":
                if step.task and outcome is SUCCESS:
                    output = {"decision": step.task.terms.decisions[0]}
                return SignalReceived(name=step.signal, payload=output)
            case Succeeds(output=output):
                return StepSucceeded(step=step.step, output=output, attempt=step.attempt)
            case Fails() if step.status == "waiting":
                return self._let_wait(step)
            case Fails(error=error):
                return StepFailed(step=step.step, error=error, attempt=step.attempt)

    def _let_wait(self, step: StepState) -> Event | None:
        timers = {name: due_us for name, due_us in self.state.timers.items() if _is_of(step.step, name)}
        if not timers:
            return None
        timer = min(timers, key=lambda name: timers[name])
        self._move_to(timers[timer])
        return TimerFired(timer=timer)

    def _move_to(self, at_us: int) -> None:
        self._clock.advance(max(0, at_us - self._clock.now_us()) / 1e6)


def _is_of(step: str, timer: str) -> bool:
    """Whether a timer moves a step that waits, or the plan."""
    return step in (timer, step_of(timer)) or _is_of_plan(timer)


def _is_of_plan(timer: str) -> bool:
    return timer == RUN_TIMER or timer.startswith((TREE_TIMERS, TREE_AGAIN))


def _turn(script: Script, turns: dict[str, int], state: str) -> Outcome:
    outcomes = script.get(state) or (SUCCESS,)
    turn = turns.get(state, 0)
    turns[state] = turn + 1
    return outcomes[min(turn, len(outcomes) - 1)]


def _listed(given: Json) -> Sequence[Json]:
    return given if isinstance(given, list) else [given]


def _outcomes(state: str, item: Json) -> Iterator[Outcome]:
    match item:
        case str() if item and set(item) <= set(LETTERS):
            yield from (LETTERS[letter] for letter in item)
        case {"output": output, **rest} if not rest:
            yield Succeeds(kept(output)[0])
        case {"signal": payload, **rest} if not rest:
            yield Succeeds(kept(payload)[0])
        case {"error": dict() as error, **rest} if not rest:
            yield Fails(_error(state, error))
        case _:
            raise Invalid(
                "outcomes.unknown",
                f"state {state!r} has outcome {item!r}; expected S, F, a row of these letters, output: …, "
                "error: {code, message, retryable} or signal: …",
            )


def _error(state: str, error: Mapping[str, Json]) -> ErrorInfo:
    given = {"code": FAILURE.error.code, "message": FAILURE.error.message} | dict(error)
    try:
        return msgspec.convert(given, _ScriptedError).info()
    except msgspec.ValidationError as reason:
        raise Invalid("outcomes.error", f"state {state!r} has an error that can't be read: {reason}") from None


class _ScriptedError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    message: str
    retryable: bool = False

    def info(self) -> ErrorInfo:
        return ErrorInfo(self.code, self.message, self.retryable)
