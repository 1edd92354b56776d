"""CPU of one transition of the state machine, nothing stored and no agent run."""

import gc
import time

from runtime.domain.event import Event, RunStarted, StepSucceeded
from runtime.domain.ids import AgentId, DefinitionHash, RunId, step_id
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, Workflow
from runtime.planners.lifecycle import planner_for
from runtime.ports import Planner

VISITS = 2_000
ROUNDS = 7


def transition_cpu_us(*, condition: str) -> float:
    """Best mean over rounds of: fold the answer of a step, decide, fold what was decided."""
    planner = planner_for(_loop(condition))
    return min(_round(planner) for _ in range(ROUNDS))


def _round(planner: Planner) -> float:
    state = RunState(run=RunId("r-bench"))
    _feed(state, planner, RunStarted(workflow="bench", definition=DefinitionHash(""), input=None))
    answers = [
        StepSucceeded(step=step_id("ab"[visit % 2], visit // 2 + 1), output={"n": visit}) for visit in range(VISITS)
    ]
    gc.collect()
    began = time.thread_time_ns()
    for answer in answers:
        _feed(state, planner, answer)
    return (time.thread_time_ns() - began) / VISITS / 1_000


def _feed(state: RunState, planner: Planner, event: Event) -> None:
    apply(state, Entry(state.seq + 1, 0, event))
    for command in planner.decide(state, event):
        apply(state, Entry(state.seq + 1, 0, command))


def _loop(condition: str) -> Workflow:
    """Two states that lead to each other, by `on_success` or by a condition that holds."""
    states = {
        name: FsmState(name=name, condition=condition, on_true=other, on_false="done")
        if condition
        else FsmState(name=name, on_success=other)
        for name, other in (("a", "b"), ("b", "a"))
    }
    agents = {AgentId(name): AgentSpec(id=AgentId(name), type="bench") for name in states}
    fsm = FsmSpec(states=states, initial_state="a", final_states=frozenset({"done"}))
    return Workflow(name="bench", hash=DefinitionHash(""), agents=agents, fsm=fsm, max_steps=VISITS + 2)
