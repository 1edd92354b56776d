"""The audit hook: refuses with a clear message what the kernel would refuse anyway, and keeps a ledger of the tries.

It is never the wall. Native code (uvloop, ctypes, any compiled library) passes it unseen, and it does not follow into
programs that are started. A hook cannot be taken off again.
"""

import ipaddress
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from runtime.domain.journal import rfc3339
from runtime.errors import Refused

LEDGER_BYTES = 4_000_000
"""No more is written to one ledger; a loop that tries for ever must not fill the disk."""

_LOOKUPS = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0, "socket.getnameinfo": 0}
_SENDS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}
# where in the event's arguments the host or the address stands
WATCHED = {**_LOOKUPS, **_SENDS}


class Attempt(msgspec.Struct, frozen=True):
    """One line of the ledger. Never holds what would have been sent."""

    at: str
    """RFC 3339."""
    event: str
    """Python's name for it, such as `socket.connect`."""
    target: str
    """Host, or host and port."""
    pid: int


class Ledger:
    """Appends attempts to a file of JSON lines, up to its limit; one that is half full is put aside at the start."""

    def __init__(self, path: Path, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        if path.exists() and path.stat().st_size > LEDGER_BYTES // 2:
            path.replace(path.with_suffix(".old.jsonl"))
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._left_bytes = max(0, LEDGER_BYTES - os.fstat(self._descriptor).st_size)

    def add(self, event: str, target: str) -> None:
        """Write one line; a disk that takes none changes nothing about the refusal."""
        line = msgspec.json.encode(Attempt(rfc3339(self._now_us()), event, target[:300], os.getpid())) + b"\n"
        if len(line) > self._left_bytes:
            return
        try:
            self._left_bytes -= os.write(self._descriptor, line)
        except OSError:
            self._left_bytes = 0


def watch(ledger: Ledger | None) -> None:
    """Refuse from here on, in this process, whatever Python code wants to reach beyond loopback."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in WATCHED:  # called for every import, open and id(): this line is its cost
            return
        address = arguments[WATCHED[event]]
        host = address if event in _LOOKUPS and not isinstance(address, tuple) else _host(address)
        if host is None or _is_loopback(host):
            return
        target = f"{host}:{address[1]}" if isinstance(address, tuple) and len(address) > 1 else str(host)
        if ledger is not None:
            ledger.add(event, target)
        raise Refused(
            "egress.air_gapped",
            f"something in this process wants to reach {target} ({event}), and this appliance is air-gapped: nothing "
            "leaves it. The rule is mode in the settings",
            host=target,
        )

    sys.addaudithook(hook)


def _host(address: object) -> str | None:
    """The host of an internet address; None for a UNIX socket's, and for a socket that is connected already."""
    return str(address[0]) if isinstance(address, tuple) and address else None


def _is_loopback(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False
