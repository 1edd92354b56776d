"""A stand-in for servers that speak the OpenAI API: it plays what it is told, and says that it is a stand-in.

It follows the wire traffic of llama-server: the same keys, a first chunk with null content, usage in a last chunk.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

FINGERPRINT = "stand-in"
Play = Callable[["StandIn", str, dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


class StandIn:
    """What came in, on which port."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.check_status = 200
        """What it says to those who only ask how it is."""
        self.was_left = asyncio.Event()
        """Somebody closed a connection in the middle of an answer."""


@asynccontextmanager
async def stand_in(play: Play | None = None) -> AsyncIterator[StandIn]:
    """The server on a free port; `play` answers in its place."""
    server = StandIn()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                lines = head.lower().split("\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith("content-length")), 0)
                server.heads.append(head)
                if head.startswith("GET "):
                    reply(writer, {"data": [], "models": []}, server.check_status)
                else:
                    body = json.loads(await reader.readexactly(length))
                    server.asked.append(body)
                    await (play or well)(server, head.split()[1], body, writer)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def well(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Answers as a good server does."""
    if path == "/v1/embeddings":
        data = [{"object": "embedding", "index": index, "embedding": [3.0, 4.0]} for index in range(len(body["input"]))]
        reply(writer, {"object": "list", "data": data[::-1], "usage": {"prompt_tokens": 5, "total_tokens": 5}})
        return
    text = '{"ok": true}' if "response_format" in body else "Hello there."
    words = text.split(" ")[: body["max_tokens"]]
    finish = "stop" if len(words) == len(text.split(" ")) else "length"
    usage = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
    about = {"model": body["model"], "system_fingerprint": FINGERPRINT, "created": 1, "id": "chatcmpl-1"}
    if not body.get("stream"):
        message = {"role": "assistant", "content": " ".join(words)}
        choice = {"finish_reason": finish, "index": 0, "message": message}
        reply(writer, {"choices": [choice], "usage": usage, "object": "chat.completion", **about})
        return
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": None}]
    deltas += [{"content": word if number == 0 else f" {word}"} for number, word in enumerate(words)]
    chunks: list[dict[str, object]] = [{"choices": [{"index": 0, "finish_reason": None, "delta": d}]} for d in deltas]
    chunks += [{"choices": [{"index": 0, "finish_reason": finish, "delta": {}}]}, {"choices": [], "usage": usage}]
    events = "".join(f"data: {json.dumps({**chunk, **about})}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    send(writer, events.encode(), media_type="text/event-stream")


def reply(writer: asyncio.StreamWriter, document: object, status: int = 200) -> None:
    """Send a JSON document."""
    send(writer, json.dumps(document).encode(), status=status)


def send(writer: asyncio.StreamWriter, body: bytes, *, status: int = 200, media_type: str = "application/json") -> None:
    """Send a whole answer."""
    head = (
        f"HTTP/1.1 {status} X\r\nServer: stand-in\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
