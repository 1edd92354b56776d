"""Tools, pictures and schemas as the OpenAI API spells them, and what vLLM and TGI make of them.

The answers are written from the documented wire formats of vLLM and TGI.
"""

import asyncio
import json
from base64 import b64encode
from typing import Any

import pytest
from msgspec.structs import replace

from models.gateway import Gateway
from models.openai_replies import MAX_LINE_BYTES, Stream, read_answer
from models.openai_wire import question
from models.remote import backend_for
from models.servers import ModelServer
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from redaction.presets import PRESETS
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest, Image, ToolCall, ToolCallPiece, ToolOffer
from runtime.domain.egress import Sender
from runtime.errors import Invalid, StepFailure
from tests.models.stand_in import StandIn, reply, send, stand_in

PARAMETERS: dict[str, Json] = {"type": "object", "properties": {"card": {"type": "integer"}}}
LOOK_UP = ToolOffer(name="look_up", description="Find a card.", parameters=PARAMETERS)
ASKED = ChatRequest(
    provider="vllm", model="", messages=(ChatMessage("user", "Where is card 7?"),), max_tokens=8, tools=(LOOK_UP,)
)
CALL = ToolCall(id="call_a", name="look_up", arguments='{"card": 7}')

VLLM_WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning_content": None,
                "tool_calls": [
                    {"id": "call_a", "type": "function", "function": {"name": "look_up", "arguments": '{"card": 7}'}}
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
            "stop_reason": None,
        }
    ],
    "usage": {"prompt_tokens": 40, "total_tokens": 52, "completion_tokens": 12, "prompt_tokens_details": None},
    "prompt_logprobs": None,
}
VLLM_STREAM = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
    {
        "choices": [
            {
                "index": 0,
                "delta": {
                    "tool_calls": [{"id": "call_a", "type": "function", "index": 0, "function": {"name": "look_up"}}]
                },
                "finish_reason": None,
            }
        ]
    },
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"card"'}}]}}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ": 7}"}}]}}]},
    {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "tool_calls", "stop_reason": None}]},
    {"choices": [], "usage": {"prompt_tokens": 40, "total_tokens": 52, "completion_tokens": 12}},
]
TGI_WHOLE = {
    "object": "chat.completion",
    "id": "",
    "system_fingerprint": "3.3.4-sha-aaaaaaa",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "0",
                        "type": "function",
                        "function": {"description": None, "name": "look_up", "arguments": {"card": 7}},
                    }
                ],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52},
}
TGI_STREAM = [
    {
        "choices": [
            {
                "index": 0,
                "delta": {
                    "role": "assistant",
                    "tool_calls": {
                        "index": 0,
                        "id": "",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": '{"card"'},
                    },
                },
                "logprobs": None,
                "finish_reason": None,
            }
        ]
    },
    {
        "choices": [
            {
                "index": 0,
                "delta": {"tool_calls": {"index": 0, "id": "", "function": {"name": None, "arguments": ": 7}"}}},
                "finish_reason": "eos_token",
            }
        ]
    },
]


def fed(chunks: list[dict[str, Any]]) -> tuple[Stream, list[ToolCallPiece]]:
    told = Stream("vllm")
    stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    pieces = [chunk.tool_call for chunk in told.feed(stream.encode()) if chunk.tool_call]
    return told, pieces


@pytest.mark.parametrize(
    ("whole", "expected"), [(VLLM_WHOLE, CALL), (TGI_WHOLE, replace(CALL, id="0", arguments='{"card": 7}'))]
)
def test_a_call_is_read_whole(whole: dict[str, Any], expected: ToolCall) -> None:
    answer = read_answer(json.dumps(whole).encode(), "vllm")
    assert ((expected,), (40, 12), "") == (answer.calls, answer.usage, answer.text)


@pytest.mark.parametrize("given", ["a b\0c", "x" * 129, "", None, "é"])
def test_a_call_whose_id_cannot_be_sent_back_gets_one_that_can(given: str | None) -> None:
    """The API takes the id back with the result, and would refuse it then."""
    message = {"tool_calls": [{"id": given, "function": {"name": "look_up", "arguments": "{}"}}]}
    document = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    [call] = read_answer(json.dumps(document).encode(), "vllm").calls
    assert call.id == "call_0"


@pytest.mark.parametrize(("stream", "identity"), [(VLLM_STREAM, "call_a"), (TGI_STREAM, "call_0")], ids=["vllm", "tgi"])
def test_a_call_is_read_in_pieces(stream: list[dict[str, Any]], identity: str) -> None:
    told, pieces = fed(stream)
    assert ("look_up", identity) == (pieces[0].name, pieces[0].id)
    assert '{"card": 7}' == "".join(piece.arguments for piece in pieces)
    assert (replace(CALL, id=identity),) == told.whole().calls


def test_two_calls_keep_their_places() -> None:
    """Their pieces may come in turns."""

    def piece(index: int, **function: str) -> dict[str, Any]:
        call = {"index": index, "function": function, **({"id": f"c{index}"} if "name" in function else {})}
        return {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}

    told, pieces = fed([piece(0, name="a"), piece(1, name="b"), piece(0, arguments="{}"), piece(1, arguments="[1]")])
    assert [("a", "{}"), ("b", "[1]")] == [(call.name, call.arguments) for call in told.whole().calls]
    assert [0, 1, 0, 1] == [each.index for each in pieces]


@pytest.mark.parametrize(
    "calls",
    [
        [{"index": 0, "function": {"arguments": "{}"}}],
        [{"index": -1, "function": {"name": "a"}}],
        [{"index": number, "function": {"name": "a"}} for number in range(200)],
        "look_up",
    ],
    ids=["no-name", "no-place", "too-many", "no-calls"],
)
def test_what_is_no_call_is_garbled(calls: object) -> None:
    with pytest.raises(StepFailure, match=r"model\.server_garbled"):
        fed([{"choices": [{"delta": {"tool_calls": calls}}]}])


