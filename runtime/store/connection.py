"""A connection that works in a thread of its own: the only users of aiosqlite, private members included."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from runtime.store import driver

if TYPE_CHECKING:
    import sqlite3

    import aiosqlite

P = ParamSpec("P")
T = TypeVar("T")


async def connect(open_file: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    """Start a thread and open the file in it. Raises what `open_file` does.

    When this raises, also because its caller is cancelled, the thread has ended and nothing is open.
    """
    driver.install()  # aiosqlite imports sqlite3 and must get the bundled one
    import aiosqlite

    connection = aiosqlite.Connection(open_file, iter_chunk_size=64)
    # a connection that nobody closed must not keep the process alive; losing the thread is no worse than a kill
    connection._thread.daemon = True
    try:
        return await connection
    except BaseException:
        connection._thread.join()  # it is ending, and would otherwise speak to a loop that may be closed by then
        raise


async def hop(
    connection: aiosqlite.Connection,
    work: Callable[Concatenate[sqlite3.Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `work(raw_connection, …)` in the connection's thread: one hop, however many statements it runs."""
    run: Callable[..., Awaitable[T]] = connection._execute
    return await run(work, connection._conn, *args, **kwargs)


async def close(connection: aiosqlite.Connection) -> None:
    """Close after what is already queued, and end the thread. Safe to call twice."""
    try:
        await connection.close()
    finally:
        connection._thread.join()  # it has nothing left to do but end
