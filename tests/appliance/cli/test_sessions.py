"""A chat over `af`: each call is a process of its own, and the agent knows what was said in the session."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.scenarios.playing import with_answers
from runtime.domain.canonical import Json
from tests.appliance.cli.conftest import Said

CHAT = """
name: chat
agents:
  talk:
    type: llm
    role: be kind
    prompt: "{{ input.message }}"
    model: {provider: scripted, answers: {".*": "so you say"}}
    memory: {short_term: {ttl_minutes: 60, max_items: 2}}
"""
ALONE = 4
"""Words of the system message and of a prompt of two words."""
TURN = 5
"""Words of a turn: two asked, three answered."""

Af = Callable[..., Said]


@pytest.fixture
def chat(af: Af, tmp_path: Path) -> Path:
    path = tmp_path / "chat.yaml"
    path.write_text(CHAT)
    return path


def told(af: Af, file: Path, message: str, **more: str) -> int:
    """How many words the model was told."""
    said = af("run", file, "--input", json.dumps({"message": message, **more}), "--json")
    assert 0 == said.code, said.err
    usage = said.document["usage"]
    assert isinstance(usage, dict)
    return int(usage["input_tokens"])


def sessions(af: Af) -> list[tuple[str, str, int]]:
    found = af("memory", "sessions", "list", "--json").document["sessions"]
    assert isinstance(found, list)
    return [(each["name"], each["workflow"], each["turns"]) for each in found]


def test_a_session_goes_on_from_process_to_process(af: Af, chat: Path) -> None:
    counts = [told(af, chat, f"word {n}", session="anna") for n in range(4)]
    assert [ALONE, ALONE + TURN, ALONE + 2 * TURN, ALONE + 2 * TURN] == counts
    assert ALONE == told(af, chat, "word x", session="bob")
    assert ALONE == told(af, chat, "word y")
    assert [("bob", "chat", 1), ("anna", "chat", 2)] == sessions(af)


def test_preflight_counts_what_was_said_in(af: Af, chat: Path) -> None:
    told(af, chat, "word 1", session="anna")

    def planned(**given: str) -> object:
        step = af("plan", chat, "--input", json.dumps({"message": "word 2", **given}), "--json").document["steps"]
        assert isinstance(step, list)
        return step[0]["input_tokens"]["p50"]

    assert (ALONE + TURN, ALONE) == (planned(session="anna"), planned())
    assert ALONE + TURN == told(af, chat, "word 2", session="anna")


def test_sessions_are_shown_and_forgotten(af: Af, chat: Path) -> None:
    for name in ("anna", "bob"):
        told(af, chat, f"from {name}", session=name)
    shown = af("memory", "sessions", "show", "anna", "--json").document["turns"]
    assert isinstance(shown, list)
    assert [("from anna", "so you say", "talk")] == [(each["asked"], each["answered"], each["agent"]) for each in shown]
    assert "from anna" in af("memory", "sessions", "show", "anna").out
    none = af("memory", "sessions", "forget", "anna", "--workflow", "other")
    assert (2, True) == (none.code, "session.not_found" in none.err)
    assert 1 == af("memory", "sessions", "forget", "anna", "--json").document["turns"]
    assert [("bob", "chat", 1)] == sessions(af)
    assert ALONE == told(af, chat, "word 1", session="anna")


def test_a_workflow_remembers_for_all_its_agents_that_talk(af: Af, chat: Path) -> None:
    """An agent that says so itself is left out."""
    text = CHAT.replace("    memory: {short_term: {ttl_minutes: 60, max_items: 2}}\n", "")
    mute = "{type: llm, model: {provider: scripted, answers: [x]}, memory: {short_term: {enabled: false}}}"
    chat.write_text(f"{text}  mute: {mute}\nmemory: {{short_term: {{max_items: 1}}}}\n")
    assert (0, False) == ((said := af("validate", chat)).code, "warning" in said.out)
    for _ in range(2):
        af("run", chat, "--input", '{"message": "word 1", "session": "anna"}')
    assert [("anna", "chat", 1)] == sessions(af)


@pytest.mark.parametrize(
    "text",
    [
        "name: w\nagents: {a: {type: http, url: x, memory: {short_term: {enabled: true}}}}\n",
        "name: w\nagents: {a: {type: http, url: x}}\nmemory: {short_term: {enabled: true}}\n",
    ],
)
def test_memory_of_nobody_who_talks_is_pointed_out(af: Af, tmp_path: Path, text: str) -> None:
    (tmp_path / "w.yaml").write_text(text)
    said = af("validate", tmp_path / "w.yaml")
    assert (0, True) == (said.code, "key.not_active" in said.out and "{{ steps.NAME }}" in said.out)


def test_what_scenarios_play_is_not_remembered() -> None:
    """One would go on where another stopped, and what was played nobody said."""
    agents: dict[str, Json] = {"talk": {"type": "llm", "memory": {"short_term": {"max_items": 2}}}}
    played = with_answers({"name": "chat", "agents": agents}, {"talk": "played"}, turn="1")["agents"]
    assert isinstance(played, dict)
    assert isinstance(played["talk"], dict)
    assert {"short_term": {"enabled": False}} == played["talk"]["memory"]
