"""Who may do what with a task for people, and what is said where they may not."""

import pytest

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal
from runtime.domain.event import SignalReceived, TaskMoved
from runtime.domain.human import Terms
from runtime.domain.ids import AgentId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import apply
from runtime.errors import Conflict, Invalid, NotFound, Refused
from runtime.policies.human import check_answer, check_move, check_signal, task_of
from tests.runtime.planners.test_human import ASK, Driven

APPROVE: Json = {"decision": "approve"}


def _answer(driven: Driven, payload: Json = APPROVE, name: str = "ann", role: str = "clerk") -> None:
    check_signal(driven.state, driven.workflow, SignalReceived(name="ask", payload=payload, actor=name, role=role))


def _move(driven: Driven, how: str, name: str, role: str, person: str = "") -> None:
    moved = TaskMoved(step=ASK, how=how, actor=name, role=role, person=person)  # type: ignore[arg-type]  # one of three
    check_move(driven.state, driven.workflow, moved)
    driven.feed(moved)


def test_a_role_its_backup_and_the_roles_that_it_went_to_may_answer() -> None:
    driven = Driven()
    _answer(driven)
    _answer(driven, role="deputy")
    with pytest.raises(Refused, match=r"is for role 'clerk' or role 'deputy'; 'eve' has role 'boss'") as refused:
        _answer(driven, name="eve", role="boss")
    assert ("human.not_allowed", 3) == (refused.value.code, refused.value.exit_code)
    driven.task.level = 1
    _answer(driven, name="eve", role="boss")


def test_a_task_of_nobody_is_anybodys_and_a_named_person_needs_no_role() -> None:
    _answer(Driven(Terms()), name="", role="")
    named = Driven(Terms(assignee="ann"))
    _answer(named, role="")
    with pytest.raises(Refused, match="'ann'; 'bob' has no role"):
        _answer(named, name="bob", role="")


def test_an_answer_goes_to_its_task_alone_where_another_step_waits_for_the_same_signal() -> None:
    """A signal goes to the step that began to wait last: the decision would be that one's."""
    driven = Driven()
    apply(driven.state, Entry(driven.state.seq + 1, 0, AwaitSignal(step=StepId("later"), signal="ask")))
    received = SignalReceived(name="ask", payload=APPROVE, actor="ann", role="clerk")
    with pytest.raises(Conflict, match="step 'later' of run 'r' waits for 'ask' too") as refused:
        check_answer(driven.state, driven.workflow, ASK, received)
    assert "human.same_signal" == refused.value.code


def test_nobody_is_no_person() -> None:
    with pytest.raises(Invalid, match="return it instead"):
        _move(Driven(), "assigned", "dan", "deputy", "")


def test_what_somebody_has_taken_is_theirs_until_they_or_a_superior_give_it_away() -> None:
    driven = Driven()
    _move(driven, "taken", "ann", "clerk", "ann")
    with pytest.raises(Conflict, match="'ann' has taken"):
        _answer(driven, name="bob")
    with pytest.raises(Conflict, match="already"):
        _move(driven, "taken", "ann", "clerk", "ann")
    with pytest.raises(Conflict, match="'ann' has taken"):
        _move(driven, "assigned", "bob", "clerk", "bob")
    _move(driven, "assigned", "dan", "deputy", "bob")
    assert ("bob", "", "assigned") == (driven.task.assignee, driven.task.taken_by, driven.status)
    _move(driven, "returned", "bob", "clerk")
    with pytest.raises(Conflict, match="nothing to return"):
        _move(driven, "returned", "bob", "clerk")


@pytest.mark.parametrize(
    ("payload", "code", "said"),
    [
        ({"decision": "aprove"}, "human.decision", "one of approve, reject; found 'aprove'; did you mean 'approve'?"),
        ({"decision": 7}, "human.decision", "found no text"),
        ({}, "human.answer", "decision has to be there"),
        ("approve", "human.answer", "decision, comment, fields"),
        ({"decision": "approve", "secret": 1}, "human.answer", "decision, comment, fields"),
        ({"decision": "approve", "comment": 3}, "human.answer", "a comment is a text"),
        ({"decision": "approve", "fields": {"a": 1}}, "human.form", "has no form"),
    ],
)
def test_an_answer_that_is_none_is_told_what_is_expected(payload: Json, code: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        _answer(Driven(), payload)
    assert (code, 2) == (refused.value.code, refused.value.exit_code)
    assert said in refused.value.message


def test_the_fields_fit_the_form() -> None:
    driven = Driven()
    form: Json = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}
    driven.workflow.agents[AgentId("ask")].config["form"] = form
    _answer(driven, {"decision": "approve", "fields": {"amount": 1}})
    with pytest.raises(Invalid, match="expected required"):
        _answer(driven)


def test_a_task_that_is_over_says_who_ended_it_and_one_that_is_none_which_there_are() -> None:
    driven = Driven()
    received = SignalReceived(name="ask", payload=APPROVE, actor="ann", role="clerk")
    apply(driven.state, Entry(driven.state.seq + 1, 0, received))
    with pytest.raises(Conflict, match=r"r\.ask is completed by 'ann'"):
        check_answer(driven.state, driven.workflow, ASK, received)
    with pytest.raises(NotFound, match="it has ask"):
        task_of(driven.state, StepId("gone"))
