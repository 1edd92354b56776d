"""One connection to a server of tools: opened when it is first needed, opened again when it broke, never trusted.

The library's client lives in a task of its own, for its task groups must be left where they were entered. A server
that cannot be reached is not asked again before a while that doubles; whatever goes wrong is one of our errors.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any

from mcp import Client
from mcp.client._input_required import InputRequiredRoundsExceededError
from mcp.client.session import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
    CallToolResult,
    ElicitRequestFormParams,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    Implementation,
    TextContent,
    ToolListChangedNotification,
)
from pydantic import ValidationError

from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.mcp import McpServer
from runtime.errors import AgentFlowError, Invalid, StepFailure, Unavailable
from runtime.tools.mcp.forms import filled
from runtime.tools.mcp.mapping import MAX_TOOLS, Listing, listing_of
from runtime.tools.mcp.starting import Place
from runtime.tools.mcp.wire import Watch, over_pipes, watched

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
PING_S = 2.0
CLOSE_S = 10.0
IDEMPOTENCY_META = "agentflow/idempotencyKey"
MAX_PAGES = 20

Find = Callable[[McpServer, TenantId], Awaitable[Place]]
"""Finds a sandbox for a server's program."""
OpenHttp = Callable[[McpServer, Callable[[], Sender], Callable[[AgentFlowError], str]], Any]
"""An httpx2 client whose every request is cleared for the present sender; told of what the door raises."""
Tell = Callable[[float, float | None, str], None]

sender_now: ContextVar[Sender] = ContextVar("sender_now", default=APPLIANCE)
"""On whose behalf the library sends what it sends: it hands requests to tasks of its own, with their context."""

log = logging.getLogger(__name__)


