"""The one way to a model: find the backend, ask the guard, call, and say who answered."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from msgspec.structs import replace

from models.catalog import Kind
from models.routing import Route, find_route
from models.servers import ModelServer
from redaction.guard import Guard
from redaction.passage import Passage
from redaction.placeholders import Restorer
from runtime.domain.chat import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    EmbedReply,
    EmbedRequest,
    ModelInfo,
    ToolCallPiece,
)
from runtime.domain.egress import APPLIANCE, CostBound, Destination, Outbound, Payload, Sender
from runtime.errors import AgentFlowError, StepFailure, Unavailable
from runtime.ports import ModelBackend


class Gateway:
    """Every model behind one door. Implements ModelAccess."""

    def __init__(
        self,
        backends: Sequence[ModelBackend],
        guard: Guard,
        *,
        aliases: Mapping[str, str] | None = None,
        servers: Sequence[ModelServer] = (),
    ) -> None:
        """`aliases` are the settings' `models.aliases`, from `provider/name` or `provider/*` to `provider/name`;
        `servers` their `models.backends`, each of which has a backend of its own."""
        self._backends = {backend.id: backend for backend in backends}
        self._guard = guard
        self._aliases = dict(aliases or {})
        self._servers = {server.name: server for server in servers}

    async def start(self) -> None:
        """Start every backend; models load when they are first asked."""
        for backend in self._backends.values():
            await backend.start()

    async def stop(self) -> None:
        """Stop every backend, workers included."""
        for backend in self._backends.values():
            await backend.stop()

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        """Ask a chat model. Raises Refused, Invalid, Unavailable or StepFailure."""
        route, backend = self._find(request.provider, request.model, "chat")
        async with self._guard.passage(_outbound(replace(request, model=route.model), route, sender)) as passage:
            try:
                reply = await backend.complete(passage.cleared)
            except Exception as error:  # the edge of a backend: whatever it raises becomes one of our errors
                raise _ours(error, route) from error
            return _restored(reply, passage)

    async def stream(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> AsyncIterator[ChatChunk]:
        """Ask a chat model; the last chunk carries the reply. Raises as `complete` does."""
        route, backend = self._find(request.provider, request.model, "chat")
        async with self._guard.passage(_outbound(replace(request, model=route.model), route, sender)) as passage:
            told = RestoredStream(passage)
            try:
                async for chunk in backend.stream(passage.cleared):
                    for piece in told.feed(chunk):
                        yield piece
            except Exception as error:  # as above
                raise _ours(error, route) from error

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        """Embed texts. Raises Refused, Invalid, Unavailable or StepFailure."""
        route, backend = self._find("local", request.model, "embedding")
        async with self._guard.passage(_outbound(replace(request, model=route.model), route, sender)) as passage:
            try:
                reply = await backend.embed(passage.cleared)
            except Exception as error:  # as above
                raise _ours(error, route) from error
            passage.spent = CostBound(input_tokens=reply.input_tokens)
            return reply

    async def count_tokens(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> int:
        """Input tokens of a request, exact with the model's own template and tokenizer where it has one here."""
        route, backend = self._find(request.provider, request.model, "chat")
        async with self._guard.passage(_outbound(replace(request, model=route.model), route, sender)) as passage:
            passage.spent = CostBound()
            return await backend.count_tokens(passage.cleared)

    def describe(self) -> list[ModelInfo]:
        """Every model of every backend."""
        return [info for backend in self._backends.values() for info in backend.describe()]

    def _find(self, provider: str, model: str, kind: Kind) -> tuple[Route, ModelBackend]:
        route = find_route(provider, model, kind, self._aliases, self._servers)
        backend = self._backends.get(route.backend)
        if backend is None:
            raise Unavailable(
                "model.backend_off", f"backend {route.backend!r} is not part of this program's setup", retryable=False
            )
        return route, backend


def _outbound(payload: Payload, route: Route, sender: Sender) -> Outbound[Payload]:
    return Outbound(destination=Destination("model", route.zone, route.host), payload=payload, sender=sender)


def _restored(reply: ChatReply, passage: Passage[ChatRequest]) -> ChatReply:
    """The reply with its values back; what it took is told to the passage."""
    passage.spent = CostBound(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
    calls = tuple(replace(call, arguments=passage.text(call.arguments, in_json=True)) for call in reply.tool_calls)
    return replace(reply, text=passage.text(reply.text), tool_calls=calls)


class RestoredStream:
    """A streamed answer with its values back, wherever it was cut; one restorer for the text and one for each call."""

    def __init__(self, passage: Passage[ChatRequest]) -> None:
        self._passage = passage
        self._text = passage.restorer()
        self._calls: dict[int, Restorer] = {}

    def feed(self, chunk: ChatChunk) -> Iterator[ChatChunk]:
        """What can be told by now."""
        if self._text is None:
            if chunk.reply is not None:
                chunk = replace(chunk, reply=_restored(chunk.reply, self._passage))
            yield chunk
            return
        if text := self._text.feed(chunk.text):
            yield ChatChunk(text=text)
        if chunk.tool_call is not None:
            yield ChatChunk(tool_call=self._call(chunk.tool_call))
        if chunk.reply is not None:
            if rest := self._text.end():
                yield ChatChunk(text=rest)
            for index, restorer in self._calls.items():
                if rest := restorer.end():
                    yield ChatChunk(tool_call=ToolCallPiece(index=index, arguments=rest))
            yield ChatChunk(reply=_restored(chunk.reply, self._passage))

    def _call(self, piece: ToolCallPiece) -> ToolCallPiece:
        restorer = self._calls.get(piece.index) or self._passage.restorer(in_json=True)
        assert restorer is not None, "asked only where there is something to give back"
        self._calls[piece.index] = restorer
        return replace(piece, arguments=restorer.feed(piece.arguments))


def _ours(error: Exception, route: Route) -> AgentFlowError:
    if isinstance(error, AgentFlowError):
        return error
    return StepFailure(
        "model.backend_failed",
        f"backend {route.backend!r} failed with {type(error).__name__} over model {route.model!r}; the log says more",
        retryable=False,
    )
