"""Root causes: what a signature leaves out, what tells runs apart, and the way back from the end."""

import pytest
from msgspec import UNSET

from runtime.domain.command import AwaitSignal, FinishRun, KeepPlan, KeepTree, SetTimer, StartStep, StopStep
from runtime.domain.event import CancelRequested, ErrorInfo, RunStarted, StepFailed, StepSucceeded, TimerFired
from runtime.domain.human import Level, Terms
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.domain.plan import Plan, PlanStep
from runtime.domain.run import RunState, fold
from runtime.domain.tree import TreeMemory
from runtime.engine.contrast import differences
from runtime.engine.root_cause import Cause, History, cause_of
from runtime.engine.signature import normalised, signature_of

RUN = RunId("r-01kafx8m7q0000000000000001")
HASH = DefinitionHash("sha256:" + "a" * 64)
SECOND_US = 1_000_000


def journal(*bodies: Body | tuple[float, Body]) -> History:
    """A journal of these, each at once or so many seconds behind the one before."""
    at_us, entries = 0, []
    for seq, given in enumerate(bodies, 1):
        wait_s, body = given if isinstance(given, tuple) else (0.0, given)
        at_us += round(wait_s * SECOND_US)
        entries.append(Entry(seq, at_us, body))
    return History(state=fold(RUN, entries), entries=entries)


def started(**given: object) -> RunStarted:
    return RunStarted(workflow="w", definition=HASH, input=given)  # type: ignore[arg-type]  # it is JSON


def starts(step: str, attempt: int = 1) -> StartStep:
    return StartStep(step=StepId(step), attempt=attempt)


def fails(step: str, code: str, attempt: int = 1) -> StepFailed:
    return StepFailed(step=StepId(step), error=ErrorInfo(code, f"{code} happened"), attempt=attempt)


def answers(step: str, output: object = None, *, attempt: int = 1) -> StepSucceeded:
    return StepSucceeded(step=StepId(step), output=output, attempt=attempt)  # type: ignore[arg-type]  # it is JSON


def kept(statuses: str) -> KeepTree:
    return KeepTree(memory=TreeMemory(statuses=statuses))


def ends(code: str) -> FinishRun:
    return FinishRun(status="failed", error=ErrorInfo(code, ""))


def codes(cause: Cause | None) -> list[tuple[str, int]]:
    assert cause is not None
    return [(link.error.code, link.times) for link in cause.chain]


def test_the_first_cause_is_what_led_to_the_step_that_failed_last() -> None:
    """`b` was only tried because `a` had failed; `c` had nothing to do with it."""
    cause = cause_of(
        journal(
            started(), starts("c"), answers("c"), starts("a"), fails("a", "x.first"), starts("b"), fails("b", "y.last"),
            ends("y.last"),
        )
    )  # fmt: skip
    assert [("x.first", 1), ("y.last", 1)] == codes(cause)
    assert cause is not None
    assert ("w/a", "b") == (cause.first.place, cause.first.then)


def test_a_failure_that_was_got_over_beside_the_way_is_no_cause() -> None:
    """Another branch of the plan failed, and the run went on without it."""
    cause = cause_of(
        journal(started(), starts("a"), starts("b"), fails("a", "x.other"), fails("b", "y.own"), ends("y.own"))
    )
    assert [("y.own", 1)] == codes(cause)


def test_attempts_that_come_to_the_same_are_one_link() -> None:
    """Three lines that say the same hide the fourth."""
    cause = cause_of(
        journal(
            started(), starts("a"), fails("a", "x.busy"), starts("a", 2), fails("a", "x.busy", 2), starts("a", 3),
            fails("a", "budget.exceeded", 3), ends("budget.exceeded"),
        )
    )  # fmt: skip
    assert [("x.busy", 2), ("budget.exceeded", 1)] == codes(cause)
    assert cause is not None
    assert "refused" == cause.chain[-1].kind


@pytest.mark.parametrize("code", ["tool.denied", "tool.not_for_role", "mcp.not_approved", "sql.read_only"])
def test_what_a_policy_forbade_was_refused(code: str) -> None:
    """It did not break: who reads of a failure looks for something to repair."""
    cause = cause_of(journal(started(), starts("a"), fails("a", code), ends(code)))
    assert cause is not None
    assert "refused" == cause.first.kind


