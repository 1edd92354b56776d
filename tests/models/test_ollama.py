"""Models of an Ollama server, through its own client on our transport: stand-ins that behave, and some that do not."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from struct import unpack
from typing import Any

import ollama
import pytest
from msgspec.structs import replace

from models.gateway import Gateway
from models.remote import backend_for
from models.servers import ModelServer
from redaction.doors.http import HttpDoor
from redaction.doors.transport import GuardedTransport, Terms
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, EmbedRequest, Image, ToolCall, ToolOffer
from runtime.domain.egress import Destination, Outbound
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, StepFailure, Unavailable
from tests.models.stand_in import Play, StandIn, reply, send, stand_in
from tests.models.stand_in_ollama import COUNTS
from tests.models.stand_in_ollama import ollama as well

HELLO = ChatRequest(provider="ollama", model="", messages=(ChatMessage("user", "Say hello."),), max_tokens=8, seed=3)
LOOK_UP = ToolOffer(
    name="look_up",
    description="Find a card.",
    parameters={"type": "object", "properties": {"card": {"type": "integer"}, "why": {"type": "string"}}},
)
SCHEMA: dict[str, Json] = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}


@asynccontextmanager
async def asked(play: Play = well, *, key_env: str = "") -> AsyncIterator[tuple[Gateway, StandIn]]:
    async with stand_in(play) as server:
        url = server.url.removesuffix("/v1")
        named = ModelServer(name="ollama", kind="ollama", url=url, models=("llama3.2:3b",), key_env=key_env)
        door = HttpDoor()
        gateway = Gateway([backend_for(named, door)], Guard(EgressPolicy()), servers=[named])
        try:
            yield gateway, server
        finally:
            await gateway.stop()
            await door.stop()


async def answered(gateway: Gateway, request: ChatRequest, *, is_streamed: bool) -> ChatReply:
    if not is_streamed:
        return await gateway.complete(request)
    chunks = [chunk async for chunk in gateway.stream(request)]
    assert chunks[-1].reply is not None
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].reply.text
    return chunks[-1].reply


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_an_answer_says_who_gave_it(is_streamed: bool) -> None:
    async with asked() as (models, server):
        answer = await answered(models, HELLO, is_streamed=is_streamed)
    assert ("Hello there.", "stop", 7, 2) == (
        answer.text,
        answer.finish_reason,
        answer.input_tokens,
        answer.output_tokens,
    )
    assert ("model.ollama", "llama3.2:3b", "counted") == (answer.backend, answer.model, answer.usage)
    assert {"temperature": 0.0, "seed": 3, "num_predict": 8} == server.asked[0]["options"]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_a_model_may_ask_for_a_tool(is_streamed: bool) -> None:
    request = replace(HELLO, tools=(LOOK_UP,))
    async with asked() as (models, server):
        answer = await answered(models, request, is_streamed=is_streamed)
    [call] = answer.tool_calls
    assert ("look_up", {"card": 7, "why": "größer"}) == (call.name, json.loads(call.arguments))
    assert answer.finish_reason == "tool_calls"
    assert server.asked[0]["tools"][0]["function"]["name"] == "look_up"


async def test_what_a_tool_answered_goes_back_under_its_name() -> None:
    turns = (
        *HELLO.messages,
        ChatMessage("assistant", "", (ToolCall(id="c-1", name="look_up", arguments='{"card": 7}'),)),
        ChatMessage("tool", "it is on its way", tool_call_id="c-1"),
    )
    async with asked() as (models, server):
        await models.complete(replace(HELLO, messages=turns))
    _, called, told = server.asked[0]["messages"]
    assert called["tool_calls"] == [{"function": {"name": "look_up", "arguments": {"card": 7}}}]
    assert told == {"role": "tool", "content": "it is on its way", "tool_name": "look_up"}


async def test_a_schema_and_a_picture_are_passed_on() -> None:
    picture = Image("image/png", b"\x89PNG not a path")
    async with asked() as (models, server):
        assert '{"ok": true}' == (await models.complete(replace(HELLO, schema=SCHEMA))).text
        guard = Guard(EgressPolicy(redaction=(("*", None),)))
        models._guard = guard  # a picture cannot be looked through, so only a policy of none lets it pass
        await models.complete(replace(HELLO, messages=(ChatMessage("user", "what is it", images=(picture,)),)))
    assert SCHEMA == server.asked[0]["format"]
    assert picture.data == b64decode(server.asked[1]["messages"][0]["images"][0])


async def test_vectors_are_of_unit_length() -> None:
    async with asked() as (models, _):
        answer = await models.embed(EmbedRequest(model="ollama/llama3.2:3b", texts=("a", "b")))
    assert (2, 5) == (answer.dimensions, answer.input_tokens)
    assert unpack("<4f", answer.vectors) == pytest.approx((0.6, 0.8, 0.6, 0.8))


async def test_keys_and_hosts_of_the_environment_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads both by itself; only what the settings name may go out."""
    monkeypatch.setenv("OLLAMA_API_KEY", "from-the-environment")
    monkeypatch.setenv("OLLAMA_HOST", "http://192.0.2.1:1")
    monkeypatch.setenv("SITE_KEY", "of-the-settings")
    async with asked() as (models, server):
        await models.complete(HELLO)
    async with asked(key_env="SITE_KEY") as (models, with_key):
        await models.complete(HELLO)
    assert "from-the-environment" not in server.heads[0]
    assert "python" not in server.heads[0].lower()
    assert "authorization: bearer of-the-settings" in with_key.heads[0].lower()


