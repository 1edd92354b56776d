"""A task for people in the dashboard: seen, taken, and decided with keys."""

import pytest
from msgspec import structs

from runtime.domain.command import AwaitSignal
from runtime.domain.event import RunStarted, TaskMoved, TimerFired
from runtime.domain.human import Terms
from runtime.domain.ids import DefinitionHash, StepId
from runtime.domain.journal import Body, Entry
from runtime.errors import Invalid
from tests.appliance.api.serving import Served
from tests.tui.screens import NARROW, Seen, ask, dashboard
from tui.lines import plain
from tui.panels.drawn import Lines
from tui.panels.timeline import bars_of
from tui.screens.asking import Asked, Picked
from tui.screens.dashboard import DashboardScreen
from tui.screens.task import fields_of, form_lines, task_lines
from tui.shapes import HumanTask

REVIEW = """\
name: review
agents:
  check:
    type: human_task
    config:
      assignment_rules: [{role: clerk}, {backup_role: deputy}]
      escalation: {timeout: 4h, escalation_chain: [boss]}
      title: "Refund for order 17"
      instructions: "The customer says {{ input.text }}, and wants 20 EUR back. The parcel came a week late."
      form: {type: object, properties: {amount: {type: number}, reason: {type: string}}, required: [amount]}
"""


async def test_a_task_is_taken_and_decided_with_keys(served: Served) -> None:
    """From the list of what waits to the end of its run, in a small terminal."""
    answer = await served.client.put(
        "/v1/workflows/review", content=REVIEW, headers={"content-type": "application/yaml"}
    )
    assert answer.is_success, answer.text
    run = await ask(served, "review")
    async with dashboard(served, size=NARROW, by=("ann", "clerk")) as seen:
        await seen.press("8")
        await seen.until(lambda: "check  for clerk or deputy" in seen.lines("waiting"), "waiting")
        seen.save("narrow-task-list")
        await _open(seen)
        assert "The customer says hi" in seen.text()
        seen.save("narrow-task")
        await seen.press("down", "down", "enter")
        await seen.until(lambda: "ann has it" in seen.lines("waiting"), "taken")
        await _open(seen)
        await seen.press("enter")
        await seen.until(lambda: "its form" in seen.text(), "the form")
        seen.save("narrow-task-form")
        await seen.type('amount=12.5 reason="too late"')
        await seen.press("enter")
        await seen.until(lambda: "why, for the journal" in seen.text(), "the comment")
        await seen.type("Fine.")
        await seen.press("enter")
        await seen.until(lambda: "Nothing waits for a person." in seen.lines("waiting"), "answered")
    done = (await served.client.get(f"/v1/human-tasks/{run}.check")).json()
    output = {"decision": "approve", "comment": "Fine.", "fields": {"amount": 12.5, "reason": "too late"}}
    assert (output, "ann", "completed") == (done["answer"], done["decided_by"], done["status"])


async def _open(seen: Seen) -> None:
    await seen.until(lambda: isinstance(seen.app.screen, DashboardScreen), "the dashboard")
    await seen.press("enter")
    await seen.until(lambda: isinstance(seen.app.screen, Picked) and "Task of review" in seen.text(), "the task")
    assert not isinstance(seen.app.screen, Asked)


OUTER = """\
name: outer
agents:
  look:
    type: workflow
    workflow:
      name: inner
      agents:
        check: {type: human_task, config: {title: "Refund for order 17", decisions: [pay, refuse]}}
"""


async def test_a_task_of_a_run_of_a_step_is_decided_from_the_run_outside(served: Served) -> None:
    """`a` says so on both, and words that are no decision were refused."""
    answer = await served.client.put("/v1/workflows/outer", content=OUTER, headers={"content-type": "application/yaml"})
    assert answer.is_success, answer.text
    outer = await ask(served, "outer")
    async with dashboard(served) as seen:
        await seen.press("G", "enter")
        await seen.until(lambda: "waits for check  a answers" in seen.lines("head"), "the run outside")
        assert outer in seen.lines("head")
        await seen.press("a")
        await seen.until(lambda: "Refund for order 17" in seen.text(), "what is asked")
        await seen.press("down", "enter")
        await seen.until(lambda: "decided: refuse" in seen.text(), "the comment")
        await seen.press("enter")
        await seen.until(lambda: "✓ succeeded" in seen.lines("head"), "the end of the run outside")
        await seen.press("escape", "c")
        await seen.until(lambda: isinstance(seen.app.screen, Picked), "workflows")
        picked = seen.app.screen.query_one(".main", Lines)
        picked.choose_key("outer")
        await seen.press("enter")
        await seen.type("hello")
        await seen.press("enter")
        await seen.until(lambda: "waits for check" in seen.lines("talk"), "waiting")
        await seen.type("pay")
        await seen.press("enter")
        await seen.until(lambda: "✓ look" in seen.lines("talk"), "decided in words")


def test_what_is_asked_fits_a_small_screen_and_says_whose_turn_it_is() -> None:
    task = HumanTask(
        task_id="r-1.check",
        run_id="r-1",
        workflow="w",
        step="check",
        signal="check",
        status="in_progress",
        title="A title",
        instructions="long " * 400,
        taken_by="ann",
        level=1,
        decisions=["approve", "reject"],
    )
    said = plain(task_lines(task, 0))
    assert "ann has taken it" in said
    assert "its time ran out 1×" in said
    assert "more lines: af human show r-1" in said
    assert len(task_lines(task, 0)) <= 13
    task = structs.replace(task, title="Give back what the customer paid for an order that did not come, until Friday")
    task = structs.replace(task, escalates_at="1970-01-02T00:00:00Z", expires_at="1970-01-08T00:00:00Z")
    said = plain(
        task_lines(structs.replace(task, status="open", taken_by="", roles=["approval_specialist", "supervisor"]), 0)
    )
    for whole in (task.title, "for approval_specialist or supervisor", "the next role in 1d", "expires in 7d"):
        assert whole in " ".join(said.split())
    assert len(task_lines(task, 0)) <= 13


def test_fields_are_typed_as_names_and_values_or_as_json() -> None:
    assert {"amount": 12.5, "why": "too late", "ok": True} == fields_of('amount=12.5 why="too late" ok=true')
    assert {"a": 1} == fields_of('{"a": 1}')
    for wrong in ("amount", '"open'):
        with pytest.raises(Invalid):
            fields_of(wrong)
    assert "amount  number, required" in plain(
        form_lines({"properties": {"amount": {"type": "number"}}, "required": ["amount"]})
    )


def test_the_timeline_shows_who_took_a_task_and_that_its_time_ran_out() -> None:
    """A task that expires is over, and its bar ends."""
    terms = Terms(role="clerk", expires_ms=60_000, on_expiry="reject")
    bodies: list[Body] = [
        RunStarted(workflow="w", definition=DefinitionHash("d"), input=None),
        AwaitSignal(step=StepId("ask"), signal="ask", terms=terms),
        TimerFired(timer="human:remind:0:1:ask"),
        TaskMoved(step=StepId("ask"), how="assigned", actor="max", person="ann"),
        TimerFired(timer="human:expire:0:0:ask"),
    ]
    bars = bars_of([Entry(seq, seq * 1_000_000, body) for seq, body in enumerate(bodies, 1)])
    assert [
        ("ask", "succeeded", "expired"),
        ("⏲ reminder 1", "signal", ""),
        ("⇄ assigned", "signal", "by max to ann"),
    ] == [(bar.name, bar.state, bar.note) for bar in bars if bar.name != "run"]
