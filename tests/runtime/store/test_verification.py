"""Whatever is changed behind the journal's back is found and named."""

from hashlib import sha256
from pathlib import Path

import pytest

from runtime.errors import AgentFlowError, Corrupt, NotFound
from runtime.store import driver
from runtime.store.database import Database
from runtime.store.journal import JOURNAL_FILE, Journal, journal_database
from runtime.store.key import Key
from runtime.store.lock import DataLock
from tests.runtime.store.samples import DEFINITION, NOON_US, begin, run_id, step

KEY = Key("1" * 64)


async def fill(journal: Journal) -> None:
    """Three runs of six entries each, one after the other: rows 1–6, 7–12, 13–18."""
    for number in range(3):
        await begin(journal, number)
        for seq in (2, 4):
            await journal.append(run_id(number), seq, step(seq, output={"answer": "yes"}))


async def tamper(folder: Path, lock: DataLock, script: str) -> None:
    database = journal_database(folder, lock=lock)
    await database.start()
    await fill(Journal(database))
    await database.stop()
    connection = driver.open_raw(folder / JOURNAL_FILE)
    connection.executescript(f"DROP TRIGGER event_keeps; DROP TRIGGER event_stays; {script}")
    connection.close()


async def test_a_good_journal_is_good(journal: Journal) -> None:
    """And its size is said, so that an empty one is not taken for a good one."""
    await fill(journal)
    assert (3, 18) == await journal.verify()
    assert (1, 6) == await journal.verify(run_id(1))
    with pytest.raises(NotFound):
        await journal.verify(run_id(9))


async def test_an_empty_journal_is_good(journal: Journal) -> None:
    """There is nothing that could be wrong."""
    assert (0, 0) == await journal.verify()


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ("UPDATE event SET data = replace(data, 'yes', 'no!') WHERE seq = 9", "journal.hash_mismatch", "entry 3"),
        ("UPDATE event SET data = CAST(x'FF' AS TEXT) WHERE seq = 9", "journal.hash_mismatch", "entry 3"),
        ("UPDATE event SET hash = zeroblob(32) WHERE seq = 9", "journal.hash_mismatch", "entry 3"),
        ("UPDATE event SET at_us = at_us + 1 WHERE seq = 9", "journal.hash_mismatch", "entry 3"),
        ("UPDATE event SET type = 1 WHERE seq = 9", "journal.hash_mismatch", "entry 3"),
        ("UPDATE event SET type = 99 WHERE seq = 9", "journal.unknown_version", "entry 3"),
        ("UPDATE event SET run_seq = 7 WHERE seq = 9", "journal.gap", "entry 4"),
        ("DELETE FROM event WHERE seq = 9", "journal.gap", "entry 4"),
        ("DELETE FROM event WHERE seq = 7", "journal.gap", "entry 2"),
        ("DELETE FROM event WHERE seq = 12", "journal.cut", "entry 5"),
        ("DELETE FROM event WHERE run = 2", "journal.cut", "has no entries left"),
        ("DELETE FROM run WHERE key = 2", "journal.orphan", "row 7"),
        ("UPDATE run SET seq = 8 WHERE key = 2", "journal.cut", "entry 6"),
    ],
)
async def test_a_change_is_found_and_named(folder: Path, lock: DataLock, change: str, code: str, named: str) -> None:
    """Row 9 is entry 3 of the second run."""
    await tamper(folder, lock, change)
    database = journal_database(folder, lock=lock)
    await database.start()
    with pytest.raises(Corrupt) as found:
        await Journal(database).verify()
    await database.stop()
    assert code == found.value.code
    assert named in found.value.message


async def test_a_run_that_was_taken_out_whole_is_missed(folder: Path, lock: DataLock) -> None:
    """The rows of all runs are numbered without gaps."""
    await tamper(folder, lock, "DELETE FROM event WHERE run = 2; DELETE FROM run WHERE key = 2;")
    database = journal_database(folder, lock=lock)
    await database.start()
    with pytest.raises(Corrupt, match=r"journal\.gap: the row before row 13"):
        await Journal(database).verify()
    await database.stop()


async def test_checking_one_run_does_not_stumble_over_another(folder: Path, lock: DataLock) -> None:
    """One bad run is no reason to refuse the others."""
    await tamper(folder, lock, "UPDATE event SET hash = zeroblob(32) WHERE seq = 9")
    database = journal_database(folder, lock=lock)
    await database.start()
    journal = Journal(database)
    assert (1, 6) == await journal.verify(run_id(0))
    with pytest.raises(Corrupt):
        await journal.verify(run_id(1))
    await database.stop()


@pytest.mark.parametrize(("key", "refusals"), [(None, {"store.corrupt"}), (KEY, {"store.corrupt", "store.wrong_key"})])
async def test_flipped_bits_never_pass_for_good(
    folder: Path, lock: DataLock, key: Key | None, refusals: set[str]
) -> None:
    """A disk that rots: in every page a bit is flipped, which either changes no row or is reported."""
    database = journal_database(folder, lock=lock, key=key)
    await database.start()
    await fill(Journal(database))
    await database.stop()
    path = folder / JOURNAL_FILE
    good = path.read_bytes()
    rows = await checked_rows(folder, lock, key)
    for place in range(2048, len(good), 4096):
        flipped = bytearray(good)
        flipped[place] ^= 0x10
        path.write_bytes(flipped)
        assert await checked_rows(folder, lock, key) in (rows, *refusals), f"byte {place}"


async def checked_rows(folder: Path, lock: DataLock, key: Key | None) -> object:
    """All rows when the journal verifies, else the code of the refusal."""
    database = journal_database(folder, lock=lock, key=key)
    try:
        await database.start()
        await Journal(database).verify()
        return [list(await Journal(database).read(run_id(number))) for number in range(3)]
    except AgentFlowError as error:
        return error.code
    finally:
        await database.stop()


@pytest.mark.parametrize("content", ["zeroblob(7)", "'changed'"])
async def test_a_changed_project_file_is_found(journal: Journal, database: Database, content: str) -> None:
    """A run that goes on with other code than it began with is no longer the same run."""
    good, bad = b"articles", b"handler"
    await journal.save_definition(DEFINITION, "support", b"{}", NOON_US, files=[good, bad])
    digest = sha256(bad).hexdigest()
    change = f"UPDATE project_file SET content = CAST({content} AS BLOB) WHERE sha256 = ?"
    await database.write(lambda connection: connection.execute(change, (digest,)))
    with pytest.raises(Corrupt, match=rf"definition\.file_damaged.*{digest}"):
        await journal.verify()
    with pytest.raises(Corrupt, match=r"definition\.file_damaged"):
        await journal.file(digest)
    assert good == await journal.file(sha256(good).hexdigest())
