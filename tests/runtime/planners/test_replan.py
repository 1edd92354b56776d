"""Where a plan would give up, policies say how it goes on, so often, and the journal says why."""

import pytest

from runtime.domain.command import AwaitSignal, Command, FinishRun, Listen, Replan, StartStep, StopStep
from runtime.domain.event import ErrorInfo, SignalReceived, StepFailed
from runtime.domain.ids import AgentId, DefinitionHash, StepId
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, Gate, ReplanRule, RetryPolicy, Workflow
from tests.runtime.planners.test_fsm import Drive


def drive(*rules: ReplanRule) -> Drive:
    """`a`, then `b`, which a gate `c` judges once; `d` stands apart, and ends the run."""
    states = {
        "a": FsmState(name="a", on_success="b"),
        "b": FsmState(name="b", on_success="c"),
        "c": FsmState(name="c", gate=Gate(back_to="b", max_rounds=1), on_success="done"),
        "d": FsmState(name="d"),
    }
    agents = {
        AgentId(name): AgentSpec(id=AgentId(name), type="llm", retry=RetryPolicy(max_attempts=1)) for name in "abcd"
    }
    fsm = FsmSpec(states=states, initial_state="a", final_states=frozenset({"done", "d"}))
    return Drive(Workflow(name="w", hash=DefinitionHash("sha256:0"), agents=agents, fsm=fsm, replan=rules))


def fail(driven: Drive, step: str, code: str = "x.y") -> list[Command]:
    return driven.feed(StepFailed(step=StepId(step), error=ErrorInfo(code, "it broke")))


def rule(on: str = "agent_failure", strategy: str = "conservative", **more: object) -> ReplanRule:
    return ReplanRule(on=on, strategy=strategy, **more)  # type: ignore[arg-type]  # as the tests name them


def test_conservative_tries_the_same_again_with_back_off_and_then_gives_up() -> None:
    """A visit of its own each time, twice as late."""
    driven = drive(rule(max_times=2, backoff_ms=500))
    first = "x.y in a: conservative (1 of 2)"
    assert [
        Replan(trigger="agent_failure", strategy="conservative", state="a", why=first),
        StartStep(step=StepId("a~2"), delay_ms=500, why=first),
    ] == fail(driven, "a")
    second = fail(driven, "a~2")[1]
    assert isinstance(second, StartStep)
    assert ("a~3", 1_000) == (second.step, second.delay_ms)
    assert [FinishRun] == [type(command) for command in fail(driven, "a~3")]


def test_adaptive_enters_another_state_and_comes_back() -> None:
    """The step in between repairs; whatever it answers, the state that failed is tried again."""
    driven = drive(rule(strategy="adaptive", to="d"))
    change, start = fail(driven, "a")
    assert isinstance(change, Replan)
    assert isinstance(start, StartStep)
    assert ("a", "d", "d") == (change.state, change.to, start.step)
    assert [StartStep(step=StepId("a~2"), why="d has answered")] == driven.succeed("d")
    assert [StartStep(step=StepId("b"))] == driven.succeed("a~2")


def test_escalation_enters_another_state_and_goes_on_from_there() -> None:
    """A simpler way to the end."""
    driven = drive(rule(strategy="escalation", to="d"))
    fail(driven, "a")
    assert [FinishRun(status="succeeded", state="d")] == driven.succeed("d")


def test_rules_are_for_their_trigger_and_their_agent() -> None:
    """The first that fits and has something left."""
    driven = drive(
        rule(agent="b", strategy="escalation", to="d"),
        rule("budget_exceeded", "human_in_loop"),
        rule(max_times=1),
    )
    assert "conservative" == _change(fail(driven, "a")).strategy
    assert "human_in_loop" == _change(fail(driven, "a~2", "budget.exceeded")).strategy


def test_work_below_quality_is_done_again_where_the_gate_sends_it() -> None:
    """The gate would only say the same again."""
    driven = drive(rule("quality_below_threshold"))
    driven.succeed("a")
    driven.succeed("b")
    change, start = driven.succeed("c", {"score": 0.1})
    assert isinstance(change, Replan)
    assert isinstance(start, StartStep)
    assert ("b", "b~2") == (change.state, start.step)


@pytest.mark.parametrize(
    ("payload", "step"), [({"retry": True}, "a~2"), ({"to": "b"}, "b"), ({"retry": False}, ""), (None, ""), ("x", "")]
)
def test_a_person_says_how_it_goes_on(payload: object, step: str) -> None:
    """Or that it does not."""
    driven = drive(rule(strategy="human_in_loop"))
    (_, wait) = fail(driven, "a")
    assert isinstance(wait, AwaitSignal)
    assert ("replan", "replan") == (wait.step, wait.signal)
    (command,) = driven.feed(SignalReceived(name="replan", payload=payload))  # type: ignore[arg-type]  # JSON
    if step:
        assert [step] == [command.step] if isinstance(command, StartStep) else []
    else:
        assert isinstance(command, FinishRun)
        assert command.error is not None
        assert ("failed", "replan.refused") == (command.status, command.error.code)


def test_a_person_who_names_no_place_is_asked_again() -> None:
    """One misspelt name at night ends no run; the wait says what was wrong, and the next answer holds."""
    driven = drive(rule(strategy="human_in_loop"))
    fail(driven, "a")
    for slip in range(2, 4):
        (wait,) = driven.feed(SignalReceived(name="replan", payload={"to": "no such"}))
        assert isinstance(wait, AwaitSignal)
        assert (f"replan~{slip}", "replan") == (wait.step, wait.signal)
        assert "there is no 'no such' to go to after" in wait.why
    (start,) = driven.feed(SignalReceived(name="replan", payload={"to": "b"}))
    assert isinstance(start, StartStep)


def test_a_signal_from_outside_stops_what_is_under_way() -> None:
    """At any time, whatever the run waits for; once the times are used up it changes nothing."""
    driven = drive(rule("external_event", "escalation", signal="stop_press", to="d"))
    assert [Listen(signals=("stop_press",)), StartStep(step=StepId("a"))] == driven.first
    stop, change, start = driven.feed(SignalReceived(name="stop_press"))
    assert StopStep(step=StepId("a")) == stop
    assert "signal 'stop_press' in a: escalation (1 of 1)" == _change([change]).why
    assert isinstance(start, StartStep)
    assert [] == driven.feed(SignalReceived(name="stop_press"))


def _change(commands: list[Command]) -> Replan:
    (change,) = [command for command in commands if isinstance(command, Replan)]
    return change
