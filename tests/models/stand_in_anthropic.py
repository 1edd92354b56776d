"""A stand-in for the Messages API: it plays what it is told, and says that it is a stand-in."""

import asyncio
import json
from typing import Any

from tests.models.stand_in import StandIn, reply, send


async def anthropic(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Answers as the API's documentation describes it."""
    if path == "/v1/messages/count_tokens":
        reply(writer, {"input_tokens": 7})
        return
    assert path == "/v1/messages", path
    usage = {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "stand-in", "content": [], "usage": usage}
    events: list[dict[str, object]] = [{"type": "message_start", "message": {**message, "stop_reason": None}}]
    events.append({"type": "ping"})
    stop = "end_turn"
    if body.get("tools"):
        stop = "tool_use"
        block: dict[str, object] = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"card"', ": 7}")]
    else:
        block = {"type": "text", "text": ""}
        words = ('{"ok":', " true}") if "output_config" in body else ("Hello", " there.")
        deltas = [{"type": "text_delta", "text": word} for word in words]
    if len(deltas) > body["max_tokens"]:
        deltas, stop = deltas[: body["max_tokens"]], "max_tokens"
    events.append({"type": "content_block_start", "index": 0, "content_block": block})
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events.append({"type": "content_block_stop", "index": 0})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 2}})
    events.append({"type": "message_stop"})
    send(writer, sse(events), media_type="text/event-stream")


def sse(events: list[dict[str, object]]) -> bytes:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
