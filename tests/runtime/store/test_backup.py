"""A copy made while the journal is in use."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from runtime.errors import Conflict, Corrupt, NotFound
from runtime.store import driver
from runtime.store.journal import JOURNAL_FILE, Journal, journal_database
from runtime.store.key import Key
from runtime.store.lock import DataLock, hold
from tests.runtime.store.samples import NOON_US, begin, run_id, step

KEY = Key("1" * 64)


@pytest.mark.parametrize("key", [None, KEY])
async def test_a_backup_taken_under_load_is_a_whole_journal(
    folder: Path, lock: DataLock, tmp_path: Path, key: Key | None
) -> None:
    """It opens elsewhere, with the same key, and holds all that was acknowledged before."""
    database = journal_database(folder, lock=lock, key=key)
    await database.start()
    journal = Journal(database)
    await begin(journal, 1)
    stop = asyncio.Event()

    async def append_on() -> int:
        seq = 2
        while not stop.is_set():
            seq = await journal.append(run_id(1), seq, step(seq))
        return seq

    appending = asyncio.create_task(append_on())
    await begin(journal, 2)
    head = await journal.head()
    restored = tmp_path / "restored"
    restored.mkdir()
    copied = await journal.backup(restored / JOURNAL_FILE)
    stop.set()
    await appending
    await database.stop()

    assert [JOURNAL_FILE] == [path.name for path in restored.iterdir()]
    assert 0o600 == (restored / JOURNAL_FILE).stat().st_mode & 0o777
    assert copied.entries >= head
    with hold(restored, what="test", now_us=NOON_US) as new_lock:
        again = journal_database(restored, lock=new_lock, key=key)
        await again.start()
        assert copied == await Journal(again).verify()
        assert run_id(3) == await begin(Journal(again), 3)
        await again.stop()


async def test_a_backup_overwrites_nothing(journal: Journal, tmp_path: Path) -> None:
    """The last good copy may be the one that is about to be replaced."""
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(Conflict, match=r"backup\.exists"):
        await journal.backup(target)
    assert "precious" == target.read_text()


async def test_a_backup_into_nowhere_is_named(journal: Journal, tmp_path: Path) -> None:
    """The disk was not mounted."""
    with pytest.raises(NotFound, match=r"nowhere/copy\.db"):
        await journal.backup(tmp_path / "nowhere" / "copy.db")


async def test_a_bad_journal_gives_no_backup(folder: Path, lock: DataLock, tmp_path: Path) -> None:
    """A copy of damage must not be taken for a rescue."""
    database = journal_database(folder, lock=lock)
    await database.start()
    await begin(Journal(database), 1)
    await database.write(_spoil)
    with pytest.raises(Corrupt, match=r"journal\.hash_mismatch"):
        await Journal(database).backup(tmp_path / "copy.db")
    await database.stop()
    assert [] == list(tmp_path.glob("copy*"))


def _spoil(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TRIGGER event_keeps")
    connection.execute("UPDATE event SET data = '{}' WHERE seq = 2")


async def test_a_leftover_of_an_interrupted_backup_is_no_obstacle(journal: Journal, tmp_path: Path) -> None:
    """The process was killed half-way."""
    (tmp_path / "copy.db.partial").write_text("half")
    await begin(journal, 1)
    assert (1, 2) == await journal.backup(tmp_path / "copy.db")
    assert driver.open_raw(tmp_path / "copy.db", writer=False).execute("SELECT count(*) FROM event").fetchone() == (2,)
