"""From our answers to those of the OpenAI API, and the headers that stand around them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import UNSET
from msgspec.structs import replace

from appliance.api.openai_shapes import (
    CalledFunction,
    Completion,
    CompletionAnswer,
    CompletionChoice,
    MessageToolCall,
)
from appliance.api.openai_stream import usage_of
from appliance.api.openai_workflows import BACKEND
from runtime.domain.chat import ChatChunk, ChatReply, EmbedReply
from runtime.domain.egress import Sender

RUN_HEADER = "x-agentflow-run"
ROUTE_HEADER = "x-agentflow-route"
_MAX_ROUTE = 1_000


def completion(identity: str, model: str, reply: ChatReply, *, created: int) -> Completion:
    """A finished answer; `model` as the request named it, `created` in Unix seconds."""
    calls = [
        MessageToolCall(id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments))
        for call in reply.tool_calls
    ]
    answer = CompletionAnswer(content=reply.text or (None if calls else ""), tool_calls=calls or UNSET)
    return Completion(
        id=identity,
        created=created,
        model=model,
        choices=[CompletionChoice(message=answer, finish_reason=reply.finish_reason)],
        usage=usage_of(reply),
        system_fingerprint=reply.fingerprint,
    )


def headers_of(sender: Sender, answer: ChatReply | ChatChunk | EmbedReply) -> dict[str, str]:
    """What answered and why, and the run or conversation as the audit log calls it. Of a stream, by its first piece."""
    reply = answer.reply if isinstance(answer, ChatChunk) else answer
    run = reply.fingerprint if reply is not None and reply.backend == BACKEND else sender.run
    route = answer.route or (f"{reply.backend} {reply.model}" if reply is not None else "")
    headers = {RUN_HEADER: run, ROUTE_HEADER: _plain(route)}
    return {name: value for name, value in headers.items() if value}


def only_one_call(reply: ChatReply) -> ChatReply:
    """The answer with the first of its calls, as `parallel_tool_calls: false` asks."""
    return replace(reply, tool_calls=reply.tool_calls[:1])


async def only_one_call_in(chunks: AsyncGenerator[ChatChunk, None]) -> AsyncGenerator[ChatChunk, None]:
    """The same for a stream."""
    async with aclosing(chunks):
        async for chunk in chunks:
            if chunk.tool_call is None or chunk.tool_call.index == 0:
                yield replace(chunk, reply=only_one_call(chunk.reply) if chunk.reply is not None else None)


def _plain(text: str) -> str:
    """A text as a header may hold it."""
    return "".join(char if " " <= char <= "~" else "?" for char in text[:_MAX_ROUTE])
