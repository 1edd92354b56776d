"""What every request passes before any handler sees it: host, phase, caller; and what is counted of it.

Stands in front of the router, so that also a path that does not exist, and an error inside the router, is
identified, refused and counted in one place. A path is closed unless it is on the short list of open ones.
"""

import logging
import secrets
import time
from collections.abc import Iterable
from http import HTTPStatus

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from appliance.api.openai_errors import answer_at
from appliance.api.problems import HttpError
from appliance.api.service import Service
from appliance.auth.callers import Caller, allows_host, caller_of
from runtime.errors import AgentFlowError, Unavailable

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
OPEN_FOLDER = "/docs/assets/"
HOOKS_FOLDER = "/hooks/"
"""Below it a handler says who may ask: a webhook's sender has a signature in place of a key."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = READING | {"POST", "PUT", "PATCH", "DELETE"}

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]

log = logging.getLogger(__name__)


class Entrance(msgspec.Struct, frozen=True, kw_only=True):
    """One listener's rules."""

    caller: Caller | None = None
    """Who everybody is that comes in here; None: whoever their API key says."""
    host_names: frozenset[str] | None = None
    """Names that a Host header may hold; None: any."""
    takes_any_address: bool = False
    """Whether a Host header may hold any literal address."""


class Gate:
    """The ASGI application that a listener serves: the router behind one entrance's rules."""

    def __init__(self, app: ASGIApp, service: Service, entrance: Entrance) -> None:
        self._app = app
        self._service = service
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._turn_away(scope, send)
            return
        visit = _Visit(self._service, scope, send)
        try:
            visit.scope["user"] = self._admit(scope)
            await self._app(scope, receive, visit.send)
        except AgentFlowError as refusal:
            await visit.refuse(refusal)
        except Exception:
            log.exception("the answer to request %s broke off", visit.id)
            raise
        finally:
            visit.close()

    def _admit(self, scope: HTTPScope) -> Caller | None:
        """Who is calling; None for a path that is open to everybody. Raises HttpError or Unavailable."""
        self._check_host(_values(scope, b"host"))
        if scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_FOLDER):
            return None
        keys = _values(scope, b"authorization")
        caller = self._entrance.caller or caller_of(keys, self._service.caller_of_key)
        self._check_phase(scope["method"])
        if keys and self._entrance.caller is None:
            self._service.note_login(caller)
        if caller is None and not scope["path"].startswith(HOOKS_FOLDER):
            raise key_required()
        return caller

    def _check_host(self, hosts: list[bytes]) -> None:
        names = self._entrance.host_names
        if names is None:
            return
        if len(hosts) != 1:
            message = "send exactly one Host header"
            raise HttpError(HTTPStatus.BAD_REQUEST, "http.bad_request", message)
        host = hosts[0].decode("latin-1")
        if not allows_host(host, names, any_address=self._entrance.takes_any_address):
            raise HttpError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "http.unknown_host",
                f"this appliance is not called {host[:100]!r}; call it by the address it listens on, or localhost",
            )

    def _check_phase(self, method: str) -> None:
        match self._service.lifecycle.phase:
            case "starting":
                raise Unavailable("server.starting", "the appliance is starting; ask /readyz when it is up")
            case "draining" | "stopped" if method not in READING:
                raise Unavailable("server.draining", "the appliance is stopping and takes nothing new; ask again soon")

    async def _turn_away(self, scope: Scope, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSockets here"})


def key_required() -> HttpError:
    """The error for a request without a good API key."""
    return HttpError(
        HTTPStatus.UNAUTHORIZED,
        "auth.key_required",
        "send a valid API key as: Authorization: Bearer af_…; the first start wrote one to auth/first.key "
        "in the data folder",
        {"www-authenticate": 'Bearer realm="agentflow"'},
    )


class _Visit:
    """One request on its way through: its id, its time, and whether it has been answered."""

    def __init__(self, service: Service, scope: HTTPScope, send: Send) -> None:
        self.id = f"q-{secrets.token_hex(10)}"
        self.scope = scope
        scope["request_id"] = self.id  # type: ignore[typeddict-unknown-key]  # ours, for the error handlers
        scope["service"] = service  # type: ignore[typeddict-unknown-key]  # ours, for all handlers
        self._metrics = service.metrics
        self._send = send
        self._began_s = time.perf_counter()
        self._metrics.requests_open.inc()

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one also carries the request's id, and is counted."""
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self.id.encode()), *SECURITY_HEADERS]
            self._count(message["status"])
        await self._send(message)

    async def refuse(self, refusal: AgentFlowError) -> None:
        """Answer with a problem document."""
        problem = answer_at(self.scope["path"], refusal, self.id)
        headers: Iterable[tuple[bytes, bytes]] = [(k.encode(), v.encode()) for k, v in problem.headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": problem.body, "more_body": False})

    def close(self) -> None:
        """The request is over."""
        self._metrics.requests_open.dec()

    def _count(self, status: int) -> None:
        method = self.scope["method"] if self.scope["method"] in METHODS else "other"
        # the template, not the path: a path would make a new series for every run
        route = self.scope.get("path_template") or "(none)"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(method, route).observe(time.perf_counter() - self._began_s)


def _values(scope: HTTPScope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
