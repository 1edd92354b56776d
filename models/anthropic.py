"""`model.NAME` of kind `anthropic`: models behind the Messages API, through the official client.

The client is handed a transport that carries one leave. Its own retries, telemetry, logs and looks into the
environment are off.
"""

import json
import logging
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from models.answers import check_request, offered
from models.keys import read_key
from models.openai_replies import MAX_CALLS, MAX_LINE_BYTES, failure, garbled
from models.replies import Answer, call_id, reply_to
from models.server_backend import MAX_REPLY_BYTES, ServerBackend
from redaction.doors.transport import Terms
from runtime.domain.chat import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    EmbedReply,
    EmbedRequest,
    ToolCall,
    ToolCallPiece,
)
from runtime.domain.egress import Cleared
from runtime.errors import AgentFlowError, Invalid, StepFailure, Unavailable

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import RawMessageStreamEvent
    from anthropic.types.message_create_params import MessageCreateParamsBase

_MAX_EVENT_LINES = 1_000
"""The server sends two; the client takes time that grows with their square."""


class AnthropicBackend(ServerBackend):
    """Answers with the models of one server."""

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """Not there. Raises Invalid."""
        model = cleared.payload.model
        raise Invalid("model.cannot_embed", f"model {model!r} is asked for vectors, and {self.id} only chats")

    async def count_tokens(self, cleared: Cleared[ChatRequest]) -> int:
        """What the server says that the conversation takes; that costs nothing there."""
        request = cleared.payload
        check_request(request)
        return await self._calls.ask(self._count(cleared), request.model)

    async def _answer(self, cleared: Cleared[ChatRequest], asked: ChatRequest) -> Answer:
        """Whole answers are streamed too: the server ends a quiet connection before a long one is done."""
        told = _Told(self._server.name)
        async for _ in self._parts(cleared, asked, told):
            pass
        return told.whole()

    async def _told(self, cleared: Cleared[ChatRequest]) -> AsyncGenerator[ChatChunk, None]:
        told = _Told(self._server.name)
        async for chunk in self._parts(cleared, cleared.payload, told):
            yield chunk
        yield ChatChunk(reply=reply_to(cleared.payload, told.whole(), self._server))

    async def _parts(
        self, cleared: Cleared[ChatRequest], asked: ChatRequest, told: "_Told"
    ) -> AsyncGenerator[ChatChunk, None]:
        client = self._client(cleared)
        with self._in_our_words():
            async with await client.messages.create(
                **_question(asked), stream=True, timeout=self._server.timeout_s
            ) as events:
                async for event in events:
                    for chunk in told.feed(event):
                        yield chunk

    async def _count(self, cleared: Cleared[ChatRequest]) -> int:
        asked = dict(_question(cleared.payload))
        kept = {name: asked[name] for name in ("model", "messages", "system", "tools") if name in asked}
        opened = self._client(cleared)
        client = cast("Any", opened)  # its parameters are no type that `kept` could be of
        with self._in_our_words():
            counted = await client.messages.count_tokens(**kept, timeout=self._server.timeout_s)
            return int(counted.input_tokens)

    def _client(self, cleared: Cleared[ChatRequest]) -> "AsyncAnthropic":
        try:
            from anthropic import AsyncAnthropic  # an extra, and most of a second

            from redaction.doors.transport2 import guarded_client
        except ImportError:
            raise Unavailable(
                "model.client_missing",
                f"model server {self._server.name!r} is of kind anthropic, whose client is not part of this program; "
                "install the extra: pip install 'agentflow-appliance[cloud]', or build the one file with it",
                retryable=False,
            ) from None
        logging.getLogger("anthropic").setLevel(logging.WARNING)  # below, it writes prompts
        key = read_key(self._server)
        terms = Terms(
            headers={"x-api-key": key} if key else {},
            credentials=("x-api-key",),
            keeps=("anthropic-version",),
            timeout_s=self._server.timeout_s,
            max_reply_bytes=MAX_REPLY_BYTES,
            max_event_bytes=MAX_LINE_BYTES,
            max_event_lines=_MAX_EVENT_LINES,
            failed=lambda status, said: failure(status, said, self._server.name, cleared.payload.model),
        )
        return AsyncAnthropic(
            api_key=key or "none",
            base_url=self._server.url,
            max_retries=0,
            open_telemetry=False,
            http_client=guarded_client(self._door, cleared, terms),
        )

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        """Whatever the client raises as one of our errors; its words may quote the prompt."""
        from anthropic import AnthropicError, APIStatusError

        name = self._server.name
        try:
            yield
        except AgentFlowError:
            raise
        except APIStatusError:  # an event of a stream says so
            raise StepFailure(
                "model.server_failed", f"model server {name!r} broke off its answer with an error"
            ) from None
        except AnthropicError as error:
            ours = error.__cause__  # what the door raised
            raise (ours if isinstance(ours, AgentFlowError) else garbled(name)) from None
        except (ValueError, TypeError, AttributeError, RecursionError):  # what it makes of an answer that is none
            raise garbled(name) from None


