"""Quality gates: agents one after another, then evaluators that send the work back until it is good enough.

The machine is an ordinary one, whose gates are states with a `Gate`; here is what a gate makes of an answer. Pure.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.event import ErrorInfo
from runtime.domain.ids import AgentId, step_id
from runtime.domain.run import RunState
from runtime.domain.workflow import FsmSpec, FsmState, Gate
from runtime.planners.sequence import DONE, sequence_fsm

REVIEW = "human_review"
"""The state that waits for a person, and the signal it waits for."""
VERDICTS = ("passed", "approved", "score")
"""Keys of an evaluator's answer that say whether it is good enough."""


class Judgement(msgspec.Struct, frozen=True):
    """What follows from an evaluator's answer."""

    outcome: Literal["passed", "again", "exhausted"]
    why: str
    """For the journal: `'tone' says score: 0.42, and needs 0.7 (round 1 of 3)`."""


def feedback_fsm(
    agents: Sequence[AgentId], gates: Mapping[AgentId, Gate], *, review: Literal["never", "optional", "required"]
) -> FsmSpec:
    """The machine that runs `agents` in order, then `gates`, each of which may send the work back.

    `review`: whether a person is asked never, when a gate's rounds are used up, or also behind the last gate.
    """
    line = sequence_fsm(agents)
    done = _free(DONE, {*agents, *gates})
    asks = _free(REVIEW, {*agents, *gates, done}) if review != "never" else ""
    last = agents[-1]
    after = asks if review == "required" else done
    names: list[str] = [*gates, after]
    states: dict[str, FsmState] = {name: line.states[name] for name in agents}
    states[last] = msgspec.structs.replace(states[last], on_success=names[0])
    for (agent, gate), following in zip(gates.items(), names[1:], strict=True):
        judging = msgspec.structs.replace(gate, otherwise=asks)
        states[agent] = FsmState(name=agent, gate=judging, on_success=following)
    if asks and (gates or review == "required"):
        most = max((gate.max_rounds for gate in gates.values()), default=Gate.DEFAULT_ROUNDS)
        gate = Gate(back_to=last, max_rounds=most)
        states[asks] = FsmState(name=asks, wait_for=REVIEW, gate=gate, on_success=done)
    states[done] = FsmState(name=done)
    return FsmSpec(states=states, initial_state=agents[0], final_states=frozenset({done}))


def judge(gate: Gate, name: str, state: RunState) -> Judgement | ErrorInfo:
    """What a gate that has just answered leads to; an error where its answer says neither yes nor no."""
    verdicts = _verdicts(state.output)
    if not verdicts:
        return ErrorInfo(
            "gate.no_verdict",
            f"gate {name!r} answered with neither 'score' (a number from 0 to 1) nor 'passed' (true or false)",
        )
    said = next((key for key, value in verdicts.items() if not _is_enough(gate, value)), "")
    if not said:
        return Judgement("passed", _quote(gate, name, *next(iter(verdicts.items()))))
    lost = _lost(gate, name, state)
    outcome: Literal["again", "exhausted"] = "again" if lost < gate.max_rounds else "exhausted"
    return Judgement(outcome, f"{_quote(gate, name, said, verdicts[said])} (round {lost} of {gate.max_rounds})")


def _verdicts(output: Json) -> dict[str, bool | float]:
    """What an answer says about the work: a number, true or false, or a mapping with some of them."""
    if isinstance(output, bool | int | float):
        return {"passed" if isinstance(output, bool) else "score": output}
    if not isinstance(output, dict):
        return {}
    said = {key: output.get(key) for key in VERDICTS}
    return {key: value for key, value in said.items() if isinstance(value, bool | int | float)}


def _is_enough(gate: Gate, verdict: bool | float) -> bool:
    return verdict if isinstance(verdict, bool) else verdict >= gate.threshold


def _lost(gate: Gate, name: str, state: RunState) -> int:
    """How many rounds this gate has refused, the last answer included."""
    visits = range(1, state.visits.get(name, 0) + 1)
    answered = [step for visit in visits if (step := state.steps[step_id(name, visit)]).status == "succeeded"]
    return sum(not all(_is_enough(gate, value) for value in _verdicts(step.output).values()) for step in answered)


def _quote(gate: Gate, name: str, said: str, verdict: bool | float) -> str:
    if isinstance(verdict, bool):
        return f"{name!r} says {said}: {str(verdict).lower()}"
    needs = f"and {gate.threshold:g} is enough" if _is_enough(gate, verdict) else f"and needs {gate.threshold:g}"
    return f"{name!r} says {said}: {verdict:g}, {needs}"


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name
