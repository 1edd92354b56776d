"""The one way to a model: find the backend, ask the guard, call, and say who answered."""

from collections.abc import AsyncIterator, Mapping, Sequence

from msgspec.structs import replace

from models.catalog import Kind
from models.routing import Route, find_route
from models.servers import ModelServer
from redaction.guard import Guard
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo
from runtime.domain.egress import Cleared, Destination, Outbound, Payload
from runtime.domain.ids import DEFAULT_TENANT, TenantId
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

    async def complete(
        self, request: ChatRequest, *, purpose: str = "agent", tenant: TenantId = DEFAULT_TENANT
    ) -> ChatReply:
        """Ask a chat model. Raises Refused, Invalid, Unavailable or StepFailure."""
        route, backend = self._find(request.provider, request.model, "chat")
        cleared = self._clear(replace(request, model=route.model), route, purpose, tenant)
        try:
            return await backend.complete(cleared)
        except Exception as error:  # the edge of a backend: whatever it raises becomes one of our errors
            raise _ours(error, route) from error

    async def stream(
        self, request: ChatRequest, *, purpose: str = "agent", tenant: TenantId = DEFAULT_TENANT
    ) -> AsyncIterator[ChatChunk]:
        """Ask a chat model; the last chunk carries the reply. Raises as `complete` does."""
        route, backend = self._find(request.provider, request.model, "chat")
        cleared = self._clear(replace(request, model=route.model), route, purpose, tenant)
        try:
            async for chunk in backend.stream(cleared):
                yield chunk
        except Exception as error:  # as above
            raise _ours(error, route) from error

    async def embed(
        self, request: EmbedRequest, *, purpose: str = "agent", tenant: TenantId = DEFAULT_TENANT
    ) -> EmbedReply:
        """Embed texts. Raises Refused, Invalid, Unavailable or StepFailure."""
        route, backend = self._find("local", request.model, "embedding")
        cleared = self._clear(replace(request, model=route.model), route, purpose, tenant)
        try:
            return await backend.embed(cleared)
        except Exception as error:  # as above
            raise _ours(error, route) from error

    async def count_tokens(self, request: ChatRequest) -> int:
        """Exact input tokens of a request, with the model's own template and tokenizer."""
        route, backend = self._find(request.provider, request.model, "chat")
        return await backend.count_tokens(route.model, [(m.role, m.content) for m in request.messages])

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

    def _clear(self, payload: Payload, route: Route, purpose: str, tenant: TenantId) -> Cleared[Payload]:
        destination = Destination("model", route.zone, route.host)
        return self._guard.clear(Outbound(destination=destination, payload=payload, purpose=purpose, tenant=tenant))


def _ours(error: Exception, route: Route) -> AgentFlowError:
    if isinstance(error, AgentFlowError):
        return error
    return StepFailure(
        "model.backend_failed",
        f"backend {route.backend!r} failed with {type(error).__name__} over model {route.model!r}; the log says more",
        retryable=False,
    )
