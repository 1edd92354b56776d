"""Runs of the kinds of workflow beside machines and trees, recorded like the others."""

from collections.abc import Mapping

from runtime.domain.canonical import Json
from runtime.domain.event import WhatIf
from tests.histories.scenarios import BROKEN, NEVER, Play, Scenario

QUESTION: Json = {"topic": "cards"}


async def _is_approved(play: Play) -> None:
    await play.settled()
    await play.engine.signal(play.run, "human_review", {"approved": True}, actor="golden")
    await play.settled()


async def _is_answered_within(play: Play) -> None:
    await play.settled()
    await play.engine.signal(play.run, "ok", {"by": "Zoë"}, actor="golden")
    await play.until(lambda state: state.status == "running")
    await play.engine.cancel(play.run, "enough", actor="golden")
    await play.settled()


async def _settles(play: Play) -> None:
    await play.settled()


_ASKS = """
name: golden
agents: {find: {type: llm}, check: {type: llm}}
planner:
  type: fsm
  initial_state: ask
  states:
    ask: {wait_for: go, on_success: find}
    find: {on_success: NEXT}
    check: {on_success: done}
  final_states: [done]
"""


async def _is_migrated(play: Play) -> None:
    await play.settled()
    await play.migrated(_ASKS.replace("NEXT", "check"))
    await play.engine.signal(play.run, "go", actor="golden")
    await play.settled()


async def _is_replanned(play: Play) -> None:
    await play.until(lambda state: "find" in state.open)
    await play.engine.signal(play.run, "stop_press", {"by": "Zoë"}, actor="golden")
    await play.settled()
    await play.engine.signal(play.run, "replan", {"retry": True}, actor="golden")
    await play.settled()


async def _is_supposed(play: Play) -> None:
    await play.settled()
    changes: Json = [["sort", ["known"], True]]
    await play.supposed(WhatIf(run=play.run, at=0, values={"changes": changes}))
    await play.settled()


KINDS: Mapping[str, Scenario] = {
    "tools": Scenario(
        definition="""
name: golden
agents:
  find: {type: llm, prompt: x, tools: [look_up, look_up]}
  send: {type: llm, prompt: x, tools: [look_up, mail]}
planner: {type: sequential, agents: [find, send]}
""",
        given=QUESTION,
        answers={"find": [{"text": "Here."}], "send": [{"text": "Sent."}]},
        course=_settles,
    ),
    "what_if": Scenario(
        definition="""
name: golden
agents:
  look: {type: llm, prompt: "{{ input.topic }}"}
  sort: {type: llm, prompt: "{{ steps.look.text }}"}
  answer: {type: llm, prompt: "{{ input.topic }}"}
planner:
  type: fsm
  initial_state: look
  states:
    look: {on_success: sort}
    sort: {condition: response.known, on_true: answer, on_false: done}
    answer: {on_success: done}
  final_states: [done]
""",
        given=QUESTION,
        answers={"look": [{"text": "found"}], "sort": [{"known": False}], "answer": [{"text": "as supposed"}]},
        course=_is_supposed,
    ),
    "feedback": Scenario(
        definition="""
name: golden
agents:
  writer: {type: llm, prompt: "Write of {{ input.topic }}. {{ steps.tone.feedback }}"}
  editor: {type: llm}
  tone: {type: llm}
  facts: {type: llm}
workflow:
  type: sequential_with_feedback
  quality_gates: [tone, {agent: facts, threshold: 0.9, back_to: writer, max_rounds: 2}]
  human_review: optional
""",
        given=QUESTION,
        answers={
            "writer": [{"text": "loud"}, {"text": "quiet"}],
            "editor": [{"text": "LOUD"}, {"text": "Quiet."}],
            "tone": [{"score": 0.25, "feedback": "too loud"}, {"score": 1.0}],
            "facts": [{"score": 0.5}],
        },
        course=_is_approved,
    ),
    "migrated": Scenario(
        definition=_ASKS.replace("NEXT", "done").replace("    check: {on_success: done}\n", ""),
        given=QUESTION,
        answers={"find": [{"text": "Here."}], "check": [{"text": "Right."}]},
        course=_is_migrated,
    ),
    "replanned": Scenario(
        definition="""
name: golden
agents: {find: {type: llm}, spare: {type: llm}}
planner: {type: sequential, agents: [find]}
policies:
  replan:
    - {on: external_event, signal: stop_press, strategy: escalation, to: spare}
    - {on: agent_failure, strategy: human_in_loop}
""",
        given=QUESTION,
        answers={"find": [NEVER], "spare": [BROKEN, {"text": "Here."}]},
        course=_is_replanned,
    ),
    "subruns_waiting": Scenario(
        definition="""
name: golden
agents:
  part:
    type: workflow
    workflow:
      name: inner
      agents: {work: {type: llm}}
      planner:
        type: fsm
        initial_state: ask
        states: {ask: {wait_for: ok, on_success: work}, work: {on_success: done}}
        final_states: [done]
planner: {type: sequential, agents: [part]}
""",
        given=QUESTION,
        answers={"work": [NEVER]},
        course=_is_answered_within,
    ),
    "subruns": Scenario(
        definition="""
name: golden
agents:
  find: {type: llm}
  part:
    type: workflow
    workflow: {name: inner, agents: {look: {type: llm}}}
    input: {topic: "{{ input.topic }}"}
  each: {type: map, over: "{{ steps.part.found }}", agent: find, concurrency: 1, min_success_ratio: 0.5}
""",
        given=QUESTION,
        answers={"look": [{"found": ["debit", "credit"]}], "find": [BROKEN, {"text": "Here."}]},
        course=_settles,
    ),
}