def test_a_line_without_an_end_is_cut_early() -> None:
    """A server that never ends its line must not fill the memory, nor have it copied again and again."""
    told = Stream("vllm")

    def feed() -> None:
        for _ in range(40):
            told.feed(b"x" * 65_536)

    with pytest.raises(StepFailure, match=r"model\.server_garbled"):
        feed()
    assert len(told._rest) <= MAX_LINE_BYTES + 65_536


def test_tools_and_their_answers_are_spelled_out() -> None:
    turns = (*ASKED.messages, ChatMessage("assistant", "", (CALL,)), ChatMessage("tool", "gone", tool_call_id="call_a"))
    body = question(replace(ASKED, messages=turns, tool_choice="look_up"), "openai_compatible", stream=False)
    function = {"name": "look_up", "parameters": PARAMETERS, "description": "Find a card."}
    assert [{"type": "function", "function": function}] == body["tools"]
    assert {"type": "function", "function": {"name": "look_up"}} == body["tool_choice"]
    called = {"id": "call_a", "type": "function", "function": {"name": "look_up", "arguments": '{"card": 7}'}}
    assert [
        {"role": "user", "content": "Where is card 7?"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "content": "gone", "tool_call_id": "call_a"},
    ] == body["messages"]


def test_who_may_not_ask_is_offered_nothing() -> None:
    assert "tools" not in question(replace(ASKED, tool_choice="none"), "openai_compatible", stream=False)


def test_a_picture_goes_as_data() -> None:
    picture = Image("image/png", b"\x89PNG")
    asked = replace(ASKED, messages=(ChatMessage("user", "what is it", images=(picture,)),))
    url = f"data:image/png;base64,{b64encode(picture.data).decode()}"
    expected = [{"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": url}}]
    body = question(asked, "openai_compatible", stream=False)
    assert [{"role": "user", "content": expected}] == body["messages"]


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        (PARAMETERS, False),
        ({**PARAMETERS, "additionalProperties": False, "required": ["card"]}, True),
        ({"type": "array", "items": PARAMETERS}, False),
    ],
)
def test_openai_is_strict_only_where_it_can_be(schema: dict[str, Json], is_strict: bool) -> None:
    """Its API refuses the others in strict mode."""
    body: Any = question(replace(ASKED, schema=schema), "openai", stream=True)
    assert is_strict == body["response_format"]["json_schema"]["strict"]
    assert 8 == body["max_completion_tokens"]
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    "wrong",
    [
        replace(ASKED, tool_choice="other"),
        replace(ASKED, tools=(), tool_choice="required"),
        replace(ASKED, tools=(LOOK_UP, LOOK_UP)),
        replace(ASKED, tools=(replace(LOOK_UP, name="look up"),)),
        replace(ASKED, messages=(ChatMessage("tool", "gone"),)),
        replace(ASKED, messages=(ChatMessage("user", "", images=(Image("text/html", b"x"),)),)),
    ],
    ids=["choice", "required-of-none", "twice", "name", "no-call", "no-picture"],
)
async def test_what_cannot_be_asked_is_invalid(wrong: ChatRequest) -> None:
    server, door = ModelServer(name="vllm", url="http://127.0.0.1:1/v1", models=("m",)), HttpDoor()
    gateway = Gateway([backend_for(server, door)], Guard(EgressPolicy(redaction=(("*", None),))), servers=[server])
    with pytest.raises(Invalid):
        await gateway.complete(wrong)


async def test_a_call_that_was_not_offered_is_no_answer() -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        reply(writer, VLLM_WHOLE)

    async with stand_in(play) as server:
        named, door = ModelServer(name="vllm", url=server.url, models=("m",)), HttpDoor()
        gateway = Gateway([backend_for(named, door)], Guard(EgressPolicy()), servers=[named])
        with pytest.raises(StepFailure, match=r"model\.answer_invalid.*not offered"):
            await gateway.complete(replace(ASKED, tools=(replace(LOOK_UP, name="other"),)))
        assert (await gateway.complete(ASKED)).tool_calls == (CALL,)
        await door.stop()


async def test_a_call_gets_its_values_back_wherever_it_was_cut() -> None:
    """The server sees a pseudonym, and whoever makes the call needs the address."""

    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        pseudonym = body["messages"][0]["content"].removeprefix("Write to ")
        assert "@" not in pseudonym
        arguments = json.dumps({"to": pseudonym})
        pieces: list[dict[str, Any]] = [{"index": 0, "id": "c", "function": {"name": "look_up"}}]
        pieces += [{"index": 0, "function": {"arguments": each}} for each in arguments]
        chunks: list[object] = [{"choices": [{"delta": {"tool_calls": [piece]}}]} for piece in pieces]
        chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
        send(writer, "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode())

    asked = replace(ASKED, messages=(ChatMessage("user", "Write to anna.berg@example.org"),))
    async with stand_in(play) as server:
        named, door = ModelServer(name="vllm", url=server.url, models=("m",)), HttpDoor()
        policy = EgressPolicy(redaction=(("*", replace(PRESETS["default"], names=False)),))
        gateway = Gateway([backend_for(named, door)], Guard(policy), servers=[named])
        chunks = [chunk async for chunk in gateway.stream(asked, sender=Sender(run="r-1"))]
        await door.stop()
    assert chunks[-1].reply is not None
    expected = {"to": "anna.berg@example.org"}
    assert expected == json.loads(chunks[-1].reply.tool_calls[0].arguments)
    assert expected == json.loads("".join(chunk.tool_call.arguments for chunk in chunks if chunk.tool_call))
