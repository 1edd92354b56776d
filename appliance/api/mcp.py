"""`/mcp`: the appliance as a server of tools, for clients of the Model Context Protocol over streamable HTTP.

Behind the same gate as every other route: API key, Host header, phase. The library is imported when the first client
comes, in a thread, for it takes a second.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from importlib import import_module
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from litestar import asgi
from litestar.types import Receive, Scope, Send

from appliance.api.problems import HttpError
from appliance.auth.callers import LOOPBACK_NAMES, Caller, allows_host
from appliance.mcp.offers import Host, OnEntry, offers_of
from appliance.runs.views import RunView, run_view
from appliance.runs.within import with_tasks
from appliance.tools.direct_calls import ToolView, call_directly, tool_view
from runtime.domain.canonical import Json
from runtime.domain.ids import RunId
from runtime.domain.journal import read
from runtime.domain.run import RunState, apply
from runtime.domain.workflow import Workflow
from runtime.errors import Unavailable

if TYPE_CHECKING:
    from appliance.api.service import Service
    from runtime.tools.mcp.server import Extend, McpServer

PATH = "/mcp"
LAST_WORDS_S = 0.1
"""Time for calls under way to say that the server is stopping."""


class McpFront:
    """The server of tools of one HTTP service, started when somebody first asks."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._starting: asyncio.Task[McpServer[Caller]] | None = None
        self._ending: asyncio.Task[None] | None = None
        self.extend: Extend | None = None
        """Adds handlers for what the appliance does not offer; for the tests of the protocol."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises HttpError 403 for a page of another site, Unavailable while draining."""
        _check_origin(scope)
        if self._service.lifecycle.draining.is_set():
            raise Unavailable("server.draining", "the appliance is stopping and takes nothing new; ask again soon")
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        server = await asyncio.shield(self._starting)
        caller: Caller = scope["user"]
        await server.handle(dict(scope), receive, send, who=caller, owner=f"{caller.tenant}/{caller.actor}")

    async def changed(self) -> None:
        """Tell whoever listens that other workflows are offered now."""
        if self._starting is not None and self._starting.done() and not self._starting.cancelled():
            await self._starting.result().changed()

    def drain(self) -> None:
        """End every stream soon: what is being answered may still say so. Safe to call twice."""
        if self._starting is not None and self._ending is None:
            self._ending = asyncio.create_task(self._end())

    async def stop(self) -> None:
        """End every stream, and wait until they have. Safe to call twice."""
        self.drain()
        if self._ending is not None:
            await self._ending

    async def _end(self) -> None:
        await asyncio.sleep(LAST_WORDS_S)
        if self._starting is not None:
            [server] = await asyncio.gather(self._starting, return_exceptions=True)
            if not isinstance(server, BaseException):
                await server.stop()

    async def _start(self) -> McpServer[Caller]:
        library = await asyncio.to_thread(import_module, "runtime.tools.mcp.server")
        chosen = self._service.appliance.settings.mcp
        offers = offers_of(_host(self._service), chosen.workflows, chosen.tools)
        server: McpServer[Caller] = library.McpServer(offers, version=self._service.version, extend=self.extend)
        await server.start()
        return server


@asgi(PATH, name="mcp", copy_scope=True)
async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
    """The route; the SDK answers all of its methods."""
    service: Service = scope["service"]  # type: ignore[typeddict-item]  # set by the gate
    await service.mcp.handle(scope, receive, send)


def _check_origin(scope: Scope) -> None:
    """A browser says which page sends; only pages of this appliance itself may."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return
    host = headers.get(b"host", b"").decode("latin-1")
    name = urlsplit(f"//{host}").hostname or ""
    names = LOOPBACK_NAMES if name in LOOPBACK_NAMES else frozenset({name})
    if not allows_host(urlsplit(origin).netloc, names, any_address=False):
        raise HttpError(
            HTTPStatus.FORBIDDEN,
            "http.foreign_origin",
            f"a page of {origin[:100]!r} may not ask here; only pages of this appliance may",
        )


def _host(service: Service) -> Host:
    appliance = service.appliance

    async def begin(workflow: Workflow, given: Json, caller: Caller) -> RunId:
        return (await service.submissions.submit(workflow, given, caller, None)).run

    async def settled(run: RunId, caller: Caller, on_entry: OnEntry) -> RunView:
        state = await _followed(service, run, on_entry)
        if state.is_minimised:  # whoever asks has just given the values, and can do nothing with pseudonyms
            state = await appliance.minimising.restored_state(
                service.engine, run, tenant=caller.tenant, actor=caller.actor
            )
        view = run_view(state, await appliance.workflows.pinned(state.definition))
        return await with_tasks(view, service.engine.state)

    async def cancel(run: RunId, caller: Caller) -> None:
        await service.engine.cancel(run, "the client cancelled", actor=caller.actor)

    async def tools() -> list[ToolView]:
        return [tool_view(spec) for spec in appliance.toolboxes.own.specs()]

    async def call_tool(name: str, arguments: dict[str, Json], caller: Caller) -> Json:
        key = f"{caller.tenant}/{caller.actor}/{token_hex(16)}/{name}"
        return await call_directly(appliance, name, arguments, key=key, caller=caller, by="MCP client")

    return Host(
        names=appliance.workflows.names,
        find=appliance.workflows.find,
        begin=begin,
        settled=settled,
        cancel=cancel,
        tools=tools,
        call_tool=call_tool,
        record=appliance.record,
    )


async def _followed(service: Service, run: RunId, on_entry: OnEntry) -> RunState:
    """The run once it is final or waits. Raises Unavailable when the server drains; the run goes on later."""
    state = RunState(run=run)
    with service.tail.watch(run) as changed:
        while not service.lifecycle.draining.is_set():
            changed.clear()
            rows = await service.store.read(run, after_seq=state.seq)
            for row in rows:
                entry = read(row)
                apply(state, entry)
                on_entry(entry)
            if state.is_final or state.status == "waiting":
                return await service.engine.wait(run)
            if not rows:
                with suppress(TimeoutError):  # looks for itself too, should the tail be behind
                    async with asyncio.timeout(service.heartbeat_s):
                        await changed.wait()
    raise Unavailable("server.draining", f"the appliance is stopping; run {run!r} goes on when it is up again")