def test_what_was_made_good_is_no_cause_of_what_failed_later() -> None:
    """A service was busy once and answered at the second try; the report failed of itself."""
    cause = cause_of(
        journal(
            started(), starts("fetch"), fails("fetch", "x.busy"), starts("fetch", 2), answers("fetch", attempt=2),
            starts("report"), fails("report", "y.own"), ends("y.own"),
        )
    )  # fmt: skip
    assert [("y.own", 1)] == codes(cause)


@pytest.mark.parametrize(("took_s", "chain"), [(6, ["step.timeout", "run.timeout"]), (0.5, ["run.timeout"])])
def test_tries_that_took_a_good_part_of_the_time_have_a_share_in_its_end(took_s: float, chain: list[str]) -> None:
    """Nobody mends the step that was under way by chance when the time had gone elsewhere."""
    found = journal(
        started(), SetTimer(timer="run", delay_ms=10_000), starts("fetch"), (took_s, fails("fetch", "step.timeout")),
        starts("fetch", 2), answers("fetch", attempt=2), starts("work"), (10 - took_s, TimerFired(timer="run")),
        ends("run.timeout"),
    )  # fmt: skip
    assert chain == [code for code, _ in codes(cause_of(found))]


@pytest.mark.parametrize(("is_retryable", "chain"), [(False, ["x.down", "y.own"]), (True, ["y.own"])])
def test_a_poor_answer_leads_to_failures_that_look_at_it(*, is_retryable: bool, chain: list[str]) -> None:
    """Another agent took over and said less; that a server was busy later is not its doing."""
    poor = StartStep(step=StepId("ask"), attempt=2, agent=AgentId("guess"), why="'ask' failed")
    later = StepFailed(step=StepId("use"), error=ErrorInfo("y.own", "", retryable=is_retryable))
    found = journal(
        started(), starts("ask"), fails("ask", "x.down"), poor, answers("ask", attempt=2), starts("use"), later,
        ends("y.own"),
    )  # fmt: skip
    assert chain == [code for code, _ in codes(cause_of(found))]


def test_what_a_parallel_counted_together_is_on_the_way_together() -> None:
    """It failed of both, and waited for the second; the first is the earlier one."""
    cause = cause_of(
        journal(
            started(), starts("db"), starts("cache"), kept("rrr"), fails("db", "x.down"), kept("rfr"),
            fails("cache", "y.down"), ends("y.down"),
        )
    )  # fmt: skip
    assert [("x.down", 1), ("y.down", 1)] == codes(cause)


def test_what_a_plan_went_on_without_is_on_the_way_of_what_came_after() -> None:
    """Whichever of the steps before it ended last."""
    steps = [PlanStep(name="a", agent=AgentId("a"), on_failure="skip"), PlanStep(name="b", agent=AgentId("b"))]
    last = PlanStep(name="c", agent=AgentId("c"), after=("a", "b"))
    other = PlanStep(name="d", agent=AgentId("d"), on_failure="skip")
    cause = cause_of(
        journal(
            started(), KeepPlan(plan=Plan(steps=(*steps, last, other))), starts("a"), starts("b"), starts("d"),
            fails("d", "x.beside"), fails("a", "x.first"), answers("b"), starts("c"), fails("c", "y.last"),
            ends("y.last"),
        )
    )  # fmt: skip
    assert [("x.first", 1), ("y.last", 1)] == codes(cause)


def test_a_node_out_of_time_says_what_it_had_under_way() -> None:
    """And what had gone wrong with that before; what another branch does has no part in it."""
    cause = cause_of(
        journal(
            started(), starts("other"), starts("slow"), SetTimer(timer="timeout:1", delay_ms=1_000), kept("rrrr"),
            (0.4, fails("slow", "x.flaky")), starts("slow", 2), (0.6, TimerFired(timer="timeout:1")),
            StopStep(step=StepId("slow")), starts("b"), kept("rfir"), fails("b", "y.last"), ends("y.last"),
        )
    )  # fmt: skip
    assert cause is not None
    assert [("slow", "x.flaky"), ("slow", "tree.timeout"), ("b", "y.last")] == [
        (link.step, link.error.code) for link in cause.chain
    ]
    assert "under way then: slow" in cause.chain[1].error.message


