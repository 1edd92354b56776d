"""Starts programs so that none outlives whoever gave it up."""

import asyncio
import contextlib
import os
import signal
from typing import Any


async def started(*arguments: str, **options: Any) -> asyncio.subprocess.Process:  # noqa: ANN401  # those of Popen
    """A program as the leader of a session of its own, its three streams being pipes.

    Where the caller is cancelled meanwhile, the program and all that it has begun are killed first. Left alone,
    asyncio kills the program only: a child of its that is not yet bound to its end lives on and holds the pipes.
    Raises OSError where it does not start.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
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
