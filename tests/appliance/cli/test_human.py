"""`af human`: what waits for people, at the command line."""

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

REFUND = """\
name: refund
agents:
  review:
    type: human_task
    role: "Refund for order {{ input.order }}"
    config:
      assignment_rules: [{role: clerk}, {backup_role: deputy}]
      escalation: {timeout: 4h, escalation_chain: [boss]}
      notification: {channels: [log, ticket, email], reminders: [60]}
      instructions: "Pay {{ input.amount }} EUR back?"
      form: {type: object, properties: {amount: {type: number}}}
"""


@pytest.fixture
def task(af: Af, tmp_path: Path) -> str:
    """The id of a task that waits."""
    (tmp_path / "refund.yaml").write_text(REFUND)
    said = af("run", tmp_path / "refund.yaml", "--input", '{"order": 17, "amount": 20}', "--json")
    return f"{said.document['run_id']}.review"


def test_a_task_is_listed_shown_taken_and_answered(af: Af, task: str) -> None:
    """From the first look to the end of its run; people were told, and the log has who did what."""
    listed = af("human", "list", "--role", "deputy", "--json").document["tasks"][0]  # type: ignore[index]
    assert (task, "created", ["clerk", "deputy"]) == (listed["task_id"], listed["status"], listed["roles"])
    assert [] == af("human", "list", "--role", "intern", "--json").document["tasks"]
    shown = af("human", "show", "last")
    assert "Pay 20 EUR back?" in shown.out
    assert "told: opened:0: email human.no_channel, log ok, ticket ok" in shown.out
    taken = af("human", "claim", task, "--as", "ann", "--role", "clerk", "--note", "mine", "--json").document
    assert ("in_progress", "ann") == (taken["status"], taken["taken_by"])
    answered = ("--decision", "approve", "--field", "amount=12.5", "--comment", "Fine.", "--json")
    done = af("human", "complete", "last", "--as", "ann", "--role", "clerk", *answered)
    output = {"decision": "approve", "comment": "Fine.", "fields": {"amount": 12.5}}
    assert (0, "succeeded", output) == (done.code, done.document["status"], done.document["output"])
    over = af("human", "show", "last", "--json").document
    assert ("completed", "ann") == (over["status"], over["decided_by"])
    assert "nothing waits for people" in af("human", "list").out
    audit = af("audit", "list", "--event", "human.", "--json").document["lines"]
    assert [("human.decided", "ann", ""), ("human.moved", "ann", "taken")] == [
        (line["event"], line["actor"], line.get("outcome", ""))
        for line in audit  # type: ignore[attr-defined]
    ]
    assert "Fine." not in str(audit)
    assert 0 == af("replay", "last", "--check").code
    assert "Refund for order 17" in af("tickets", "list").out


def test_each_notice_is_a_ticket_of_its_own(af: Af, task: str) -> None:
    """A repeated key gives the ticket that was opened the first time."""
    af("human", "assign", task, "bob", "--as", "max", "--role", "deputy")
    tickets = af("tickets", "list", "--json").document["tickets"]
    assert ["Refund for order 17: was assigned to bob", "Refund for order 17: waits for clerk"] == [
        each["subject"]
        for each in tickets  # type: ignore[attr-defined]
    ]


def test_what_may_not_be_done_says_why_and_has_its_exit_code(af: Af, task: str) -> None:
    stranger = af("human", "complete", task, "--as", "mallory", "--role", "intern", "--decision", "approve")
    assert (3, True) == (stranger.code, "is for role 'clerk' or role 'deputy'" in stranger.err)
    wrong = af("human", "complete", task, "--as", "ann", "--role", "clerk", "--decision", "aprove")
    assert (2, True) == (wrong.code, "one of approve, reject; found 'aprove'" in wrong.err)
    assert 2 == af("human", "complete", task, "--as", "ann", "--role", "clerk").code
    assert 2 == af("human", "complete", task, "--decision", "approve", "--field", "amount").code
    assert 2 == af("human", "show", task.replace("review", "revue")).code
    nobodys = af("human", "return", task, "--as", "ann", "--role", "clerk")
    assert (1, True) == (nobodys.code, "human.not_taken" in nobodys.err)
    signalled = af("runs", "signal", "last", "review", "--data", '{"decision": "approve"}')
    assert (3, True) == (signalled.code, "human.not_allowed" in signalled.err)
    named = af("human", "assign", task, "bob", "--as", "max", "--role", "deputy", "--json").document
    assert ("assigned", "bob") == (named["status"], named["assignee"])
    assert 0 == af("human", "complete", task, "--as", "bob", "--decision", "reject").code
    late = af("human", "complete", task, "--as", "bob", "--decision", "reject")
    assert (1, True) == (late.code, "is completed by 'bob'" in late.err)


