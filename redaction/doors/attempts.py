"""Tries to get out, for `af doctor --egress`: a program of its own that imports nothing of ours.

It runs as a child process, as a project's code in the way custom agents are run, and inside the probing process.
Every try is given 50 ms: one that takes longer has sent something that nobody has answered yet.
"""

import errno
import json
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

Tried: TypeAlias = dict[str, str | float]
Plan: TypeAlias = list[tuple[str, str, int]]

LIMIT_S = 0.05
TRIES = 3
"""A busy machine can hold up a refusal; what is refused every time and at once once is refused at once."""
TIMED_OUT = "TIMEOUT"


def attempt(way: str, what: str, target: str, call: Callable[[], object]) -> Tried:
    """The fastest of some tries, as a mapping: `error` is the name of what refused it, empty when nothing did."""
    fastest_ms = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        try:
            call()
            error = ""
        except BaseException as refusal:  # whatever it is, it is the answer
            error = name_of(refusal)
        took_ms = (time.perf_counter() - began) * 1_000
        fastest_ms = min(fastest_ms, took_ms)
        if error in ("", TIMED_OUT) or took_ms <= LIMIT_S * 1_000:
            break  # refused at once; or it went out, or waits for an answer: not again
    return {"way": way, "what": what, "target": target, "error": error, "took_ms": round(fastest_ms, 3)}


def name_of(refusal: BaseException) -> str:
    """`EPERM`, `EAI_AGAIN`, `TIMEOUT`, or the name of what else was raised; the first that is known in the chain."""
    following: BaseException | None = refusal
    while following is not None:
        if isinstance(following, socket.gaierror):
            names = [name for name in dir(socket) if name.startswith("EAI_")]
            return next((name for name in names if getattr(socket, name) == following.errno), "EAI_unknown")
        if isinstance(following, TimeoutError) or "Timeout" in type(following).__name__:
            return TIMED_OUT
        if isinstance(following, OSError) and following.errno:
            return errno.errorcode.get(following.errno, str(following.errno))
        following = following.__cause__ or following.__context__
    return type(refusal).__name__


def family_of(host: str) -> socket.AddressFamily:
    """IPv6 where the address has colons."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def tcp(host: str, port: int) -> None:
    """Connect."""
    with socket.socket(family_of(host), socket.SOCK_STREAM) as out:
        out.settimeout(LIMIT_S)
        out.connect((host, port))


def udp(host: str, port: int) -> None:
    """Send one datagram."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as out:
        out.sendto(b"af doctor --egress", (host, port))


def look_up(name: str, _port: int = 0) -> None:
    """Ask the system's resolver."""
    socket.getaddrinfo(name, 443)


def create(family: int, kind: int = socket.SOCK_DGRAM, protocol: int = 0) -> None:
    """Make a socket and send nothing."""
    socket.socket(family, kind, protocol).close()


CALLS: dict[str, Callable[[str, int], None]] = {
    "tcp": tcp,
    "udp": udp,
    "dns": look_up,
    "socket": lambda host, _port: create(family_of(host)),
}


def target_of(what: str, host: str, port: int) -> str:
    """Host and port, or the host alone where there is no port."""
    if what in ("dns", "socket"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def all_of(way: str, plan: Plan) -> list[Tried]:
    """Every try of a plan of kind, host and port. The kind `socket` only makes one, of the host's family."""
    return [
        attempt(way, what, target_of(what, host, port), partial(CALLS[what], host, port)) for what, host, port in plan
    ]


def go(plan: Plan, _context: object) -> list[Tried]:
    """As a project's function: what a custom agent would call."""
    return all_of("tool", plan)


if __name__ == "__main__":
    print(json.dumps(all_of("child process", json.loads(sys.argv[1]))))
