"""Starts programs so that none outlives whoever gave it up."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Any


async def started(
    *arguments: str,
    stderr: int | IO[bytes] = asyncio.subprocess.PIPE,
    **options: Any,  # noqa: ANN401  # those of Popen, and of asyncio's streams
) -> asyncio.subprocess.Process:
    """A program as the leader of a session of its own, its three streams being pipes where `stderr` is no other.

    Where the caller is cancelled meanwhile, the program and all that it has begun are killed first. Left alone,
    asyncio kills the program only: a child of its that is not yet bound to its end lives on and holds the pipes.
    Raises OSError where it does not start.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            **options,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_end)
        await asyncio.wait([starting])
        if starting.exception() is None:
            await starting.result().wait()
        raise


def kill(process: asyncio.subprocess.Process) -> None:
    """End a program of `started` and everything in its session's first group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(starting: "asyncio.Future[asyncio.subprocess.Process]") -> None:
    if not starting.cancelled() and starting.exception() is None:
        kill(starting.result())


class Child:
    """A program as the leader of a session of its own, and what it used when it ended. Nothing here awaits to start it.

    Its number is its own until `ended` has returned, so that a kill never hits another.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        streams: tuple[int, int, int],
        pass_fds: Sequence[int] = (),
        user: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start it. `user`: whom it is run as, with the group of the same number. Raises OSError where it does not."""
        as_user: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        self._process = subprocess.Popen(
            arguments,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            pass_fds=pass_fds,
            env=dict(env or {}),
            cwd="/",
            start_new_session=True,
            **as_user,
        )
        self.pid = self._process.pid
        self.exit_code: int | None = None
        """Negative: the signal that ended it; None while it runs."""
        self.cpu_ms = 0
        """Of it and all its children that it waited for, once it has ended."""
        self.memory_bytes = 0
        """The most that one of them held at once."""

    async def ended(self) -> None:
        """Wait for its end."""
        if self.exit_code is not None:
            return
        loop = asyncio.get_running_loop()
        is_over = loop.create_future()
        descriptor = os.pidfd_open(self.pid)
        loop.add_reader(descriptor, lambda: None if is_over.done() else is_over.set_result(None))
        try:
            await is_over
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        _, status, usage = os.wait4(self.pid, 0)
        self.exit_code = self._process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_ms = int((usage.ru_utime + usage.ru_stime) * 1_000)
        self.memory_bytes = usage.ru_maxrss * 1_024

    def kill(self) -> None:
        """End it and everything in its session's first group. Safe to call twice."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
