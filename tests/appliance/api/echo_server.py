"""A stand-in for a model server of the site: it says back all that it reads, and keeps every byte of it.

With tools it calls the first one instead, with all that it reads among the arguments; asked for JSON it says it in
JSON. The model's name says how a
stream is cut: `cut-3` into pieces of three characters.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

_USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
_ABOUT = {"id": "chatcmpl-1", "created": 1, "model": "m", "system_fingerprint": "echo"}


class EchoServer:
    """What came in, and where."""

    def __init__(self) -> None:
        self.url = ""
        self.seen = bytearray()
        """Every byte, heads and bodies."""


@asynccontextmanager
async def echo_server() -> AsyncIterator[EchoServer]:
    """The server on a free port."""
    server = EchoServer()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().lower().split("\r\n")
                length = next(int(line[15:]) for line in lines if line.startswith("content-length"))
                body = await reader.readexactly(length)
                server.seen += head + body
                _answer(json.loads(body), writer)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(
        lambda reader, writer: talks.add(asyncio.create_task(talk(reader, writer))), "127.0.0.1", 0
    )
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def _answer(asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    if "input" in asked:
        data = [{"index": index, "embedding": [3.0, 4.0]} for index in range(len(asked["input"]))]
        _send(writer, json.dumps({"data": data, "usage": _USAGE}).encode(), "application/json")
        return
    heard = "\n".join(_heard(asked))
    is_call = bool(asked.get("tools"))
    said = json.dumps({"all": heard}) if is_call or "response_format" in asked else heard
    reason = "tool_calls" if is_call else "stop"
    if not asked.get("stream"):
        message = {"role": "assistant", "content": None if is_call else said}
        if is_call:
            message["tool_calls"] = [_call(asked, said)]  # type: ignore[assignment]
        choice = {"index": 0, "message": message, "finish_reason": reason}
        _send(writer, json.dumps({**_ABOUT, "choices": [choice], "usage": _USAGE}).encode(), "application/json")
        return
    size = int(asked["model"].removeprefix("cut-"))
    deltas = list(_deltas(asked, said, size, is_call=is_call))
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks = [{**_ABOUT, "choices": [choice]} for choice in [*choices, {"delta": {}, "finish_reason": reason}]]
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in [*chunks, {**_ABOUT, "choices": [], "usage": _USAGE}]]
    _send(writer, "".join([*events, "data: [DONE]\n\n"]).encode(), "text/event-stream")


def _heard(asked: dict[str, Any]) -> Iterator[str]:
    for turn in asked["messages"]:
        yield turn["content"] or ""
        yield from (call["function"]["arguments"] for call in turn.get("tool_calls", ()))


def _deltas(asked: dict[str, Any], said: str, size: int, *, is_call: bool) -> Iterator[dict[str, Any]]:
    pieces = [said[start : start + size] for start in range(0, len(said), size)]
    if not is_call:
        yield from ({"content": piece} for piece in pieces)
        return
    yield {"tool_calls": [{"index": 0, **_call(asked, "")}]}
    yield from ({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces)


def _call(asked: dict[str, Any], arguments: str) -> dict[str, Any]:
    name = asked["tools"][0]["function"]["name"]
    return {"id": "call_9", "type": "function", "function": {"name": name, "arguments": arguments}}


def _send(writer: asyncio.StreamWriter, body: bytes, media_type: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
