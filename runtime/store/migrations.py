"""Brings a database file to the schema of this program, and back.

A step is two files, `NNNN_name.sql` and `NNNN_name.down.sql`. Each runs in one transaction; the table
`schema_migration` keeps the SHA-256 of every step that was applied. Journal data is never rewritten here:
readers for its old versions stay in the code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import Corrupt, Invalid, Unavailable
from runtime.store import driver
from runtime.store.failures import concerns_every_write

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x41464C57
"""`AFLW`; `file` and other tools see it in bytes 68–71."""

_DOWN = ".down.sql"
# SQLite's own clock: when a step was applied is a note for people and decides nothing
_NOW_US = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
_LEDGER = """CREATE TABLE IF NOT EXISTS schema_migration(
  version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_us INTEGER NOT NULL
) STRICT"""


class Migration(NamedTuple):
    """One step of the schema."""

    version: int
    """From 1, without gaps."""
    name: str
    up: str
    down: str

    @property
    def sha256(self) -> str:
        """Hex digest of both scripts."""
        return sha256(f"{self.up}\0{self.down}".encode()).hexdigest()


def journal_steps() -> Sequence[Migration]:
    """The steps of the journal's file."""
    return steps(files("runtime.store") / "migrations")


def steps(folder: Traversable) -> Sequence[Migration]:
    """The steps in a folder of SQL files, in order."""
    scripts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".sql")}
    names = sorted(name.removesuffix(".sql") for name in scripts if not name.endswith(_DOWN))
    return [Migration(int(name[:4]), name, scripts[f"{name}.sql"], scripts[name + _DOWN]) for name in names]


def migrate(
    connection: sqlite3.Connection, known: Sequence[Migration], open_copy: Callable[[Path], sqlite3.Connection]
) -> None:
    """Apply the steps that are missing.

    A file that already holds data is copied beside itself first, and the copy must survive the way there and back.
    Raises Invalid for a newer or foreign file or an edited step, Corrupt when the rehearsal fails.
    """
    version = applied_version(connection, known)
    missing = known[version:]
    if missing and version > 0:
        _rehearse(connection, known, version, open_copy)
    for step in missing:
        apply(connection, step)


def require_current(connection: sqlite3.Connection, known: Sequence[Migration]) -> None:
    """Check that a file can be read as it is. Raises Unavailable when a writer must bring it up to date first."""
    version = applied_version(connection, known)
    if version < len(known):
        raise Unavailable(
            "store.outdated",
            f"{_path(connection)} has schema version {version}; this program reads {len(known)}. "
            "Start `af serve` once: it brings the file up to date",
            retryable=False,
        )


def applied_version(connection: sqlite3.Connection, known: Sequence[Migration]) -> int:
    """The schema version of a file, 0 when it is empty. Raises Invalid when other steps than `known` made it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return 0
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Invalid("store.foreign_database", f"{_path(connection)} is a database of another program")
    if version > len(known):
        raise Invalid(
            "store.newer_version",
            f"{_path(connection)} has schema version {version}; this program knows up to {len(known)}. "
            "Use the newer program that wrote it, or restore a backup",
        )
    ledger = connection.execute("SELECT name, sha256 FROM schema_migration ORDER BY version").fetchall()
    if ledger != [(step.name, step.sha256) for step in known[:version]]:
        raise Invalid(
            "store.edited_migration",
            f"{_path(connection)} was made by other schema steps than this program has: found "
            f"{[name for name, _ in ledger]}, expected {[step.name for step in known[:version]]} with the same content",
        )
    return version


def apply(connection: sqlite3.Connection, step: Migration) -> None:
    """Apply one step, all or nothing."""
    _run(
        connection,
        f"{_LEDGER};\n{step.up}\n"
        f"INSERT INTO schema_migration VALUES({step.version}, '{step.name}', '{step.sha256}', {_NOW_US});\n"
        f"PRAGMA application_id={APPLICATION_ID};\nPRAGMA user_version={step.version};",
    )


def revert(connection: sqlite3.Connection, step: Migration) -> None:
    """Take one step back, all or nothing; what only the newer schema could hold is lost."""
    _run(
        connection,
        f"{step.down}\nDELETE FROM schema_migration WHERE version={step.version};\n"
        f"PRAGMA user_version={step.version - 1};",
    )


def _rehearse(
    connection: sqlite3.Connection,
    known: Sequence[Migration],
    version: int,
    open_copy: Callable[[Path], sqlite3.Connection],
) -> None:
    copy = _path(connection).with_suffix(".rehearsal")
    driver.remove(copy)
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds what the file holds
        connection.execute("VACUUM INTO ?", (str(copy),))
        rehearsal = open_copy(copy)
        try:
            _there_and_back(rehearsal, known[version:])
        finally:
            rehearsal.close()
    finally:
        driver.remove(copy)


def _there_and_back(rehearsal: sqlite3.Connection, missing: Sequence[Migration]) -> None:
    before = _schema(rehearsal)
    try:
        for step in missing:
            apply(rehearsal, step)
        for step in reversed(missing):
            revert(rehearsal, step)
    except Exception as error:
        if concerns_every_write(error):
            raise
        raise _failed(str(error)) from error
    if _schema(rehearsal) != before:
        raise _failed("stepping back does not restore the schema")
    if rehearsal.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        raise _failed("the copy is damaged afterwards")


def _run(connection: sqlite3.Connection, script: str) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nCOMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def _failed(problem: str) -> Corrupt:
    return Corrupt(
        "store.migration_failed",
        f"the new schema was tried on a copy of the database and failed: {problem}. The database was not touched",
    )


def _path(connection: sqlite3.Connection) -> Path:
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])
