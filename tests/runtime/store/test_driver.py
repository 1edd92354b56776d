"""Which SQLite is used, and what is said about files that cannot be."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import AgentFlowError, Corrupt, Invalid, NotFound, Unavailable
from runtime.store import driver
from runtime.store.journal import Journal, journal_database
from runtime.store.key import Key
from runtime.store.lock import DataLock
from tests.runtime.store.samples import begin, run_id, step

KEY, OTHER_KEY = Key("1" * 64), Key("2" * 64)


def test_one_sqlite_serves_everybody() -> None:
    """Two copies in one process drop each other's locks."""
    driver.install()
    assert sys.modules["sqlcipher3"] is sqlite3
    assert sqlite3.sqlite_version_info >= driver.MINIMUM_SQLITE


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ("import sqlite3", "store.two_sqlites"),
        ("import _sqlite3", "store.two_sqlites"),
        ("sys.modules['sqlcipher3'] = None", "store.no_driver"),
        (
            "import sqlcipher3.dbapi2; sqlcipher3.dbapi2.sqlite_version_info = (3, 51, 2)",
            "store.old_sqlite",
        ),
    ],
)
def test_an_unsafe_sqlite_is_refused(before: str, code: str) -> None:
    """Lost locks and lost pages are found too late to be mended."""
    program = f"import sys\n{before}\nfrom runtime.store import driver\ndriver.install()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"runtime.errors.Unavailable: {code}: " in ended.stderr


def test_installing_twice_is_once() -> None:
    """Every door to SQLite calls it."""
    program = "from runtime.store import driver\ndriver.install(); driver.install(); import aiosqlite, sqlite3, sys\n"
    program += "assert sqlite3 is sys.modules['sqlcipher3'] and '_sqlite3' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


async def write_journal(folder: Path, lock: DataLock, key: Key | None = None) -> None:
    database = journal_database(folder, lock=lock, key=key)
    await database.start()
    journal = Journal(database)
    await begin(journal, 1)
    await journal.append(run_id(1), 2, step(2, output="PLAINLY READABLE"))
    await database.stop()


async def failure(folder: Path, lock: DataLock | None, key: Key | None = None) -> AgentFlowError:
    database = journal_database(folder, lock=lock, key=key)
    with pytest.raises(AgentFlowError) as refused:
        await database.start()
    return refused.value


async def test_the_files_are_their_owners_alone(folder: Path, lock: DataLock) -> None:
    """They hold what customers wrote."""
    database = journal_database(folder, lock=lock)
    await database.start()
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.glob("journal.db*")}
    await database.stop()
    assert dict.fromkeys(["journal.db", "journal.db-wal", "journal.db-shm"], 0o600) == modes


async def test_an_encrypted_file_shows_nothing(folder: Path, lock: DataLock) -> None:
    """A stolen disk tells neither content nor schema, its log included."""
    database = journal_database(folder, lock=lock, key=KEY)
    await database.start()
    journal = Journal(database)
    await begin(journal, 1)
    await journal.append(run_id(1), 2, step(2, output="PLAINLY READABLE"))
    stored = b"".join(path.read_bytes() for path in folder.glob("journal.db*"))
    await database.stop()
    stored += (folder / "journal.db").read_bytes()
    assert len(stored) > 10_000
    for text in (b"PLAINLY READABLE", b"CREATE TABLE", b"SQLite format 3"):
        assert text not in stored


@pytest.mark.parametrize(
    ("made_with", "opened_with", "code"),
    [
        (KEY, OTHER_KEY, "store.wrong_key"),
        (KEY, None, "store.not_a_database"),
        (None, KEY, "store.not_encrypted"),
    ],
)
@pytest.mark.parametrize("writer", [True, False])
async def test_a_key_that_does_not_fit_is_refused(
    folder: Path, lock: DataLock, made_with: Key | None, opened_with: Key | None, code: str, writer: bool
) -> None:
    """A file that was meant to be encrypted is never written in the clear, nor the other way round."""
    await write_journal(folder, lock, made_with)
    before = (folder / "journal.db").read_bytes()
    error = await failure(folder, lock if writer else None, opened_with)
    assert (code, False, 4) == (error.code, error.retryable, error.exit_code)
    assert str(folder / "journal.db") in error.message
    assert before == (folder / "journal.db").read_bytes()


