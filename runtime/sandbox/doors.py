"""A program's one way out: a line of JSON asks, a line answers, over a pair of sockets without a name.

The program gets one end as a descriptor and can make no socket itself. Who answers decides what leaves.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.domain.exec_profile import Answer
from runtime.sandbox import forks

VARIABLE = "AGENTFLOW_EGRESS_FD"
"""The environment variable that says which descriptor it is."""
LONGEST_LINE = 2 * 2**20


@asynccontextmanager
async def opened(answer: Answer | None) -> AsyncIterator[int | None]:
    """The program's end of a door that is answered until the block ends; None where there is no door."""
    if answer is None:
        yield None
        return
    ours, theirs = forks.sockets()
    with ours, theirs:
        answering = asyncio.ensure_future(_answered(ours, answer))
        try:
            yield theirs.fileno()
        finally:
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await answering


async def _answered(ours: forks.Socket, answer: Answer) -> None:
    reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
    try:
        while line := await reader.readline():
            writer.write(await answer(line.rstrip(b"\n")) + b"\n")
            await writer.drain()
    except ValueError:  # a line without end is no request
        return
    finally:
        writer.close()
