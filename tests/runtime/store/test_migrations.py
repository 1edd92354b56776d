"""The schema goes forward and back, and nowhere unrehearsed."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runtime.errors import Corrupt, Invalid, Unavailable
from runtime.store import driver, migrations
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import DataLock
from runtime.store.migrations import Migration, apply, journal_steps, migrate, revert, steps
from tests.runtime.store.samples import begin

FIRST = Migration(1, "0001_notes", "CREATE TABLE note(text TEXT);", "DROP TABLE note;")
SECOND = Migration(2, "0002_author", "ALTER TABLE note ADD author TEXT;", "ALTER TABLE note DROP author;")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = driver.open_raw(tmp_path / "notes.db")
    yield opened
    opened.close()


def schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def version(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def test_every_shipped_step_goes_there_and_back(connection: sqlite3.Connection) -> None:
    """A rollback to the last release must find the schema it knows."""
    shipped = journal_steps()
    assert list(range(1, len(shipped) + 1)) == [step.version for step in shipped]
    seen = []
    for step in shipped:
        seen.append(schema(connection))
        apply(connection, step)
    for step in reversed(shipped):
        revert(connection, step)
        assert step.version == 1 or seen.pop() == schema(connection)
    assert [] == [name for name, _ in schema(connection) if name != "schema_migration"]


def test_only_what_is_missing_is_applied(connection: sqlite3.Connection) -> None:
    """Data stays where it is."""
    migrate(connection, [FIRST], driver.open_raw)
    connection.execute("INSERT INTO note VALUES('kept')")
    migrate(connection, [FIRST, SECOND], driver.open_raw)
    migrate(connection, [FIRST, SECOND], driver.open_raw)
    assert [("kept", None)] == connection.execute("SELECT * FROM note").fetchall()
    assert 2 == version(connection)
    ledger = connection.execute("SELECT version, name, sha256 FROM schema_migration").fetchall()
    assert [(step.version, step.name, step.sha256) for step in (FIRST, SECOND)] == ledger


def test_a_file_is_marked_as_ours(connection: sqlite3.Connection) -> None:
    """So that `file` names it and no other program's file is taken for it."""
    migrate(connection, [FIRST], driver.open_raw)
    assert migrations.APPLICATION_ID == connection.execute("PRAGMA application_id").fetchone()[0]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (SECOND._replace(up="ALTER TABLE missing ADD a TEXT;"), "no such table"),
        (SECOND._replace(down="DROP TABLE missing;"), "no such table"),
        (SECOND._replace(down="SELECT 1;"), "does not restore the schema"),
    ],
)
def test_a_step_that_fails_on_the_copy_never_reaches_the_file(
    connection: sqlite3.Connection, tmp_path: Path, step: Migration, problem: str
) -> None:
    """The copy is there to be broken."""
    migrate(connection, [FIRST], driver.open_raw)
    connection.execute("INSERT INTO note VALUES('kept')")
    before = schema(connection)
    with pytest.raises(Corrupt, match=problem):
        migrate(connection, [FIRST, step], driver.open_raw)
    assert (before, 1) == (schema(connection), version(connection))
    assert [("kept",)] == connection.execute("SELECT * FROM note").fetchall()
    assert not (tmp_path / "notes.rehearsal").exists()


def test_half_a_step_is_none(connection: sqlite3.Connection) -> None:
    """A step that fails in its middle leaves nothing of its beginning."""
    broken = FIRST._replace(up="CREATE TABLE note(text TEXT); CREATE TABLE note(text TEXT);")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [broken], driver.open_raw)
    assert ([], 0) == (schema(connection), version(connection))


def test_an_edited_step_is_refused(connection: sqlite3.Connection) -> None:
    """Two files of one version would have two schemas."""
    migrate(connection, [FIRST], driver.open_raw)
    with pytest.raises(Invalid, match=r"store\.edited_migration.*0001_notes"):
        migrate(connection, [FIRST._replace(up="CREATE TABLE note(text TEXT, more TEXT);")], driver.open_raw)


def test_a_newer_file_is_refused(connection: sqlite3.Connection) -> None:
    """An old program would write rows that the new one cannot read."""
    migrate(connection, [FIRST, SECOND], driver.open_raw)
    with pytest.raises(Invalid, match=r"store\.newer_version.*version 2.*knows up to 1"):
        migrate(connection, [FIRST], driver.open_raw)


async def test_a_journal_of_a_newer_program_is_refused(folder: Path, lock: DataLock) -> None:
    """The same through the front door, for the writer and for readers."""
    database = journal_database(folder, lock=lock)
    await database.start()
    await begin(Journal(database), 1)
    await database.write(lambda c: c.execute("PRAGMA user_version=99"))
    await database.stop()
    for holder in (lock, None):
        with pytest.raises(Invalid, match=r"store\.newer_version.*version 99"):
            await journal_database(folder, lock=holder).start()


async def test_a_reader_waits_for_the_writer_to_migrate(folder: Path, lock: DataLock) -> None:
    """A reader can change nothing, the schema included."""
    connection = driver.open_raw(folder / "journal.db")
    migrate(connection, journal_steps()[:1], driver.open_raw)
    connection.close()
    with pytest.raises(Unavailable, match=r"store\.outdated.*af serve"):
        await journal_database(folder, lock=None).start()
    database = journal_database(folder, lock=lock)
    await database.start()
    await database.stop()
    reader = journal_database(folder, lock=None)
    await reader.start()
    await reader.stop()


def test_steps_are_read_in_order(tmp_path: Path) -> None:
    """Names sort as numbers do."""
    for step in (SECOND, FIRST):
        (tmp_path / f"{step.name}.sql").write_text(step.up)
        (tmp_path / f"{step.name}.down.sql").write_text(step.down)
    assert [FIRST, SECOND] == list(steps(tmp_path))


def test_a_rehearsal_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It is a whole copy, and stays until the next start where the process is killed."""
    modes: list[int] = []

    def open_copy(path: Path) -> sqlite3.Connection:
        modes.append(path.stat().st_mode & 0o777)
        return sqlite3.connect(path)

    connection = sqlite3.connect(tmp_path / "notes.db")
    migrate(connection, [FIRST], open_copy)
    migrate(connection, [FIRST, SECOND], open_copy)
    connection.close()
    assert {0o600} == set(modes)


def test_a_rehearsal_keeps_the_key(tmp_path: Path) -> None:
    """The copy must not lie beside the encrypted file in the clear."""
    from runtime.store.key import Key

    key = Key("1" * 64)
    connection = driver.open_raw(tmp_path / "notes.db", key=key)
    migrate(connection, [FIRST], partial(driver.open_raw, key=key))
    headers: list[bytes] = []

    def open_copy(path: Path) -> sqlite3.Connection:
        headers.append(path.read_bytes()[:16])
        return driver.open_raw(path, key=key)

    migrate(connection, [FIRST, SECOND], open_copy)
    connection.close()
    assert 1 == len(headers)
    assert b"SQLite format 3\0" != headers[0]


def test_steps_count_up_from_one_without_gaps() -> None:
    """Two steps of one number, each fine by itself, would keep every data folder from opening."""
    versions = [step.version for step in journal_steps()]
    assert list(range(1, len(versions) + 1)) == versions
