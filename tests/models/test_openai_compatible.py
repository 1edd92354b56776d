"""Models of a server that speaks the OpenAI API: a stand-in that behaves, and several that do not."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from struct import unpack
from typing import Any

import pytest
from msgspec.structs import replace

from models.gateway import Gateway
from models.openai_compatible import OpenAiCompatibleBackend
from models.openai_replies import Stream
from models.servers import ModelServer, check_servers
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressMode, EgressPolicy
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, EmbedRequest
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, StepFailure, Unavailable
from tests.models.stand_in import FINGERPRINT, Play, StandIn, reply, send, stand_in

HELLO = ChatRequest(provider="vllm", model="", messages=(ChatMessage("user", "my pin is 4711"),), max_tokens=8)
SCHEMA: dict[str, Json] = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}


@asynccontextmanager
async def gateway(
    url: str, *, mode: EgressMode = "restricted", zone: str = "site", model: str = "org/llama3"
) -> AsyncIterator[Gateway]:
    server = ModelServer(name="vllm", url=url, zone=zone, models=(model,))
    guard, door = Guard(EgressPolicy(mode=mode)), HttpDoor()
    opened = Gateway([OpenAiCompatibleBackend(server, door)], guard, servers=[server])
    try:
        yield opened
    finally:
        await opened.stop()
        await door.stop()


@asynccontextmanager
async def asked(play: Play | None = None) -> AsyncIterator[tuple[Gateway, StandIn]]:
    async with stand_in(play) as server, gateway(server.url) as opened:
        yield opened, server


async def test_an_answer_says_who_gave_it() -> None:
    async with asked() as (models, server):
        answer = await models.complete(HELLO)
    assert ("Hello there.", "stop", 7, 2) == (
        answer.text,
        answer.finish_reason,
        answer.input_tokens,
        answer.output_tokens,
    )
    assert ("model.vllm", "org/llama3") == (answer.backend, answer.model)
    assert FINGERPRINT in answer.fingerprint
    [sent] = server.asked
    assert {"model": "org/llama3", "max_tokens": 8, "temperature": 0.0, "seed": 0}.items() <= sent.items()


async def test_a_stream_is_the_answer_in_pieces() -> None:
    async with asked() as (models, _):
        chunks = [chunk async for chunk in models.stream(HELLO)]
        assert chunks[-1].reply == await models.complete(HELLO)
    assert ["Hello there."] == ["".join(chunk.text for chunk in chunks)]


async def test_a_stream_may_be_cut_anywhere() -> None:
    """A character of four bytes, and an event's end, may come in two pieces."""
    chunk = json.dumps({"choices": [{"delta": {"content": "für 🙂"}, "finish_reason": "stop"}]}, ensure_ascii=False)
    stream = f": hello\n\ndata: {chunk}\r\n\r\ndata: [DONE]\n\n".encode()
    for cut in range(len(stream)):
        told = Stream("vllm")
        assert "für 🙂" == "".join(chunk.text for chunk in told.feed(stream[:cut]) + told.feed(stream[cut:]))
        assert "für 🙂" == told.whole().text


async def test_a_schema_is_passed_on_and_checked() -> None:
    async with asked() as (models, server):
        answer = await models.complete(ChatRequest(provider="vllm", model="", messages=HELLO.messages, schema=SCHEMA))
    assert '{"ok": true}' == answer.text
    assert SCHEMA == server.asked[0]["response_format"]["json_schema"]["schema"]


async def test_vectors_are_of_unit_length_and_in_order() -> None:
    async with asked() as (models, _):
        answer = await models.embed(EmbedRequest(model="vllm/org/llama3", texts=("a", "b")))
    assert (2, 5) == (answer.dimensions, answer.input_tokens)
    assert unpack("<4f", answer.vectors) == pytest.approx((0.6, 0.8, 0.6, 0.8))


async def test_tokens_are_counted_by_the_server() -> None:
    async with asked() as (models, server):
        assert 7 == await models.count_tokens(HELLO)
    assert 1 == server.asked[0]["max_tokens"]


