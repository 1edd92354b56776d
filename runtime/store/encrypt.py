"""Turns the plain database files of a data folder into encrypted ones. Nothing else may have them open.

A file is copied, checked, and only then replaced, so that a crash leaves the plain one or the encrypted one, whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from runtime.domain.ids import TenantId
from runtime.errors import Corrupt, Unavailable
from runtime.store import driver
from runtime.store.failures import translate
from runtime.store.key import Key, key_in
from runtime.store.lock import DataLock
from runtime.store.vaults import KEY_FILE, PREFIX, SUFFIX, vault_key

if TYPE_CHECKING:
    import sqlite3

FILES = ("journal.db", "memory.db")
_KEPT_PRAGMAS = ("user_version", "application_id")


def encrypt_folder(folder: Path, key: Key, *, lock: DataLock) -> Sequence[str]:
    """Encrypt what is plain; return the names of the files that were. Durable when this returns.

    Vaults, which have a key of their own where the databases are plain, get theirs from `key` too. Raises Unavailable
    for a file that another key encrypts, Corrupt for one that is damaged, StoreFull.
    """
    assert lock is not None, "whoever calls holds the folder"
    done = [name for name in FILES if (folder / name).exists() and _encrypt(folder / name, key)]
    own = folder / KEY_FILE
    if own.exists():
        before = key_in(own, named_by=f"the vaults of {folder}")
        for path in sorted(folder.glob(f"{PREFIX}*{SUFFIX}")):
            tenant = TenantId(unquote(path.name.removeprefix(PREFIX).removesuffix(SUFFIX)))
            _change_key(path, vault_key(before, tenant), vault_key(key, tenant))
            done.append(path.name)
        own.unlink()  # what it opened, it opens no more
    _sync(folder)
    return done


def _encrypt(path: Path, key: Key) -> bool:
    """False: it was encrypted with this key already."""
    try:
        driver.open_raw(path, key=key, writer=False).close()
    except Unavailable as error:
        if error.code != "store.not_encrypted":
            raise
    else:
        return False
    draft = path.with_name(f"{path.name}.encrypting")
    driver.remove(draft)
    plain = driver.open_raw(path)
    try:
        plain.execute("PRAGMA journal_mode=DELETE")  # all of it is in the one file then
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(plain, draft, key)
        counts = _counts(plain)
    except BaseException as error:
        driver.remove(draft)
        raise translate(error, path, writing=True) if isinstance(error, Exception) else error from None
    finally:
        plain.close()
    _check(draft, key, counts)
    _sync(draft)
    os.replace(draft, path)
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    return True


def _copy(plain: sqlite3.Connection, draft: Path, key: Key) -> None:
    plain.execute(f"ATTACH DATABASE ? AS target KEY \"x'{key.reveal()}'\"", (str(draft),))
    plain.execute("SELECT sqlcipher_export('target')").fetchone()
    for name in _KEPT_PRAGMAS:
        value = int(plain.execute(f"PRAGMA main.{name}").fetchone()[0])
        plain.execute(f"PRAGMA target.{name} = {value}")
    plain.execute("DETACH DATABASE target")


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Rows of each table that needs no extension to be read."""
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    ).fetchall()
    return {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for (name,) in tables}


def _check(draft: Path, key: Key, counts: dict[str, int]) -> None:
    copy = driver.open_raw(draft, key=key, writer=False)
    try:
        faults = copy.execute("PRAGMA cipher_integrity_check").fetchall()
        if faults or _counts(copy) != counts:
            raise Corrupt("store.bad_copy", f"the encrypted copy {draft} is not what was copied; the plain file stays")
    finally:
        copy.close()


def _change_key(path: Path, before: Key, after: Key) -> None:
    try:
        connection = driver.open_raw(path, key=before)
    except Unavailable as error:
        if error.code != "store.wrong_key":
            raise
        driver.open_raw(path, key=after, writer=False).close()  # an earlier attempt came this far
        return
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f"PRAGMA rekey = \"x'{after.reveal()}'\"")
    finally:
        connection.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
