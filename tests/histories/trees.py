"""Runs that a behaviour tree plans, recorded like the others."""

from collections.abc import Mapping

from runtime.domain.canonical import Json
from tests.histories.scenarios import BROKEN, NEVER, Play, Scenario

TWO_AGENTS = """
name: golden
agents:
  draft: {type: llm, prompt: "Answer {{ input.message }}"}
  check: {type: llm, prompt: "Check {{ response.text }}"}
"""
QUESTION: Json = {"message": "Wo ist meine Karte? 🏦", "n": 1.0, "big": 1e20, "small": 1e-7}


async def _settles(play: Play) -> None:
    await play.settled()


async def _runs_out_of_time(play: Play) -> None:
    await play.until(lambda state: "draft" in state.open and bool(state.timers))
    play.clock.advance(20)
    await play.settled()


async def _is_replanned(play: Play) -> None:
    await play.settled()
    await play.engine.signal(play.run, "approval", {"approved": True}, actor="golden")
    await play.until(lambda state: bool(state.timers))
    play.clock.advance(5)
    await play.settled()
    await play.engine.signal(play.run, "replan", {"to": "check"}, actor="golden")
    await play.settled()


TREES: Mapping[str, Scenario] = {
    "tree_replanned": Scenario(
        definition=f"""{TWO_AGENTS}
planner:
  type: behavior_tree
  root:
    type: sequence
    children:
      - {{type: run_once, child: {{type: wait, wait_for: approval, name: ask}}}}
      - {{type: condition, check: "ask.approved"}}
      - {{type: action, agent: draft}}
policies:
  replan:
    - {{on: agent_failure, strategy: conservative, max_times: 1, backoff: 5s}}
    - {{on: agent_failure, strategy: human_in_loop}}
""",
        given=QUESTION,
        answers={"draft": [BROKEN], "check": [{"text": "Gleich."}]},
        course=_is_replanned,
    ),
    "tree_branches": Scenario(
        definition="""
name: golden
agents:
  classifier: {type: llm}
  escalation_checker: {type: llm}
  responder: {type: llm}
  human_task_agent: {type: llm}
  fallback_handler: {type: llm}
planner:
  type: behavior_tree
  definition: |
    root:
      type: sequence
      children:
        - type: condition
          check: "message.urgency == 'high'"
        - type: parallel
          children:
            - type: action
              agent: classifier
            - type: action
              agent: escalation_checker
        - type: conditional_selector
          conditions:
            - expression: "classifier.confidence > 0.8"
              child:
                type: action
                agent: responder
            - expression: "escalation_checker.escalate == true"
              child:
                type: action
                agent: human_task_agent
            - default: true
              child:
                type: action
                agent: fallback_handler
""",
        given={"message": {"urgency": "high", "text": "Wo ist meine Karte?"}},
        answers={
            "classifier": [{"confidence": 0.5}],
            "escalation_checker": [{"escalate": True}],
            "responder": [{}],
            "human_task_agent": [{"answered": True}],
            "fallback_handler": [{}],
        },
        course=_settles,
    ),
    "tree_time_limit": Scenario(
        definition=TWO_AGENTS
        + """
planner:
  type: behavior_tree
  root:
    type: fallback
    children:
      - {type: timeout, timeout: 20s, child: {type: action, agent: draft}}
      - {type: timeout, timeout: 20s, child: {type: action, agent: check}}
""",
        given=QUESTION,
        answers={"draft": [NEVER], "check": [{"text": "A colleague will call you."}]},
        course=_runs_out_of_time,
    ),
    "tree_halt": Scenario(
        definition=TWO_AGENTS
        + """
planner:
  type: behavior_tree
  root:
    type: parallel
    success_policy: any
    children:
      - {type: action, agent: draft}
      - {type: retry, attempts: 3, child: {type: action, agent: check}}
""",
        given=QUESTION,
        answers={"draft": [NEVER], "check": [BROKEN, BROKEN, {"text": "Here."}]},
        course=_settles,
    ),
    "tree_failure": Scenario(
        definition=TWO_AGENTS
        + """
planner:
  type: behavior_tree
  root:
    type: sequence
    children:
      - {type: action, agent: draft}
      - {type: inverter, child: {type: condition, check: response.pii_found == true}}
      - {type: action, agent: check}
""",
        given=QUESTION,
        answers={"draft": [{"text": "Here."}], "check": [None]},
        course=_settles,
    ),
}
