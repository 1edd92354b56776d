"""Where an agent cannot answer, its fallback has the step, whatever plans the run."""

import pytest

from runtime.domain.canonical import Json
from runtime.domain.command import Command, FinishRun, StartStep
from runtime.domain.event import ErrorInfo, Event, RunStarted, StepFailed, StepSucceeded
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, LlmPlan, RetryPolicy, Workflow
from runtime.planners.lifecycle import planner_for

GONE = ErrorInfo("model.gone", "nobody answers", retryable=True)
REFUSED = ErrorInfo("egress.zone", "not allowed there")
A, B, C = map(AgentId, "abc")
AGENTS = {
    A: AgentSpec(id=A, type="llm", retry=RetryPolicy(max_attempts=2), fallback_agent=B),
    B: AgentSpec(id=B, type="llm", retry=RetryPolicy(max_attempts=3), fallback_agent=C),
    C: AgentSpec(id=C, type="llm", retry=RetryPolicy(max_attempts=1)),
}
FSM = FsmSpec(states={"a": FsmState(name="a")}, initial_state="a", final_states=frozenset({"a"}))
LLM = LlmPlan(asker=AgentSpec(id=AgentId("plan"), type="llm"), agents=tuple(AGENTS))
WORKFLOWS = {
    "fsm": Workflow(name="w", hash=DefinitionHash(""), agents=AGENTS, fsm=FSM),
    "behavior_tree": Workflow(
        name="w",
        hash=DefinitionHash(""),
        agents=AGENTS,
        planner="behavior_tree",
        tree=TreeNode(kind="sequence", children=(TreeNode(kind="action", agent=A),)),
    ),
    "llm": Workflow(name="w", hash=DefinitionHash(""), agents=AGENTS, planner="llm", llm=LLM),
}


class Drive:
    """A run in which agent `a` has its step."""

    def __init__(self, kind: str) -> None:
        self._planner = planner_for(WORKFLOWS[kind])
        self.state = RunState(run=RunId("r-1"))
        self.feed(RunStarted(workflow="w", definition=DefinitionHash(""), input={}))
        if kind == "llm":
            self.feed(StepSucceeded(step=StepId("plan"), output={"steps": ["a"]}))

    def feed(self, event: Event) -> list[Command]:
        apply(self.state, Entry(self.state.seq + 1, 0, event))
        commands = list(self._planner.decide(self.state, event))
        for command in commands:
            apply(self.state, Entry(self.state.seq + 1, 0, command))
        return commands

    def fail(self, error: ErrorInfo) -> list[Command]:
        return self.feed(StepFailed(step=StepId("a"), error=error, attempt=self.state.steps[StepId("a")].attempt))

    def answer(self, output: Json) -> list[Command]:
        return self.feed(StepSucceeded(step=StepId("a"), output=output, attempt=self.state.steps[StepId("a")].attempt))


@pytest.fixture(params=WORKFLOWS)
def drive(request: pytest.FixtureRequest) -> Drive:
    return Drive(request.param)


def test_the_fallback_answers_for_the_step(drive: Drive) -> None:
    """After the retries, with the reason in the journal, and under the step's own name."""
    (retry,) = drive.fail(GONE)
    assert isinstance(retry, StartStep)
    assert (None, 2) == (retry.agent, retry.attempt)
    taken = StartStep(step=StepId("a"), agent=B, attempt=3, why="model.gone of a: nobody answers")
    assert [taken] == drive.fail(GONE)
    drive.answer({"text": "instead"})
    step = drive.state.steps[StepId("a")]
    assert ("succeeded", B, taken.why) == (drive.state.status, step.agent, step.why)
    assert {"text": "instead"} == drive.state.output


def test_a_refusal_is_not_retried_and_is_taken_over(drive: Drive) -> None:
    (taken,) = drive.fail(REFUSED)
    assert isinstance(taken, StartStep)
    assert (B, 2) == (taken.agent, taken.attempt)


def test_a_fallback_has_attempts_of_its_own_and_a_fallback_of_its_own(drive: Drive) -> None:
    agents = []
    while not drive.state.is_final:
        (command, *_) = drive.fail(GONE)
        if isinstance(command, StartStep):
            agents.append(command.agent)
    assert [None, B, B, B, C] == agents


def test_the_step_fails_when_the_last_one_has(drive: Drive) -> None:
    while not drive.state.is_final:
        commands = drive.fail(REFUSED)
    assert isinstance(commands[-1], FinishRun)
    assert ("failed", REFUSED) == (drive.state.status, drive.state.error)
