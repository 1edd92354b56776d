"""What the planner that asks a model decides on its answers, on a person's, and on failures."""

import pytest
from msgspec.structs import replace

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, FinishRun, KeepPlan, StartStep, StopStep
from runtime.domain.event import ErrorInfo, Event, RunStarted, SignalReceived, StepFailed, StepSucceeded, TimerFired
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, apply
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, LlmPlan, RetryPolicy, Workflow
from runtime.planners.lifecycle import planner_for
from runtime.planners.llm import given_to
from runtime.ports import Planner

ONCE = RetryPolicy(max_attempts=1)
AGENTS = {AgentId(name): AgentSpec(id=AgentId(name), type="llm", retry=ONCE) for name in ("check", "search", "write")}
SUB_PLAN = FsmSpec(
    states={"search": FsmState(name="search", on_success="done"), "done": FsmState(name="done")},
    initial_state="search",
    final_states=frozenset({"done"}),
)
SPEC = LlmPlan(asker=AgentSpec(id=AgentId("plan"), type="llm", retry=ONCE), agents=tuple(AGENTS), fallback=SUB_PLAN)
BAD: Json = {"steps": ["sing"]}
ROW: Json = {"steps": [{"agent": "search", "input": "cards"}, {"agent": "write"}]}
BROKEN = ErrorInfo("x.broken", "it broke")


class Drive:
    """A run that is fed with events."""

    def __init__(self, spec: LlmPlan, max_steps: int = 100) -> None:
        workflow = Workflow(
            name="w", hash=DefinitionHash(""), agents=AGENTS, planner="llm", llm=spec, max_steps=max_steps
        )
        self._planner: Planner = planner_for(workflow)
        self.state = RunState(run=RunId("r-1"))
        self.feed(RunStarted(workflow="w", definition=DefinitionHash(""), input={}))

    def feed(self, event: Event) -> list[Command]:
        apply(self.state, Entry(self.state.seq + 1, 0, event))
        commands = list(self._planner.decide(self.state, event))
        for command in commands:
            apply(self.state, Entry(self.state.seq + 1, 0, command))
        return commands

    def answer(self, step: str, output: Json = None) -> list[Command]:
        return self.feed(StepSucceeded(step=StepId(step), output=output))

    def fail(self, step: str, error: ErrorInfo = BROKEN) -> list[Command]:
        return self.feed(StepFailed(step=StepId(step), error=error))

    def open(self) -> list[str]:
        return list(self.state.open)


def test_the_question_is_the_first_step() -> None:
    assert ["plan"] == Drive(SPEC).open()


def test_a_good_plan_is_kept_and_carried_out_in_its_order() -> None:
    drive = Drive(SPEC)
    kept, first = drive.answer("plan", ROW)
    assert isinstance(kept, KeepPlan)
    assert StartStep(step=StepId("search")) == first
    assert ("cards", {}) == (given_to(drive.state, StepId("search")), given_to(drive.state, StepId("write")))
    assert [StartStep(step=StepId("write"))] == drive.answer("search")
    assert [FinishRun(status="succeeded")] == drive.answer("write", {"text": "done"})
    assert {"text": "done"} == drive.state.output


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (BAD, "step 1 names agent nothing; allowed are check, search, write"),
        ("I would search.", "the answer is not a JSON object"),
        (ErrorInfo("model.answer_invalid", "it did not keep the schema"), "it did not keep the schema"),
        (ErrorInfo("model.answer_cut", "it was cut"), "it was cut"),
    ],
)
def test_a_bad_answer_is_asked_for_again_with_its_faults(first: Json | ErrorInfo, why: str) -> None:
    drive = Drive(SPEC)
    asked = drive.fail("plan", first) if isinstance(first, ErrorInfo) else drive.answer("plan", first)
    assert [StartStep(step=StepId("plan~2"), why=why)] == asked
    drive.answer("plan~2", ROW)
    assert ["search"] == drive.open()


def test_the_sub_plan_takes_over_after_one_repair() -> None:
    drive = Drive(SPEC)
    drive.answer("plan", BAD)
    kept, first = drive.answer("plan~2", BAD)
    assert isinstance(kept, KeepPlan)
    assert ("fallback", "step 1 names agent nothing; allowed are check, search, write") == (kept.plan.source, kept.why)
    assert StartStep(step=StepId("search")) == first
    assert [FinishRun(status="succeeded", state="done")] == drive.answer("search")


def test_the_sub_plan_takes_over_at_once_when_the_model_cannot_be_asked() -> None:
    """Asked again it would refuse again: policy, budget, an unreachable server."""
    kept, _ = Drive(SPEC).fail("plan", ErrorInfo("egress.zone", "not allowed there"))
    assert isinstance(kept, KeepPlan)
    assert "egress.zone: not allowed there" == kept.why


