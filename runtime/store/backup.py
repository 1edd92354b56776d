"""Copies a journal's file while it is in use."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import Conflict
from runtime.store import driver
from runtime.store.database import Database
from runtime.store.failures import translate
from runtime.store.verification import Verified, verify

if TYPE_CHECKING:
    import sqlite3


async def back_up(database: Database, target: Path) -> Verified:
    """Copy, verify, sync, then give the copy its name.

    The copy is compact, readable by its owner alone, and keeps the key. Raises Conflict when `target` exists.
    """
    if target.exists():
        raise Conflict("backup.exists", f"{target} exists already; name another file, or move it away first")
    partial = target.with_name(f"{target.name}.partial")
    try:
        await database.aside(lambda connection: _copy(connection, partial))
        verified = await database.aside(lambda connection: verify(connection, None), path=partial)
        await asyncio.to_thread(_publish, partial, target)
        return verified
    finally:
        driver.remove(partial)


def _copy(connection: sqlite3.Connection, partial: Path) -> None:
    import sqlite3  # the bundled one: a connection exists

    try:
        driver.remove(partial)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection.execute("PRAGMA query_only=OFF")  # else it refuses to write even another file
        connection.execute("VACUUM INTO ?", (str(partial),))
    except (sqlite3.Error, OSError) as error:
        raise translate(error, partial, writing=True) from None


def _publish(partial: Path, target: Path) -> None:
    try:
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise translate(error, target) from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
