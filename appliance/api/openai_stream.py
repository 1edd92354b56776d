"""A streamed answer as the server-sent events of the OpenAI API, `[DONE]` at the end."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing

import msgspec
from msgspec import UNSET

from appliance.api.openai_errors import error_bytes
from appliance.api.openai_shapes import (
    ChunkChoice,
    CompletionChunk,
    CompletionUsage,
    Delta,
    ErrorBody,
    FunctionDelta,
    ToolCallDelta,
)
from runtime.domain.chat import ChatChunk, ChatReply, ToolCallPiece
from runtime.errors import AgentFlowError

DONE = b"data: [DONE]\n\n"

log = logging.getLogger(__name__)


async def events(
    first: ChatChunk,
    rest: AsyncGenerator[ChatChunk, None],
    *,
    identity: str,
    model: str,
    created: int,
    wants_usage: bool,
) -> AsyncIterator[bytes]:
    """The answer, piece by piece; an error in the middle is told as an event, and no `[DONE]` follows it."""
    told = _Told(
        CompletionChunk(id=identity, created=created, model=model, choices=[], usage=None if wants_usage else UNSET)
    )
    async with aclosing(rest):
        try:
            yield told.start()
            reply = first.reply
            for event in told.chunk(first):
                yield event
            async for chunk in rest:
                for event in told.chunk(chunk):
                    yield event
                reply = chunk.reply or reply
            assert reply is not None, "the last chunk carries the reply"
            for event in told.end(reply):
                yield event
        except AgentFlowError as error:
            log.warning("a streamed answer broke off: %s", error.code)
            yield _event(error_bytes(_broken(error)))


class _Told:
    """One stream: what all of its events say, and which calls have been told."""

    def __init__(self, chunk: CompletionChunk) -> None:
        self._chunk = chunk
        self._calls: set[int] = set()

    def start(self) -> bytes:
        return self._with(Delta(role="assistant", content=""))

    def chunk(self, chunk: ChatChunk) -> Iterator[bytes]:
        if chunk.text:
            yield self._with(Delta(content=chunk.text))
        piece = chunk.tool_call
        if piece is not None and (piece.arguments or piece.index not in self._calls):
            self._calls.add(piece.index)
            yield self._with(Delta(tool_calls=[_delta(piece)]))

    def end(self, reply: ChatReply) -> list[bytes]:
        """Calls that came in no pieces, why it ended, the tokens where they were asked for, and that it is done."""
        whole = [
            ToolCallPiece(index=index, id=call.id, name=call.name, arguments=call.arguments)
            for index, call in enumerate(reply.tool_calls)
            if index not in self._calls
        ]
        closed = msgspec.structs.replace(self._chunk, system_fingerprint=reply.fingerprint)
        last = ChunkChoice(delta=Delta(), finish_reason=reply.finish_reason)
        ending = [self._with(Delta(tool_calls=[_delta(piece)])) for piece in whole]
        ending.append(_encoded(msgspec.structs.replace(closed, choices=[last])))
        if self._chunk.usage is None:
            ending.append(_encoded(msgspec.structs.replace(closed, usage=usage_of(reply))))
        return [*ending, DONE]

    def _with(self, delta: Delta) -> bytes:
        return _encoded(msgspec.structs.replace(self._chunk, choices=[ChunkChoice(delta=delta)]))


def _delta(piece: ToolCallPiece) -> ToolCallDelta:
    return ToolCallDelta(
        index=piece.index,
        id=piece.id or UNSET,
        type="function" if piece.id else UNSET,
        function=FunctionDelta(name=piece.name or UNSET, arguments=piece.arguments),
    )


def usage_of(reply: ChatReply) -> CompletionUsage:
    """Tokens of an answer."""
    return CompletionUsage(reply.input_tokens, reply.output_tokens, reply.input_tokens + reply.output_tokens)


def _encoded(chunk: CompletionChunk) -> bytes:
    return _event(msgspec.json.encode(chunk))


def _event(data: bytes) -> bytes:
    return b"data: %b\n\n" % data


def _broken(error: AgentFlowError) -> ErrorBody:
    return ErrorBody(message=error.message, type="server_error", param=None, code=error.code)
