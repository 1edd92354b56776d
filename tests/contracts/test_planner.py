"""What every Planner promises: it decides alike, changes nothing, and brings every run to an end."""

import copy

import msgspec
import pytest

from runtime.domain.command import Command, FinishRun, StartStep
from runtime.domain.event import CancelRequested, ErrorInfo, Event, RunStarted, StepFailed, StepSucceeded
from runtime.domain.ids import AgentId, DefinitionHash, RunId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, LlmPlan, RetryPolicy, Workflow
from runtime.planners.lifecycle import planner_for
from runtime.planners.sequence import sequence_fsm
from runtime.ports import Planner

AGENTS = {
    AgentId(name): AgentSpec(id=AgentId(name), type="llm", retry=RetryPolicy(max_attempts=2)) for name in ("a", "b")
}
FSM = FsmSpec(
    states={
        "a": FsmState(name="a", condition="response.n > 1", on_true="b", on_false="done", on_error="b"),
        "b": FsmState(name="b", on_success="done"),
    },
    initial_state="a",
    final_states=frozenset({"done"}),
)


TREE = TreeNode(
    kind="sequence",
    children=(
        TreeNode(kind="retry_until_successful", children=(TreeNode(kind="action", agent=AgentId("a")),), limit=2),
        TreeNode(kind="condition", check="response.n > 1"),
        TreeNode(kind="action", agent=AgentId("b")),
    ),
)

LLM = LlmPlan(asker=AgentSpec(id=AgentId("plan"), type="llm"), agents=tuple(AGENTS), fallback=FSM)


@pytest.fixture(params=["fsm", "sequential", "behavior_tree", "llm"])
def workflow(request: pytest.FixtureRequest) -> Workflow:
    if request.param == "behavior_tree":
        return Workflow(name="w", hash=DefinitionHash("sha256:1"), agents=AGENTS, planner="behavior_tree", tree=TREE)
    if request.param == "llm":
        return Workflow(name="w", hash=DefinitionHash("sha256:1"), agents=AGENTS, planner="llm", llm=LLM)
    fsm = FSM if request.param == "fsm" else sequence_fsm(list(AGENTS))
    return Workflow(name="w", hash=DefinitionHash("sha256:1"), agents=AGENTS, fsm=fsm)


@pytest.fixture
def planner(workflow: Workflow) -> Planner:
    return planner_for(workflow)


STARTED = RunStarted(workflow="w", definition=DefinitionHash("sha256:1"), input={})


def feed(planner: Planner, state: RunState, event: Event) -> list[Command]:
    apply(state, Entry(state.seq + 1, 0, event))
    commands = list(planner.decide(state, event))
    for command in commands:
        apply(state, Entry(state.seq + 1, 0, command))
    return commands


def answer(state: RunState, *, fails: bool = False) -> Event:
    step = next(iter(state.open))
    attempt = state.steps[step].attempt
    if fails:
        return StepFailed(step=step, attempt=attempt, error=ErrorInfo("x.y", "broken", retryable=True))
    return StepSucceeded(step=step, attempt=attempt, output={"n": 2})


def test_equal_states_and_events_give_equal_commands_and_nothing_changes(planner: Planner, workflow: Workflow) -> None:
    state = RunState(run=RunId("r-1"))
    feed(planner, state, STARTED)
    event = answer(state)
    apply(state, Entry(state.seq + 1, 0, event))
    before = copy.deepcopy(msgspec.to_builtins(state))
    first = list(planner.decide(state, event))
    assert first == list(planner.decide(state, event)) == list(planner_for(workflow).decide(state, event))
    assert msgspec.to_builtins(state) == before


def test_a_run_starts_with_a_step_and_succeeds(planner: Planner) -> None:
    state = RunState(run=RunId("r-1"))
    assert any(isinstance(command, StartStep) for command in feed(planner, state, STARTED))
    while not state.is_final:
        feed(planner, state, answer(state))
    assert state.status == "succeeded"


def test_failures_that_go_on_end_the_run(planner: Planner) -> None:
    state = RunState(run=RunId("r-1"))
    feed(planner, state, STARTED)
    for _ in range(10):
        if not state.is_final:
            feed(planner, state, answer(state, fails=True))
    assert state.status == "failed"
    assert state.error is not None


def test_cancelling_stops_what_is_open_and_is_the_end(planner: Planner) -> None:
    state = RunState(run=RunId("r-1"))
    feed(planner, state, STARTED)
    commands = feed(planner, state, CancelRequested(reason="enough"))
    assert isinstance(commands[-1], FinishRun)
    assert state.status == "cancelled"
    assert not state.open
