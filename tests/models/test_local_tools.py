"""Tools for a model that knows of none: what it is told and bound to, and what is made of its choice."""

import json

import pytest
from msgspec.structs import replace

from models.catalog import CHAT_MODEL
from models.llama_cpp import LlamaCppBackend
from models.local_tools import chosen, steered
from models.pool import PoolSettings
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, Image, ToolCall, ToolOffer
from runtime.domain.schema import Schema
from runtime.errors import Invalid
from tests.models.cleared import cleared
from tests.models.installed import installed_models

PARAMETERS: dict[str, Json] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = ToolOffer(name="weather", description="Tells the weather of a city.", parameters=PARAMETERS)
CLOCK = ToolOffer(name="clock", description="Tells the time.")
ASKED = ChatRequest(
    model=CHAT_MODEL,
    messages=(ChatMessage("user", "What is the weather in Paris?"),),
    max_tokens=80,
    tools=(WEATHER, CLOCK),
)


def reply(text: str) -> ChatReply:
    return ChatReply(
        text=text, finish_reason="length", input_tokens=1, output_tokens=1, backend="b", model="m", fingerprint="f"
    )


def fits(request: ChatRequest, value: Json) -> bool:
    schema = steered(request).schema
    assert schema is not None
    return not Schema(schema).fault(value)


def test_the_model_may_choose_between_the_tools_and_an_answer() -> None:
    assert fits(ASKED, {"tool": "weather", "arguments": {"city": "Paris"}})
    assert fits(ASKED, {"tool": "clock", "arguments": {}})
    assert fits(ASKED, {"answer": "It rains."})
    assert not fits(ASKED, {"tool": "weather", "arguments": {}})
    assert not fits(ASKED, {"tool": "other", "arguments": {}})


@pytest.mark.parametrize(
    ("choice", "may_answer", "may_clock"), [("auto", True, True), ("required", False, True), ("weather", False, False)]
)
def test_tool_choice_narrows_the_choice(choice: str, may_answer: bool, may_clock: bool) -> None:
    asked = replace(ASKED, tool_choice=choice)
    assert may_answer == fits(asked, {"answer": "It rains."})
    assert may_clock == fits(asked, {"tool": "clock", "arguments": {}})


def test_a_schema_binds_the_answer() -> None:
    asked = replace(ASKED, schema={"type": "object", "required": ["ok"]})
    assert fits(asked, {"answer": {"ok": 1}})
    assert not fits(asked, {"answer": "ok"})
    assert chosen(reply('{"answer": {"ok": 1}}'), asked).text == '{"ok": 1}'


def test_the_tools_are_told_behind_the_own_system_prompt() -> None:
    asked = replace(ASKED, messages=(ChatMessage("system", "Be kind."), *ASKED.messages))
    system, user = steered(asked).messages
    assert system.content.startswith("Be kind.\n\nYou can use tools.")
    assert "- weather: Tells the weather of a city." in system.content
    assert user == ASKED.messages[0]


def test_calls_and_their_results_become_words() -> None:
    turns = (
        *ASKED.messages,
        ChatMessage("assistant", "", (ToolCall(id="c", name="weather", arguments='{"city": "Paris"}'),)),
        ChatMessage("tool", "rain", tool_call_id="c"),
    )
    told = steered(replace(ASKED, messages=turns, tools=())).messages
    assert [turn.role for turn in told] == ["user", "assistant", "user"]
    assert "weather" in told[1].content
    assert told[2].content == "The tool answered: rain"


def test_a_call_is_read() -> None:
    found = chosen(reply('{"tool": "weather", "arguments": {"city": "Zürich"}}'), ASKED)
    assert found.tool_calls == (ToolCall(id="call_0", name="weather", arguments='{"city": "Zürich"}'),)
    assert (found.text, found.finish_reason) == ("", "tool_calls")


@pytest.mark.parametrize(
    ("cut", "text"),
    [
        ('{"answer": "It rains, and', "It rains, and"),
        ('{"answer": "a \\"b', 'a "b'),
        ('{"answer": "a\\', "a"),
        ('{"answer": "a\\u00', "a"),
        ('{"answer": "', ""),
        ('{"tool": "weather", "argu', '{"tool": "weather", "argu'),
    ],
)
def test_an_answer_that_was_cut_keeps_what_it_has(cut: str, text: str) -> None:
    found = chosen(reply(cut), ASKED)
    assert (text, "length", ()) == (found.text, found.finish_reason, found.tool_calls)


async def test_the_small_model_calls_a_tool_that_it_must_call() -> None:
    """It cannot reason, but it cannot write anything else either."""
    backend = LlamaCppBackend(PoolSettings(folder=installed_models(), context_tokens=1_024))
    asked = replace(ASKED, tool_choice="weather")
    try:
        whole = await backend.complete(cleared(asked))
        chunks = [chunk async for chunk in backend.stream(cleared(asked))]
        picture = ChatMessage("user", "", images=(Image("image/png", b"x"),))
        with pytest.raises(Invalid, match=r"model\.no_images"):
            await backend.complete(cleared(replace(ASKED, messages=(picture,))))
    finally:
        await backend.stop()
    [call] = whole.tool_calls
    assert (call.name, list(json.loads(call.arguments)), whole.finish_reason) == ("weather", ["city"], "tool_calls")
    assert chunks[-1].reply == whole
    assert chunks[0].tool_call is not None
    assert chunks[0].tool_call.arguments == call.arguments
