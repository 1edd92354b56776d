"""Servers that misbehave, whatever they speak: one clear error, the leave settled, the memory bounded, no word of the
prompt or the answer in any log."""

import asyncio
import json
import logging
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from msgspec.structs import replace

from models.gateway import Gateway
from models.remote import backend_for
from models.servers import ModelServer, ServerKind
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.errors import AgentFlowError
from tests.models.stand_in import Play, StandIn, reply, stand_in

PROMPT = "the secret of the prompt"
ANSWER = "the secret of the answer"
ASKED = ChatRequest(provider="bad", model="", messages=(ChatMessage("user", PROMPT),), max_tokens=8)
SCHEMA: dict[str, Json] = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
KINDS: tuple[ServerKind, ...] = ("openai_compatible", "ollama", "anthropic")


class Bad:
    """A gateway to a bad server, and what its guard wrote down."""

    def __init__(self, gateway: Gateway, server: StandIn, audit: list[AuditEntry]) -> None:
        self.gateway = gateway
        self.server = server
        self.audit = audit

    async def fails(self, *, is_streamed: bool, asked: ChatRequest = ASKED) -> str:
        """The code of the one error that comes of asking."""
        with pytest.raises(AgentFlowError) as raised:
            await self._ask(asked, is_streamed=is_streamed)
        assert PROMPT not in str(raised.value)
        assert ANSWER not in str(raised.value)
        return raised.value.code

    async def _ask(self, asked: ChatRequest, *, is_streamed: bool) -> None:
        if is_streamed:
            async for _ in self.gateway.stream(asked):
                pass
        else:
            await self.gateway.complete(asked)

    def settled(self) -> list[str]:
        """How each leave ended."""
        return [entry.outcome for entry in self.audit if entry.event == "egress.settled"]


@asynccontextmanager
async def bad(play: Play, kind: ServerKind = "openai_compatible", *, timeout_s: float = 60.0) -> AsyncIterator[Bad]:
    audit: list[AuditEntry] = []

    async def record(entry: AuditEntry) -> None:
        audit.append(entry)

    async with stand_in(play) as server:
        url = server.url if kind == "openai_compatible" else server.url.removesuffix("/v1")
        named = ModelServer(name="bad", kind=kind, url=url, models=("m",), timeout_s=timeout_s)
        door = HttpDoor()
        gateway = Gateway([backend_for(named, door)], Guard(EgressPolicy(), record=record), servers=[named])
        try:
            yield Bad(gateway, server, audit)
        finally:
            await gateway.stop()
            await door.stop()