class _Told:
    """An answer, put together from its events."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._texts: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._input_tokens: int | None = None
        self._output_tokens: int | None = None
        self._stop_reason = ""

    def feed(self, event: "RawMessageStreamEvent") -> list[ChatChunk]:
        """What an event adds."""
        match event.type:
            case "message_start":
                usage = event.message.usage
                cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
                self._input_tokens = usage.input_tokens + cached
            case "message_delta":
                self._stop_reason = event.delta.stop_reason or self._stop_reason
                self._output_tokens = event.usage.output_tokens
            case "content_block_start" if event.content_block.type == "tool_use":
                return [self._begin(event.index, event.content_block.id, event.content_block.name)]
            case "content_block_delta" if event.delta.type == "text_delta":
                self._texts.append(event.delta.text)
                return [ChatChunk(text=event.delta.text)]
            case "content_block_delta" if event.delta.type == "input_json_delta":
                return [self._add(event.index, event.delta.partial_json)]
        return []

    def whole(self) -> Answer:
        """The answer. Raises StepFailure when the stream ended before it did."""
        if not self._stop_reason:
            raise StepFailure(
                "model.server_failed", f"model server {self._server!r} ended its stream in the middle of the answer"
            )
        return Answer(
            text="".join(self._texts),
            calls=tuple(ToolCall(id=call[0], name=call[1], arguments=call[2] or "{}") for call in self._calls.values()),
            is_cut=self._stop_reason == "max_tokens",
            usage=(self._input_tokens, self._output_tokens),
        )

    def _begin(self, block: int, identity: str, name: str) -> ChatChunk:
        if len(self._calls) >= MAX_CALLS:
            raise garbled(self._server)
        number = len(self._calls)
        identity = call_id(identity, number)
        self._calls[block] = [identity, name, ""]
        return ChatChunk(tool_call=ToolCallPiece(index=number, id=identity, name=name))

    def _add(self, block: int, arguments: str) -> ChatChunk:
        if block not in self._calls:
            raise garbled(self._server)
        self._calls[block][2] += arguments
        return ChatChunk(tool_call=ToolCallPiece(index=list(self._calls).index(block), arguments=arguments))


def _question(request: ChatRequest) -> "MessageCreateParamsBase":
    """The arguments of the client's `create`, which knows neither a temperature nor a seed."""
    asked: dict[str, object] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [_message(turn) for turn in request.messages if turn.role != "system"],
    }
    if system := "\n\n".join(turn.content for turn in request.messages if turn.role == "system"):
        asked["system"] = system
    if request.stop:
        asked["stop_sequences"] = list(request.stop)
    if request.schema is not None:
        asked["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
    if offered(request):
        asked["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": {"type": "object", **tool.parameters},
            }
            for tool in request.tools
        ]
        choices = {"auto": {"type": "auto"}, "required": {"type": "any"}}
        asked["tool_choice"] = choices.get(request.tool_choice, {"type": "tool", "name": request.tool_choice})
    return cast("MessageCreateParamsBase", asked)


def _message(turn: ChatMessage) -> dict[str, object]:
    if turn.role == "tool":
        result = {"type": "tool_result", "tool_use_id": turn.tool_call_id, "content": turn.content}
        return {"role": "user", "content": [result]}
    if not turn.images and not turn.tool_calls:
        return {"role": turn.role, "content": turn.content}
    parts: list[dict[str, object]] = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": image.media_type, "data": b64encode(image.data).decode()},
        }
        for image in turn.images
    ]
    if turn.content:
        parts.append({"type": "text", "text": turn.content})
    parts += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": _arguments(call)} for call in turn.tool_calls
    ]
    return {"role": turn.role, "content": parts}


def _arguments(call: ToolCall) -> dict[str, object]:
    """As the mapping that the API wants; what a model wrote that is none goes along as a text."""
    try:
        found = json.loads(call.arguments or "{}")
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"arguments": call.arguments}
