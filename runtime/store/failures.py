"""What SQLite and the operating system report about a database file, in the words of the one tree of errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from runtime.errors import AgentFlowError, Corrupt, NotFound, StoreFull, Unavailable, Unusable

# Result codes of https://sqlite.org/rescode.html
_READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 8, 10, 11, 13, 14, 26
_NO_ROOM_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_NO_ROOM_TEXT = "takes no more: the disk is full, over its quota, or broken; nothing of this write was kept. Make room"
_READ_ONLY_TEXT = "cannot be written: the file, its folder or the disk is read-only. Choose another AGENTFLOW_DATA"

_MEANINGS: dict[int, tuple[type[AgentFlowError], str, str]] = {
    3: (Unavailable, "store.no_permission", "may not be opened by this user"),
    5: (Unavailable, "store.busy", "was locked by another process for more than 5 s; try again"),
    6: (Unavailable, "store.busy", "was locked by another connection; try again"),
    _READONLY: (Unusable, "store.read_only", _READ_ONLY_TEXT),
    _IOERR: (Unavailable, "store.io_error", "cannot be read or written: the disk reports an error. Check the disk"),
    _CORRUPT: (Corrupt, "store.corrupt", "is damaged. Stop, keep the file, and restore a backup"),
    _CANTOPEN: (Unavailable, "store.cannot_open", "cannot be opened. Check that its folder exists and is writable"),
    15: (Unavailable, "store.no_locks", "is on a file system without working locks. Keep it on a local disk"),
    _NOTADB: (
        Unavailable,
        "store.not_a_database",
        "is not a database, or it is encrypted. If it is encrypted, name its key in AGENTFLOW_DB_KEY_FILE",
    ),
}
_WRONG_KEY = "cannot be opened with this key: another key made it, or it is not a database. Check AGENTFLOW_DB_KEY_FILE"
_RETRYABLE = {5, 6}


def translate(error: Exception, path: Path, *, has_key: bool = False, writing: bool = False) -> Exception:
    """The error to raise for one that SQLite or the system raised about `path`.

    What is a mistake of ours (bad SQL, a broken constraint) comes back as it is.
    """
    if isinstance(error, OSError):
        return _of_system(error, path)
    code = _code(error)
    # SQLite says FULL for a full disk alone; a quota, a limit on file sizes and a broken disk are all I/O errors to it
    if code == _FULL or (writing and code == _IOERR):
        return StoreFull("store.full", f"{path} {_NO_ROOM_TEXT}")
    if code == _NOTADB and has_key:
        return Unavailable("store.wrong_key", f"{path} {_WRONG_KEY}", retryable=False)
    if code not in _MEANINGS:
        return error
    if code == _CANTOPEN and path.parent.exists() and not os.access(path.parent, os.W_OK):
        code = _READONLY  # the file could be opened, but the log beside it could not be made
    kind, name, text = _MEANINGS[code]
    return kind(name, f"{path} {text} (SQLite: {error})", retryable=code in _RETRYABLE)


def concerns_every_write(error: Exception) -> bool:
    """Whether it is the disk that failed, so that the whole transaction is lost and not one statement of it."""
    return _code(error) in {_IOERR, _CORRUPT, _FULL}


def _code(error: Exception) -> int:
    """The primary result code of an SQLite error; 0 for any other."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _of_system(error: OSError, path: Path) -> AgentFlowError:
    if error.errno in _NO_ROOM_ERRNO:
        return StoreFull("store.full", f"{path} {_NO_ROOM_TEXT}")
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return Unusable("store.read_only", f"{path} {_READ_ONLY_TEXT} ({error.strerror})")
    if error.errno == errno.ENOENT:
        return NotFound("store.missing", f"{path} does not exist")
    return Unavailable("store.cannot_open", f"{path} cannot be opened: {error.strerror}", retryable=False)