async def hangs(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def trickles(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever: no pause is long, and there is no end."""
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 999999999\r\n\r\n")
    with suppress(ConnectionError):
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)


async def resets(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n{")
    writer.transport.abort()


async def babbles(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    garbage = f"\x00\xff<{ANSWER}>{PROMPT}\n\ndata: {{{ANSWER}\n\n".encode("latin-1")
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n%s" % (len(garbage), garbage))


async def nests(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Lists in lists, deeper than a reader of JSON can go."""
    deep = b'{"usage": %b%b, "choices": [{}]}' % (b"[" * 100_000, b"]" * 100_000)
    event = b"event: message_start\ndata: %b\n\n" % deep if path.endswith("/messages") else deep + b"\n"
    if body.get("stream") and path.endswith("/chat/completions"):
        event = b"data: %b\n\n" % deep
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(event))
    writer.write(event)


def floods(piece: bytes) -> Play:
    """Ten gigabytes, or as much as anybody takes."""

    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nContent-Length: 10737418240\r\n\r\n")
        sent = 0
        try:
            while sent < 10 * 2**30:
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
        except ConnectionError:
            server.was_left.set()

    return play


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("play", [hangs, trickles], ids=["hangs", "trickles"])
async def test_one_that_gives_no_end_is_left_in_time(play: Play, kind: ServerKind, is_streamed: bool) -> None:
    async with bad(play, kind, timeout_s=0.4) as its:
        assert await its.fails(is_streamed=is_streamed) == "http.timeout"
        assert its.settled() == ["http.timeout"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_one_that_resets_is_unavailable(kind: ServerKind, is_streamed: bool) -> None:
    async with bad(resets, kind) as its:
        assert await its.fails(is_streamed=is_streamed) == "http.broken"
        assert its.settled() == ["http.broken"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_one_that_nests_without_end_is_garbled(kind: ServerKind, is_streamed: bool) -> None:
    """It is the server's failure, and not one of the program."""
    async with bad(nests, kind) as its:
        assert await its.fails(is_streamed=is_streamed) == "model.server_garbled"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_one_that_babbles_is_garbled_and_not_quoted(
    kind: ServerKind, is_streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with bad(babbles, kind) as its:
        assert await its.fails(is_streamed=is_streamed) in ("model.server_garbled", "model.server_failed")
    for secret in (PROMPT, ANSWER):
        assert secret not in caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [b"x" * 65_536, (b": " + b"x" * 4_000 + b"\n") * 16], ids=["one-line", "lines"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_ten_gigabytes_are_cut_off_and_not_kept(kind: ServerKind, piece: bytes, is_streamed: bool) -> None:
    tracemalloc.start()
    try:
        async with bad(floods(piece), kind, timeout_s=30) as its:
            code = await its.fails(is_streamed=is_streamed)
            await asyncio.wait_for(its.server.was_left.wait(), 60)
            _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert code in ("http.reply_too_large", "model.server_garbled")
    assert its.settled() == [code]
    assert most_bytes < 200 * 2**20


async def test_the_schema_of_another_model_is_no_answer() -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        content = json.dumps({"label": ANSWER})
        reply(writer, {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]})

    async with bad(play) as its:
        assert await its.fails(is_streamed=False, asked=replace(ASKED, schema=SCHEMA)) == "model.answer_invalid"
        assert its.settled() == ["model.answer_invalid"]


@pytest.mark.parametrize("told", [-5, 10**12, 10**40, "many", None, 1.5e300])
async def test_one_that_lies_about_usage_is_corrected(told: object) -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        usage = {"prompt_tokens": told, "completion_tokens": told}
        reply(writer, {"choices": [{"message": {"content": "eight by"}, "finish_reason": "stop"}], "usage": usage})

    async with bad(play) as its:
        answer = await its.gateway.complete(ASKED)
    assert (6, 2) == (answer.input_tokens, answer.output_tokens)
    assert answer.usage != "counted"
    [settled] = [entry for entry in its.audit if entry.event == "egress.settled"]
    assert (6, 2) == (settled.input_tokens, settled.output_tokens)


@pytest.mark.parametrize("kind", KINDS)
async def test_whoever_goes_away_closes_the_connection(kind: ServerKind) -> None:
    """That is how these servers are told to stop, also before their first word."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nContent-Length: 99999999\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"\n" * 1_000)
                await writer.drain()
        left.set()

    async with bad(play, kind) as its:
        asking = asyncio.create_task(its.gateway.complete(ASKED))
        await asyncio.wait_for(asked.wait(), 60)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(left.wait(), 60)
        assert its.settled() == ["cancelled"]


async def pauses(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """A first piece, and then nothing."""
    piece = json.dumps({"choices": [{"index": 0, "delta": {"content": "grüße"}}]}, ensure_ascii=False)
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\n" + f"data: {piece}\n\n".encode())
    await asyncio.Event().wait()


async def test_a_stream_that_is_left_is_audited_with_what_came() -> None:
    """In bytes: whoever looks for what was taken home must not read that it was nothing."""
    async with bad(pauses) as its:
        async with aclosing(its.gateway.stream(ASKED)) as chunks:  # type: ignore[type-var]  # it is a generator
            assert (await anext(chunks)).text == "grüße"
        [ended] = [entry for entry in its.audit if entry.event == "egress.settled"]
        assert (ended.outcome, ended.size_bytes) == ("cancelled", 7)
