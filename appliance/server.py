"""`af serve`: a TCP listener and a UNIX socket on one event loop, both in front of the same application.

The TCP listener asks for API keys. The UNIX socket does not: its mode is 0600, so file permission is the key.
The engine lives on the same loop and outlives the listeners: it is stopped when nobody asks any more.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from granian.constants import Interfaces
from granian.net import SocketHolder  # type: ignore[attr-defined]  # not in its stubs
from granian.server.embed import Server as Granian

from appliance.api.app import build_app
from appliance.api.gate import Entrance, Gate
from appliance.api.service import HEARTBEAT_S, Service
from appliance.auth.callers import LOCAL_CALLER, host_names
from appliance.lifecycle import Lifecycle, keep_watchdog_fed, stop_signals
from redaction.doors.local import BACKLOG, BoundSocket, is_loopback, listen_tcp, listen_unix
from runtime.errors import Invalid, Refused

if TYPE_CHECKING:
    from appliance.wiring import Appliance

DISTRIBUTION = "agentflow-appliance"
EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})
# time for streams to see that they should end, before the listeners wait for them
LAST_BYTES_S = 0.05


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


async def serve(
    appliance: Appliance,
    *,
    listen: str = "",
    socket: Path | None = None,
    tls: Tls | None = None,
    insecure_listen: bool = False,
    names: Sequence[str] = (),
    heartbeat_s: float = HEARTBEAT_S,
    on_ready: Callable[[Address], None] = announce,
) -> None:
    """Start the appliance and serve it until SIGTERM or SIGINT; then drain, stop it and return.

    `listen` and `socket` default to the settings'; `names` are further names that a Host header may hold. A second
    signal ends the draining at once. Raises Refused for an address beyond this machine without TLS, Unavailable for
    a port in use, and what starting the appliance raises; whatever happens, all of it is stopped again.
    """
    host, port = _split(listen or appliance.settings.listen)
    if not is_loopback(host) and tls is None and not insecure_listen:
        raise Refused(
            "server.insecure_listen",
            f"listening on {host} without TLS would send API keys in the clear; give --tls-cert and --tls-key, listen "
            "on 127.0.0.1, or say --insecure-listen when something in front of it does TLS",
        )
    entrance = Entrance(host_names=host_names(host, names), takes_any_address=host in EVERY_ADDRESS)
    service = Service(appliance, Lifecycle(), version=version(DISTRIBUTION), heartbeat_s=heartbeat_s)
    listeners = _Listeners(service, grace_s=appliance.settings.drain_s)
    tcp = listen_tcp(host, port)
    watchdog = asyncio.create_task(keep_watchdog_fed())
    try:
        with stop_signals(service.drain, listeners.cut_off):
            # /readyz answers from here on, while the appliance starts
            listeners.open(tcp, entrance, tls)
            if await _completes(appliance.start(), unless=service.lifecycle.draining):
                path = socket or appliance.settings.socket
                first_key = service.read_keys()
                # not before the start: until then a server that holds the data folder may be using the path
                listeners.open(listen_unix(path), Entrance(caller=LOCAL_CALLER))
                await service.start()
                on_ready(Address(_url(tcp, tls), path, first_key))
                await service.lifecycle.draining.wait()
                path.unlink(missing_ok=True)
            await listeners.close()
    finally:
        watchdog.cancel()
        await listeners.close()
        await appliance.stop()


class _Listeners:
    """What a server accepts connections on."""

    def __init__(self, service: Service, *, grace_s: float) -> None:
        self._service = service
        self._grace_s = grace_s
        self._app = build_app(service)
        self._open: list[_Listener] = []

    def open(self, bound: BoundSocket, entrance: Entrance, tls: Tls | None = None) -> None:
        """Accept connections on a listening socket from now on. Raises Invalid for TLS files that cannot be used."""
        self._open.append(_Listener(Gate(self._app, self._service, entrance), bound, tls))

    async def close(self) -> None:
        """Accept nothing more, let requests end within the grace, then cut off what is left. Safe to call twice."""
        self._service.drain()
        if self._open:
            await asyncio.sleep(LAST_BYTES_S)
            for listener in self._open:
                listener.stop()
            tasks = [listener.task for listener in self._open]
            await asyncio.wait(tasks, timeout=self._grace_s)
            self.cut_off()
            await asyncio.wait(tasks)
            self._open.clear()
        await self._service.stop()

    def cut_off(self) -> None:
        """Drop every connection, answered or not."""
        for listener in self._open:
            listener.task.cancel()


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


async def _completes(starting: Coroutine[Any, Any, object], *, unless: asyncio.Event) -> bool:
    """Whether it ended before the event was set; it is cancelled otherwise. Raises what it raises."""
    started = asyncio.ensure_future(starting)
    stopped = asyncio.ensure_future(unless.wait())
    await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if started.done():
        started.result()
        return True
    started.cancel()
    await asyncio.wait({started})
    return False


def _split(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8700` or `[::1]:8700`. Raises Invalid."""
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise Invalid("server.bad_address", f"cannot listen on {listen!r}; expected HOST:PORT such as 127.0.0.1:8700")
    return host.strip("[]"), int(port)


def _url(bound: BoundSocket, tls: Tls | None) -> str:
    host = f"[{bound.host}]" if ":" in bound.host else bound.host
    return f"{'https' if tls else 'http'}://{host}:{bound.port}"
