"""Loads the one SQLite of this process and opens database files with the settings they need.

Nothing else opens a database. Two copies of SQLite in one process drop each other's file locks, so `import sqlite3`
is made to mean the bundled library before anybody imports it, and never means another one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from runtime.errors import AgentFlowError, NotFound, Unavailable
from runtime.store.failures import translate
from runtime.store.key import Key

if TYPE_CHECKING:
    import sqlite3

MINIMUM_SQLITE = (3, 51, 3)
"""The first release that cannot lose committed pages when two connections checkpoint in the same instant."""

Synchronous = Literal["FULL", "NORMAL"]


def install() -> None:
    """Make `import sqlite3` mean the bundled SQLite in this process. Does nothing the second time.

    Raises Unavailable when another SQLite is loaded already, when the bundled one is missing, or when it is too old.
    """
    loaded = sys.modules.get("sqlite3")
    if loaded is None and "_sqlite3" not in sys.modules:
        driver = _bundled()
        sys.modules["sqlite3"] = sys.modules["sqlcipher3"]
        sys.modules["sqlite3.dbapi2"] = driver
    elif loaded is None or loaded is not sys.modules.get("sqlcipher3"):
        raise Unavailable(
            "store.two_sqlites",
            "the standard library's sqlite3 is already loaded in this process, and two SQLites in one process drop "
            "each other's locks; call runtime.store.driver.install() before anything imports sqlite3",
            retryable=False,
        )


def open_raw(
    path: Path, *, key: Key | None = None, writer: bool = True, sync: Synchronous = "FULL", cache_mib: int = 16
) -> sqlite3.Connection:
    """Open a database file; a writer creates it (mode 0600) and its folder (0700) where they are missing.

    The connection commits by itself outside BEGIN, may move between threads, and gives rows as tuples. A reader
    changes nothing. Raises NotFound, Unavailable (read-only, wrong key, no WAL), StoreFull or Corrupt.
    """
    install()
    import sqlite3

    if not writer and not path.exists():
        raise NotFound("store.missing", f"{path} does not exist; the first run, or `af serve`, makes it")
    try:
        if writer:
            _create(path)
        return _connect(path, key, writer=writer, sync=sync, cache_mib=cache_mib)
    except (sqlite3.Error, OSError) as error:
        if key is not None and _is_plain(path):
            raise Unavailable(
                "store.not_encrypted",
                f"{path} is not encrypted, but a key is set; unset AGENTFLOW_MASTER_KEY_FILE and "
                "AGENTFLOW_DB_KEY_FILE, or encrypt what is there: af encrypt",
                retryable=False,
            ) from None
        raise translate(error, path, has_key=key is not None) from None


def remove(path: Path) -> None:
    """Remove a database file that nobody has open, and what SQLite may have left beside it."""
    for beside in ("", "-journal", "-wal", "-shm"):
        path.with_name(f"{path.name}{beside}").unlink(missing_ok=True)


def _bundled() -> ModuleType:
    try:
        import sqlcipher3.dbapi2
    except ImportError as error:
        raise Unavailable(
            "store.no_driver",
            f"the bundled SQLite cannot be loaded ({error}); install 'sqlcipher3>=0.6.4'",
            retryable=False,
        ) from None
    found: tuple[int, ...] = sqlcipher3.dbapi2.sqlite_version_info
    if found < MINIMUM_SQLITE:
        raise Unavailable(
            "store.old_sqlite",
            f"SQLite {'.'.join(map(str, found))} can lose committed pages; "
            f"install 'sqlcipher3>=0.6.4', which brings {'.'.join(map(str, MINIMUM_SQLITE))} or newer",
            retryable=False,
        )
    driver: ModuleType = sqlcipher3.dbapi2
    return driver


def _create(path: Path) -> None:
    """Make the file with its final mode, so that the journal and its -wal are never readable by others."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # never open a file that SQLite may hold: closing it would drop this process's locks on it
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _connect(path: Path, key: Key | None, *, writer: bool, sync: Synchronous, cache_mib: int) -> sqlite3.Connection:
    import sqlite3

    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rw' if writer else 'ro'}",
        uri=True,
        isolation_level=None,
        cached_statements=256,
        check_same_thread=False,
    )
    try:
        if key is not None:
            _unlock(connection, key)
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # a wrong key fails here, not earlier
        if writer:
            _use_wal(connection, path)
        else:
            connection.execute("PRAGMA query_only=ON")
        for setting in (
            f"synchronous={sync}",
            f"cache_size=-{cache_mib * 1024}",
            "foreign_keys=ON",
            "mmap_size=0",
            "temp_store=MEMORY",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {setting}")
        return connection
    except BaseException:
        connection.close()
        raise


def _unlock(connection: sqlite3.Connection, key: Key) -> None:
    connection.execute("PRAGMA cipher_log_level=NONE")  # a wrong key would be printed about on stderr
    if connection.execute("PRAGMA cipher_version").fetchone() is None:
        raise Unavailable(
            "store.no_cipher",
            "a key is set, but this SQLite cannot encrypt; install 'sqlcipher3>=0.6.4'",
            retryable=False,
        )
    connection.execute(f"PRAGMA key=\"x'{key.reveal()}'\"")


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise Unavailable(
            "store.no_wal",
            f"{path} cannot use a write-ahead log (journal mode {mode!r}); is it on a network file system? "
            "Keep the data folder on a local disk",
            retryable=False,
        )
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    # far above a checkpoint's 16 MiB: a log that was cut must be extended again, which makes each sync dearer
    connection.execute("PRAGMA journal_size_limit=67108864")


def _is_plain(path: Path) -> bool:
    """Whether the file opens without a key. Asks SQLite: opening the file by hand would drop locks on closing it."""
    import sqlite3

    try:
        _connect(path, None, writer=False, sync="FULL", cache_mib=1).close()
    except (sqlite3.Error, OSError, AgentFlowError):
        return False
    return path.stat().st_size > 0
