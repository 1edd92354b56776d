"""Runs with tasks for people, recorded like the others."""

from collections.abc import Mapping

from runtime.domain.canonical import Json
from runtime.domain.event import TaskMoved
from runtime.domain.human import TaskState
from runtime.domain.ids import StepId
from runtime.domain.run import RunState
from runtime.errors import Conflict, Invalid, Refused
from runtime.policies.human import Person
from tests.histories.scenarios import BROKEN, Play, Scenario

REVIEW = StepId("review")
_TOLD: Json = {"channels": {"log": "ok", "email": "human.no_channel"}}
_AGENT = """
  review:
    type: human_task
    role: "Handle workflows requiring human approval"
    config:
      assignment_rules:
        - role: "approval_specialist"
        - backup_role: "supervisor"
      escalation:
        timeout_minutes: 240
        escalation_chain: ["supervisor", {role: manager, timeout: 8h}]
      notification: {channels: [log, email], reminders: [60, 2h]}
      decisions: [approve, reject]
      form: {type: object, properties: {amount: {type: number}}, required: [amount]}
      instructions: "Is {{ input.topic }} fine?"
"""


async def moved(play: Play, how: str, name: str, role: str = "", person: str = "") -> None:
    """Somebody takes a task, gives it to somebody, or gives it back."""
    to = person or (name if how == "taken" else "")
    await play.engine.move_task(play.run, TaskMoved(step=REVIEW, how=how, person=to, actor=name, role=role))  # type: ignore[arg-type]  # one of three


async def _told(play: Play, notices: int) -> None:
    """Until people were told of so many notices."""
    await play.until(lambda state: len(_task(state).told) == notices)


def _task(state: RunState) -> TaskState:
    task = state.steps[REVIEW].task
    assert task, "the scenario has come to its task"
    return task


async def _is_decided(play: Play) -> None:
    """Reminded, taken, refused to others, given back, escalated, assigned, and answered."""
    await play.settled()
    await _told(play, 1)
    play.clock.advance(3_600)
    await _told(play, 2)
    await moved(play, "taken", "zoe", "approval_specialist")
    for wrong in (
        moved(play, "taken", "bob", "approval_specialist"),
        play.engine.answer_task(play.run, REVIEW, {"decision": "approve"}, Person("mallory", "intern")),
        play.engine.answer_task(play.run, REVIEW, {"decision": "aprove"}, Person("zoe", "approval_specialist")),
        play.engine.answer_task(play.run, REVIEW, {"decision": "approve"}, Person("zoe", "approval_specialist")),
        play.engine.signal(play.run, "review", {"decision": "approve"}, actor="mallory"),
    ):
        try:
            await wrong
        except (Conflict, Refused, Invalid):
            continue
        raise AssertionError("somebody did what they may not do")
    await moved(play, "returned", "zoe", "approval_specialist")
    play.clock.advance(3 * 3_600)
    await play.until(lambda state: _task(state).level == 1)
    await _told(play, 4)
    await moved(play, "assigned", "max", "supervisor", "ann")
    await _told(play, 5)
    answer: Json = {"decision": "approve", "comment": "Fine.", "fields": {"amount": 12.5}}
    await play.engine.answer_task(play.run, REVIEW, answer, Person("ann"))
    await play.settled()


async def _expires(play: Play) -> None:
    """First to a decision, then to a failure that an agent takes over from, then to one that ends the run."""
    await play.settled()
    for _ in range(3):
        play.clock.advance(3_600)
        await play.until(lambda state: state.is_final or state.at_us >= play.clock.now_us())
        await play.settled()


HUMAN: Mapping[str, Scenario] = {
    "human_task": Scenario(
        definition=f"""
name: golden
agents:
  draft: {{type: llm}}
{_AGENT}
planner:
  type: fsm
  initial_state: draft
  states:
    draft: {{on_success: review}}
    review: {{condition: response.decision == 'approve', on_true: done, on_false: draft}}
  final_states: [done]
""",
        given={"topic": "cards"},
        answers={"draft": [{"text": "Dear Zoë"}], "review": [_TOLD]},
        course=_is_decided,
    ),
    "human_expired": Scenario(
        definition="""
name: golden
agents:
  ask: {type: human_task, config: {expiry: {timeout: 1h, decision: reject}}}
  takes_over: {type: llm, fallback_agent: person}
  person: {type: human_task, timeout: 1h, config: {assignment_rules: {assignee: ann}}}
  last: {type: human_task, timeout: 1h}
planner:
  type: behavior_tree
  definition:
    root:
      type: sequence
      children:
        - {type: action, agent: ask}
        - {type: condition, check: ask.decision == 'reject'}
        - {type: force_success, child: {type: action, agent: takes_over}}
        - {type: action, agent: last}
""",
        given=None,
        answers={"takes_over": [BROKEN]},
        course=_expires,
    ),
}