@pytest.mark.parametrize(
    ("status", "document", "kind", "code"),
    [
        (400, {"error": {"type": "exceed_context_size_error", "message": "4711"}}, Invalid, "model.prompt_too_long"),
        (400, {"error": {"message": "maximum context length is 8"}}, Invalid, "model.prompt_too_long"),
        (400, {"error": {"message": "4711"}}, Invalid, "model.server_refused"),
        (401, {}, Unavailable, "model.server_closed"),
        (404, {}, NotFound, "model.not_served"),
        (429, {}, Unavailable, "model.server_busy"),
        (500, {"error": {"message": "4711"}}, Unavailable, "model.server_busy"),
        (501, {}, Invalid, "model.server_refused"),
        (200, {"object": "list"}, StepFailure, "model.server_garbled"),
        (200, {"error": {"message": "4711"}}, StepFailure, "model.server_failed"),
        (200, {"choices": [{"finish_reason": 7}]}, StepFailure, "model.server_garbled"),
        (200, ["4711"], StepFailure, "model.server_garbled"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_a_server_that_fails_is_one_clear_error(
    status: int, document: object, kind: type[AgentFlowError], code: str, is_streamed: bool
) -> None:
    """And its words, which may quote the prompt, go nowhere."""

    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if status == 200 and body.get("stream"):
            send(writer, f"data: {json.dumps(document)}\n\n".encode(), media_type="text/event-stream")
        else:
            reply(writer, document, status)

    async with asked(play) as (models, _):
        with pytest.raises(kind) as raised:
            await _answer(models, is_streamed)
    assert "4711" not in str(raised.value)
    assert raised.value.code == (code if "list" not in str(document) or not is_streamed else "model.server_failed")


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_a_server_that_hangs_up_is_unavailable(is_streamed: bool) -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\ndata:")
        await writer.drain()
        writer.close()

    async with asked(play) as (models, _):
        with pytest.raises(Unavailable, match=r"http\.broken"):
            await _answer(models, is_streamed)


async def test_a_server_that_does_not_count_is_estimated() -> None:
    """A budget must not read a missing number as nothing."""

    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        reply(writer, {"choices": [{"message": {"content": "eight by"}, "finish_reason": "stop"}]})

    async with asked(play) as (models, _):
        answer = await models.complete(replace(HELLO, messages=(ChatMessage("user", "what time is it"),)))
    assert (4, 2, "estimated") == (answer.input_tokens, answer.output_tokens, answer.usage)


async def test_whoever_stops_reading_closes_the_connection() -> None:
    """That is how these servers are told to stop."""
    async with stand_in(_until_left) as server, gateway(server.url) as models:
        async with aclosing(models.stream(HELLO)) as chunks:  # type: ignore[type-var]  # a generator
            assert "tick " == (await anext(chunks)).text
        await asyncio.wait_for(server.was_left.wait(), 60)


async def test_stopping_ends_what_is_being_asked() -> None:
    async with stand_in(_until_left) as server, gateway(server.url) as models:
        asking = asyncio.create_task(models.complete(HELLO))
        while not server.asked:
            await asyncio.wait({asking}, timeout=0)
        await models.stop()
        with pytest.raises(Unavailable, match=r"model\.stopped"):
            await asking


async def _until_left(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Send a first word, then ever more comments until nobody takes them."""
    chunk = json.dumps({"choices": [{"delta": {"content": "tick "}}]})
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 999999999\r\n\r\n" + f"data: {chunk}\n\n".encode())
    try:
        while True:
            await writer.drain()
            writer.write(b": still here\n\n")
    except ConnectionError:
        server.was_left.set()


@pytest.mark.parametrize(
    ("mode", "zone", "url", "code"),
    [
        ("air_gapped", "site", "http://127.0.0.1:1/v1", "egress.air_gapped"),
        ("restricted", "site", "http://gpu.example:8000/v1", "egress.undeclared_host"),
        ("connected", "cloud:eu", "http://127.0.0.1:1/v1", "egress.cloud_refused"),
    ],
)
async def test_policy_decides_before_anything_is_sent(mode: EgressMode, zone: str, url: str, code: str) -> None:
    async with gateway(url, mode=mode, zone=zone) as models:
        with pytest.raises(Refused) as refused:
            await models.complete(HELLO)
    assert code == refused.value.code


async def test_only_the_models_of_the_settings_are_asked() -> None:
    async with asked() as (models, server):
        with pytest.raises(NotFound, match=r"model\.not_served"):
            await models.complete(ChatRequest(model="vllm/other", messages=HELLO.messages))
    assert [] == server.asked


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Big"},
        {"name": "local"},
        {"url": "ftp://x/v1"},
        {"url": "http://x:99999/v1"},
        {"zone": "local"},
        {"models": ()},
    ],
)
def test_servers_that_cannot_be_called_are_refused(wrong: dict[str, Any]) -> None:
    good = {"name": "vllm", "url": "http://127.0.0.1:8000/v1", "models": ("llama3",)}
    with pytest.raises(ValueError, match=r".+"):
        check_servers([ModelServer(**{**good, **wrong})])


async def _answer(models: Gateway, is_streamed: bool) -> ChatReply | None:
    if not is_streamed:
        return await models.complete(HELLO)
    chunks = [chunk async for chunk in models.stream(HELLO)]
    return chunks[-1].reply
