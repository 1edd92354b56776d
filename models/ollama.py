"""`model.NAME` of kind `ollama`: models of an Ollama server, through its official client.

The client is handed a transport that carries one leave: it sends what the guard has cleared to the host that it was
cleared for, and nothing anywhere else, whatever else the client can do (its web search goes to a cloud).
"""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Required, TypedDict

from models.answers import check_texts, offered
from models.keys import read_key
from models.openai_replies import MAX_CALLS, failure, garbled
from models.replies import Answer, reply_to, vectors_for
from models.server_backend import MAX_REPLY_BYTES, ServerBackend
from redaction.doors.transport import GuardedTransport, Terms
from runtime.domain.canonical import Json
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
from runtime.errors import Invalid, StepFailure

if TYPE_CHECKING:
    from ollama import AsyncClient, ChatResponse, EmbedResponse


class OllamaBackend(ServerBackend):
    """Answers with the models of one server."""

    async def embed(self, cleared: Cleared[EmbedRequest]) -> EmbedReply:
        """One unit vector per text."""
        request = cleared.payload
        if not request.texts:
            raise Invalid("model.no_texts", f"a request to model {request.model!r} has no texts to embed")
        check_texts(request.texts)
        found = await self._calls.ask(self._vectors(cleared), request.model)
        rows = found.embeddings
        if len(rows) != len(request.texts) or len({len(row) for row in rows}) != 1 or not rows[0]:
            raise garbled(self._server.name)
        return vectors_for(request, rows, found.prompt_eval_count, self._server)

    async def _answer(self, cleared: Cleared[ChatRequest], asked: ChatRequest) -> Answer:
        with self._in_our_words():
            reply = await self._client(cleared).chat(**_question(asked), stream=False)
            told = _Told(self._server.name)
            told.feed(reply)
        return told.whole()

    async def _told(self, cleared: Cleared[ChatRequest]) -> AsyncGenerator[ChatChunk, None]:
        request = cleared.payload
        told = _Told(self._server.name)
        with self._in_our_words():
            async for part in await self._client(cleared).chat(**_question(request), stream=True):
                for chunk in told.feed(part):
                    yield chunk
        yield ChatChunk(reply=reply_to(request, told.whole(), self._server))

    async def _vectors(self, cleared: Cleared[EmbedRequest]) -> "EmbedResponse":
        request = cleared.payload
        with self._in_our_words():
            return await self._client(cleared).embed(model=request.model, input=list(request.texts))

    def _client(self, cleared: Cleared[ChatRequest] | Cleared[EmbedRequest]) -> "AsyncClient":
        from ollama import AsyncClient  # half a second that an appliance without such a server need not pay

        key = read_key(self._server)
        terms = Terms(
            headers={"authorization": f"Bearer {key}"} if key else {},
            credentials=("authorization",),
            timeout_s=self._server.timeout_s,
            max_reply_bytes=MAX_REPLY_BYTES,
            failed=lambda status, said: failure(status, said, self._server.name, cleared.payload.model),
        )
        transport = GuardedTransport(self._door, cleared, terms)
        return AsyncClient(self._server.url, transport=transport, trust_env=False, follow_redirects=False)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        """Whatever the client raises as one of our errors; its words may quote the prompt."""
        from ollama import ResponseError

        try:
            yield
        except ResponseError:  # a line of a stream says so
            name = self._server.name
            raise StepFailure(
                "model.server_failed", f"model server {name!r} broke off its answer with an error"
            ) from None
        except (ValueError, TypeError, AttributeError, RecursionError):  # what it makes of an answer that is none
            raise garbled(self._server.name) from None


class _Told:
    """An answer, put together from its parts."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._last: ChatResponse | None = None

    def feed(self, part: "ChatResponse") -> list[ChatChunk]:
        """What a part adds."""
        chunks = []
        if part.message.content:
            self._texts.append(part.message.content)
            chunks.append(ChatChunk(text=part.message.content))
        for call in part.message.tool_calls or ():
            number = len(self._calls)
            if number >= MAX_CALLS:
                raise garbled(self._server)
            arguments = json.dumps(dict(call.function.arguments), ensure_ascii=False)
            made = ToolCall(id=f"call_{number}", name=call.function.name, arguments=arguments)
            self._calls.append(made)
            piece = ToolCallPiece(index=number, id=made.id, name=made.name, arguments=arguments)
            chunks.append(ChatChunk(tool_call=piece))
        if part.done:
            self._last = part
        return chunks

    def whole(self) -> Answer:
        """The answer. Raises StepFailure when the stream ended before it did."""
        if self._last is None:
            raise StepFailure(
                "model.server_failed", f"model server {self._server!r} ended its stream in the middle of the answer"
            )
        return Answer(
            text="".join(self._texts),
            calls=tuple(self._calls),
            is_cut=self._last.done_reason == "length",
            usage=(self._last.prompt_eval_count, self._last.eval_count),
        )


class _Question(TypedDict, total=False):
    """The arguments of the client's `chat`."""

    model: Required[str]
    messages: Required[list[dict[str, object]]]
    options: Required[dict[str, Json]]
    format: dict[str, Json]
    tools: list[dict[str, object]]


def _question(request: ChatRequest) -> _Question:
    options: dict[str, Json] = {
        "temperature": request.temperature,
        "seed": request.seed,
        "num_predict": request.max_tokens,
    }
    if request.stop:
        options["stop"] = list(request.stop)
    asked: _Question = {"model": request.model, "messages": _messages(request), "options": options}
    if request.schema is not None:
        asked["format"] = request.schema
    if offered(request):
        # it has no tool_choice: to want one tool is to offer no other; what comes back is checked against the wish
        wanted = [tool for tool in request.tools if tool.name == request.tool_choice] or request.tools
        asked["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters or {"type": "object"},
                },
            }
            for tool in wanted
        ]
    return asked


def _messages(request: ChatRequest) -> list[dict[str, object]]:
    names = {call.id: call.name for turn in request.messages for call in turn.tool_calls}
    return [_message(turn, names.get(turn.tool_call_id, "")) for turn in request.messages]


def _message(turn: ChatMessage, tool_name: str) -> dict[str, object]:
    message: dict[str, object] = {"role": turn.role, "content": turn.content}
    if turn.role == "tool" and tool_name:
        message["tool_name"] = tool_name
    if turn.tool_calls:
        message["tool_calls"] = [
            {"function": {"name": call.name, "arguments": _arguments(call)}} for call in turn.tool_calls
        ]
    if turn.images:
        from ollama import Image

        message["images"] = [Image(value=image.data) for image in turn.images]
    return message


def _arguments(call: ToolCall) -> dict[str, object]:
    """As the mapping that the server wants; what a model wrote that is none goes along as a text."""
    try:
        found = json.loads(call.arguments or "{}")
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"arguments": call.arguments}