class Connection:
    """To one server, for one tenant: no session is shared with another's."""

    def __init__(
        self, server: McpServer, *, tenant: TenantId = DEFAULT_TENANT, find: Find, open_http: OpenHttp, version: str
    ) -> None:
        self.server = server
        self.place: Place | None = None
        """Where its program runs, or ran last; None for one that has an address."""
        self._tenant = tenant
        self._find = find
        self._open_http = open_http
        self._version = version
        self._opening = asyncio.Lock()
        self._live: _Live | None = None
        self._failures = 0
        self._not_before_s = 0.0
        self.told: dict[str, str] = {}
        """What the server says of itself: `name`, `version`, `protocol`, `instructions`; foreign text."""

    async def list(self, *, sender: Sender, is_fresh: bool = False) -> Listing:
        """What it has, as it said lately, or says now. Raises Unavailable, StepFailure and Refused."""
        live = await self._opened(sender)
        if is_fresh or live.listing is None or _now() > live.listed_s + self.server.relist_s:
            live.listing = await self._asked(live, sender, self.server.start_s, lambda: _list(live))
            live.listed_s = _now()
        return live.listing

    async def call(
        self, tool: str, arguments: dict[str, Json], *, sender: Sender, key: str = "", tell: Tell | None = None
    ) -> Json:
        """What a tool answers. Cancelled, the server is told. Raises as `list` does, and StepFailure when it failed."""

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            if tell is not None:
                tell(progress, total, (message or "")[:500])

        live = await self._opened(sender)
        meta: Any = {IDEMPOTENCY_META: key} if key else None
        result = await self._asked(
            live,
            sender,
            self.server.timeout_s,
            lambda: live.client.call_tool(tool, arguments, progress_callback=on_progress, meta=meta),
        )
        return _answer(self.server, tool, result)

    async def close(self) -> None:
        """End the connection, and the program behind it. Safe to call twice."""
        live, self._live = self._live, None
        if live is not None:
            await live.close()

    async def _asked(self, live: "_Live", sender: Sender, timeout_s: float, ask: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401  # whatever is asked for
        """The answer to one question; a connection that is of no use any more is closed."""
        token = sender_now.set(sender)
        try:
            async with asyncio.timeout(timeout_s):
                return await ask()
        except TimeoutError:
            await self._close_if_dead(live)
            raise self._late(timeout_s) from None
        except AgentFlowError:
            raise
        except Exception as error:  # the library's own, and whatever a server makes it raise
            failure = live.watch.fault or await self._said(live, error, timeout_s)
            if live.watch.fault is not None or live.is_over:
                await self._drop(live)
            raise failure from None
        finally:
            sender_now.reset(token)

    async def _said(self, live: "_Live", error: Exception, timeout_s: float) -> AgentFlowError:
        name = self.server.name
        if isinstance(error, MCPError):
            if error.code == REQUEST_TIMEOUT:
                return self._late(timeout_s)
            if (refused := live.watch.set_aside.pop(error.message, None)) is not None:
                return refused
            if live.watch.set_aside and error.code == CONNECTION_CLOSED:  # it broke off in the middle
                return live.watch.set_aside.popitem()[1]
            await asyncio.sleep(0)  # the end of the stream says why, and comes right behind
            if live.is_over or live.watch.fault is not None:
                return live.watch.fault or Unavailable(
                    "mcp.server_died", f"the connection to MCP server {name!r} broke"
                )
            if error.code == METHOD_NOT_FOUND:
                return StepFailure(
                    "mcp.no_tools", f"MCP server {name!r} has no tools: {_foreign(error)}", retryable=False
                )
            if error.code == INVALID_PARAMS:
                return Invalid("mcp.bad_arguments", f"MCP server {name!r} refuses the call: {_foreign(error)}")
            return StepFailure("mcp.server_error", f"MCP server {name!r} answered with an error: {_foreign(error)}")
        if isinstance(error, InputRequiredRoundsExceededError):
            return StepFailure("mcp.asks_back", f"MCP server {name!r} asks back without end", retryable=False)
        if isinstance(error, (ValidationError, RuntimeError, ValueError, TypeError)):
            return StepFailure(
                "mcp.bad_answer",
                f"MCP server {name!r} sent an answer that the protocol does not know ({type(error).__name__})",
                retryable=False,
            )
        log.warning("MCP server %s: %s", name, type(error).__name__)
        return Unavailable("mcp.broken", f"the connection to MCP server {name!r} broke ({type(error).__name__})")

    def _late(self, timeout_s: float) -> Unavailable:
        return Unavailable("mcp.timeout", f"MCP server {self.server.name!r} gave no answer within {timeout_s:g} s")

    async def _close_if_dead(self, live: "_Live") -> None:
        """One that is late may be at work; one that does not even answer a ping is started anew."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(PING_S):
                if live.client.protocol_version >= "2026":
                    await live.client.list_tools(cache_mode="refresh")
                else:
                    await live.client.session.send_ping()
                return
        await self._drop(live)

    async def _drop(self, live: "_Live") -> None:
        if self._live is live:
            self._live = None
            self._hold_off()
        await live.close()

    def _hold_off(self) -> None:
        self._not_before_s = _now() + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**self._failures)
        self._failures += 1

    async def _opened(self, sender: Sender) -> "_Live":
        async with self._opening:
            if self._live is not None and self._live.is_over:
                await self._drop(self._live)
            if self._live is None:
                wait_s = self._not_before_s - _now()
                if wait_s > FIRST_WAIT_S:
                    raise Unavailable(
                        "mcp.down",
                        f"MCP server {self.server.name!r} failed {self._failures} times; it is asked again in "
                        f"{wait_s:.0f} s",
                    )
                await asyncio.sleep(max(0.0, wait_s))
                self._live = await self._open(sender)
                self._failures = 0
            return self._live

    async def _open(self, sender: Sender) -> "_Live":
        live = _Live(self.server, self._version, lambda watch: self._transport(watch))
        if not self.server.url:  # finding out what a sandbox holds takes a while, once
            self.place = await self._find(self.server, self._tenant)
        token = sender_now.set(sender)
        try:
            async with asyncio.timeout(self.server.start_s):
                await live.open()
        except TimeoutError:
            self._hold_off()
            await live.close()
            raise live.watch.fault or self._late(self.server.start_s) from None
        except AgentFlowError:
            self._hold_off()
            await live.close()
            raise
        except Exception as error:
            self._hold_off()
            await live.close()
            raise live.watch.fault or await self._said(live, _inner(error), self.server.start_s) from None
        finally:
            sender_now.reset(token)
        self.told = live.told()
        return live

    async def _transport(self, watch: Watch) -> AbstractAsyncContextManager[Any]:
        if self.place is not None:
            return over_pipes(await self.place.start(), watch)

        http = self._open_http(self.server, sender_now.get, watch.sets_aside)
        transport = streamable_http_client(
            self.server.url, http_client=http, max_sse_event_size=self.server.max_reply_bytes
        )
        return watched(transport, watch)


class _Live:
    """An open connection, and the task that the library's client lives in."""

    def __init__(
        self, server: McpServer, version: str, transport: Callable[[Watch], Awaitable[AbstractAsyncContextManager[Any]]]
    ) -> None:
        self.watch = Watch(server.name, server.max_reply_bytes)
        self.listing: Listing | None = None
        self.listed_s = 0.0
        self.client: Client
        self._is_open = False
        self._server = server
        self._version = version
        self._transport = transport
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself."""
        return self.watch.fault is not None or (self._task is not None and self._task.done())

    async def open(self) -> None:
        """Connect and agree on a version. Raises whatever the library and the transport raise."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(ready), name=f"mcp-{self._server.name}")
        try:
            await asyncio.shield(ready)
        finally:
            if not ready.done():
                ready.cancel()

    async def close(self) -> None:
        """End it. Safe to call twice."""
        self._closing.set()
        if self._task is not None and not self._task.done():
            if not self._is_open:
                self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)

    def told(self) -> dict[str, str]:
        """What the server says of itself, cut short."""
        info, client = self.client.server_info, self.client
        found = {"protocol": str(client.protocol_version), "instructions": client.instructions or ""}
        if info is not None:
            found |= {"name": info.name, "version": info.version}
        return {key: value[:2_000] for key, value in found.items()}

    async def _live(self, ready: "asyncio.Future[None]") -> None:
        try:
            transport = await self._transport(self.watch)
            async with Client(
                transport,
                client_info=Implementation(name="agentflow", version=self._version),
                elicitation_callback=_fill if self._server.fill_forms else None,
                message_handler=self._heard,
                cache=None,
            ) as client:
                self.client = client
                self._is_open = True
                if not ready.done():
                    ready.set_result(None)
                await self._closing.wait()
        except Exception as error:  # told to whoever opens it, or seen by whoever asks next
            if not ready.done():
                ready.set_exception(error)
            elif not self._closing.is_set():
                log.info("the connection to MCP server %s ended: %s", self._server.name, type(error).__name__)

    async def _heard(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self.listing = None


async def _list(live: _Live) -> Listing:
    cursor: str | None = None
    taken: set[str] = set()
    for _ in range(MAX_PAGES):
        page = await live.client.list_tools(cursor=cursor)
        taken |= {tool.name for tool in page.tools}
        cursor = page.next_cursor
        if cursor is None or len(live.watch.listed) > MAX_TOOLS:
            break
    return listing_of(live.watch.listed, taken)


def _answer(server: McpServer, tool: str, result: CallToolResult) -> Json:
    """The structured answer, else the text, else the list of contents. Raises StepFailure when the tool says so."""
    texts = [each.text for each in result.content if isinstance(each, TextContent)]
    if result.is_error:
        said = " ".join(texts)[:500] or "it does not say why"
        raise StepFailure("mcp.tool_failed", f"tool {tool!r} of MCP server {server.name!r} failed: {said}")
    if result.structured_content is not None:
        structured: Json = result.structured_content
        return structured
    if len(texts) == len(result.content):
        return "\n".join(texts)
    contents: Json = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in result.content]
    return contents


async def _fill(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
    content = filled(params.requested_schema) if isinstance(params, ElicitRequestFormParams) else None
    return ElicitResult(action="decline") if content is None else ElicitResult(action="accept", content=content)


def _foreign(error: MCPError) -> str:
    return f"{error.message[:300]} ({error.code})"


def _inner(error: BaseException) -> Exception:
    """The first cause within groups of causes."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)


def _now() -> float:
    return asyncio.get_running_loop().time()
