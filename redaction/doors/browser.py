"""The way in for a browser on this machine: the dashboard's pages, behind an API key, for as long as `serve` runs.

Each tab has a process of its own, which draws; textual-serve carries letters and keys between the two. What it lacks
is here: who may come in, by which name, how many, and pages that load nothing from elsewhere, which the browser
itself is told to refuse.
"""

import asyncio
import os
import secrets
import shlex
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from time import monotonic

import aiohttp_jinja2
import jinja2
from aiohttp import web
from textual_serve.server import Server

from redaction.doors.local import is_loopback, listen_tcp
from runtime.errors import Refused, Unavailable

PAGES = Path(__file__).parent / "pages"
COOKIE = "af_dashboard"
SESSION_S = 12 * 3_600
MOST_TABS = 16
"""Processes at a time; each is some 80 MB."""
WRONG_KEY_S = 1.0
"""How long a wrong key waits for its answer; one at a time."""
OPEN_PATHS = frozenset({"/login", "/pages/look.css"})
NEW_TABS = frozenset({"/", "/ws"})
NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Admits = Callable[[str], Awaitable[bool]]
"""Whether an API key, in clear text, is good. Raises Unavailable where nobody can tell now."""


class BrowserDoor(Server):
    """Serves one command, which draws the dashboard in the driver that textual-serve tells it to take."""

    def __init__(self, command: Sequence[str], *, host: str, port: int, admits: Admits) -> None:
        """Raises Refused for an address that other machines reach, Invalid for one that is none, Unusable."""
        if not is_loopback(host):
            raise Refused(
                "tui.listen_beyond",
                f"the dashboard is shown on this machine alone, not on {host!r}; make a tunnel to it, such as "
                f"ssh -L {port or 8701}:127.0.0.1:{port or 8701} THIS-MACHINE",
            )
        self._bound = listen_tcp(host, port)
        self.url = (
            f"http://{f'[{self._bound.host}]' if ':' in self._bound.host else self._bound.host}:{self._bound.port}"
        )
        super().__init__(
            shlex.join(command),
            host=self._bound.host,
            port=self._bound.port,
            title="AgentFlow",
            public_url=self.url,
            templates_path=PAGES,
        )
        self._admits = admits
        self._sessions: dict[str, tuple[str, float]] = {}
        """The key that each was opened with, and until when it lasts."""
        self._tabs = 0
        self._guessing = asyncio.Lock()

    async def run(self, on_ready: Callable[[str], None]) -> None:
        """Serve until this is cancelled; every tab's process ends with it."""
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        listener = socket.socket(fileno=os.dup(self._bound.fileno()))
        self._bound.close()
        try:
            await web.SockSite(runner, listener).start()
            on_ready(self.url)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
            listener.close()

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(PAGES))
        app.add_routes(
            [
                web.get("/", self.handle_index),
                web.get("/login", self._show_login),
                web.post("/login", self._log_in),
                web.get("/ws", self.handle_websocket),
                web.static("/static", self.statics_path),
                web.get("/pages/{name:look.css|start.js}", self._page),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Host, origin and session before anything else; what the browser may load behind it."""
        answer = await self._answer(request, handler)
        if not isinstance(answer, web.WebSocketResponse):
            answer.headers.update(_headers(request.host))
        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host.rpartition(":")[0] not in NAMES or request.host.rpartition(":")[2] != str(self.port):
            return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text=f"call the dashboard {self.url}")
        is_changing = request.path == "/ws" or request.method != "GET"
        if is_changing and request.headers.get("origin") != f"http://{request.host}":
            return web.Response(status=HTTPStatus.FORBIDDEN, text="a page of another site may not do this")
        if request.path not in OPEN_PATHS and not await self._is_known(request):
            if request.path == "/":
                return web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": "/login"})
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text="log in first, at /login")
        if request.path == "/ws" and self._tabs >= MOST_TABS:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=f"{MOST_TABS} tabs are open; close one")
        return await handler(request)

    async def _is_known(self, request: web.Request) -> bool:
        """Whether its session lasts; one whose key is taken back opens no further tab."""
        now_s, session = monotonic(), request.cookies.get(COOKIE, "")
        self._sessions = {known: opened for known, opened in self._sessions.items() if opened[1] > now_s}
        if session not in self._sessions:
            return False
        if request.path in NEW_TABS:
            with suppress(Unavailable):  # the tab says itself that nobody is there
                if not await self._admits(self._sessions[session][0]):
                    self._sessions.pop(session, None)
        return session in self._sessions

    async def _show_login(self, request: web.Request) -> web.StreamResponse:
        return aiohttp_jinja2.render_template("login.html", request, {"problem": ""})

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        key = str((await request.post()).get("key", "")).strip()
        async with self._guessing:
            try:
                is_good = await self._admits(key)
            except Unavailable as error:
                return aiohttp_jinja2.render_template("login.html", request, {"problem": error.message}, status=503)
            if not is_good:
                await asyncio.sleep(WRONG_KEY_S)
                return aiohttp_jinja2.render_template(
                    "login.html", request, {"problem": "The server does not know this key."}, status=401
                )
        session = secrets.token_urlsafe(32)
        self._sessions[session] = (key, monotonic() + SESSION_S)
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": "/"})
        answer.set_cookie(COOKIE, session, max_age=SESSION_S, httponly=True, samesite="Strict")
        return answer

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page of a tab."""
        size = request.query.get("fontsize", "16")
        facts = {
            "socket_url": f"ws://{request.host}/ws",
            "font_size": int(size) if size.isascii() and size.isdigit() and 4 <= int(size) <= 64 else 16,
        }
        return aiohttp_jinja2.render_template("app_index.html", request, facts)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A tab's connection, and its process for as long as that lasts."""
        self._tabs += 1
        try:
            return await super().handle_websocket(request)
        finally:
            self._tabs -= 1

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGES / request.match_info["name"])


def _headers(host: str) -> dict[str, str]:
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        f"img-src 'self' data: blob:; connect-src 'self' ws://{host}; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cache-control": "no-store",
    }