async def test_the_client_reaches_no_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its web search goes to a public cloud, whatever host it was given."""
    monkeypatch.setenv("OLLAMA_API_KEY", "x")
    destination = Destination("model", "site", "127.0.0.1:9")
    cleared = await Guard(EgressPolicy()).clear(Outbound(destination=destination, payload=HELLO))
    transport = GuardedTransport(HttpDoor(), cleared, Terms())
    client = ollama.AsyncClient("http://127.0.0.1:9", transport=transport, trust_env=False, follow_redirects=False)
    for leaving in (client.web_search("secret"), client.web_fetch("http://example.org")):
        with pytest.raises(Refused, match=r"egress\.other_destination"):
            await leaving


@pytest.mark.parametrize(
    ("status", "said", "kind", "code"),
    [
        (404, b'{"error": "model \'x\' not found: my pin is 4711"}', NotFound, "model.not_served"),
        (400, b'{"error": "the prompt exceeds the context size"}', Invalid, "model.prompt_too_long"),
        (401, b"{}", Unavailable, "model.server_closed"),
        (500, b"4711", Unavailable, "model.server_busy"),
        (200, b"<html>4711</html>", StepFailure, "model.server_garbled"),
        (200, b"[4711]", StepFailure, "model.server_garbled"),
        (200, b'{"message": {"role": "assistant", "content": 4711}}', StepFailure, "model.server_garbled"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_a_server_that_fails_is_one_clear_error(
    status: int, said: bytes, kind: type[AgentFlowError], code: str, is_streamed: bool
) -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        send(writer, said, status=status)

    async with asked(play) as (models, _):
        with pytest.raises(kind) as raised:
            await answered(models, HELLO, is_streamed=is_streamed)
    assert raised.value.code == code
    assert "4711" not in str(raised.value)


async def test_an_error_in_the_middle_of_a_stream_is_told() -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        send(writer, b'{"error": "out of memory over my pin 4711"}\n', media_type="application/x-ndjson")

    async with asked(play) as (models, _):
        with pytest.raises(StepFailure, match=r"model\.server_failed") as raised:
            await answered(models, HELLO, is_streamed=True)
    assert "4711" not in str(raised.value)


async def test_a_stream_that_ends_before_the_answer_is_no_answer() -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        send(writer, b'{"message": {"role": "assistant", "content": "half"}, "done": false}\n')

    async with asked(play) as (models, _):
        with pytest.raises(StepFailure, match=r"model\.server_failed"):
            await answered(models, HELLO, is_streamed=True)


async def test_a_server_that_does_not_count_is_estimated() -> None:
    """A prompt out of its cache has no count."""
    without = {key: value for key, value in COUNTS.items() if "count" not in key}

    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        reply(writer, {"message": {"role": "assistant", "content": "eight by"}, **without})

    async with asked(play) as (models, _):
        answer = await models.complete(HELLO)
    assert (3, 2, "estimated") == (answer.input_tokens, answer.output_tokens, answer.usage)