def test_a_run_that_waits_for_a_signal_is_a_task_that_anybody_may_answer(af: Af, desk: Path) -> None:
    af("run", desk, "--input", '{"message": "other"}')
    listed = af("human", "list", "--json").document["tasks"][0]  # type: ignore[index]
    assert ("signal person", [], []) == (listed["title"], listed["roles"], listed["decisions"])
    done = af("human", "complete", "last", "--data", '{"answer": "by hand"}', "--json")
    assert (0, {"answer": "by hand"}) == (done.code, done.document["output"])


def test_a_run_that_waits_says_how_it_is_answered(af: Af, task: str) -> None:
    shown = af("runs", "show", "last").out
    assert f"human complete {task} --as NAME --role clerk --decision 'approve|reject'" in shown.replace("\n", " ")
    told = af("logs", "last").out
    assert "review is a task for clerk or deputy" in told


def test_a_minimised_task_leaves_no_personal_data_behind(af: Af, tmp_path: Path, data_folder: Path) -> None:
    """Not in what people say, not in tickets and messages; whoever decides may look behind the pseudonyms."""
    (tmp_path / "w.yaml").write_text(
        "name: w\npolicies: {minimise: true}\nagents: {ask: {type: human_task, config: {title: 'For {{ input.mail }}', "
        "instructions: 'Write to {{ input.mail }}?', notification: {channels: [log, ticket, bus]}}}}\n"
    )
    af("run", tmp_path / "w.yaml", "--input", '{"mail": "zoe.miller@example.com"}')
    assert "zoe.miller" not in af("human", "show", "last").out
    assert "Write to zoe.miller@example.com?" in af("human", "show", "last", "--restore").out
    af("human", "claim", "last", "--as", "ann", "--note", "zoe.miller@example.com first")
    said = ("--comment", "zoe.miller@example.com said yes")
    assert 0 == af("human", "complete", "last", "--as", "ann", "--decision", "approve", *said).code
    held = b"".join(path.read_bytes() for path in data_folder.glob("journal.db*"))
    assert b"zoe.miller" not in held
    assert b"said yes" in held


WITHIN = """\
name: order
agents:
  each: {type: map, over: "{{ input.items }}", agent: one}
  one: {type: workflow, workflow: refund.yaml}
workflow: {type: sequential, agents: [each]}
"""


def test_a_task_of_a_run_of_a_step_is_answered_as_one_of_the_run(af: Af, tmp_path: Path) -> None:
    """A signal with `{"answer": …}`, as it was advised, is refused by a task: it wants a decision."""
    (tmp_path / "refund.yaml").write_text(REFUND)
    (tmp_path / "order.yaml").write_text(WITHIN)
    said = af("run", tmp_path / "order.yaml", "--input", '{"items": [{"order": 17, "amount": 20}]}')
    (task,) = (each["task_id"] for each in af("human", "list", "--json").document["tasks"])  # type: ignore[attr-defined]
    outer = af("runs", "list", "--json").document["runs"][-1]["run_id"]  # type: ignore[index]
    advice = f"human complete {task} --as NAME --role clerk --decision "
    supposed = af("what-if", outer, "--set", "input.more=1").out
    for page in (said.out, af("runs", "show", outer).out, af("runs", "why", outer).out):
        assert (True, False) == (advice in page, "runs signal" in page)
    assert (True, False) == (" --as NAME --role clerk --decision approve|reject" in supposed, "runs signal" in supposed)
    within = af("runs", "show", outer, "--json").document["tasks_within"][0]  # type: ignore[index]
    assert (task, ["approve", "reject"]) == (f"{within['run_id']}.{within['step']}", within["decisions"])
