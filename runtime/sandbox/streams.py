"""Feeds a program, reads it to its bounds, and ends it at a limit or when its caller is cancelled.

Whoever uses it says how the program is killed and how its end is known; nothing here starts anything.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

from runtime.domain.exec_profile import ExecProfile
from runtime.errors import Unavailable

SETTLED_WITHIN_S = 5.0
"""How long the end of all of a program's processes may take once they are killed."""
BLOCK = 65_536

Limit = Literal["", "time", "output", "cpu", "cancelled"]


class Pipes:
    """The three streams of a program: our ends, and those that it is given."""

    def __init__(self) -> None:
        theirs_in, self.stdin = os.pipe()
        self.stdout, theirs_out = os.pipe()
        self.stderr, theirs_err = os.pipe()
        self.theirs = (theirs_in, theirs_out, theirs_err)
        self._open = {self.stdin, self.stdout, self.stderr, *self.theirs}

    def close_theirs(self) -> None:
        """To be called once the program has them: until then its end is not the end of its streams."""
        for descriptor in self.theirs:
            self._close(descriptor)

    def close(self) -> None:
        """Close what is still open and nobody has taken over. Safe to call twice."""
        for descriptor in list(self._open):
            self._close(descriptor)

    def taken(self, descriptor: int) -> int:
        """Hand one over: somebody else closes it from here on."""
        self._open.discard(descriptor)
        return descriptor

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)


class Call:
    """One program that runs."""

    def __init__(self, pipes: Pipes, profile: ExecProfile, *, kill: Callable[[], None]) -> None:
        self._pipes = pipes
        self._profile = profile
        self._end = kill
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.killed_for: Limit = ""

    async def finish(self, stdin: bytes, ended: Awaitable[None]) -> None:
        """Wait until nothing of it is left.

        `ended` returns then. A limit kills, and so does cancelling; both wait for the end all the same. Raises
        Unavailable where it does not come.
        """
        work = asyncio.gather(
            self._feed(stdin),
            self._read(self._pipes.stdout, self.stdout, self._profile.stdout_max_bytes),
            self._read(self._pipes.stderr, self.stderr, self._profile.stderr_max_bytes),
            ended,
        )
        try:
            await asyncio.wait_for(asyncio.shield(work), self._profile.timeout_ms / 1_000)
        except TimeoutError:
            self.kill("time")
        finally:
            if not work.done():
                self.kill("cancelled")
                await self._settle(work)
            self._pipes.close()

    def kill(self, reason: Limit) -> None:
        """End it; the first reason stays."""
        self.killed_for = self.killed_for or reason
        self._end()

    async def _settle(self, work: "asyncio.Future[tuple[None, None, None, None]]") -> None:
        done, _ = await asyncio.wait([work], timeout=SETTLED_WITHIN_S)
        if not done:
            work.cancel()
            raise Unavailable("sandbox.not_ended", f"a program did not end within {SETTLED_WITHIN_S:g} s of its kill")

    async def _feed(self, stdin: bytes) -> None:
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(self._pipes.taken(self._pipes.stdin), "wb", 0)
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
        sink = asyncio.StreamWriter(transport, protocol, None, loop)
        with contextlib.suppress(ConnectionError):  # it need not read what it is given
            sink.write(stdin)
            await sink.drain()
        sink.close()

    async def _read(self, descriptor: int, into: bytearray, most: int) -> None:
        loop = asyncio.get_running_loop()
        source = asyncio.StreamReader(limit=BLOCK)
        pipe = os.fdopen(self._pipes.taken(descriptor), "rb", 0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(source), pipe)
        try:
            while block := await source.read(BLOCK):
                into += block[: most - len(into) + 1]
                if len(into) > most:
                    del into[most:]
                    self.kill("output")
        finally:
            transport.close()


def by_cpu(exit_code: int, cpu_ms: int, profile: ExecProfile) -> Literal["", "cpu"]:
    """Whether the kernel ended a program for its CPU time: the second signal for that is one that others send, too."""
    is_over = cpu_ms >= profile.cpu_ms
    return "cpu" if exit_code == -signal.SIGXCPU or (exit_code == -signal.SIGKILL and is_over) else ""


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """A descriptor of a file that exists in memory only and holds `content`, from its start."""
    descriptor = os.memfd_create("given", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
