"""Where `af serve` is reached: its TCP listener, its own or a service manager's, and the rules for it.

In an air gap the listener stays outside with the ingress, and what the server accepts from is a UNIX socket that the
ingress relays to; callers see no difference.
"""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from redaction.doors.local import BoundSocket, is_loopback, listen_tcp, listen_unix
from runtime.errors import Invalid, Refused

if TYPE_CHECKING:
    from redaction.doors.ingress import Ingress


class Front:
    """A listener that is open, and has accepted nothing yet."""

    def __init__(self, host: str, bound: BoundSocket) -> None:
        self.host = host
        """As it was named: callers may use that name."""
        self._bound = bound
        self._address, self._port = bound.host, bound.port
        self._ingress: Ingress | None = None

    def url(self, *, has_tls: bool) -> str:
        """How callers reach it, with the port that was really taken."""
        host = f"[{self._address}]" if ":" in self._address else self._address
        return f"{'https' if has_tls else 'http'}://{host}:{self._port}"

    def move_out(self, folder: Path) -> "Ingress":
        """Hand the listener to an ingress process, which relays to a UNIX socket in `folder`. Raises Unusable."""
        from redaction.doors.ingress import Ingress  # only the air gap has one

        self._ingress = Ingress(self._bound, folder / f"ingress-{os.getpid()}.sock")
        self._ingress.start()
        return self._ingress

    def listen(self) -> BoundSocket:
        """What the server accepts from. Raises Unusable where the UNIX socket cannot be made."""
        if self._ingress is None:
            return self._bound
        behind = listen_unix(self._ingress.path)
        self._ingress.open()
        return behind

    def drain(self) -> None:
        """Let no new caller in; those that are there go on. The server closes what `listen` gave it itself."""
        if self._ingress is not None:
            self._ingress.drain()

    async def lost(self) -> None:
        """Return when the ingress has ended although nobody stopped it; without one, never."""
        ended = asyncio.Event()
        if self._ingress is not None:
            asyncio.get_running_loop().add_reader(self._ingress.fileno(), ended.set)
        try:
            await ended.wait()
        finally:
            if self._ingress is not None:
                asyncio.get_running_loop().remove_reader(self._ingress.fileno())

    def close(self) -> None:
        """Refuse new connections and end the ingress. Safe to call twice."""
        if self._ingress is None:
            self._bound.close()
        else:
            self._ingress.stop()


def open_front(listen: str, *, has_tls: bool, insecure_listen: bool) -> Front:
    """Listen on `HOST:PORT`, or take the listener that a service manager hands over.

    Raises Refused for an address beyond this machine without TLS, Invalid for one that is none, Unusable for one
    that is taken or forbidden.
    """
    from redaction.doors.ingress import handed_over

    given = handed_over(os.environ)
    host, port = (given.host, given.port) if given else split_address(listen)
    if not is_loopback(host) and not has_tls and not insecure_listen:
        raise Refused(
            "server.insecure_listen",
            f"listening on {host} without TLS would send API keys in the clear; give --tls-cert and --tls-key, listen "
            "on 127.0.0.1, or say --insecure-listen when something in front of it does TLS",
        )
    return Front(host, given or listen_tcp(host, port))


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8700` or `[::1]:8700`. Raises Invalid."""
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise Invalid("server.bad_address", f"cannot listen on {listen!r}; expected HOST:PORT such as 127.0.0.1:8700")
    return host.strip("[]"), int(port)
