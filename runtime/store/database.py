"""One database file with one writer: many callers' writes become one transaction and one sync.

While a transaction is under way further writes queue up, and the next transaction takes them all: a lone caller
pays one sync per write, fifty callers share one. What is written is the business of the callers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from runtime.errors import Unavailable
from runtime.store import driver, migrations
from runtime.store.connection import close, connect, hop
from runtime.store.failures import translate
from runtime.store.folding import REST_PAGES, Folding
from runtime.store.key import Key
from runtime.store.lock import DataLock
from runtime.store.transaction import Failed, Unit
from runtime.store.writer import MAX_BATCH, Done, Waiting, Writer

if TYPE_CHECKING:
    import sqlite3

    import aiosqlite

T = TypeVar("T")

Durability = Literal["full", "normal"]
"""`full`: what is acknowledged survives a power cut. `normal`: it survives a killed process, while a power cut may
take the last writes, as a clean suffix."""

MAX_QUEUE = 20_000
POLL_S = 0.25
"""How often a process that only reads looks for another one's writes."""
_WRITER_CACHE_MIB = 64

log = logging.getLogger(__name__)


class Database:
    """A database file. It writes when it is given the data folder's lock, and only reads otherwise."""

    def __init__(
        self,
        path: Path,
        *,
        lock: DataLock | None,
        key: Key | None = None,
        durability: Durability = "full",
        steps: Sequence[migrations.Migration] = (),
        prepare: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """`steps`: the schema. `prepare`: run on every connection that is opened, to load an extension."""
        self.path = path
        self.commits = 0
        """Transactions of this process that have become durable."""
        self._is_writer = lock is not None
        self._key = key
        self._sync: driver.Synchronous = "FULL" if durability == "full" else "NORMAL"
        self._steps = steps
        self._prepare = prepare
        self._forget: list[Callable[[], None]] = []
        self._listeners: list[tuple[Callable[[], object], Callable[[Any], None]]] = []
        self._queue: list[Waiting] = []
        """Writes of this turn of the event loop; they are handed to the writer together."""
        self._under_way = 0
        """Writes that have not ended."""
        self._news: asyncio.Event | None = None
        self._writer: Writer | None = None
        self._folding = Folding(self._open_aside)
        self._reader: aiosqlite.Connection | None = None
        self._closing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the file; the writer makes it where it is missing and brings its schema up to date.

        Raises Unavailable, StoreFull, Invalid, NotFound or Corrupt.
        """
        try:
            if self._is_writer:
                self._writer = Writer(
                    self._open_writer, forget=self._forget_all, collect=self._collect, done=self._done
                )
                await self._writer.start()
                self._folding.start()
            self._reader = await connect(partial(self._open_reader, self.path))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Write what is queued, then close. Safe to call twice; goes on to the end when its caller is cancelled."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    def on_rollback(self, forget: Callable[[], None]) -> None:
        """Have `forget` called, in the writer's thread, when a batch was lost and memories of the file may be wrong."""
        self._forget.append(forget)

    def on_commit(self, collect: Callable[[], T | None], tell: Callable[[T], None]) -> None:
        """Have `collect` called behind each transaction of this process that is durable, before the next one begins.

        That is in the writer's thread; what it returns is told to `tell` in the event loop, in order.
        """
        self._listeners.append((collect, tell))

    async def write(self, work: Callable[[sqlite3.Connection], T], *, savepoint: bool = True) -> T:
        """Run `work` in the next transaction, in the writer's thread; durable when this returns.

        What `work` raises is raised here and keeps nothing of it. Without a savepoint `work` must raise only
        before its first change. Raises StoreFull when the disk takes no more, Unavailable when the writes come
        faster than the disk takes them, or when the database is closed or read-only.
        """
        self._require_writable()
        outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if not self._queue:
            outcome.get_loop().call_soon(self._submit)
        self._queue.append((Unit(work, savepoint), outcome))
        self._under_way += 1
        return cast(T, await outcome)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a short query on the reader's connection; it sees every write that has returned."""
        if self._reader is None or self._closing is not None:
            raise _closed(self.path)
        try:
            return await hop(self._reader, query)
        except Exception as error:
            raise self._explained(error) from None

    async def aside(self, work: Callable[[sqlite3.Connection], T], *, path: Path | None = None) -> T:
        """Run long work on a reading connection of its own, holding up nobody; a cancelled caller ends it.

        `path` is a copy of this file, to be read instead of it.
        """
        if self._closing is not None:
            raise _closed(self.path)
        given_up = Event()
        connection = await connect(partial(self._open_reader, path or self.path))
        try:
            return await hop(connection, partial(_until, given_up, work))
        except Exception as error:
            raise self._explained(error) from None
        finally:
            given_up.set()
            await asyncio.shield(close(connection))

    @property
    def is_open(self) -> bool:
        """Whether nobody has stopped it yet."""
        return self._closing is None

    async def changed(self, commits: int) -> None:
        """Return when there are more than `commits` commits, or the database is stopped.

        A process that only reads cannot know: it is told to look again every quarter of a second.
        """
        if not self._is_writer:
            await asyncio.sleep(POLL_S)
            return
        while self.commits == commits and self.is_open:
            if self._news is None:
                self._news = asyncio.Event()
            await self._news.wait()

    def _submit(self) -> None:
        writes, self._queue = self._queue, []
        if writes and self._writer is not None:
            for first in range(0, len(writes), MAX_BATCH):
                self._writer.submit(writes[first : first + MAX_BATCH])

    def _collect(self) -> list[object]:
        return [_safely(self.path, collect) for collect, _ in self._listeners]

    def _done(self, done: Done) -> None:
        self._under_way -= done.taken
        outcomes = done.outcomes
        if isinstance(outcomes, Exception):
            outcomes = [Failed(translate(outcomes, self.path, writing=True)) for _ in done.writes]
        else:
            self.commits += 1
            self._folding.note()
            for found, (_, tell) in zip(cast(list[object], done.news), self._listeners, strict=False):
                if found is not None:
                    _safely(self.path, partial(tell, found))
        for (_, outcome), value in zip(done.writes, outcomes, strict=True):
            if not outcome.done():
                outcome.set_exception(value.error) if type(value) is Failed else outcome.set_result(value)
        self._announce()

    def _forget_all(self) -> None:
        for forget in self._forget:
            forget()

    def _announce(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _close(self) -> None:
        self._submit()
        # the writer last: the last connection to close folds the log into the file, and a reader may not
        if self._reader is not None:
            await close(self._reader)
        await asyncio.to_thread(self._folding.stop)
        if self._writer is not None:
            await self._writer.close()
        self._announce()

    def _require_writable(self) -> None:
        if self._writer is None or self._closing is not None:
            raise _closed(self.path) if self._is_writer else _read_only(self.path)
        if self._under_way >= MAX_QUEUE:
            raise Unavailable("store.overloaded", f"{self._under_way} writes wait for {self.path}; try again later")

    def _open_writer(self) -> sqlite3.Connection:
        connection = driver.open_raw(self.path, key=self._key, sync=self._sync, cache_mib=_WRITER_CACHE_MIB)
        connection.execute(f"PRAGMA wal_autocheckpoint={REST_PAGES}")
        return self._made_ready(connection, lambda: migrations.migrate(connection, self._steps, self._open_copy))

    def _open_aside(self) -> sqlite3.Connection:
        return driver.open_raw(self.path, key=self._key, sync=self._sync, cache_mib=1)

    def _open_reader(self, path: Path) -> sqlite3.Connection:
        connection = driver.open_raw(path, key=self._key, writer=False)
        return self._made_ready(connection, lambda: migrations.require_current(connection, self._steps))

    def _open_copy(self, path: Path) -> sqlite3.Connection:
        return self._made_ready(driver.open_raw(path, key=self._key), lambda: None)

    def _made_ready(self, connection: sqlite3.Connection, check: Callable[[], None]) -> sqlite3.Connection:
        try:
            if self._prepare is not None:
                self._prepare(connection)
            check()
            return connection
        except Exception as error:
            connection.close()
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> Exception:
        return translate(error, self.path, has_key=self._key is not None)


def _safely(path: Path, call: Callable[[], T]) -> T | None:
    """A mistake of whoever listens must not end all writing."""
    try:
        return call()
    except Exception:
        log.exception("a listener of %s failed", path)
        return None


def _until(given_up: Event, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Work until somebody gives up; looked at every 10,000 steps of SQLite's, well under a millisecond."""
    connection.set_progress_handler(given_up.is_set, 10_000)
    return work(connection)


def _closed(path: Path) -> Unavailable:
    return Unavailable("store.closed", f"{path} is closed", retryable=False)


def _read_only(path: Path) -> Unavailable:
    return Unavailable(
        "store.reader", f"{path} was opened for reading; write through the process that holds the data folder's lock"
    )
