"""The machine takes the transition that its definition names, and says why."""

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, SetTimer, StartStep, StopStep
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
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.workflow import AgentSpec, Branch, FsmSpec, FsmState, RetryPolicy, Workflow
from runtime.planners.lifecycle import backoff_ms, planner_for
from runtime.ports import Planner


def workflow(*states: FsmState, final: tuple[str, ...] = ("done",), timeout_ms: int = 0, **agent: object) -> Workflow:
    """A workflow whose states `a`, `b` and `c` have agents of their own names."""
    agents = {AgentId(name): AgentSpec(id=AgentId(name), type="llm", **agent) for name in "abc"}  # type: ignore[arg-type]
    fsm = FsmSpec(
        states={state.name: state for state in states}, initial_state=states[0].name, final_states=frozenset(final)
    )
    return Workflow(name="w", hash=DefinitionHash("sha256:0"), agents=agents, fsm=fsm, timeout_ms=timeout_ms)


class Drive:
    """Feeds events to a planner and keeps the state folded."""

    def __init__(self, definition: Workflow, given: Json = None) -> None:
        self.planner: Planner = planner_for(definition)
        self.state = RunState(run=RunId("r-1"))
        self.first = self.feed(RunStarted(workflow="w", definition=definition.hash, input=given))

    def feed(self, event: Event) -> list[Command]:
        apply(self.state, Entry(self.state.seq + 1, self.state.seq * 1_000, event))
        commands = list(self.planner.decide(self.state, event))
        for command in commands:
            apply(self.state, Entry(self.state.seq + 1, self.state.at_us, command))
        return commands

    def succeed(self, step: str, output: Json = None) -> list[Command]:
        return self.feed(
            StepSucceeded(step=StepId(step), output=output, attempt=self.state.steps[StepId(step)].attempt)
        )

    def fail(self, step: str, *, retryable: bool = False) -> list[Command]:
        error = ErrorInfo("x.y", "it broke", retryable)
        return self.feed(StepFailed(step=StepId(step), error=error, attempt=self.state.steps[StepId(step)].attempt))


def test_success_follows_on_success_to_the_final_state() -> None:
    drive = Drive(workflow(FsmState(name="a", on_success="b"), FsmState(name="b", on_success="done")))
    assert [StartStep(step=StepId("a"))] == drive.first
    assert [StartStep(step=StepId("b"))] == drive.succeed("a", 1)
    assert [FinishRun(status="succeeded", state="done")] == drive.succeed("b", 2)
    assert drive.state.status == "succeeded"
    assert drive.state.path == ["a", "b", "done"]
    assert drive.state.output == 2


def test_conditional_transitions_come_first_and_say_why() -> None:
    low = Branch("response.confidence < 0.7", "c")
    drive = Drive(
        workflow(FsmState(name="a", on_success="done", branches=(low,)), FsmState(name="c", on_success="done"))
    )
    assert [StartStep(step=StepId("c"), why="response.confidence < 0.7")] == drive.succeed("a", {"confidence": 0.5})


def test_states_that_only_decide_cost_no_entry_but_stand_in_the_path() -> None:
    choose = FsmState(name="choose", condition="a.score > 1", on_true="b", on_false="done")
    drive = Drive(workflow(FsmState(name="a", on_success="choose"), choose, FsmState(name="b", on_success="done")))
    assert [StartStep(step=StepId("b"), via=("choose",), why="a.score > 1")] == drive.succeed("a", {"score": 2})
    assert drive.state.path == ["a", "choose", "b"]


def test_a_condition_that_errs_takes_the_error_path_and_says_why() -> None:
    state = FsmState(name="a", condition="response.missing > 1", on_true="done", on_false="done", on_error="c")
    drive = Drive(workflow(state, FsmState(name="c", on_success="done")))
    (command,) = drive.succeed("a", {})
    assert isinstance(command, StartStep)
    assert command.step == "c"
    assert "missing" in command.why


def test_failure_without_on_error_fails_the_run_with_its_first_cause() -> None:
    drive = Drive(workflow(FsmState(name="a", on_success="done")))
    assert [FinishRun(status="failed", state="a", error=ErrorInfo("x.y", "it broke"))] == drive.fail("a")


