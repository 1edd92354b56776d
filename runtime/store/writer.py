"""The one connection that writes a file, in a thread of its own: what waits becomes one transaction and one sync.

The thread takes the next transaction from what was submitted during the last one, without asking the event loop. What
has become durable is told there, in order. What is written is the business of the callers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from runtime.store.transaction import Failed, Unit, commit

if TYPE_CHECKING:
    import sqlite3

MAX_BATCH = 512
"""Writes behind which a transaction takes no more."""

Waiting = tuple[Unit, "asyncio.Future[object]"]


class Done(NamedTuple):
    """A transaction that has ended."""

    taken: int
    """How many were submitted for it."""
    writes: Sequence[Waiting]
    """Those of them that nobody gave up before."""
    outcomes: Sequence[object | Failed] | Exception
    """What each returned, or why nothing at all was kept."""
    news: object
    """What `collect` found behind it."""


class Writer:
    """A connection that only writes."""

    def __init__(
        self,
        open_file: Callable[[], sqlite3.Connection],
        *,
        forget: Callable[[], None],
        collect: Callable[[], object],
        done: Callable[[Done], None],
    ) -> None:
        """`forget`: called in the thread when a batch was lost. `collect`: called there behind each that is durable.

        `done`: told of each in the event loop.
        """
        self._open_file, self._forget, self._collect, self._tell = open_file, forget, collect, done
        self._waiting: SimpleQueue[Sequence[Waiting] | None] = SimpleQueue()
        # a connection that nobody closed must not keep the process alive; losing the thread is no worse than a kill
        self._thread = Thread(target=self._work, name="af-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Open the file in the thread. Raises what `open_file` does; the thread has then ended."""
        self._loop = asyncio.get_running_loop()
        self._opened, self._closed = self._loop.create_future(), self._loop.create_future()
        self._thread.start()
        try:
            await self._opened
        except Exception:
            self._thread.join()  # it is ending, and would otherwise speak to a loop that may be closed by then
            raise

    def submit(self, writes: Sequence[Waiting]) -> None:
        """Have these written in the next transaction, in their order; one whose caller gives up before is left out."""
        self._waiting.put(writes)

    async def close(self) -> None:
        """Write what was submitted, close, and end the thread. Safe to call twice."""
        if self._closed is None:
            return
        self._waiting.put(None)
        await asyncio.shield(self._closed)
        self._thread.join()  # it has nothing left to do but end

    def _work(self) -> None:
        try:
            connection = self._open_file()
        except BaseException as error:
            self._say(_end, self._opened, error)
            self._say(_end, self._closed)
            return
        self._say(_end, self._opened)
        is_last = False
        while not is_last:
            writes, is_last = self._taken()
            if writes:
                self._say(self._tell, self._written(connection, writes))
        try:
            connection.close()
        except BaseException as error:
            self._say(_end, self._closed, error)
        else:
            self._say(_end, self._closed)

    def _taken(self) -> tuple[list[Waiting], bool]:
        """What waits, at least one submission; whether it is the last."""
        writes: list[Waiting] = []
        submitted = self._waiting.get()
        with suppress(Empty):
            while submitted is not None:
                writes += submitted
                if len(writes) >= MAX_BATCH:
                    return writes, False
                submitted = self._waiting.get_nowait()
            return writes, True
        return writes, False

    def _written(self, connection: sqlite3.Connection, writes: Sequence[Waiting]) -> Done:
        wanted = [(unit, outcome) for unit, outcome in writes if not outcome.cancelled()]
        try:
            outcomes = commit(connection, [unit for unit, _ in wanted], self._forget)
            return Done(len(writes), wanted, outcomes, self._collect())
        except Exception as error:
            return Done(len(writes), wanted, error, None)
        except BaseException as error:  # the thread must outlive whatever a caller's write does
            return Done(len(writes), wanted, RuntimeError(f"a write ended with {type(error).__name__}"), None)

    def _say(self, tell: Callable[..., None], *what: object) -> None:
        assert self._loop is not None, "the thread is started behind it"
        with suppress(RuntimeError):  # the loop was closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(tell, *what)


def _end(future: asyncio.Future[None], error: BaseException | None = None) -> None:
    if future.done():
        return
    future.set_result(None) if error is None else future.set_exception(error)
