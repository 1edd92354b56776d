"""What servers that speak the OpenAI API answer, read with suspicion. Pure: bytes in, values or our errors out.

No text of a server is passed on in an error: it may quote the prompt.
Sources: the OpenAI API reference; wire traffic of llama-server and vLLM; TGI's description of its own.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from models.replies import Answer, call_id
from runtime.domain.chat import ChatChunk, ToolCall, ToolCallPiece
from runtime.errors import AgentFlowError, Invalid, NotFound, StepFailure, Unavailable

Count = Annotated[int, Meta(ge=0)]

MAX_LINE_BYTES = 2**20
"""Longest line of a stream: an event of one piece has a hundredth of it."""
MAX_CALLS = 128
_TOO_LONG = ("context_length_exceeded", "exceed_context_size", "maximum context length", "context size")
_NOTHING = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON of somebody else raises; the last one for lists in lists without end."""


class Function(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: msgspec.Raw = _NOTHING
    """A JSON text in a string; TGI has sent the JSON itself."""


class Call(msgspec.Struct, frozen=True):
    """A tool call, or what a chunk adds to one."""

    index: Count = 0
    id: str | int | None = None
    function: Function = Function()


class Message(msgspec.Struct, frozen=True):
    """A message, or what a chunk adds to it."""

    content: str | None = None
    tool_calls: list[Call] | Call | None = None
    """TGI has sent a single one in a stream."""


class Choice(msgspec.Struct, frozen=True):
    message: Message = Message()
    delta: Message = Message()
    finish_reason: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """A completion, or one chunk of it."""

    choices: list[Choice] = []
    usage: msgspec.Raw = _NOTHING
    system_fingerprint: str | None = None
    error: msgspec.Raw = _NOTHING


class Vector(msgspec.Struct, frozen=True):
    index: Count
    embedding: list[float]


class Vectors(msgspec.Struct, frozen=True):
    data: list[Vector]
    usage: msgspec.Raw = _NOTHING


def read_answer(body: bytes, server: str) -> Answer:
    """A completion. Raises StepFailure for anything else, and for an error in its place."""
    reply = _read(body, server)
    if not reply.choices:
        raise garbled(server)
    choice = reply.choices[0]
    calls = _Calls(server)
    for number, call in enumerate(_listed(choice.message)):
        calls.add(msgspec.structs.replace(call, index=number))
    return Answer(
        text=choice.message.content or "",
        calls=calls.whole(),
        is_cut=choice.finish_reason == "length",
        usage=read_usage(reply.usage),
        fingerprint=reply.system_fingerprint or "",
    )


def read_vectors(body: bytes, server: str, texts: int) -> tuple[list[list[float]], int | None]:
    """The vectors in the order of the texts, all of one length, and the input tokens. Raises StepFailure."""
    try:
        found = msgspec.json.decode(body, type=Vectors)
    except _UNREADABLE:
        raise garbled(server) from None
    rows = {line.index: line.embedding for line in found.data}
    if sorted(rows) != list(range(texts)) or len({len(row) for row in rows.values()}) != 1 or not rows[0]:
        raise garbled(server)
    return [rows[index] for index in range(texts)], read_usage(found.usage)[0]


def read_usage(raw: msgspec.Raw) -> tuple[int | None, int | None]:
    """Input and output tokens; None for what is not said, or is no number."""
    try:
        said = msgspec.json.decode(raw)
    except _UNREADABLE:
        return None, None
    if not isinstance(said, dict):
        return None, None
    found = [said.get(name) for name in ("prompt_tokens", "completion_tokens")]
    inputs, outputs = (int(told) if isinstance(told, (int, float)) and abs(told) < 2**53 else None for told in found)
    return inputs, outputs


class Stream:
    """Server-sent events, cut anywhere, put together into one completion."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._rest = bytearray()
        self._texts: list[str] = []
        self._calls = _Calls(server)
        self._finish_reason: str | None = None
        self._usage = _NOTHING
        self._fingerprint = ""

    def feed(self, piece: bytes) -> list[ChatChunk]:
        """What a piece of the body adds. Raises StepFailure for what is no stream of completions."""
        self._rest += piece
        *lines, rest = self._rest.split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise garbled(self._server)
        self._rest = rest
        return [chunk for line in lines for chunk in self._line(bytes(line))]

    def whole(self) -> Answer:
        """The completion. Raises StepFailure when the stream ended before the answer did."""
        if self._finish_reason is None:
            raise StepFailure(
                "model.server_failed", f"model server {self._server!r} ended its stream in the middle of the answer"
            )
        return Answer(
            text="".join(self._texts),
            calls=self._calls.whole(),
            is_cut=self._finish_reason == "length",
            usage=read_usage(self._usage),
            fingerprint=self._fingerprint,
        )

    def _line(self, line: bytes) -> list[ChatChunk]:
        name, _, data = line.strip().partition(b":")
        data = data.strip()
        if name != b"data" or data == b"[DONE]":
            return []
        chunk = _read(data, self._server)
        if bytes(chunk.usage) != b"null":
            self._usage = chunk.usage.copy()
        self._fingerprint = chunk.system_fingerprint or self._fingerprint
        if not chunk.choices:
            return []
        self._finish_reason = chunk.choices[0].finish_reason or self._finish_reason
        delta = chunk.choices[0].delta
        chunks = [ChatChunk(tool_call=self._calls.add(call)) for call in _listed(delta)]
        if delta.content:
            self._texts.append(delta.content)
            chunks.append(ChatChunk(text=delta.content))
        return chunks


class _Calls:
    """Tool calls, put together from their pieces."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._found: dict[int, list[str]] = {}

    def add(self, call: Call) -> ToolCallPiece:
        """Take a piece; it comes back with what a reader of it needs. Raises StepFailure for one that is no call."""
        name, arguments = call.function.name or "", self._arguments(call.function.arguments)
        place = call.index
        if place not in self._found:
            if not name or len(self._found) >= MAX_CALLS:
                raise garbled(self._server)
            identity = call_id(str(call.id or ""), len(self._found))
            self._found[place] = [identity, name, arguments]
            return ToolCallPiece(index=list(self._found).index(place), id=identity, name=name, arguments=arguments)
        self._found[place][2] += arguments
        return ToolCallPiece(index=list(self._found).index(place), arguments=arguments)

    def whole(self) -> tuple[ToolCall, ...]:
        """The calls in their order."""
        return tuple(ToolCall(id=call[0], name=call[1], arguments=call[2] or "{}") for call in self._found.values())

    def _arguments(self, raw: msgspec.Raw) -> str:
        text = bytes(raw)
        if text in (b"null", b""):
            return ""
        try:
            return msgspec.json.decode(text, type=str) if text.startswith(b'"') else text.decode()
        except _UNREADABLE:
            raise garbled(self._server) from None


def _listed(message: Message) -> list[Call]:
    calls = message.tool_calls
    return [] if calls is None else calls if isinstance(calls, list) else [calls]


def _read(body: bytes, server: str) -> Reply:
    try:
        reply = msgspec.json.decode(body, type=Reply)
    except _UNREADABLE:
        raise garbled(server) from None
    if bytes(reply.error) != b"null":
        raise StepFailure("model.server_failed", f"model server {server!r} broke off its answer with an error")
    return reply


def failure(status: int, body: bytes, server: str, model: str) -> AgentFlowError:
    """What a status that is no success means."""
    said = body[:4_096].decode(errors="replace").lower()
    if status in (400, 413, 422) and any(words in said for words in _TOO_LONG):
        return Invalid(
            "model.prompt_too_long",
            f"the prompt does not fit the context of model {model!r} at server {server!r}. Shorten the prompt, or "
            "give the server a larger context",
        )
    if status in (401, 403):
        return Unavailable(
            "model.server_closed",
            f"model server {server!r} does not take the key that it is given, or wants one (HTTP {status}); name the "
            "right one with key, key_env or key_file under models.backends in the settings",
            retryable=False,
        )
    if status == 404:
        return NotFound("model.not_served", f"model server {server!r} has no model {model!r}, or no such route")
    if status in (408, 429) or (status >= 500 and status != 501):
        return Unavailable("model.server_busy", f"model server {server!r} is busy or failing (HTTP {status})")
    return Invalid(
        "model.server_refused", f"model server {server!r} does not take the request for {model!r} (HTTP {status})"
    )


def garbled(server: str) -> StepFailure:
    """An answer that is none."""
    return StepFailure(
        "model.server_garbled",
        f"model server {server!r} did not answer as its API does; are its kind and url right? The url of an OpenAI "
        "API ends in /v1",
        retryable=False,
    )
