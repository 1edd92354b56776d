"""Answers are played in place of agents, whatever type they are of."""

import pytest

from appliance.loader import load_bytes
from appliance.loading.site import Site
from appliance.scenarios.playing import with_answers, with_tool_answers
from runtime.domain.canonical import Json
from runtime.errors import NotFound

DOCUMENT = load_bytes(b"""
name: desk
agents:
  sort: {type: http, config: {url: "http://x.example/"}, input: "{{ input.message }}", timeout: 3s}
  answer: {type: llm, model: {provider: openai, name: gpt-x}, prompt: "{{ input.message }}"}
planner: {type: fsm, definition: {initial_state: sort, states: {sort: {on_success: answer}}, final_states: [answer]}}
""", site=Site(models=frozenset({"openai/gpt-x"}))).document  # fmt: skip


def played(answers: object, turn: str = "t") -> dict[str, dict[str, object]]:
    return with_answers(DOCUMENT, answers, turn=turn)["agents"]  # type: ignore[arg-type,return-value]  # as written


def test_a_model_is_replaced_and_the_prompt_stays() -> None:
    answer = played({"answer": "hello"})["answer"]
    assert {"provider": "scripted", "model": "scripted", "answers": ["hello"]} == answer["model"]
    assert "{{ input.message }}" == answer["prompt"]


def test_any_other_agent_answers_with_the_object_itself() -> None:
    """It keeps what it is given, and its limits."""
    sort = played({"sort": [{"label": "cards"}, {"error": {"code": "http.down"}}]})["sort"]
    assert ("llm", {}, "{{ input.message }}", "3s") == tuple(
        sort[key] for key in ("type", "output_schema", "input", "timeout")
    )
    assert {
        "provider": "scripted",
        "model": "t-sort",
        "answers": [{"json": {"label": "cards"}}, {"error": {"code": "http.down"}}],
    } == sort["model"]


def test_only_lists_that_are_played_in_turn_have_a_name_of_their_own() -> None:
    """Two runs would take turns of one list; whatever else is equal is one definition, made ready once."""
    assert played({"answer": ["a", "b"]}, "t-1") != played({"answer": ["a", "b"]}, "t-2")
    assert played({"answer": {"^x": "a"}}, "t-1") == played({"answer": {"^x": "a"}}, "t-2")


def test_a_tool_is_played_and_keeps_what_is_said_of_it() -> None:
    """Whoever declares it: one that is built in or the operator's is put beside those of the workflow."""
    ask: Json = {"type": "http", "url": "x", "description": "Asks."}
    document: dict[str, Json] = {**DOCUMENT, "tool_registry": {"tools": {"ask": ask}}}
    tools = with_tool_answers(document, {"ask": [{"ok": True}], "create_ticket": [{"id": "T-7"}]})["tool_registry"]
    assert {
        "tools": {
            "ask": {"type": "scripted", "description": "Asks.", "answers": [{"ok": True}]},
            "create_ticket": {"type": "scripted", "answers": [{"id": "T-7"}]},
        }
    } == tools


def test_an_agent_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match=r"'anwser', which is no agent .*did you mean 'answer'"):
        played({"anwser": "hello"})