def test_an_answer_that_comes_last_is_not_what_a_parallel_failed_of() -> None:
    """It waited for all of its children, and a selector tried the next thing then."""
    both = (started(), starts("a"), starts("b"), kept("rrrri"), fails("a", "x.first"), kept("rrfri"), answers("b"))
    assert [("x.first", 1), ("tree.failed", 1)] == codes(cause_of(journal(*both, ends("tree.failed"))))
    cause = cause_of(journal(*both, starts("c"), kept("rfiir"), fails("c", "x.last"), ends("x.last")))
    assert [("x.first", 1), ("x.last", 1)] == codes(cause)


@pytest.mark.parametrize(
    ("after_a", "begun"),
    [
        pytest.param("rrsirr", (), id="it was forced to success"),
        pytest.param("rrfrrr", (starts("plan_b"),), id="something else was tried in its place"),
    ],
)
def test_a_failure_that_a_tree_got_over_is_no_cause(after_a: str, begun: tuple[Body, ...]) -> None:
    """Another branch failed meanwhile."""
    cause = cause_of(
        journal(
            started(), starts("a"), starts("b"), kept("rrrirr"), fails("a", "x.other"), *begun, kept(after_a),
            fails("b", "y.own"), ends("y.own"),
        )
    )  # fmt: skip
    assert [("y.own", 1)] == codes(cause)


def test_time_in_which_nobody_worked_is_told() -> None:
    """A step that took a millisecond and an hour was interrupted; one that took an hour was not."""
    slept = cause_of(journal(started(), starts("a"), (3_600, fails("a", "x.y")), ends("x.y")))
    assert slept is not None
    assert ["nobody worked on the run for 60 min: the process was stopped, or had crashed"] == [
        pause.error.message for pause in slept.pauses
    ]
    busy = StepFailed(step=StepId("a"), error=ErrorInfo("x.y", ""), duration_ms=3_600_000)
    worked = cause_of(journal(started(), starts("a"), (3_600, busy), ends("x.y")))
    assert worked is not None
    assert () == worked.pauses


def test_a_wait_that_nobody_answered_is_not_the_fault_of_who_did_not_run() -> None:
    """A run that waits needs no process; the time in which there was none is told beside."""
    waits = AwaitSignal(step=StepId("w"), signal="go", timeout_ms=2_000)
    fired = TimerFired(timer="w")
    cause = cause_of(journal(started(), waits, (14, fired), ends("wait.timeout")))
    assert cause is not None
    assert (["wait.timeout"], ["run.interrupted"]) == (
        [link.error.code for link in cause.chain],
        [pause.error.code for pause in cause.pauses],
    )


def test_a_cancelled_run_says_who_and_why() -> None:
    """There is nobody else to ask."""
    finish = FinishRun(status="cancelled", error=ErrorInfo("run.cancelled", "twice"))
    cause = cause_of(journal(started(), starts("a"), CancelRequested(reason="twice", actor="ada"), finish))
    assert cause is not None
    assert "ada cancelled the run: twice" == cause.first.error.message


def test_a_run_that_has_not_failed_has_no_cause() -> None:
    """Whether it has ended or not."""
    assert cause_of(journal(started(), starts("a"))) is None
    assert cause_of(journal(started(), starts("a"), answers("a"), FinishRun(status="succeeded"))) is None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("run r-01kafx8m7q0000000000000001 took 3 s", "run r-01kafx8m7q0000000000000002 took 41.5 s"),
        ("at 2026-01-31T12:00:00Z: gone", "at 2027-11-02T01:02:03.456Z: gone"),
        ("step 'draft~2' broke", "step 'draft~17' broke"),
        ("no article 'what now, my friend?'", "no article 'my card is gone!'"),
        ("<EMAIL_1_K3F9> is unknown", "<EMAIL_22_ABCD> is unknown"),
        ("0x4f3a9b2c71 and deadbeef01", "0x4f3a9b2d72 and cafebabe99"),
    ],
)
def test_a_signature_leaves_out_what_is_of_one_run(left: str, right: str) -> None:
    """Otherwise nothing has ever happened before."""
    assert normalised(left) == normalised(right)


