"""The write-ahead log is folded into the file beside the writer, who is never held up by it."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from runtime.store import driver, folding
from runtime.store.database import Database
from runtime.store.folding import Folding
from runtime.store.lock import hold
from runtime.store.migrations import Migration

BIG = "CREATE TABLE big(id INTEGER PRIMARY KEY, data BLOB);"


def _add(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO big(data) VALUES (randomblob(40000))")


async def _folded(path: Path) -> int:
    """Pages of the log that are in the file by now, once there are some."""
    looking = driver.open_raw(path)
    async with asyncio.timeout(60):
        while not (told := looking.execute("PRAGMA wal_checkpoint(NOOP)").fetchone())[2]:
            await asyncio.sleep(0.01)
    looking.close()
    return int(told[2])


async def test_a_long_log_is_folded_in_while_the_writer_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "PAGES", 100)
    monkeypatch.setattr(folding, "PAUSE_S", 0.0)
    with hold(tmp_path, what="test", now_us=0) as lock:
        database = Database(tmp_path / "big.db", lock=lock, steps=[Migration(1, "big", BIG, "DROP TABLE big;")])
        await database.start()
        for _ in range(20):
            await database.write(_add)
        assert 100 <= await _folded(tmp_path / "big.db")
        await database.stop()
    looking = driver.open_raw(tmp_path / "big.db", writer=False)
    assert (20,) == looking.execute("SELECT count(*) FROM big").fetchone()
    assert ("ok",) == looking.execute("PRAGMA integrity_check").fetchone()


async def test_a_log_that_nobody_folds_in_is_folded_in_by_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something is wrong with the connection beside it: the log stays bounded all the same."""
    monkeypatch.setattr("runtime.store.database.REST_PAGES", 50)
    monkeypatch.setattr(folding, "_fold", lambda _connection: 1 / 0)
    monkeypatch.setattr(folding, "PAUSE_S", 0.0)
    with hold(tmp_path, what="test", now_us=0) as lock:
        database = Database(tmp_path / "big.db", lock=lock, steps=[Migration(1, "big", BIG, "DROP TABLE big;")])
        await database.start()
        for _ in range(20):
            await database.write(_add)
        assert (tmp_path / "big.db-wal").stat().st_size < 100 * 4_096  # of 220 pages that were written
        await database.stop()


def test_a_stop_that_comes_while_it_looks_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the pause and the look, when the sign for a commit is taken down: the stop's own sign is the same one."""
    monkeypatch.setattr(folding, "PAUSE_S", 0.0)
    beside = Folding(lambda: driver.open_raw(tmp_path / "big.db"))
    stopped, take_down = beside._grown, beside._grown.clear

    def stop_and_take_down() -> None:
        beside._ended.set()
        stopped.set()
        take_down()

    monkeypatch.setattr(stopped, "clear", stop_and_take_down)
    beside.start()
    beside.note()
    beside._thread.join(60)
    assert not beside._thread.is_alive()
