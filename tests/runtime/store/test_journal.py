"""What only the journal on disk promises: size, order, append-only, other processes."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from runtime.domain.canonical import Json, encode
from runtime.domain.command import FinishRun
from runtime.store.database import Database
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import DataLock
from tests.runtime.store.samples import begin, entries, run_id, step, take

PATIENCE_S = 60
MAX_BYTES_PER_STEP = 400


async def test_a_step_costs_few_bytes_and_each_as_many_as_the_last(
    folder: Path, journal: Journal, database: Database
) -> None:
    """Some engines store the whole state at every step; the tenth then costs ten times the first."""
    output: Json = {"label": "card_swallowed", "confidence": 0.93, "note": "x" * 200}

    async def file_bytes_after(runs: range) -> int:
        for number in runs:
            await begin(journal, number)
        for seq in range(2, 22, 2):
            await asyncio.gather(*(journal.append(run_id(n), seq, step(seq, output=output)) for n in runs))
        return await database.read(_bytes_used)

    empty = await database.read(_bytes_used)
    first = await file_bytes_after(range(100))
    second = await file_bytes_after(range(100, 200))
    per_step = (second - empty) / 2_000 - len(encode(output))
    assert per_step <= MAX_BYTES_PER_STEP
    assert abs((second - first) - (first - empty)) <= 0.1 * (first - empty)


def _bytes_used(connection: sqlite3.Connection) -> int:
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return (pages - free) * int(connection.execute("PRAGMA page_size").fetchone()[0])


@pytest.mark.parametrize("change", ["UPDATE event SET data = '{}' WHERE seq = 1", "DELETE FROM event WHERE seq = 1"])
async def test_rows_cannot_be_changed(journal: Journal, database: Database, change: str) -> None:
    """A bug elsewhere must not be able to rewrite history."""
    run = await begin(journal, 1)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        await database.write(lambda c: c.execute(change))
    assert 2 == len(await journal.read(run))


async def test_a_lost_batch_leaves_no_trace_in_memory(journal: Journal, database: Database) -> None:
    """After a failed transaction the next append must not stand behind rows that were rolled back."""
    run = await begin(journal, 1)

    def spoil(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO idempotency VALUES('k', 1)")
        raise RuntimeError("a write that broke its promise")

    outcomes = await asyncio.gather(
        journal.append(run, 2, step(2)),
        begin(journal, 2),
        database.write(spoil, savepoint=False),
        return_exceptions=True,
    )
    assert [RuntimeError] * 3 == [type(outcome) for outcome in outcomes]
    assert 4 == await journal.append(run, 2, step(2))
    assert run_id(2) == await begin(journal, 2)
    assert (2, 6) == await journal.verify()


async def test_a_restart_goes_on_where_the_journal_ends(folder: Path, lock: DataLock) -> None:
    """Nothing that matters is kept in memory alone."""
    for restart in range(3):
        database = journal_database(folder, lock=lock)
        await database.start()
        journal = Journal(database)
        if restart == 0:
            await begin(journal, 1, key="k")
        seq = 2 + 2 * restart
        assert seq + 2 == await journal.append(run_id(1), seq, step(seq))
        assert seq + 2 == await journal.head()
        await database.stop()


async def test_a_finished_run_is_forgotten_and_found_again(journal: Journal) -> None:
    """Memory holds the open runs only."""
    run = await begin(journal, 1)
    await journal.append(run, 2, entries(2, FinishRun(status="succeeded")))
    assert {} == journal._appender._ends
    assert 5 == await journal.append(run, 3, step(3))


async def test_following_ends_when_the_journal_is_closed(journal: Journal, database: Database) -> None:
    """A stream of events ends with the server, not with a traceback."""
    await begin(journal, 1)
    rows = aiter(journal.follow())
    async with asyncio.timeout(PATIENCE_S):
        await take(rows, 2)
        waiting = asyncio.create_task(anext(rows, None))
        await asyncio.sleep(0)
        await database.stop()
        assert await waiting is None


async def test_a_follower_in_the_middle_of_a_page_ends_without_a_fault(journal: Journal, database: Database) -> None:
    """The server stops while a client reads slowly."""
    await begin(journal, 1)
    rows = aiter(journal.follow())
    await take(rows, 1)
    await database.stop()
    assert [2] == [cursor async for cursor, _ in rows]


async def test_a_follower_that_lags_sees_every_row(journal: Journal) -> None:
    """Appends go on while a page is being read."""
    runs = 20
    for number in range(runs):
        await begin(journal, number)

    async def produce(number: int) -> None:
        for seq in range(2, 102, 2):
            await journal.append(run_id(number), seq, step(seq))

    async with aclosing(journal.follow()) as rows, asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:  # type: ignore[type-var]
        for number in range(runs):
            group.create_task(produce(number))
        assert list(range(1, runs * 102 + 1)) == [cursor for cursor, _ in await take(rows, runs * 102)]


FOLLOWER = """
import asyncio, pathlib, sys
from runtime.store.journal import Journal, journal_database
async def main():
    database = journal_database(pathlib.Path(sys.argv[1]), lock=None)
    await database.start()
    seen = 0
    async for cursor, row in Journal(database).follow():
        print(cursor, row.run, row.seq, flush=True)
        seen += 1
        if seen == int(sys.argv[2]):
            break
    await database.stop()
asyncio.run(main())
"""


async def test_another_process_follows_what_this_one_writes(folder: Path, journal: Journal) -> None:
    """`af logs --follow` runs beside `af serve`."""
    await begin(journal, 1)
    follower = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FOLLOWER, str(folder), "4", stdout=subprocess.PIPE
    )
    assert follower.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        old = [await follower.stdout.readline() for _ in range(2)]
        await journal.append(run_id(1), 2, step(2))
        new = (await follower.stdout.read()).splitlines()
        assert 0 == await follower.wait()
    assert [f"{n} {run_id(1)} {n}" for n in (1, 2)] == [line.decode().strip() for line in old]
    assert [f"{n} {run_id(1)} {n}".encode() for n in (3, 4)] == new