def test_a_person_is_asked_where_there_is_no_sub_plan() -> None:
    """And is judged like a model; what was wrong is said with the next wait."""
    drive = Drive(replace(SPEC, fallback=None, repairs=0))
    (wait,) = drive.answer("plan", BAD)
    assert isinstance(wait, AwaitSignal)
    assert ("plan~2", "plan") == (wait.step, wait.signal)
    (again,) = drive.feed(SignalReceived(name="plan", payload={"steps": []}))
    assert isinstance(again, AwaitSignal)
    assert "'steps' must be a list of at least one step" == again.why
    kept, _ = drive.feed(SignalReceived(name="plan", payload=ROW))
    assert isinstance(kept, KeepPlan)
    assert "person" == kept.plan.source


def test_a_person_who_does_not_answer_in_time_ends_the_run() -> None:
    drive = Drive(replace(SPEC, fallback=None, repairs=0, wait_timeout_ms=1_000))
    drive.answer("plan", BAD)
    drive.feed(TimerFired(timer="plan~2"))
    assert drive.state.error is not None
    assert "wait.timeout" == drive.state.error.code


def test_a_person_is_not_asked_for_ever() -> None:
    drive = Drive(replace(SPEC, fallback=None, repairs=0), max_steps=5)
    drive.answer("plan", BAD)
    while not drive.state.is_final:
        drive.feed(SignalReceived(name="plan", payload=BAD))
    assert drive.state.error is not None
    assert "plan.too_long" == drive.state.error.code


def test_steps_start_together_and_what_waits_for_both_waits() -> None:
    drive = Drive(SPEC)
    both: Json = {
        "steps": [{"agent": "search"}, {"agent": "check"}, {"agent": "write", "depends_on": ["search", "check"]}]
    }
    drive.answer("plan", both)
    assert ["search", "check"] == drive.open()
    assert [] == drive.answer("check")
    assert [StartStep(step=StepId("write"))] == drive.answer("search")


def test_a_failed_step_stops_the_run_and_what_is_under_way() -> None:
    drive = Drive(SPEC)
    drive.answer("plan", {"steps": [{"agent": "search", "next": []}, {"agent": "check"}]})
    assert [StopStep(step=StepId("check")), FinishRun(status="failed", state="search", error=BROKEN)] == drive.fail(
        "search"
    )


def test_a_failed_step_may_be_gone_without() -> None:
    drive = Drive(SPEC)
    drive.answer("plan", {"steps": [{"agent": "search", "on_failure": "skip"}, {"agent": "write"}]})
    assert [StartStep(step=StepId("write"))] == drive.fail("search")


def test_a_failed_step_may_hand_over_to_the_sub_plan() -> None:
    """Whose visits count on, so that no step is taken for another."""
    drive = Drive(SPEC)
    drive.answer("plan", {"steps": [{"agent": "search", "on_failure": "fallback", "next": []}, {"agent": "check"}]})
    stopped, kept, first = drive.fail("search")
    assert StopStep(step=StepId("check")) == stopped
    assert isinstance(kept, KeepPlan)
    assert "x.broken in search" == kept.why
    assert StartStep(step=StepId("search~2")) == first


def test_a_persons_plan_after_a_failure_begins_anew() -> None:
    drive = Drive(replace(SPEC, fallback=None))
    drive.answer("plan", {"steps": [{"agent": "search", "on_failure": "fallback"}, {"agent": "write"}]})
    drive.fail("search")
    _, first = drive.feed(SignalReceived(name="plan", payload=ROW))
    assert StartStep(step=StepId("search~2")) == first
    assert [StartStep(step=StepId("write"))] == drive.answer("search~2")


def test_a_plan_does_not_outgrow_the_run() -> None:
    drive = Drive(SPEC, max_steps=2)
    drive.answer("plan", {"steps": [{"agent": "search"}, {"agent": "write"}]})
    drive.answer("search")
    assert drive.state.error is not None
    assert "plan.too_long" == drive.state.error.code


def test_a_machine_carries_out_what_was_chosen() -> None:
    """Its conditions read the choice as `plan.strategy`."""
    machine = FsmSpec(
        states={
            "start": FsmState(name="start", condition="plan.strategy == 'canary'", on_true="check", on_false="write"),
            "check": FsmState(name="check", on_success="write"),
            "write": FsmState(name="write"),
        },
        initial_state="start",
        final_states=frozenset({"write"}),
    )
    spec = replace(SPEC, strategies=("canary", "rolling"), execution=machine)
    for strategy, first in (("canary", "check"), ("rolling", "write")):
        drive = Drive(spec)
        drive.answer("plan", {"strategy": strategy})
        assert [first] == drive.open()
        while drive.open():
            drive.answer(drive.open()[0])
        assert "succeeded" == drive.state.status
