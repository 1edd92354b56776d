"""Gates send work back until it is good enough, at most so often, and say why."""

import pytest

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, FinishRun, StartStep
from runtime.domain.event import ErrorInfo, SignalReceived
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.validate import fsm_problems
from runtime.domain.workflow import AgentSpec, Gate, Workflow
from runtime.planners.feedback import feedback_fsm
from tests.runtime.planners.test_fsm import Drive

WRITER, TONE, FACTS = AgentId("writer"), AgentId("tone"), AgentId("facts")


def drive(*, review: str = "never", rounds: int = 2, names: tuple[str, ...] = ("tone", "facts")) -> Drive:
    """A writer, and gates behind it, whose writer has answered once."""
    gates = {AgentId(name): Gate(back_to="writer", max_rounds=rounds) for name in names}
    fsm = feedback_fsm([WRITER], gates, review=review)  # type: ignore[arg-type]  # one of the three
    agents = {name: AgentSpec(id=name, type="llm") for name in (WRITER, TONE, FACTS)}
    assert [] == [each for each in fsm_problems(fsm, agents) if each.severity == "error"]
    driven = Drive(Workflow(name="w", hash=DefinitionHash("sha256:0"), agents=agents, fsm=fsm))
    driven.succeed("writer", {"text": "draft"})
    return driven


def test_work_goes_back_and_forward_again_and_each_decision_says_why() -> None:
    """The second draft passes both gates."""
    driven = drive()
    why = "'tone' says score: 0.4, and needs 0.7 (round 1 of 2)"
    assert [StartStep(step="writer~2", why=why)] == driven.succeed("tone", {"score": 0.4, "feedback": "too loud"})  # type: ignore[arg-type]
    driven.succeed("writer~2", {"text": "better"})
    assert [StartStep(step="facts", why="'tone' says score: 0.9, and 0.7 is enough")] == driven.succeed(  # type: ignore[arg-type]
        "tone~2", {"score": 0.9}
    )
    assert [FinishRun(status="succeeded", state="done", why="'facts' says passed: true")] == driven.succeed(
        "facts", {"passed": True}
    )


def test_the_last_round_ends_the_run() -> None:
    """Rounds that passed do not count: they come again because of another gate."""
    driven = drive()
    driven.succeed("tone", {"score": 1})
    driven.succeed("facts", {"passed": False})
    driven.succeed("writer~2")
    driven.succeed("tone~2", {"score": 1})
    why = "'facts' says passed: false (round 2 of 2)"
    error = ErrorInfo("quality.below_threshold", why)
    assert [FinishRun(status="failed", state="facts", error=error, why=why)] == driven.succeed(
        "facts~2", {"passed": False}
    )


@pytest.mark.parametrize("answer", [0.7, 1, True, {"score": 0.7}, {"passed": True, "score": 0.8}, {"approved": True}])
def test_an_answer_that_passes(answer: Json) -> None:
    """A number, a truth value, or a mapping with them."""
    assert FinishRun is type(drive(names=("tone",)).succeed("tone", answer)[0])


@pytest.mark.parametrize("answer", [0.69, False, {"passed": True, "score": 0.2}, {"passed": False, "score": 0.9}])
def test_an_answer_that_does_not_pass(answer: Json) -> None:
    """One no is a no."""
    (command,) = drive(names=("tone",)).succeed("tone", answer)
    assert isinstance(command, StartStep)
    assert "writer~2" == command.step


@pytest.mark.parametrize("answer", [None, "0.9", [], {}, {"score": "0.9"}, {"text": "fine"}])
def test_an_answer_without_a_verdict_fails_the_run(answer: Json) -> None:
    """It is not taken for a no, which would only make the writer write again."""
    (command,) = drive(names=("tone",)).succeed("tone", answer)
    assert isinstance(command, FinishRun)
    assert command.error is not None
    assert "gate.no_verdict" == command.error.code


def test_a_person_is_asked_when_the_rounds_are_used_up() -> None:
    """With `human_review: optional`; whoever says no sends the work back once more."""
    driven = drive(review="optional", rounds=1, names=("tone",))
    (asked,) = driven.succeed("tone", {"score": 0.1})
    assert isinstance(asked, AwaitSignal)
    assert ("human_review", "human_review") == (asked.step, asked.signal)
    (ended,) = driven.feed(SignalReceived(name="human_review", payload={"approved": False}))
    assert isinstance(ended, FinishRun)
    assert ("failed", "'human_review' says approved: false (round 1 of 1)") == (ended.status, ended.why)


def test_a_person_is_asked_behind_the_last_gate() -> None:
    """With `human_review: required`."""
    driven = drive(review="required", names=("tone",))
    assert AwaitSignal is type(driven.succeed("tone", {"score": 1})[0])
    (back,) = driven.feed(SignalReceived(name="human_review", payload={"approved": False}))
    assert isinstance(back, StartStep)
    assert "writer~2" == back.step
