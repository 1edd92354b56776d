"""Copies a journal's file while it is in use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import Conflict
from runtime.store.failures import translate
from runtime.store.verification import Verified, verify

if TYPE_CHECKING:
    import sqlite3


def back_up(connection: sqlite3.Connection, target: Path, open_copy: Callable[[Path], sqlite3.Connection]) -> Verified:
    """Copy, verify, sync, then give the copy its name. The copy is compact, readable by its owner alone, and keeps
    the key. Raises Conflict when `target` exists.
    """
    if target.exists():
        raise Conflict("backup.exists", f"{target} exists already; name another file, or move it away first")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection.execute("PRAGMA query_only=OFF")  # else it refuses to write even another file
        connection.execute("VACUUM INTO ?", (str(partial),))
        verified = _verify(partial, open_copy)
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
        return verified
    except OSError as error:
        raise translate(error, target) from None
    finally:
        partial.unlink(missing_ok=True)


def _verify(copy: Path, open_copy: Callable[[Path], sqlite3.Connection]) -> Verified:
    connection = open_copy(copy)
    try:
        return verify(connection, None)
    finally:
        connection.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
