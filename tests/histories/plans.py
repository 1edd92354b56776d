"""Runs that a model plans, and steps that a fallback agent takes over, recorded like the others."""

from collections.abc import Mapping

from runtime.domain.canonical import Json
from runtime.errors import StepFailure
from tests.histories.scenarios import BROKEN, BUSY, Play, Scenario

QUESTION: Json = {"goal": "Wo ist meine Karte? 🏦"}
THREE_AGENTS = """
name: golden
agents:
  search: {type: llm}
  check: {type: llm}
  write: {type: llm}
"""
SUB_PLAN = """
  fallback:
    states:
      search: {on_success: write}
      write: {on_success: done}
    initial_state: search
    final_states: [done]
"""
ANSWERS: dict[str, list[Json | StepFailure]] = {
    "search": [{"hits": 2}],
    "check": [{"ok": True}],
    "write": [{"text": "Hier."}],
}


async def _settles(play: Play) -> None:
    await play.settled()


async def _is_planned_by_a_person(play: Play) -> None:
    await play.settled()
    await play.engine.signal(play.run, "plan", {"steps": ["sing"]}, actor="golden")
    await play.settled()
    await play.engine.signal(play.run, "plan", {"steps": ["search", "write"]}, actor="golden")
    await play.settled()


async def _waits_out_the_back_off(play: Play) -> None:
    await play.until(lambda state: [step.attempt for step in state.steps.values()][1:] == [3])
    play.clock.advance(60)
    await play.settled()


PLANS: Mapping[str, Scenario] = {
    "plan_replanned": Scenario(
        definition=f"""{THREE_AGENTS}planner:
  type: llm
  model: {{provider: scripted}}
{SUB_PLAN}policies:
  replan:
    - {{on: agent_failure, strategy: adaptive}}
    - {{on: agent_failure, strategy: escalation, to: write}}
""",
        given=QUESTION,
        answers={**ANSWERS, "search": [BROKEN], "plan": [{"steps": ["search"]}, {"steps": ["check", "search"]}]},
        course=_settles,
    ),
    "plan_repaired": Scenario(
        definition=THREE_AGENTS + "planner: {type: llm, model: {provider: scripted}}",
        given=QUESTION,
        answers={
            "plan": [
                {"steps": [{"name": "search", "agent": "serach"}]},
                {
                    "steps": [
                        {"name": "find", "agent": "search", "input": "Karte"},
                        {"name": "check", "agent": "check", "on_failure": "skip"},
                        {"name": "write", "agent": "write", "depends_on": ["find", "check"]},
                    ]
                },
            ],
            **ANSWERS,
            "check": [BROKEN],
        },
        course=_settles,
    ),
    "plan_replaced": Scenario(
        definition=THREE_AGENTS + "planner:\n  type: llm\n  model: {provider: scripted}" + SUB_PLAN,
        given=QUESTION,
        answers={"plan": ["First I would search.", {"steps": []}], **ANSWERS},
        course=_settles,
    ),
    "plan_by_person": Scenario(
        definition=THREE_AGENTS + "planner: {type: llm, model: {provider: scripted}, repairs: 0}",
        given=QUESTION,
        answers={"plan": [{"steps": ["search", "search"]}], **ANSWERS},
        course=_is_planned_by_a_person,
    ),
    "taken_over": Scenario(
        definition="""
name: golden
agents:
  search: {type: llm, fallback_agent: guess}
  guess: {type: llm}
  write: {type: llm, retry: {max_attempts: 1}, fallback_agent: apologise}
  apologise: {type: llm, retry: {max_attempts: 2}}
planner:
  type: fsm
  initial_state: search
  states: {search: {on_success: write}, write: {on_success: done}}
  final_states: [done]
""",
        given=QUESTION,
        answers={"search": [BROKEN], "guess": [{"hits": 0}], "write": [BUSY], "apologise": [BUSY, {"text": "Sorry."}]},
        course=_waits_out_the_back_off,
    ),
}
