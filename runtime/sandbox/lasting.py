"""Programs that last: started in a sandbox, spoken to on their streams, and ended with whoever started them."""

import asyncio
import contextlib
import os
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from runtime.domain.exec_profile import ExecProfile, Guarantee
from runtime.errors import Refused, Unavailable
from runtime.policies.exec_profile import required
from runtime.sandbox.driver import Driver
from runtime.sandbox.streams import SETTLED_WITHIN_S, Limit, Pipes

LINE_BYTES = 2**20
"""What is read ahead of a stream."""

Kill = Callable[[Limit], None]


class Begun(NamedTuple):
    """A program that a driver has just started, without waiting for anything."""

    pipes: Pipes
    kill: Callable[[], None]
    """Ends all of it; may be called at any time, and again."""
    ended: Callable[[Kill], Awaitable[None]]
    """Returns when nothing of it is left; told how to end it at a limit of the driver's own."""
    how: Callable[[], tuple[int, str]]
    """Once it has ended: its exit code, and the limit that the kernel ended it for."""


class Running:
    """A program that runs, until it ends by itself, is stopped, or has reached a limit of its profile."""

    def __init__(self, driver: str, profile: ExecProfile, begun: Begun, opened: contextlib.ExitStack) -> None:
        """`opened`: what is to be given back when it has ended."""
        self.driver = driver
        self.profile = profile
        self.exit_code: int | None = None
        """Negative: the signal that ended it; None while it runs."""
        self.killed_for = ""
        """The limit that ended it, such as `time`, `memory`, `cpu`; `cancelled`: it was stopped."""
        self.stdin: asyncio.StreamWriter
        self.stdout = asyncio.StreamReader(limit=LINE_BYTES)
        self.stderr = asyncio.StreamReader(limit=LINE_BYTES)
        self._begun = begun
        self._opened = opened
        self._readers: list[asyncio.ReadTransport] = []
        loop = asyncio.get_running_loop()
        self._time = loop.call_later(profile.timeout_ms / 1_000, self.kill, "time")
        self._ending = loop.create_task(self._seen_out())

    def kill(self, reason: Limit = "cancelled") -> None:
        """End all of it at once; the first reason stays."""
        if self.exit_code is None:
            self.killed_for = self.killed_for or reason
            self._begun.kill()

    async def ended(self) -> int:
        """Wait until nothing of it is left; its exit code."""
        return await asyncio.shield(self._ending)

    async def stop(self, *, within_s: float) -> None:
        """Close its stdin, and end it where it does not end by that. Safe to call twice; raises Unavailable where
        nothing ends it."""
        self.stdin.close()
        await asyncio.wait([self._ending], timeout=within_s)
        if not self._ending.done():
            self.kill()
            await asyncio.wait([self._ending], timeout=SETTLED_WITHIN_S)
        for reader in self._readers:
            reader.close()
        if not self._ending.done():
            raise Unavailable("sandbox.not_ended", f"a program did not end within {SETTLED_WITHIN_S:g} s of its kill")

    async def connect(self) -> None:
        """Take over its streams. Ends it where this is cancelled, or fails."""
        loop, pipes = asyncio.get_running_loop(), self._begun.pipes
        try:
            pipe = os.fdopen(pipes.taken(pipes.stdin), "wb", 0)
            transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
            self.stdin = asyncio.StreamWriter(transport, protocol, None, loop)
            for number, stream in ((pipes.stdout, self.stdout), (pipes.stderr, self.stderr)):
                await self._read(number, stream)
        except BaseException:
            self.kill()
            await asyncio.wait([self._ending], timeout=SETTLED_WITHIN_S)
            raise

    async def _read(self, descriptor: int, stream: asyncio.StreamReader) -> None:
        pipe = os.fdopen(self._begun.pipes.taken(descriptor), "rb", 0)
        loop = asyncio.get_running_loop()
        reader, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        self._readers.append(reader)

    async def _seen_out(self) -> int:
        try:
            await self._begun.ended(self.kill)
            self.exit_code, by_kernel = self._begun.how()
            self.killed_for = self.killed_for or by_kernel
            return self.exit_code
        finally:
            self._time.cancel()
            self._begun.kill()
            self._opened.close()


class LastingDriver(Driver):
    """A driver that also starts programs that last."""

    lasts = True

    async def start(self, profile: ExecProfile, program: bytes = b"") -> Running:
        """Start it, its three streams being pipes; it ends with this process at the latest, however that ends.

        Where the caller is cancelled meanwhile, nothing of it is left. Raises as `run` does.
        """
        if not profile.is_lasting:
            raise Refused(
                "sandbox.not_lasting", f"the profile of {profile.tool!r} is one of a program that is waited for"
            )
        report = await self.probe()
        missing = required(profile) - self.enforces(profile)
        if report.reason or missing:
            reason = report.reason or f"{', '.join(sorted(missing))} of this profile"
            raise Refused("sandbox.not_held", f"{self.id} cannot hold {reason}")
        with contextlib.ExitStack() as opened:
            begun = self._begin(opened, profile, program)
            running = Running(self.id, profile, begun, opened.pop_all())
        await running.connect()
        return running

    def enforces(self, profile: ExecProfile) -> frozenset[Guarantee]:
        """As every driver says; but nothing bounds what is written into folders of the host."""
        held = super().enforces(profile)
        return held - {"disk"} if profile.rw_paths else held

    @abstractmethod
    def _begin(self, opened: contextlib.ExitStack, profile: ExecProfile, program: bytes) -> Begun:
        """Start what nothing is held against, and put onto `opened` what it needs while it runs."""
