"""A streamed answer as the server-sent events of the OpenAI API, `[DONE]` at the end."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec
from msgspec import UNSET

from appliance.api.openai_errors import error_bytes
from appliance.api.openai_shapes import ChunkChoice, CompletionChunk, CompletionUsage, Delta, ErrorBody
from runtime.domain.chat import ChatChunk, ChatReply
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
            if first.text:
                yield told.text(first.text)
            reply = first.reply
            async for chunk in rest:
                if chunk.text:
                    yield told.text(chunk.text)
                reply = chunk.reply or reply
            assert reply is not None, "the last chunk carries the reply"
            for event in told.end(reply):
                yield event
        except AgentFlowError as error:
            log.warning("a streamed answer broke off: %s", error.code)
            yield _event(error_bytes(_broken(error)))


class _Told:
    """One stream: what all of its events say."""

    def __init__(self, chunk: CompletionChunk) -> None:
        self._chunk = chunk

    def start(self) -> bytes:
        return self._with(Delta(role="assistant", content=""))

    def text(self, text: str) -> bytes:
        return self._with(Delta(content=text))

    def end(self, reply: ChatReply) -> list[bytes]:
        """Why it ended, the tokens where they were asked for, and that it is done."""
        closed = msgspec.structs.replace(self._chunk, system_fingerprint=reply.fingerprint)
        last = ChunkChoice(delta=Delta(), finish_reason=reply.finish_reason)
        ending = [_encoded(msgspec.structs.replace(closed, choices=[last]))]
        if self._chunk.usage is None:
            ending.append(_encoded(msgspec.structs.replace(closed, usage=usage_of(reply))))
        return [*ending, DONE]

    def _with(self, delta: Delta) -> bytes:
        return _encoded(msgspec.structs.replace(self._chunk, choices=[ChunkChoice(delta=delta)]))


def usage_of(reply: ChatReply) -> CompletionUsage:
    """Tokens of an answer."""
    return CompletionUsage(reply.input_tokens, reply.output_tokens, reply.input_tokens + reply.output_tokens)


def _encoded(chunk: CompletionChunk) -> bytes:
    return _event(msgspec.json.encode(chunk))


def _event(data: bytes) -> bytes:
    return b"data: %b\n\n" % data


def _broken(error: AgentFlowError) -> ErrorBody:
    return ErrorBody(message=error.message, type="server_error", param=None, code=error.code)
