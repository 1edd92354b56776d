"""Many writers, one transaction: who gets what when one of them fails, and when it ends."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import Invalid, Unavailable
from runtime.store.database import MAX_QUEUE, Database
from runtime.store.journal import journal_database
from runtime.store.lock import DataLock
from tests.runtime.store.samples import NOON_US

PATIENCE_S = 60


@pytest.fixture
async def numbers(database: Database) -> Database:
    """A database with a table `number`."""
    await database.write(lambda c: c.execute("CREATE TABLE number(n INTEGER PRIMARY KEY)"))
    return database


def insert(number: int) -> Callable[[sqlite3.Connection], int | None]:
    return lambda connection: connection.execute("INSERT INTO number VALUES(?)", (number,)).lastrowid


async def kept(database: Database) -> list[int]:
    return await database.read(lambda c: [n for (n,) in c.execute("SELECT n FROM number ORDER BY n").fetchall()])


async def test_writes_of_one_instant_share_a_commit(numbers: Database) -> None:
    """A sync costs as much for fifty appends as for one."""
    before = numbers.commits
    outcomes = await asyncio.gather(*(numbers.write(insert(n)) for n in range(50)))
    assert list(range(50)) == outcomes
    assert list(range(50)) == await kept(numbers)
    assert before + 1 == numbers.commits


async def test_a_lone_write_does_not_wait_for_company(numbers: Database) -> None:
    """Batches come from what queued up meanwhile, not from a delay."""
    before = numbers.commits
    for n in range(3):
        await numbers.write(insert(n))
    assert before + 3 == numbers.commits


@pytest.mark.parametrize("savepoint", [True, False])
async def test_no_cursor_leaves_the_writers_thread(numbers: Database, *, savepoint: bool) -> None:
    """Dropped in another one it resets a statement that the writer may be using, whose values are then lost."""
    statement = "INSERT INTO number VALUES(?)"
    assert await numbers.write(lambda c: c.executemany(statement, [(1,), (2,)]), savepoint=savepoint) is None
    assert [1, 2] == await kept(numbers)


async def test_a_write_that_fails_takes_back_its_own_changes_alone(numbers: Database) -> None:
    """One caller's mistake is no other caller's loss."""

    def insert_twice(connection: sqlite3.Connection) -> None:
        insert(1)(connection)
        insert(1)(connection)

    outcomes = await asyncio.gather(
        numbers.write(insert(0)),
        numbers.write(insert_twice),
        numbers.write(insert(2)),
        return_exceptions=True,
    )
    assert [int, sqlite3.IntegrityError, int] == [type(outcome) for outcome in outcomes]
    assert [0, 2] == await kept(numbers)


async def test_a_write_without_savepoint_may_refuse_before_its_first_change(numbers: Database) -> None:
    """This is what makes an append cheap."""

    def refuse(connection: sqlite3.Connection) -> None:
        raise Invalid("test.refused", "no")

    outcomes = await asyncio.gather(
        numbers.write(insert(0), savepoint=False),
        numbers.write(refuse, savepoint=False),
        numbers.write(insert(2), savepoint=False),
        return_exceptions=True,
    )
    assert [int, Invalid, int] == [type(outcome) for outcome in outcomes]
    assert [0, 2] == await kept(numbers)


async def test_a_broken_promise_loses_the_batch_and_is_told_to_all(numbers: Database) -> None:
    """Half a write must never be committed, even when its author forgot the savepoint."""
    forgotten: list[str] = []
    numbers.on_rollback(lambda: forgotten.append("all"))

    def break_promise(connection: sqlite3.Connection) -> None:
        insert(1)(connection)
        raise Invalid("test.refused", "too late")

    outcomes = await asyncio.gather(
        numbers.write(insert(0), savepoint=False),
        numbers.write(break_promise, savepoint=False),
        return_exceptions=True,
    )
    assert [Invalid, Invalid] == [type(outcome) for outcome in outcomes]
    assert [] == await kept(numbers)
    assert ["all"] == forgotten
    await numbers.write(insert(3))
    assert [3] == await kept(numbers)


async def test_a_cancelled_caller_whose_write_has_not_begun_writes_nothing(numbers: Database) -> None:
    """Who was told that it was cancelled does not expect to find it done."""
    given_up = asyncio.create_task(numbers.write(insert(0)))
    kept_on = asyncio.create_task(numbers.write(insert(1)))
    await asyncio.sleep(0)
    given_up.cancel()
    await kept_on
    assert [1] == await kept(numbers)


async def test_stopping_writes_what_is_queued(folder: Path, lock: DataLock) -> None:
    """A drain loses nothing."""
    database = journal_database(folder, lock=lock)
    await database.start()
    await database.write(lambda c: c.execute("CREATE TABLE number(n INTEGER PRIMARY KEY)"))
    writes = [asyncio.create_task(database.write(insert(n))) for n in range(600)]
    await asyncio.sleep(0)
    await database.stop()
    assert list(range(600)) == await asyncio.gather(*writes)
    again = journal_database(folder, lock=None)
    await again.start()
    assert 600 == len(await kept(again))
    await again.stop()


async def test_a_stopped_database_says_so(database: Database) -> None:
    """A late write must not wait for ever."""
    await database.stop()
    await database.stop()
    with pytest.raises(Unavailable, match=r"store\.closed"):
        await database.write(lambda c: None)
    with pytest.raises(Unavailable, match=r"store\.closed"):
        await database.read(lambda c: None)


async def test_stopping_goes_on_when_its_caller_is_cancelled(database: Database) -> None:
    """Ctrl-C a second time leaves no thread behind."""
    stopping = asyncio.create_task(database.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await database.stop()
    assert database._writer is not None
    assert not database._writer._thread.is_alive()


async def test_a_stopped_database_leaves_one_file(folder: Path, database: Database) -> None:
    """The log is folded in, so that copying one file copies everything."""
    await database.stop()
    assert {"journal.db", "lock"} == {path.name for path in folder.iterdir()}


def test_a_process_that_forgot_to_stop_still_ends(folder: Path) -> None:
    """aiosqlite's threads would keep it alive for ever."""
    program = f"""
import asyncio, pathlib
from runtime.store.journal import journal_database
from runtime.store.lock import hold
async def main():
    folder = pathlib.Path({str(folder)!r})
    database = journal_database(folder, lock=hold(folder, what="test", now_us={NOON_US}))
    await database.start()
    await database.write(lambda c: c.execute("CREATE TABLE number(n INTEGER)"))
    print("written", flush=True)
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (0, "written\n") == (ended.returncode, ended.stdout), ended.stderr


async def test_a_database_without_the_lock_only_reads(folder: Path, numbers: Database) -> None:
    """A second process may look at everything and change nothing."""
    await numbers.write(insert(1))
    reader = journal_database(folder, lock=None)
    await reader.start()
    try:
        assert [1] == await kept(reader)
        await numbers.write(insert(2))
        assert [1, 2] == await kept(reader)
        with pytest.raises(Unavailable, match=r"store\.reader"):
            await reader.write(insert(3))
        with pytest.raises(Unavailable, match=r"store\.read_only"):
            await reader.read(insert(3))
    finally:
        await reader.stop()


async def test_a_flood_of_writes_is_refused_not_buffered(numbers: Database) -> None:
    """Memory is finite; the caller can wait better than the queue."""
    writes = [numbers.write(lambda c: None) for _ in range(MAX_QUEUE + 1)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert ["store.overloaded"] == [getattr(outcome, "code", None) for outcome in refused]


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
SHORT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000) SELECT count(*) FROM n"


def repeat(connection: sqlite3.Connection) -> None:
    while True:
        connection.execute(SHORT).fetchone()


@pytest.mark.parametrize("work", [lambda c: c.execute(ENDLESS).fetchone(), repeat], ids=["one query", "many queries"])
async def test_long_work_aside_ends_with_its_caller(
    numbers: Database, work: Callable[[sqlite3.Connection], None]
) -> None:
    """A backup that nobody waits for must not run on for an hour."""
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin_and_work(connection: sqlite3.Connection) -> None:
        loop.call_soon_threadsafe(began.set)
        work(connection)

    async with asyncio.timeout(PATIENCE_S):
        working = asyncio.create_task(numbers.aside(begin_and_work))
        await began.wait()
        await numbers.write(insert(1))
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("normal", 1)])
async def test_durability_is_what_was_asked_for(
    folder: Path, lock: DataLock, durability: str, synchronous: int
) -> None:
    """FULL syncs before it acknowledges; NORMAL only before the log is folded in."""
    database = journal_database(folder, lock=lock, durability=durability)  # type: ignore[arg-type]  # both are
    await database.start()
    found = await database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])
    mode = await database.read(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0])
    await database.stop()
    assert (synchronous, "wal") == (found, mode)


async def test_writes_that_were_given_up_make_room(numbers: Database) -> None:
    """Else callers that time out would close the store for everybody, one by one."""
    writes = [asyncio.create_task(numbers.write(insert(n))) for n in range(20)]
    await asyncio.sleep(0)
    for write in writes:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    await numbers.write(insert(100))
    assert ([100], 0) == (await kept(numbers), numbers._under_way)


async def test_a_file_that_cannot_be_opened_is_told_and_leaves_no_thread(folder: Path, lock: DataLock) -> None:
    """Stopping what never began must not wait for it."""
    (folder / "journal.db").write_bytes(b"no database, and long enough to be taken for one" * 100)
    database = journal_database(folder, lock=lock)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(Unavailable, match=r"store\.not_a_database"):
            await database.start()
        await database.stop()
    assert database._writer is not None
    assert not database._writer._thread.is_alive()


async def test_a_write_that_ends_its_thread_ends_only_itself(numbers: Database) -> None:
    """The next caller would wait for ever."""

    def leave(connection: sqlite3.Connection) -> None:
        raise SystemExit(1)

    with pytest.raises(RuntimeError, match="SystemExit"):
        await numbers.write(leave)
    await numbers.write(insert(1))
    assert [1] == await kept(numbers)
