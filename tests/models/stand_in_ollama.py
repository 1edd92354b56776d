"""A stand-in for Ollama: it plays what it is told, and says that it is a stand-in.

It follows the documented wire format: one JSON object per line in a stream, counts in the last one, tool calls whole
and with their arguments as an object.
"""

import asyncio
import json
from typing import Any

from tests.models.stand_in import StandIn, reply, send

ABOUT = {"model": "stand-in", "created_at": "2026-01-01T00:00:00Z"}
COUNTS = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 2, "total_duration": 1}
CALL = {"function": {"name": "look_up", "arguments": {"card": 7, "why": "größer"}}}


async def ollama(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Answers as a good server does."""
    if path == "/api/embed":
        vectors = [[3.0, 4.0] for _ in body["input"]]
        reply(writer, {**ABOUT, "embeddings": vectors, "prompt_eval_count": 5})
        return
    assert path == "/api/chat", path
    parts: list[dict[str, object]] = [{"role": "assistant", "content": word} for word in ("Hello", " there.")]
    if "format" in body:
        parts = [{"role": "assistant", "content": piece} for piece in ('{"ok":', " true}")]
    elif body.get("tools"):  # the client sends an empty list where there are none
        parts = [{"role": "assistant", "content": "", "tool_calls": [CALL]}]
    counts = COUNTS
    if len(parts) > body["options"]["num_predict"]:
        parts, counts = parts[: body["options"]["num_predict"]], {**COUNTS, "done_reason": "length", "eval_count": 1}
    if not body["stream"]:
        whole = {**parts[-1], "content": "".join(str(part["content"]) for part in parts)}
        reply(writer, {**ABOUT, "message": whole, **counts})
        return
    lines: list[dict[str, object]] = [{**ABOUT, "message": part, "done": False} for part in parts]
    lines.append({**ABOUT, "message": {"role": "assistant", "content": ""}, **counts})
    stream = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    send(writer, stream.encode(), media_type="application/x-ndjson")
