"""The one way to a model: choose who can answer, ask the guard, call, and say who answered and why.

choice ──▶ kept answer? ──▶ guard ──▶ turn ──▶ backend ──▶ values back
  ▲                                              │ its own fault, and nothing was told yet
  └───────────── the next that can answer ◀──────┘
"""

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager, nullcontext
from typing import TypeVar, cast

import msgspec
from msgspec.structs import replace

from models.catalog import Kind
from models.choice import Choice, choose
from models.failures import Failures, may_go_on
from models.health import Health, ServerStatus
from models.kept import KeptAnswers, key_of
from models.meter import Meter, byte_length
from models.prices import PriceTable
from models.pump import pumped
from models.replies import backend_id
from models.restored import INLINE_CHARS, RestoredStream, restored
from models.routing import Groups, Route, Table, find_routes
from models.servers import ModelServer
from models.turns import AllTurns
from models.usage import estimate_input
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.passage import Passage
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
from runtime.policies.residency import LOCAL
from runtime.ports import ModelBackend

Asked = TypeVar("Asked")

log = logging.getLogger(__name__)


class GatewayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say beside backends and aliases."""

    routes: Mapping[str, Groups] = {}
    """`models.routes`: a name → the `provider/name`s that can answer, best first, equals in one group."""
    check_s: float = 0.0
    """`models.check_s`: how often a server that nobody asked is asked how it is; 0: never."""
    cache_ttl_s: float = 0.0
    """`models.cache_ttl_s`: how long answers at temperature 0 are kept; 0: not at all."""
    cache_mb: int = 64
    """`models.cache_mb`."""


class Gateway:
    """Every model behind one door. Implements ModelAccess."""

    def __init__(
        self,
        backends: Sequence[ModelBackend],
        guard: Guard,
        *,
        aliases: Mapping[str, str] | None = None,
        servers: Sequence[ModelServer] = (),
        options: GatewayOptions | None = None,
        door: HttpDoor | None = None,
        prices: PriceTable | None = None,
        counts_tokens: Callable[[Sender], bool] = lambda _sender: False,
    ) -> None:
        """`aliases` are the settings' `models.aliases`, from `provider/name` or `provider/*` to `provider/name`;
        `servers` their `models.backends`, each of which has a backend of its own. `door`: for the checks of servers.
        `counts_tokens` says whether a sender has a budget of tokens, for which it is worth the time to count them
        exactly."""
        options = options or GatewayOptions()
        named = {server.name: server for server in servers}
        self._backends = {backend.id: backend for backend in backends}
        self._guard = guard
        self._table = Table(aliases=dict(aliases or {}), servers=named, routes=options.routes)
        self._health = Health(servers, guard, door, interval_s=options.check_s)
        self._kept = KeptAnswers(ttl_s=options.cache_ttl_s, max_bytes=options.cache_mb * 2**20)
        self._at_once = {backend_id(server): server.at_once for server in servers}
        self._turns = AllTurns()
        self._prices = prices or PriceTable(servers=named)
        self._counts_tokens = counts_tokens

    async def start(self) -> None:
        """Start every backend; models load when they are first asked."""
        for backend in self._backends.values():
            await backend.start()
        await self._health.start()

    async def stop(self) -> None:
        """Stop every backend, workers included."""
        await self._health.stop()
        for backend in self._backends.values():
            await backend.stop()

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        """Ask a chat model. Raises Refused, Invalid, Unavailable or StepFailure."""
        choice = self._choose(request.provider, request.model, "chat", sender)

        async def ask() -> ChatReply:
            reply, why = await self._first(choice, lambda route: self._complete(request, route, sender))
            return replace(reply, route=why)

        key = self._key(request, choice, sender)
        return await ask() if key is None else await self._kept.answer(key, ask)

    async def stream(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> AsyncIterator[ChatChunk]:
        """Ask a chat model; the last chunk carries the reply, the first one says who answers. Raises as `complete`
        does; nothing is asked again once something was told."""
        choice = self._choose(request.provider, request.model, "chat", sender)
        key = self._key(request, choice, sender)
        if key is not None and (kept := self._kept.find(key)) is not None:
            for chunk in _pieces_of(kept):
                yield chunk
            return
        failures = Failures()
        for route in choice.order:
            why = choice.told(route, failures.all)
            has_told = False
            try:
                async with aclosing(self._stream(request, route, sender)) as chunks:
                    async for chunk in chunks:
                        told = chunk if has_told else replace(chunk, route=why)
                        if chunk.reply is not None:
                            reply = replace(chunk.reply, route=why)
                            self._keep(key, reply)
                            told = replace(told, reply=reply)
                        has_told = True
                        yield told
                return
            except AgentFlowError as error:
                if has_told:
                    raise
                failures.add(route, error)
                if not may_go_on(error):
                    break
        raise failures.whole()

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        """Embed texts. Raises Refused, Invalid, Unavailable or StepFailure."""
        choice = self._choose("local", request.model, "embedding", sender)
        # vectors of two models cannot be compared, so only those stand in for another that have the same one
        same = tuple(route for route in choice.order if route.model == choice.order[0].model)
        reply, why = await self._first(replace(choice, order=same), lambda route: self._embed(request, route, sender))
        return replace(reply, route=why)

    async def count_tokens(self, request: ChatRequest, *, kind: Kind = "chat", sender: Sender = APPLIANCE) -> int:
        """Input tokens of a request, exact with the model's own template and tokenizer where it has one here."""
        route = self._choose(request.provider, request.model, kind, sender).order[0]
        return await self._count(request, route, sender)

    async def counted(
        self, request: ChatRequest, *, kind: Kind = "chat", sender: Sender = APPLIANCE
    ) -> tuple[int, bool]:
        """Input tokens, and whether they are exact: where the model is not on this machine, they are estimated."""
        try:
            if self._choose(request.provider, request.model, kind, sender).order[0].zone == LOCAL:
                return await self.count_tokens(request, kind=kind, sender=sender), True
        except AgentFlowError:  # such as a model that is not installed: an estimate is better than none
            pass
        return estimate_input(request), False

    def quote(
        self, provider: str, model: str, *, kind: Kind = "chat", sender: Sender = APPLIANCE
    ) -> tuple[Meter, bool]:
        """What counts the calls to the model that would be asked now, and whether it is on this machine, where counting
        tokens costs nothing. Raises as `complete` does where nobody can be asked."""
        route = self._choose(provider, model, kind, sender).order[0]
        return self._prices.meter(route), route.zone == LOCAL

    def describe(self) -> list[ModelInfo]:
        """Every model of every backend."""
        return [info for backend in self._backends.values() for info in backend.describe()]

    def routes(self) -> list[str]:
        """The names of `models.routes` that can be asked for as they stand."""
        return sorted(name for name in self._table.routes if not name.endswith("/*"))

    def status(self) -> list[ServerStatus]:
        """How every server is."""
        return self._health.status()

    async def check_servers(self) -> None:
        """Ask every server how it is, now."""
        await self._health.check_all()

    def _choose(self, provider: str, model: str, kind: Kind, sender: Sender) -> Choice:
        groups = find_routes(provider, model, kind, self._table)
        return choose(
            groups,
            lambda route: self._refusal(route, sender),
            lambda route: self._health.standing(route.backend),
        )

    def _refusal(self, route: Route, sender: Sender) -> AgentFlowError | None:
        try:
            self._guard.check(_destination(route), sender)
        except AgentFlowError as refused:
            return refused
        return None

    async def _first(self, choice: Choice, ask: Callable[[Route], Awaitable[Asked]]) -> tuple[Asked, str]:
        """The answer of the first that gives one, and why it was that one. Raises when none does."""
        failures = Failures()
        for route in choice.order:
            try:
                return await ask(route), choice.told(route, failures.all)
            except AgentFlowError as error:
                failures.add(route, error)
                if not may_go_on(error):
                    break
        raise failures.whole()

    async def _complete(self, request: ChatRequest, route: Route, sender: Sender) -> ChatReply:
        backend = self._backend(route)
        request, meter = replace(request, model=route.model), self._prices.meter(route)
        bound = meter.bound(request, input_tokens=await self._exact_tokens(request, route, sender))
        async with self._guard.passage(_outbound(request, route, sender, bound)) as passage:
            passage.spent = CostBound()  # while it waits for its turn
            try:
                async with self._turn(route, sender), self._health.watched(route.backend):
                    with _edge(route):
                        passage.spent = None
                        reply = await backend.complete(passage.cleared)
            except AgentFlowError as error:
                passage.spent = meter.after(error, bound)
                raise
            passage.spent = meter.spent(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
            passage.reply_bytes = _size(reply)
            in_json = request.schema is not None
            if passage.reply_bytes <= INLINE_CHARS:
                return restored(reply, passage, in_json=in_json)
            return await asyncio.to_thread(restored, reply, passage, in_json=in_json)

    async def _stream(self, request: ChatRequest, route: Route, sender: Sender) -> AsyncGenerator[ChatChunk, None]:
        backend = self._backend(route)
        request, meter = replace(request, model=route.model), self._prices.meter(route)
        bound = meter.bound(request, input_tokens=await self._exact_tokens(request, route, sender))
        async with self._guard.passage(_outbound(request, route, sender, bound)) as passage:
            told = RestoredStream(passage, in_json=request.schema is not None)
            passage.spent = CostBound()  # as above
            heard = self._heard(passage, backend, route, sender)
            if route.zone == LOCAL:
                heard = pumped(heard)  # a reader that is slow must not keep the model from the others
            try:
                async with aclosing(heard) as chunks:
                    async for chunk in chunks:
                        if (reply := chunk.reply) is not None:
                            passage.spent = meter.spent(
                                input_tokens=reply.input_tokens, output_tokens=reply.output_tokens
                            )
                            passage.reply_bytes = _size(reply)
                        else:  # a stream that is left has had so much
                            passage.reply_bytes += _size_of_piece(chunk)
                        for piece in told.feed(chunk):
                            yield piece
            except AgentFlowError as error:
                passage.spent = meter.after(error, bound)
                raise

    async def _heard(
        self, passage: Passage[ChatRequest], backend: ModelBackend, route: Route, sender: Sender
    ) -> AsyncGenerator[ChatChunk, None]:
        async with self._turn(route, sender), self._health.watched(route.backend) as timing:
            with _edge(route):
                passage.spent = None
                stream = backend.stream(passage.cleared)
                # every backend's is a generator; closing it now is what ends a connection
                async with aclosing(cast("AsyncGenerator[ChatChunk, None]", stream)) as chunks:
                    async for chunk in chunks:
                        timing.first()
                        yield chunk

    async def _embed(self, request: EmbedRequest, route: Route, sender: Sender) -> EmbedReply:
        backend = self._backend(route)
        request, meter = replace(request, model=route.model), self._prices.meter(route)
        bound = meter.bound(request)
        async with self._guard.passage(_outbound(request, route, sender, bound)) as passage:
            passage.spent = CostBound()  # as above
            try:
                async with self._turn(route, sender), self._health.watched(route.backend):
                    with _edge(route):
                        passage.spent = None
                        reply = await backend.embed(passage.cleared)
            except AgentFlowError as error:
                passage.spent = meter.after(error, bound)
                raise
            passage.spent = meter.spent(input_tokens=reply.input_tokens)
            passage.reply_bytes = len(reply.vectors)
            return reply

    async def _count(self, request: ChatRequest, route: Route, sender: Sender) -> int:
        request = replace(request, model=route.model)
        # a server counts by answering with one token, and may charge for that
        bound = CostBound() if route.zone == LOCAL else self._prices.meter(route).bound(replace(request, max_tokens=1))
        async with self._guard.passage(_outbound(request, route, sender, bound)) as passage:
            with _edge(route):
                return await self._backend(route).count_tokens(passage.cleared)

    async def _exact_tokens(self, request: ChatRequest, route: Route, sender: Sender) -> int | None:
        """Input tokens as the model's own tokenizer counts them, where it is here and a budget limits them."""
        if route.zone != LOCAL or request.tools or not self._counts_tokens(sender):
            return None
        return await self._count(request, route, sender)

    def _backend(self, route: Route) -> ModelBackend:
        backend = self._backends.get(route.backend)
        if backend is None:
            raise Unavailable(
                "model.backend_off", f"backend {route.backend!r} is not part of this program's setup", retryable=False
            )
        return backend

    def _turn(self, route: Route, sender: Sender) -> AbstractAsyncContextManager[None]:
        """A turn at a local chat model, which answers one at a time, or at a server; vectors come in short slices."""
        if route.backend == "model.llama_cpp":
            return self._turns.taken(f"model {route.model!r}", 1, sender)
        if route.backend in self._at_once:
            server = route.backend.removeprefix("model.")
            return self._turns.taken(f"server {server!r}", self._at_once[route.backend], sender)
        return nullcontext()

    def _key(self, request: ChatRequest, choice: Choice, sender: Sender) -> bytes | None:
        """What names the answer of a question that always has the same one; None for all others."""
        places = [_destination(route) for route in choice.order]
        if request.temperature != 0 or any(route.backend == "model.scripted" for route in choice.order):
            return None
        if self._refusal(choice.order[0], sender) is not None:
            return None
        policies = [self._guard.redaction_name(place) for place in places]
        labels = [f"{route.label} {route.zone} {route.host}" for route in choice.order]
        return key_of(request, sender.tenant, sender.run if any(policies) else "", *policies, *labels)

    def _keep(self, key: bytes | None, reply: ChatReply) -> None:
        if key is not None:
            self._kept.keep(key, reply)


def _destination(route: Route) -> Destination:
    return Destination("model", route.zone, route.host)


def _outbound(payload: Payload, route: Route, sender: Sender, bound: CostBound) -> Outbound[Payload]:
    return Outbound(destination=_destination(route), payload=payload, sender=sender, bound=bound)


def _size(reply: ChatReply) -> int:
    return sum(map(byte_length, (reply.text, *(call.arguments for call in reply.tool_calls))))


def _size_of_piece(chunk: ChatChunk) -> int:
    return byte_length(chunk.text) + (0 if chunk.tool_call is None else byte_length(chunk.tool_call.arguments))


def _pieces_of(reply: ChatReply) -> Iterator[ChatChunk]:
    """A kept answer as a stream."""
    if reply.text:
        yield ChatChunk(text=reply.text, route=reply.route)
    for index, call in enumerate(reply.tool_calls):
        yield ChatChunk(
            tool_call=ToolCallPiece(index=index, id=call.id, name=call.name, arguments=call.arguments),
            route=reply.route,
        )
    yield ChatChunk(reply=reply, route=reply.route)


@contextmanager
def _edge(route: Route) -> Iterator[None]:
    """The edge of a backend: whatever it raises becomes one of our errors."""
    try:
        yield
    except AgentFlowError:
        raise
    except Exception as error:
        # where it failed, and not its words: they may quote the prompt
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("backend %s failed with %s\n%s", route.backend, type(error).__name__, where)
        raise StepFailure(
            "model.backend_failed",
            f"backend {route.backend!r} failed with {type(error).__name__} over model {route.model!r}; the log says "
            "more",
            retryable=False,
        ) from error
