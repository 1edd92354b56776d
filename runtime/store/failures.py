"""What SQLite and the operating system report about a database file, in the words of the one tree of errors."""

from __future__ import annotations

import errno
from pathlib import Path

from runtime.errors import AgentFlowError, Corrupt, NotFound, StoreFull, Unavailable

# Result codes of https://sqlite.org/rescode.html
_IOERR, _CORRUPT, _FULL, _NOTADB = 10, 11, 13, 26
_IOERR_WRITE, _IOERR_SHMSIZE = _IOERR | 3 << 8, _IOERR | 19 << 8

# SQLite says FULL for a full disk alone; a quota and a file size limit come as a failed write
_NO_ROOM = {_FULL, _IOERR_WRITE, _IOERR_SHMSIZE}
_NO_ROOM_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_NO_ROOM_TEXT = "takes no more: the disk is full, over its quota, or broken; nothing of this write was kept. Make room"
_READ_ONLY_TEXT = "cannot be written: the file, its folder or the disk is read-only. Choose another AGENTFLOW_DATA"

_MEANINGS: dict[int, tuple[type[AgentFlowError], str, str]] = {
    3: (Unavailable, "store.no_permission", "may not be opened by this user"),
    5: (Unavailable, "store.busy", "was locked by another process for more than 5 s; try again"),
    6: (Unavailable, "store.busy", "was locked by another connection; try again"),
    8: (Unavailable, "store.read_only", _READ_ONLY_TEXT),
    _IOERR: (Unavailable, "store.io_error", "cannot be read or written: the disk reports an error. Check the disk"),
    _CORRUPT: (Corrupt, "store.corrupt", "is damaged. Stop, keep the file, and restore a backup"),
    14: (Unavailable, "store.cannot_open", "cannot be opened. Check that its folder exists and is writable"),
    15: (Unavailable, "store.no_locks", "is on a file system without working locks. Keep it on a local disk"),
    _NOTADB: (
        Unavailable,
        "store.not_a_database",
        "is not a database, or it is encrypted. If it is encrypted, name its key in AGENTFLOW_DB_KEY_FILE",
    ),
}
_WRONG_KEY = "cannot be opened with this key: another key made it, or it is not a database. Check AGENTFLOW_DB_KEY_FILE"
_RETRYABLE = {5, 6}


def translate(error: Exception, path: Path, *, has_key: bool = False) -> Exception:
    """The error to raise for one that SQLite or the system raised about `path`.

    What is a mistake of ours (bad SQL, a broken constraint) comes back as it is.
    """
    if isinstance(error, OSError):
        return _of_system(error, path)
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code in _NO_ROOM:
        return StoreFull("store.full", f"{path} {_NO_ROOM_TEXT}")
    if code == _NOTADB and has_key:
        return Unavailable("store.wrong_key", f"{path} {_WRONG_KEY}", retryable=False)
    if code & 0xFF not in _MEANINGS:
        return error
    kind, name, text = _MEANINGS[code & 0xFF]
    return kind(name, f"{path} {text} (SQLite: {error})", retryable=code & 0xFF in _RETRYABLE)


def concerns_every_write(error: Exception) -> bool:
    """Whether it is the disk that failed, so that the whole transaction is lost and not one statement of it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {_IOERR, _CORRUPT, _FULL}


def _of_system(error: OSError, path: Path) -> AgentFlowError:
    if error.errno in _NO_ROOM_ERRNO:
        return StoreFull("store.full", f"{path} {_NO_ROOM_TEXT}")
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return Unavailable("store.read_only", f"{path} {_READ_ONLY_TEXT} ({error.strerror})", retryable=False)
    if error.errno == errno.ENOENT:
        return NotFound("store.missing", f"{path} does not exist")
    return Unavailable("store.cannot_open", f"{path} cannot be opened: {error.strerror}", retryable=False)
