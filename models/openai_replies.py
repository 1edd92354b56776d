"""What servers that speak the OpenAI API answer, read with suspicion. Pure: bytes in, values or our errors out.

No text of a server is passed on in an error: it may quote the prompt.
Sources: the OpenAI API reference; wire traffic of llama-server and vLLM.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from runtime.errors import AgentFlowError, Invalid, NotFound, StepFailure, Unavailable

Count = Annotated[int, Meta(ge=0)]

_TOO_LONG = ("context_length_exceeded", "exceed_context_size", "maximum context length", "context size")


class TokenUsage(msgspec.Struct, frozen=True):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class Message(msgspec.Struct, frozen=True):
    """A message, or what a chunk adds to it."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True):
    message: Message = Message()
    delta: Message = Message()
    finish_reason: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """A completion, or one chunk of it."""

    choices: list[Choice] = []
    usage: TokenUsage | None = None
    system_fingerprint: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class Vector(msgspec.Struct, frozen=True):
    index: Count
    embedding: list[float]


class Vectors(msgspec.Struct, frozen=True):
    data: list[Vector]
    usage: TokenUsage = TokenUsage()


def read_reply(body: bytes, server: str) -> Reply:
    """A completion or a chunk. Raises StepFailure for anything else, and for an error in its place."""
    try:
        reply = msgspec.json.decode(body, type=Reply)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise garbled(server) from None
    if bytes(reply.error) != b"null":
        raise StepFailure("model.server_failed", f"model server {server!r} broke off its answer with an error")
    return reply


def read_vectors(body: bytes, server: str, texts: int) -> tuple[list[list[float]], int]:
    """The vectors in the order of the texts, all of one length, and the input tokens. Raises StepFailure."""
    try:
        found = msgspec.json.decode(body, type=Vectors)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise garbled(server) from None
    rows = {line.index: line.embedding for line in found.data}
    if sorted(rows) != list(range(texts)) or len({len(row) for row in rows.values()}) != 1 or not rows[0]:
        raise garbled(server)
    return [rows[index] for index in range(texts)], found.usage.prompt_tokens


class Stream:
    """Server-sent events, cut anywhere, put together into one completion."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._rest = b""
        self._texts: list[str] = []
        self._finish_reason: str | None = None
        self._usage: TokenUsage | None = None
        self._fingerprint: str | None = None

    def feed(self, piece: bytes) -> str:
        """The text that a piece of the body adds. Raises StepFailure for what is no stream of completions."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return "".join(map(self._line, lines))

    def whole(self) -> Reply:
        """The completion. Raises StepFailure when the stream ended before the answer did."""
        if self._finish_reason is None:
            raise StepFailure(
                "model.server_failed", f"model server {self._server!r} ended its stream in the middle of the answer"
            )
        choice = Choice(message=Message("".join(self._texts)), finish_reason=self._finish_reason)
        return Reply([choice], self._usage, self._fingerprint)

    def _line(self, line: bytes) -> str:
        name, _, data = line.strip().partition(b":")
        data = data.strip()
        if name != b"data" or data == b"[DONE]":
            return ""
        chunk = read_reply(data, self._server)
        self._usage = chunk.usage or self._usage
        self._fingerprint = chunk.system_fingerprint or self._fingerprint
        if not chunk.choices:
            return ""
        self._finish_reason = chunk.choices[0].finish_reason or self._finish_reason
        text = chunk.choices[0].delta.content or ""
        self._texts.append(text)
        return text


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
            "model.server_closed", f"model server {server!r} asks for a key (HTTP {status})", retryable=False
        )
    if status == 404:
        return NotFound("model.not_served", f"model server {server!r} has no model {model!r}, or no such route")
    if status == 429 or (status >= 500 and status != 501):
        return Unavailable("model.server_busy", f"model server {server!r} is busy or failing (HTTP {status})")
    return Invalid(
        "model.server_refused", f"model server {server!r} does not take the request for {model!r} (HTTP {status})"
    )


def garbled(server: str) -> StepFailure:
    """An answer that is none."""
    return StepFailure(
        "model.server_garbled",
        f"model server {server!r} did not answer as the OpenAI API does; is its url the one that ends in /v1?",
        retryable=False,
    )
