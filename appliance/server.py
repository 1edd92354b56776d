"""`af serve`: a TCP listener and a UNIX socket on one event loop, both in front of the same application.

The TCP listener asks for API keys. The UNIX socket does not: its mode is 0600, so file permission is the key.
The engine lives on the same loop and outlives the listeners: it is stopped when nobody asks any more.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from granian.constants import Interfaces
from granian.net import SocketHolder  # type: ignore[attr-defined]  # not in its stubs
from granian.server.embed import Server as Granian

from appliance.api.app import build_app
from appliance.api.gate import Entrance, Gate
from appliance.api.service import HEARTBEAT_S, Service
from appliance.auth.callers import LOCAL_CALLER, host_names
from appliance.front import Front, open_front
from appliance.lifecycle import Lifecycle, keep_watchdog_fed, stop_signals
from appliance.release import version
from redaction.doors.local import BACKLOG, BoundSocket, listen_unix
from runtime.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from appliance.wiring import Appliance

log = logging.getLogger(__name__)

EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})
# time for streams to see that they should end, before the listeners wait for them
LAST_BYTES_S = 0.05
# waiting requests and streams end when draining begins, so only slow uploads are left to wait for
LISTENER_GRACE_S = 5.0
# workers end and databases close in a second or two; under the 60 s that the unit gives with the default of drain_s
STOP_GRACE_S = 15.0


class Tls(msgspec.Struct, frozen=True):
    """Certificate and key of the TCP listener, as PEM files; TLS 1.3."""

    certificate: Path
    key: Path


class Address(msgspec.Struct, frozen=True):
    """Where a server listens."""

    url: str
    """With the port that was really taken."""
    socket: Path
    first_key: Path | None
    """The file with the first API key, when this start made it."""


def announce(address: Address) -> None:
    """Say on stderr that the server is up; scripts wait for the line that starts with READY."""
    if address.first_key is not None:
        print(f"An API key was made; {address.first_key} holds it. Keep it, then delete the file.", file=sys.stderr)
    print(f"READY {address.url} unix:{address.socket} manual {address.url}/docs", file=sys.stderr, flush=True)


def announce_drain(drain_s: float) -> None:
    """Say on stderr what is waited for, and how to wait no longer: nobody sees that half a minute is meant."""
    waited = f"what runs has {drain_s:g} s to end, and goes on at the next start else"
    with suppress(OSError):  # nobody may read it any more, and the server must stop all the same
        print(f"DRAINING {waited}; a second signal waits no longer", file=sys.stderr, flush=True)


async def serve(
    appliance: Appliance,
    *,
    listen: str = "",
    front: Front | None = None,
    socket: Path | None = None,
    tls: Tls | None = None,
    insecure_listen: bool = False,
    names: Sequence[str] = (),
    heartbeat_s: float = HEARTBEAT_S,
    on_ready: Callable[[Address], None] = announce,
) -> None:
    """Start the appliance and serve it until SIGTERM or SIGINT; then drain, stop it and return.

    `listen` and `socket` default to the settings'; `front` is a listener that is open already, and is closed here.
    `names` are further names that a Host header may hold. A second signal ends the draining at once.

    Raises Refused for an address beyond this machine without TLS, Unavailable for a port in use, and what starting
    the appliance raises; whatever happens, all of it is stopped again.
    """
    server = _Server(appliance, heartbeat_s)
    with stop_signals(server.drain, server.hurry):
        if front is None:
            has_tls = tls is not None
            front = open_front(listen or appliance.settings.listen, has_tls=has_tls, insecure_listen=insecure_listen)
        entrance = Entrance(host_names=host_names(front.host, names), takes_any_address=front.host in EVERY_ADDRESS)
        try:
            # /readyz answers from here on, while the appliance starts
            server.open(front.listen(), entrance, tls)
            if await server.has_started():
                path = socket or appliance.settings.socket
                # not before the start: until then a server that holds the data folder may be using the path
                server.open(listen_unix(path), Entrance(caller=LOCAL_CALLER))
                url = front.url(has_tls=tls is not None)
                await server.run(front, lambda first_key: on_ready(Address(url, path, first_key)))
        finally:
            front.drain()
            await server.stop()
            front.close()


class _Server:
    """The appliance, and the listeners in front of it."""

    def __init__(self, appliance: Appliance, heartbeat_s: float) -> None:
        self._appliance = appliance
        self._service = Service(appliance, Lifecycle(), version=version(), heartbeat_s=heartbeat_s)
        self._app = build_app()
        self._listeners: list[_Listener] = []
        self._watchdog: asyncio.Task[None] | None = None
        self._hurried: asyncio.Future[None] | None = None

    def open(self, bound: BoundSocket, entrance: Entrance, tls: Tls | None = None) -> None:
        """Accept connections on a listening socket from now on. Raises Invalid for TLS files that cannot be used."""
        self._listeners.append(_Listener(Gate(self._app, self._service, entrance), bound, tls))

    async def has_started(self) -> bool:
        """Start the appliance; False when draining began before it had. Raises what starting raises."""
        starting = asyncio.ensure_future(self._appliance.start())
        draining = asyncio.ensure_future(self._service.lifecycle.draining.wait())
        await asyncio.wait({starting, draining}, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return False
        starting.result()
        return True

    async def run(self, front: Front, on_ready: Callable[[Path | None], None]) -> None:
        """Let callers in and return when draining begins; `on_ready` gets the file of a key that was just made.

        Raises what reading the keys raises, and Unavailable when a listener broke.
        """
        first_key = self._service.read_keys()
        await self._service.start()
        self._watchdog = asyncio.create_task(keep_watchdog_fed(self._appliance.alive))
        gc.freeze()  # what is here now stays; looking through it again would hold up the loop for 0.1 s and more
        on_ready(first_key)
        draining = asyncio.ensure_future(self._service.lifecycle.draining.wait())
        lost = asyncio.ensure_future(front.lost())
        await asyncio.wait(
            {draining, lost, *(listener.task for listener in self._listeners)}, return_when=asyncio.FIRST_COMPLETED
        )
        lost.cancel()
        if not draining.done():
            draining.cancel()
            raise Unavailable("server.listener_lost", "a listener ended by itself; start the server again")

    def drain(self) -> None:
        """Take nothing new from now on; `run` returns."""
        announce_drain(self._appliance.settings.drain_s)
        self._service.drain()

    def hurry(self) -> None:
        """Wait for nothing any more: drop connections, and stop steps, which go on at the next start."""
        for listener in self._listeners:
            listener.task.cancel()
        if self._service.has_started and self._hurried is None:
            self._hurried = asyncio.ensure_future(self._appliance.engine.stop())

    async def stop(self) -> None:
        """Close the listeners, each request answered or its time over, then the appliance."""
        self._service.drain()
        await self._close_listeners()
        await self._service.stop()
        await self._stop_appliance()
        if self._hurried is not None:
            await self._hurried
        if self._watchdog is not None:
            self._watchdog.cancel()

    async def _stop_appliance(self) -> None:
        """Within the time that running steps have and a little more; then the process ends whatever hangs in it.

        The journal holds all that was acknowledged, so what was not done goes on at the next start.
        """
        limit_s = self._appliance.settings.drain_s + STOP_GRACE_S
        stopping = asyncio.ensure_future(self._appliance.stop())
        _, unfinished = await asyncio.wait({stopping}, timeout=limit_s)
        if unfinished:
            log.error("stopping took over %.0f s; what was not done goes on at the next start", limit_s)
            stopping.cancel()
            await asyncio.wait({stopping}, timeout=1)
        else:
            stopping.result()

    async def _close_listeners(self) -> None:
        if not self._listeners:
            return
        await asyncio.sleep(LAST_BYTES_S)
        for listener in self._listeners:
            listener.stop()
        tasks = [listener.task for listener in self._listeners]
        _, unfinished = await asyncio.wait(tasks, timeout=LISTENER_GRACE_S)
        for task in unfinished:
            task.cancel()
        await asyncio.wait(tasks)


class _Listener(Granian):
    """Granian on a socket that is already listening, so that a port in use and port 0 are ours to handle."""

    def __init__(self, app: Gate, bound: BoundSocket, tls: Tls | None) -> None:
        try:
            super().__init__(
                app,
                interface=Interfaces.ASGINL,
                backlog=BACKLOG,
                websockets=False,
                log_enabled=False,
                ssl_cert=tls.certificate if tls else None,
                ssl_key=tls.key if tls else None,
            )
        except OSError as error:  # what ssl raises is one too
            raise Invalid("server.bad_tls", f"the TLS certificate and key cannot be used: {error}") from None
        self._bound = bound
        self.task = asyncio.create_task(self.serve(), name="listener")

    def stop(self) -> None:
        """Refuse new connections; the task ends with the last request."""
        super().stop()  # type: ignore[no-untyped-call]  # granian has no annotations here
        self._bound.close()

    def _init_shared_socket(self) -> None:
        # the stubs know neither the constructor nor that the attribute is ever set
        self._shd = SocketHolder(self._bound.fileno(), self._bound.is_unix, BACKLOG)  # type: ignore[assignment,call-arg]
        self._ssp = None
