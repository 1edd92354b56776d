"""What a real vLLM 0.32.0 was asked and answered, played again byte for byte: a random Llama of two layers, so the
texts mean nothing; the shapes are the server's own. Recorded by running `test_vllm_keeps_the_promises` behind a relay.
"""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from models.gateway import Gateway
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, ToolOffer
from runtime.errors import Invalid
from tests.models.stand_in import StandIn, stand_in
from tests.models.test_real_servers import HELLO, SCHEMA, gateway

EXCHANGES: dict[str, dict[str, Any]] = {
    each["name"]: each
    for each in json.loads((Path(__file__).parent / "recorded" / "vllm-0.32.0.json").read_text(encoding="utf-8"))
}
CITY = ToolOffer(name="weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
SHORT_CITY = ToolOffer(
    name="weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}},
        "required": ["city"],
        "additionalProperties": False,
    },
)


def recorded(name: str) -> AbstractAsyncContextManager[StandIn]:
    """A server that gives the recorded answer to whatever it is asked."""
    exchange = EXCHANGES[name]
    body = exchange["reply"].encode()

    async def play(_: StandIn, path: str, body_in: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        assert (path, exchange["request"] or body_in) == ("/v1/chat/completions", body_in)
        head = f"HTTP/1.1 {exchange['status']} x\r\nContent-Type: {exchange['content_type']}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return stand_in(play)


async def told(models: Gateway, request: ChatRequest) -> tuple[str, ChatReply]:
    chunks = [chunk async for chunk in models.stream(request)]
    assert chunks[-1].reply is not None
    return "".join(chunk.text for chunk in chunks), chunks[-1].reply


async def test_a_recorded_answer_is_read() -> None:
    async with recorded("chat") as server, gateway(server.url, "smollm2") as models:
        answer = await models.complete(HELLO)
    assert ("length", 20, 8, "counted") == (
        answer.finish_reason,
        answer.input_tokens,
        answer.output_tokens,
        answer.usage,
    )
    assert answer.text.endswith("pleas the")
    assert "vllm-0.32.0" in answer.fingerprint


async def test_a_recorded_stream_is_put_together() -> None:
    async with recorded("stream") as server, gateway(server.url, "smollm2") as models:
        text, whole = await told(models, replace(HELLO, seed=1))
    assert (text, "length", 20, 8) == (whole.text, whole.finish_reason, whole.input_tokens, whole.output_tokens)
    assert text.endswith("pleas the")


async def test_tokens_are_counted_by_the_server() -> None:
    async with recorded("count") as server, gateway(server.url, "smollm2") as models:
        assert 20 == await models.count_tokens(HELLO)


async def test_a_recorded_answer_keeps_its_schema() -> None:
    async with recorded("schema") as server, gateway(server.url, "smollm2") as models:
        answer = await models.complete(replace(HELLO, schema=SCHEMA, max_tokens=64))
    assert {"ok": False} == json.loads(answer.text)


async def test_a_recorded_refusal_is_one_clear_error() -> None:
    async with recorded("too_long") as server, gateway(server.url, "smollm2") as models:
        with pytest.raises(Invalid, match=r"model\.prompt_too_long"):
            await models.complete(replace(HELLO, messages=(ChatMessage("user", "x " * 3_000),)))


async def test_a_recorded_call_of_a_tool_is_read() -> None:
    """The server says `stop` where a tool was named; it is a call all the same."""
    async with recorded("tool") as server, gateway(server.url, "smollm2") as models:
        answer = await models.complete(replace(HELLO, tools=(CITY,), tool_choice="weather", max_tokens=64))
    assert ("tool_calls", ["weather"]) == (answer.finish_reason, [call.name for call in answer.tool_calls])


async def test_a_recorded_stream_of_a_call_is_put_together() -> None:
    asked = replace(HELLO, tools=(SHORT_CITY,), tool_choice="weather", max_tokens=64)
    async with recorded("tool_stream") as server, gateway(server.url, "smollm2") as models:
        pieces = [chunk.tool_call async for chunk in models.stream(asked) if chunk.tool_call is not None]
    assert ["weather"] == [piece.name for piece in pieces if piece.name]
    assert "72e21" == "".join(piece.arguments for piece in pieces)
