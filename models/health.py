"""How the model servers are: what their answers show, and checks in the background at a fixed interval.

A check is a request like any other: the guard decides on it, and the audit log has it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic

import msgspec

from models.choice import Standing
from models.keys import read_key
from models.replies import backend_id
from models.servers import ModelServer, host_of
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from runtime.domain.egress import Destination, Outbound, Sender
from runtime.domain.http import HttpRequest
from runtime.errors import AgentFlowError, StepFailure, Unavailable
from runtime.resilience.breaker import (
    CLOSED,
    RULE,
    Breaker,
    BreakerRule,
    abandoned,
    allows,
    began,
    failed,
    rest_s,
    state,
    succeeded,
)

CHECK_TIMEOUT_S = 5.0
_SMOOTHING = 0.2
_FAULTS = frozenset(
    {
        "http.encoded_reply",
        "http.reply_too_large",
        "model.backend_failed",
        "model.server_failed",
        "model.server_garbled",
    }
)
"""Failures of a step that are the server's."""

log = logging.getLogger(__name__)


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is."""

    name: str
    kind: str
    zone: str
    host: str
    models: tuple[str, ...]
    health: str
    """`well`, `unchecked`, or the code of what is wrong."""
    breaker: str
    rest_s: float
    latency_ms: float | None
    check_ms: float | None
    """Of the last check that went well."""


class _Known:
    """What is known of one server."""

    def __init__(self) -> None:
        self.breaker: Breaker = CLOSED
        self.last_failure = ""
        self.is_well: bool | None = None
        self.health = "unchecked"
        self.latency_s: float | None = None
        self.check_s: float | None = None
        self.seen_s = float("-inf")
        """When it last answered."""


class Health:
    """Watches the servers. Backends that are none are always well."""

    def __init__(
        self,
        servers: Sequence[ModelServer],
        guard: Guard,
        door: HttpDoor | None,
        *,
        interval_s: float = 0.0,
        rule: BreakerRule = RULE,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`door`: None, or an interval of 0, checks nothing by itself."""
        self._servers = {backend_id(server): server for server in servers}
        self._known: Mapping[str, _Known] = {backend: _Known() for backend in self._servers}
        self._guard = guard
        self._door = door
        self._interval_s = interval_s
        self._rule = rule
        self._now = now
        self._checking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to check; the first time after one interval, for until then the servers' answers tell enough."""
        if self._servers and self._door is not None and self._interval_s > 0:
            self._checking = asyncio.create_task(self._check_for_ever())

    async def stop(self) -> None:
        """End the checks. Safe to call twice."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.cancel()
            with suppress(asyncio.CancelledError):
                await checking

    def standing(self, backend: str) -> Standing:
        """How a backend is at the moment."""
        known = self._known.get(backend)
        if known is None:
            return Standing()
        now_s = self._now()
        current = state(known.breaker, now_s, self._rule)
        is_trial_taken = current == "half_open" and not allows(known.breaker, now_s, self._rule)
        return Standing(
            breaker="open" if is_trial_taken else current,
            rest_s=rest_s(known.breaker, now_s, self._rule),
            last_failure=known.last_failure,
            is_well=known.is_well,
            latency_s=known.latency_s if known.latency_s is not None else known.check_s,
        )

    @asynccontextmanager
    async def watched(self, backend: str) -> AsyncIterator["Timing"]:
        """A call to a backend, for as long as the block lasts; how it ends is taken down."""
        known = self._known.get(backend)
        timing = Timing(self._now)
        if known is None:
            yield timing
            return
        known.breaker = began(known.breaker, self._now())
        try:
            yield timing
        except AgentFlowError as error:
            if is_fault(error):
                self._failed(known, error.code)
            else:
                self._answered(known, timing, backend, measures=False)
            raise
        except BaseException:  # the caller went away
            known.breaker = abandoned(known.breaker)
            raise
        self._answered(known, timing, backend, measures=True)

    async def check_all(self) -> None:
        """Check every server now, all at once."""
        await asyncio.gather(*map(self._check, self._servers))

    def status(self) -> list[ServerStatus]:
        """How all servers are."""
        return [self._status(backend, server) for backend, server in self._servers.items()]

    def _status(self, backend: str, server: ModelServer) -> ServerStatus:
        known, now_s = self._known[backend], self._now()
        return ServerStatus(
            name=server.name,
            kind=server.kind,
            zone=server.zone,
            host=host_of(server.url),
            models=server.models,
            health=known.health,
            breaker=state(known.breaker, now_s, self._rule),
            rest_s=rest_s(known.breaker, now_s, self._rule),
            latency_ms=None if known.latency_s is None else known.latency_s * 1_000,
            check_ms=None if known.check_s is None else known.check_s * 1_000,
        )

    async def _check_for_ever(self) -> None:
        due_s = self._now()
        while True:
            due_s += self._interval_s
            await asyncio.sleep(max(0.0, due_s - self._now()))
            quiet = [name for name, known in self._known.items() if self._now() - known.seen_s >= self._interval_s]
            await asyncio.gather(*map(self._check, quiet))

    async def _check(self, backend: str) -> None:
        server, known = self._servers[backend], self._known[backend]
        began_s = self._now()
        sender = Sender(purpose=f"the check of model server {server.name!r}")
        destination = Destination("model", server.zone, host_of(server.url))
        try:
            self._guard.check(destination, sender)  # what is forbidden anyway need not be refused in the log for ever
            await self._probe(server, Outbound(destination=destination, payload=_list_of_models(server), sender=sender))
        except AgentFlowError as error:
            if known.is_well is not False and self._checking is not None:
                log.warning("model server %r is not well: %s", server.name, error.code)
            known.is_well, known.health = False, error.code
            return
        if known.is_well is False and self._checking is not None:
            log.info("model server %r is well again", server.name)
        known.is_well, known.health = True, "well"
        known.check_s = self._now() - began_s

    async def _probe(self, server: ModelServer, outbound: Outbound[HttpRequest]) -> None:
        """Ask for the list of its models: every server has one, and it costs nothing."""
        assert self._door is not None, "who checks has a door"
        async with self._guard.passage(outbound) as passage:
            reply = await self._door.open(passage.cleared)
            await reply.close()
        if reply.status in (401, 403):
            raise Unavailable("model.server_closed", f"model server {server.name!r} does not take its key")
        if reply.status == 429 or reply.status >= 500:
            raise Unavailable("model.server_busy", f"model server {server.name!r} says HTTP {reply.status}")

    def _failed(self, known: _Known, code: str) -> None:
        known.breaker = failed(known.breaker, self._now(), self._rule)
        known.last_failure = code

    def _answered(self, known: _Known, timing: "Timing", backend: str, *, measures: bool) -> None:
        known.breaker = succeeded(known.breaker)
        known.is_well, known.health, known.seen_s = True, "well", self._now()
        if measures:
            taken_s = timing.taken_s()
            old_s = known.latency_s
            known.latency_s = taken_s if old_s is None else old_s + _SMOOTHING * (taken_s - old_s)


class Timing:
    """How long a call takes to its answer, or to the first piece of it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began_s = now()
        self._first_s: float | None = None

    def first(self) -> None:
        """The first piece is here."""
        if self._first_s is None:
            self._first_s = self._now()

    def taken_s(self) -> float:
        """Seconds to the first piece, or until now."""
        return (self._now() if self._first_s is None else self._first_s) - self._began_s


def is_fault(error: AgentFlowError) -> bool:
    """Whether an error is the backend's own, so that another one may do better."""
    if isinstance(error, Unavailable):
        return error.code not in ("model.stopped", "model.queue_full")
    return isinstance(error, StepFailure) and error.code in _FAULTS


def _list_of_models(server: ModelServer) -> HttpRequest:
    key = read_key(server)
    base = server.url.rstrip("/")
    headers: dict[str, str] = {}
    if server.kind == "anthropic":
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    elif key:
        headers = {"authorization": f"Bearer {key}"}
    paths = {"ollama": "/api/tags", "anthropic": "/v1/models"}
    return HttpRequest(
        method="GET",
        url=base + paths.get(server.kind, "/models"),
        headers=headers,
        credentials=("authorization", "x-api-key"),
        timeout_s=min(CHECK_TIMEOUT_S, server.timeout_s),
    )
