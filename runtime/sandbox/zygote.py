"""A fork server, run as a program of its own: it has imported what a Python program needs, and forks for each call.

It opens no file of a call and reads none of its bytes: descriptors go through it to the child, so that nothing of one
call is in the memory that the next one is forked from. It has one thread. When whoever started it is gone, so are its
children and it; when it is gone, the kernel ends its children.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from runtime.sandbox import forked, landlock

DESCRIPTORS: Final = 8
"""At most so many with a call: input, output, errors, program, what is given, life, secrets, door."""
_PRELOADED: Final = (
    "base64", "bisect", "collections", "contextlib", "copy", "csv", "ctypes", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "html", "io", "itertools", "math", "operator",
    "pathlib", "random", "re", "statistics", "string", "struct", "textwrap", "time", "typing", "unicodedata",
    "urllib.parse", "uuid", "zlib", "_strptime",
)  # fmt: skip


def main() -> None:
    """Serve calls until nobody can ask any more."""
    for name in _PRELOADED:
        importlib.import_module(name)
    sys.path.remove(sys.argv[1])
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=int(sys.argv[2]))
    has_root, reason = forked.tried_private_root()
    version = ".".join(map(str, sys.version_info[:3]))
    hello = {"private_root": has_root, "reason": reason, "landlock": landlock.version(), "python": version}
    control.send(json.dumps(hello).encode())
    _Server(control, has_root=has_root).serve()


class _Server:
    """The one loop, and the children by their pid."""

    def __init__(self, control: socket.socket, *, has_root: bool) -> None:
        self._control = control
        self._has_root = has_root
        self._lives: dict[int, socket.socket] = {}
        self._ended, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(self._ended, False)

    def serve(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._ended, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == self._ended:
                    os.read(self._ended, 4_096)
                elif descriptor == self._control.fileno():
                    if not self._take(poller):
                        return self._end_all()
                else:
                    self._end_given_up(descriptor, poller)
            self._reap(poller)

    def _take(self, poller: "select.poll") -> bool:
        """Fork for one call; False once nobody can ask any more."""
        message, given, _, _ = socket.recv_fds(self._control, 64, DESCRIPTORS)
        if not message:
            return False
        life = socket.socket(fileno=given[5])
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _say(life, {"failed": f"no new process: {error}"})
            pid = -1
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            forked.become(given, parent, has_root=self._has_root)
        for descriptor in [*given[:5], *given[6:]]:
            os.close(descriptor)
        if pid < 0:
            life.close()
            return True
        self._lives[pid] = life
        poller.register(life, select.POLLIN | select.POLLHUP)
        return True

    def _end_given_up(self, descriptor: int, poller: "select.poll") -> None:
        poller.unregister(descriptor)  # it is said once
        for pid, life in self._lives.items():
            if life.fileno() == descriptor:
                os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own

    def _reap(self, poller: "select.poll") -> None:
        while self._lives:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            life = self._lives.pop(pid)
            with suppress(KeyError):  # it was given up
                poller.unregister(life)
            said = {
                "status": status,
                "cpu_ms": int((usage.ru_utime + usage.ru_stime) * 1_000),
                "memory_bytes": usage.ru_maxrss * 1_024,
            }
            _say(life, said)
            life.close()

    def _end_all(self) -> None:
        for pid in self._lives:
            os.kill(pid, signal.SIGKILL)
        for pid in list(self._lives):
            os.waitpid(pid, 0)


def _say(life: socket.socket, said: "Mapping[str, int | str]") -> None:
    with suppress(OSError):  # nobody waits for it any more
        life.send(json.dumps(said).encode() + b"\n", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
