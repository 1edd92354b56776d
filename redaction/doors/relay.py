"""The ingress process: accepts connections outside the air gap and copies them to the appliance's UNIX socket.

It imports little, holds no key and no data, and can do nothing else: before the first byte it gives up TCP connections
and new listeners (Landlock), every socket but UNIX ones, new processes and new programs (seccomp).
"""

import errno
import json
import os
import resource
import select
import signal
import socket
from contextlib import suppress

from runtime.sandbox import kernel, landlock, seccomp

CHUNK_BYTES = 65_536
OPEN, DRAIN = b"o", b"d"

_KEPT_DESCRIPTORS = 16
"""Of the process itself: standard streams, listener, control, epoll, some to spare."""
_OTHERS_FILES = 1 << 1
"""dac_override: root may serve a data folder that is another user's."""


def confine() -> dict[str, str]:
    """Give up everything but relaying; what did not work by layer, empty where it did."""
    kernel.keep_capabilities(_OTHERS_FILES if os.geteuid() == 0 else 0)
    kernel.forbid_new_privileges()
    told = {"landlock": "", "seccomp": ""}
    try:
        if (version := landlock.restrict()) < landlock.TCP_VERSION:
            told["landlock"] = f"version {version} knows nothing of TCP; Linux 6.7 brings that"
    except OSError as error:
        told["landlock"] = error.strerror or str(error)
    try:
        calls = (*seccomp.WAYS_AROUND, *seccomp.TRACING, *seccomp.NEW_PROCESSES)
        seccomp.refuse(calls, families=[kernel.AF_UNIX])
    except OSError as error:
        told["seccomp"] = error.strerror or str(error)
    return told


def main(listener: int, control: int, path: str) -> None:
    """The process: confine, report, relay until the control channel closes."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the appliance, which may still be draining
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder, name = os.path.split(path)
    os.chdir(folder)  # a relative name fits into a socket address, however deep the folder is
    with socket.socket(fileno=control) as channel, socket.socket(fileno=listener) as doorway:
        channel.send(json.dumps(confine()).encode())
        try:
            Relay(doorway, channel, name, most_connections=(most - _KEPT_DESCRIPTORS) // 2).run()
        finally:
            with suppress(OSError):  # the appliance has removed it, unless it was killed
                os.unlink(name)


class Relay:
    """Copies bytes between accepted connections and the UNIX socket, in one thread, with bounded memory."""

    def __init__(self, listener: socket.socket, control: socket.socket, path: str, *, most_connections: int) -> None:
        self._listener = listener
        self._control = control
        self._path = path
        self._most = most_connections
        self._poll = select.epoll()
        self._ends: dict[int, _End] = {}
        self._takes_more = False
        """Whether it should accept: opened, and not draining."""
        self._is_accepting = False
        """Whether it does: there is room for a connection more."""

    def run(self) -> None:
        """Relay until the control channel closes."""
        self._listener.setblocking(False)
        self._poll.register(self._control.fileno(), select.EPOLLIN)
        while True:
            events = dict(self._poll.poll())
            if self._control.fileno() in events and not self._obey(self._heard()):
                return
            has_knock = events.pop(self._listener.fileno(), 0) and self._is_accepting
            for descriptor, what in events.items():
                if descriptor in self._ends:  # else: closed by an event before this one
                    self._move(self._ends[descriptor], what)
            if has_knock:  # last: a new connection may get a number that an event above was about
                self._accept()

    def _heard(self) -> bytes:
        """What the appliance says; nothing when it has gone, in whatever way."""
        try:
            return self._control.recv(CHUNK_BYTES)
        except OSError:
            return b""

    def _obey(self, words: bytes) -> bool:
        """False when the appliance has gone."""
        if OPEN in words:
            self._takes_more = True
        if DRAIN in words:
            self._takes_more = False
            self._pause()
            self._listener.close()
        self._resume()
        return bool(words)

    def _resume(self) -> None:
        if self._takes_more and not self._is_accepting and len(self._ends) // 2 < self._most:
            self._poll.register(self._listener.fileno(), select.EPOLLIN)
            self._is_accepting = True

    def _pause(self) -> None:
        if self._is_accepting:
            self._poll.unregister(self._listener.fileno())
            self._is_accepting = False

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._pause()  # until a connection ends
            return
        inner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.setblocking(False)
            inner.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            inner.connect(self._path)
        except OSError:  # the client has gone, or the appliance takes nothing now
            client.close()
            inner.close()
            return
        outside, inside = _End(client), _End(inner)
        outside.peer, inside.peer = inside, outside
        for end in (outside, inside):
            self._ends[end.descriptor] = end
            self._poll.register(end.descriptor, select.EPOLLIN)
        if len(self._ends) // 2 >= self._most:
            self._pause()

    def _move(self, end: "_End", events: int) -> None:
        """Take what came in at one end, and write what waits for it."""
        try:
            if events & select.EPOLLERR or (events & select.EPOLLHUP and not end.reads):
                raise ConnectionResetError
            if events & select.EPOLLOUT:
                end.flush()
            if events & (select.EPOLLIN | select.EPOLLHUP) and end.reads:
                end.peer.take(end.socket.recv(CHUNK_BYTES))
        except BlockingIOError:
            return
        except OSError:
            self._close(end)
            return
        if end.is_done and end.peer.is_done:
            self._close(end)
        else:
            self._watch(end)
            self._watch(end.peer)

    def _watch(self, end: "_End") -> None:
        wanted = (select.EPOLLIN if end.reads else 0) | (select.EPOLLOUT if end.waiting else 0)
        if wanted != end.watched:
            self._poll.modify(end.descriptor, wanted)
            end.watched = wanted

    def _close(self, end: "_End") -> None:
        for each in (end, end.peer):
            del self._ends[each.descriptor]
            each.socket.close()
        self._resume()


class _End:
    """One end of a relayed connection."""

    peer: "_End"

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.descriptor = end.fileno()
        self.waiting = memoryview(b"")
        """What this end has not taken yet; the other one is not read meanwhile."""
        self.is_done = False
        """Whether nothing more comes for this end, and all of it is written."""
        self.watched = int(select.EPOLLIN)
        self._is_last = False

    @property
    def reads(self) -> bool:
        """Whether something can come from this end, and there is room for it."""
        return not self.peer._is_last and not self.peer.waiting

    def take(self, data: bytes) -> None:
        """Write what came from the other end; nothing means that no more will come."""
        self._is_last = not data
        self.waiting = memoryview(data)
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as it goes."""
        if self.waiting:
            with suppress(BlockingIOError):
                self.waiting = self.waiting[self.socket.send(self.waiting) :]
        if self._is_last and not self.waiting and not self.is_done:
            self.is_done = True
            with suppress(OSError):  # gone already: then its own events say so
                self.socket.shutdown(socket.SHUT_WR)