def test_a_retryable_failure_is_tried_again_with_back_off_until_attempts_end() -> None:
    policy = RetryPolicy(max_attempts=2, initial_ms=100, jitter_ratio=0)
    drive = Drive(
        workflow(
            FsmState(name="a", on_success="done", on_error="c"), FsmState(name="c", on_success="done"), retry=policy
        )
    )
    assert [StartStep(step=StepId("a"), attempt=2, delay_ms=100)] == drive.fail("a", retryable=True)
    assert [StartStep(step=StepId("c"), why="x.y in a")] == drive.fail("a", retryable=True)


def test_back_off_grows_is_capped_and_varies_with_the_names_only() -> None:
    policy = RetryPolicy(max_attempts=9, initial_ms=100, max_ms=1_000)
    delays = [backoff_ms(policy, RunId("r-1"), StepId("a"), attempt) for attempt in range(1, 9)]
    assert delays == [backoff_ms(policy, RunId("r-1"), StepId("a"), attempt) for attempt in range(1, 9)]
    assert all(80 * 2**n <= delay <= 120 * 2**n for n, delay in enumerate(delays[:3]))
    assert all(800 <= delay <= 1_200 for delay in delays[4:])
    assert backoff_ms(policy, RunId("r-1"), StepId("a"), 1) != backoff_ms(policy, RunId("r-2"), StepId("a"), 1)


def test_a_second_visit_is_a_step_of_its_own() -> None:
    again = FsmState(name="a", condition="response == 'again'", on_true="a", on_false="done")
    drive = Drive(workflow(again))
    assert [StartStep(step=StepId("a~2"), why="response == 'again'")] == drive.succeed("a", "again")
    drive.succeed("a~2", "enough")
    assert drive.state.path == ["a", "a", "done"]


def test_a_waiting_state_goes_on_with_the_signal_or_takes_the_error_path_in_time() -> None:
    wait = FsmState(name="ask", wait_for="answer", timeout_ms=5_000, on_success="done", on_error="c")
    definition = workflow(wait, FsmState(name="c", on_success="done"))
    drive = Drive(definition)
    assert [AwaitSignal(step=StepId("ask"), signal="answer", timeout_ms=5_000)] == drive.first
    assert drive.state.status == "waiting"
    assert [FinishRun(status="succeeded", state="done")] == drive.feed(SignalReceived(name="answer", payload={"ok": 1}))
    assert drive.state.output == {"ok": 1}
    late = Drive(definition)
    assert [StopStep(step=StepId("ask")), StartStep(step=StepId("c"), why="wait.timeout in ask")] == late.feed(
        TimerFired(timer="ask")
    )


def test_cancel_and_the_run_timer_stop_what_is_open() -> None:
    definition = workflow(FsmState(name="a", on_success="done"), timeout_ms=2_000)
    drive = Drive(definition)
    assert [SetTimer(timer="run", delay_ms=2_000), StartStep(step=StepId("a"))] == drive.first
    stop, finish = drive.feed(TimerFired(timer="run"))
    assert stop == StopStep(step=StepId("a"))
    assert isinstance(finish, FinishRun)
    assert finish.status == "failed"
    cancelled = Drive(definition)
    assert [StopStep(step=StepId("a"))] == cancelled.feed(CancelRequested(reason="enough"))[:1]
    assert cancelled.state.status == "cancelled"


def test_loops_end_at_the_limit_of_steps() -> None:
    forever = FsmState(name="a", condition="true", on_true="a", on_false="done")
    drive = Drive(msgspec.structs.replace(workflow(forever), max_steps=3))
    for step in ("a", "a~2", "a~3"):
        drive.succeed(step)
    assert drive.state.status == "failed"
    assert drive.state.error is not None
    assert drive.state.error.code == "plan.too_long"


def test_states_that_only_decide_in_a_circle_end_the_run() -> None:
    ping = FsmState(name="ping", condition="true", on_true="pong", on_false="done")
    pong = FsmState(name="pong", condition="true", on_true="ping", on_false="done")
    drive = Drive(workflow(ping, pong))
    assert drive.state.status == "failed"


@pytest.mark.parametrize("kind", ["behavior_tree", "llm"])
def test_planners_of_later_versions_are_refused_by_name(kind: str) -> None:
    with pytest.raises(Exception, match=kind):
        planner_for(msgspec.structs.replace(workflow(FsmState(name="a")), planner=kind))
