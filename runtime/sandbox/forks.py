"""The appliance's end of the fork server: starts it, and hands it calls as descriptors over a pair of sockets.

The pair is between these two processes alone and has no name; nothing is connected to or listened on.
"""

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import runtime
from runtime.domain.canonical import Json
from runtime.errors import Unavailable

STARTED_WITHIN_S = 20.0
ENDED_WITHIN_S = 5.0
_LONGEST = 65_536
_START = "import sys; sys.path.append(sys.argv[1]); from runtime.sandbox import zygote; zygote.main()"


class ForkServer:
    """One that runs; made by `started`."""

    def __init__(self, process: "subprocess.Popen[bytes]", control: socket.socket, facts: Mapping[str, Json]) -> None:
        self._process = process
        self._control = control
        self.facts = facts
        """What it found out about the kernel when it started."""

    @classmethod
    def started(cls, python: str) -> "ForkServer":
        """Start it and wait until it is warm: some 100 ms. Raises Unavailable where it does not get there."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = _process(python, theirs.fileno())
        try:
            facts = _first_words(process, ours)
        except BaseException:
            ours.close()
            process.kill()
            process.communicate()
            raise
        ours.setblocking(False)
        return cls(process, ours, facts)

    def is_alive(self) -> bool:
        """Whether it can take calls."""
        return self._process.poll() is None

    def send(self, descriptors: Sequence[int]) -> bool:
        """Hand over one call; False while it has no room for another. Raises Unavailable where it is gone."""
        try:
            socket.send_fds(self._control, [b"call"], descriptors)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Unavailable("sandbox.driver_vanished", f"the fork server is gone ({error}); try again") from error
        return True

    def stop(self) -> None:
        """End it and all that it runs: it ends its children when nobody can ask any more."""
        self._control.close()
        try:
            self._process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Life:
    """One call as the fork server sees it: it ends when we give it up, and its last words come here."""

    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours
        self.said: dict[str, Json] = {}
        """How it ended; nothing where the fork server itself was gone first."""

    async def ended(self) -> None:
        """Wait for its end."""
        loop = asyncio.get_running_loop()
        heard = b""
        while block := await loop.sock_recv(self._socket, _LONGEST):
            heard += block
        for line in heard.splitlines():
            self.said |= json.loads(line)

    def give_up(self) -> None:
        """Have it killed. Safe to call twice."""
        with contextlib.suppress(OSError):  # the other end is gone already
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Give it up for good."""
        self._socket.close()


def pair() -> tuple[Life, socket.socket]:
    """Our end and the fork server's end of a call."""
    ours, theirs = sockets()
    return Life(ours), theirs


Socket = socket.socket


def sockets() -> tuple[Socket, Socket]:
    """A pair without a name; ours does not block."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def _process(python: str, control: int) -> "subprocess.Popen[bytes]":
    root = str(Path(runtime.__file__).parent.parent)
    return subprocess.Popen(
        [python, "-I", "-S", "-B", "-c", _START, root, str(control)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[control],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )


def _first_words(process: "subprocess.Popen[bytes]", control: socket.socket) -> Mapping[str, Json]:
    control.settimeout(STARTED_WITHIN_S)
    try:
        said = control.recv(_LONGEST)
    except TimeoutError:
        said = b""
    if not said:
        raise Unavailable(
            "sandbox.does_not_start",
            f"the fork server did not get warm within {STARTED_WITHIN_S:g} s (its exit code: {process.poll()})",
        )
    facts: dict[str, Json] = json.loads(said)
    return facts