def test_a_signature_keeps_error_place_and_definition() -> None:
    """Otherwise everything has happened before."""
    error = ErrorInfo("x.y", "agent 'a' broke")
    signature = signature_of(error, "w/a", HASH)
    assert 12 == len(signature)
    others = [
        signature_of(ErrorInfo("x.z", error.message), "w/a", HASH),
        signature_of(ErrorInfo("x.y", "agent 'b' broke"), "w/a", HASH),
        signature_of(error, "w/b", HASH),
        signature_of(error, "w/a", DefinitionHash("")),
    ]
    assert 5 == len({signature, *others})


def run_of(given: dict[str, object], found: object = None) -> RunState:
    return journal(started(**given), starts("look"), answers("look", found), FinishRun(status="succeeded")).state


def test_what_only_the_failed_run_has_is_told_and_nothing_else() -> None:
    """Free texts differ always; a language that nobody else had, a length that is far off and a missing key do not."""
    fine = [
        run_of({"text": f"a question {n}", "lang": "en", "id": n, "who": f"user {n}"}, {"hits": [1, 2]})
        for n in range(4)
    ]
    failed = run_of({"text": "x" * 4_000, "lang": "de", "id": 2}, {"hits": []})
    found = {each.what: (each.here, each.there) for each in differences(failed, fine, until_us=0)}
    assert ("de", "'en'") == found["input.lang"]
    assert (4_000, "12") == found["length of input.text"]
    assert "input.who" in found
    assert (0, "2") == found["items in look.result.hits"]
    assert {"input.lang", "length of input.text", "input.who", "items in look.result.hits"} == found.keys()


def test_a_value_of_another_kind_comes_first_and_once() -> None:
    """However many values the others had; a step that only hands it on says nothing new."""
    fine = [run_of({"item": f"item {n}"}, {"price": n, "rows": [n], "who": "ada"}) for n in range(1, 9)]
    failed = run_of({"item": "gear"}, {"price": None, "copy": {"price": None}, "rows": None})
    found = differences(failed, fine, until_us=0)
    assert [
        ("look.result.price", None, "1 to 8", 1),
        ("look.result.rows", None, "a list", UNSET),
        ("look.result.who", UNSET, "'ada'", "ada"),
    ] == [(each.what, each.here, each.there, each.usual) for each in found]


def test_to_be_quicker_is_nothing_to_tell() -> None:
    """What takes a second at its first run takes less at each further one."""
    slow, quick = (run_of({}, {}), run_of({}, {}))
    slow.steps[StepId("look")].duration_ms = 9_000
    quick.steps[StepId("look")].duration_ms = 200
    assert [] == differences(quick, [slow], until_us=0)
    assert ["look: took ms"] == [each.what for each in differences(slow, [quick], until_us=0)]


def test_nothing_is_different_from_itself() -> None:
    """And there is nothing to say where no run has succeeded."""
    state = run_of({"text": "a", "n": 1})
    assert [] == differences(state, [state, run_of({"text": "b", "n": 2})], until_us=10**12)
    assert [] == differences(state, [], until_us=10**12)


def test_a_task_that_nobody_did_in_time_is_the_cause_and_says_whose_it_was() -> None:
    """Reminders and escalations on the way are none."""
    terms = Terms(role="clerk", chain=(Level("boss", 1_000),), reminders_ms=(500,), expires_ms=3_600_000)
    wait = AwaitSignal(step=StepId("ask"), signal="ask", terms=terms, attempt=2, why="x.first in a")
    cause = cause_of(
        journal(
            started(), starts("a"), fails("a", "x.first"), wait,
            SetTimer(timer="human:expire:0:0:ask", delay_ms=3_600_000),
            (1.0, TimerFired(timer="human:escalate:0:0:ask")), (3_599.0, TimerFired(timer="human:expire:0:0:ask")),
            ends("human.expired"),
        )
    )  # fmt: skip
    assert [("x.first", 1), ("human.expired", 1)] == codes(cause)
    assert cause is not None
    assert "nobody answered the task for clerk or boss within 1 h 00 min" == cause.chain[-1].error.message
