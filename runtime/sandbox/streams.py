"""Feeds a program, reads it to its bounds, and ends it at a limit or when its caller is cancelled.

Whoever uses it says how the program is killed and how its end is known; nothing here starts anything.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

from runtime.domain.exec_profile import ExecProfile, Outcome
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

    def outcome(
        self, driver: str, exit_code: int, *, began: float, by_kernel: str = "", cpu_ms: int = 0, memory_bytes: int = 0
    ) -> Outcome:
        """How it ended. `by_kernel`: the limit that the kernel ended it for, where that is known and we did not."""
        return outcome(
            driver,
            self._profile,
            began=began,
            exit_code=-signal.SIGKILL if self.killed_for else exit_code,
            stdout=bytes(self.stdout),
            stderr=bytes(self.stderr),
            killed_for=self.killed_for or by_kernel,
            cpu_ms=cpu_ms,
            memory_bytes=memory_bytes,
        )

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


def outcome(
    driver: str,
    profile: ExecProfile,
    *,
    began: float,
    exit_code: int,
    stdout: bytes,
    stderr: bytes,
    killed_for: str,
    cpu_ms: int,
    memory_bytes: int,
) -> Outcome:
    """How a program ended that a driver was asked for at `began` of the monotonic clock, and which limit ended it."""
    return Outcome(
        exit_code=exit_code,
        stdout=stdout,
        stderr=stderr,
        is_truncated=killed_for == "output",
        is_timed_out=killed_for == "time",
        killed_for=killed_for,
        wall_ms=int((time.monotonic() - began) * 1_000),
        cpu_ms=cpu_ms,
        memory_bytes=memory_bytes,
        driver=driver,
        profile_id=profile.profile_id,
    )


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