async def test_nothing_is_printed_about_a_wrong_key(
    folder: Path, lock: DataLock, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library would write on the terminal behind the dashboard."""
    await write_journal(folder, lock, KEY)
    await failure(folder, lock, OTHER_KEY)
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("key", [None, KEY])
async def test_a_file_of_nonsense_is_refused(folder: Path, lock: DataLock, key: Key | None) -> None:
    """Whatever was copied there, it is not overwritten."""
    (folder / "journal.db").write_bytes(nonsense := b"not a database, but long enough to be one " * 1_000)
    error = await failure(folder, lock, key)
    assert ("store.wrong_key" if key else "store.not_a_database") == error.code
    assert nonsense == (folder / "journal.db").read_bytes()


async def test_a_damaged_file_is_corrupt(folder: Path, lock: DataLock) -> None:
    """Going on would write into the damage."""
    await write_journal(folder, lock)
    path = folder / "journal.db"
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3_000)
    error = await failure(folder, lock)
    assert isinstance(error, Corrupt)
    assert "restore a backup" in error.message


async def test_a_cut_file_is_corrupt(folder: Path, lock: DataLock) -> None:
    """A copy that was interrupted."""
    await write_journal(folder, lock)
    os.truncate(folder / "journal.db", 8_192)
    assert isinstance(await failure(folder, lock), Corrupt)


async def test_another_programs_database_is_left_alone(folder: Path, lock: DataLock) -> None:
    """AGENTFLOW_DATA may point anywhere."""
    driver.open_raw(folder / "journal.db").executescript("CREATE TABLE theirs(a)").connection.close()
    error = await failure(folder, lock)
    assert isinstance(error, Invalid)
    assert "store.foreign_database" == error.code


async def test_a_reader_does_not_make_a_file(folder: Path) -> None:
    """`af runs list` before the first run says that there is nothing."""
    error = await failure(folder, None)
    assert isinstance(error, NotFound)
    assert not folder.exists()


async def test_a_file_without_permission_is_refused(folder: Path, lock: DataLock) -> None:
    """Nobody but root could tell it from an empty one."""
    (folder / "journal.db").mkdir()
    error = await failure(folder, lock)
    assert isinstance(error, Unavailable)


READ_ONLY = """
import asyncio, pathlib, sys
from runtime.store.journal import journal_database
from runtime.store.lock import DataLock, hold
folder = pathlib.Path(sys.argv[1])
try:
    lock = hold(folder, what="test", now_us=0)
except Exception as error:
    print(f"{type(error).__name__} {error}")
try:
    asyncio.run(journal_database(folder, lock=DataLock(folder, -1)).start())
except Exception as error:
    print(f"{type(error).__name__} {error}")
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to mount a folder read-only")
@pytest.mark.parametrize("has_journal", [True, False])
async def test_a_read_only_folder_is_named(folder: Path, lock: DataLock, has_journal: bool) -> None:
    """A disk that was remounted after an error, or a container without a volume."""
    if has_journal:
        await write_journal(folder, lock)
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" "$1" && exec "$2" -c "$3" "$1"'
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", str(folder), sys.executable, READ_ONLY],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in ended.stderr or "mount:" in ended.stderr:
        pytest.skip(f"this machine does not let tests mount: {ended.stderr.strip()}")
    locking, opening = ended.stdout.splitlines()
    assert locking.startswith("Unusable store.read_only")
    assert opening.startswith("Unusable store.read_only")
    assert "AGENTFLOW_DATA" in opening
