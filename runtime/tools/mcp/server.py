"""A server of tools over the Model Context Protocol: what is offered, in both of its wires and over both transports.

Speaks 2026-07-28 and the versions with a handshake, as the SDK does. Opens no socket: an ASGI server or a pair of
streams stands in front of it, and whoever asks has been let in there. It must never answer with the text of an
exception that is not one of ours.
"""

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, Generic

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from runtime.domain.canonical import Json
from runtime.errors import AgentFlowError, NotFound
from runtime.tools.mcp.offers import Answer, Offered, Offers, Who

NAME = "agentflow"
WHO = "agentflow.who"
"""Key of the scope under which the front says who asks."""
MAX_SESSIONS = 1_000
MAX_REQUEST_BYTES = 4 * 2**20
LIST_TTL_MS = 5_000
"""How long a client may take its list of tools for the present one."""
CANCEL_GRACE_S = 5.0

Scope = MutableMapping[str, Any]
Extend = Callable[[Server[Any]], None]
"""Adds handlers for what we do not offer; for the tests of the protocol."""

log = logging.getLogger(__name__)


class McpServer(Generic[Who]):
    """Offers tools. One for all transports and callers of a process."""

    def __init__(self, offers: Offers[Who], *, version: str, extend: Extend | None = None) -> None:
        self._offers = offers
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._server: Server[Any] = Server(
            NAME,
            version=version,
            title="AgentFlow",
            instructions=offers.instructions,
            cache_hints={"tools/list": CacheHint(ttl_ms=LIST_TTL_MS)},
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=self._listen,
        )
        if extend is not None:
            extend(self._server)
        self._local: Who | None = None
        self._sessions: StreamableHTTPSessionManager | None = None
        self._host: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Take HTTP requests from now on."""
        ready = asyncio.Event()
        sessions = StreamableHTTPSessionManager(
            self._server, max_request_body_size=MAX_REQUEST_BYTES, max_sessions=MAX_SESSIONS
        )

        async def host() -> None:
            # one task enters and leaves it, as its task group asks for
            async with sessions.run():
                ready.set()
                await self._stopping.wait()

        self._host = asyncio.create_task(host(), name="mcp-sessions")
        await ready.wait()
        self._sessions = sessions

    async def stop(self) -> None:
        """End every stream and session. Safe to call twice."""
        self._listen.close()
        self._sessions = None
        self._stopping.set()
        if self._host is not None:
            await asyncio.gather(self._host, return_exceptions=True)

    async def changed(self) -> None:
        """Tell whoever listens that other tools are offered now."""
        await self._bus.publish(ToolsListChanged())

    async def handle(self, scope: Scope, receive: Any, send: Any, *, who: Who, owner: str) -> None:  # noqa: ANN401  # ASGI
        """Answer one HTTP request of `who`. A session that `owner` began is nobody else's."""
        assert self._sessions is not None, "start() comes first"
        user = AuthenticatedUser(AccessToken(token=owner, client_id=owner, scopes=[]))
        await self._sessions.handle_request({**scope, "user": user, WHO: who}, receive, send)

    async def serve_stdio(self, who: Who) -> None:
        """Serve whoever is on stdin and stdout, until stdin ends."""
        self._local = who
        async with stdio_server() as (reading, writing):
            await self._server.run(reading, writing, self._server.create_initialization_options())

    def _who(self, ctx: ServerRequestContext[Any, Any]) -> Who:
        who: Who | None = self._local if ctx.request is None else ctx.request.scope[WHO]
        assert who is not None, "every front says who asks"
        return who

    async def _list_tools(
        self, ctx: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        if params is not None and params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "the list of tools has one page and no cursors")
        return ListToolsResult(tools=[_tool(each) for each in await self._offers.list(self._who(ctx))])

    async def _call_tool(self, ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
        async def tell(done: int, what: str) -> None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # whoever asked has gone
                await ctx.session.report_progress(done, None, what)

        try:
            answer = await _to_its_end(self._offers.call(params.name, params.arguments or {}, self._who(ctx), tell))
        except NotFound as missing:
            raise MCPError(INVALID_PARAMS, f"{missing.code}: {missing.message}") from None
        except AgentFlowError as error:
            answer = _failed(error)
        return CallToolResult(
            content=[TextContent(text=answer.text)], structured_content=answer.structured, is_error=answer.is_error
        )


async def _to_its_end(call: Any) -> Answer:  # noqa: ANN401  # a coroutine
    """What a call answers; cancelled, it is cancelled too and gets time to stop what it began."""
    task: asyncio.Task[Answer] = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        # the library cancels again and again whatever waits outside of a shield of its own
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
        raise


def _tool(offered: Offered) -> Tool:
    return Tool(
        name=offered.name,
        description=offered.description,
        input_schema=offered.input_schema,
        output_schema=offered.output_schema,
        annotations=ToolAnnotations(read_only_hint=offered.is_read_only, idempotent_hint=offered.is_idempotent),
    )


def _failed(error: AgentFlowError) -> Answer:
    facts: dict[str, Json] = {"code": error.code, "message": error.message, "retryable": error.retryable}
    return Answer(text=f"{error.code}: {error.message}", structured=facts, is_error=True)
