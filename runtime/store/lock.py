"""One writing process per data folder, by an advisory lock that dies with its holder.

Readers need no lock. The file stays when the lock is released: removing it would let two processes lock two files
of one name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from runtime.domain.journal import rfc3339
from runtime.errors import Unavailable, Unusable
from runtime.store.failures import translate

LOCK_FILE = "lock"


class Holder(msgspec.Struct, frozen=True):
    """What the lock file says about who holds it."""

    pid: int
    what: str
    """The command, such as `af serve`."""
    since: str
    """RFC 3339."""


class DataLock:
    """The right to write in a data folder, until `release` or the end of the process."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others write. Safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> DataLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def hold(folder: Path, *, what: str, now_us: int) -> DataLock:
    """Take the folder's lock, making the folder (mode 0700) where it is missing.

    Raises Unavailable `data.locked`, naming the holder, when another process or another part of this one has it.
    """
    path = folder / LOCK_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise translate(error, path) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _sign(descriptor, Holder(os.getpid(), what, rfc3339(now_us)))
    except BlockingIOError:
        os.close(descriptor)
        raise _taken(folder, holder(folder)) from None
    except OSError as error:
        os.close(descriptor)
        raise translate(error, path) from None
    return DataLock(folder, descriptor)


def is_held(folder: Path) -> bool:
    """Whether some process may write in the folder now; changes nothing."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(folder: Path) -> Holder | None:
    """Who took the folder's lock last; None when nobody did or the file says nothing readable."""
    try:
        return msgspec.json.decode((folder / LOCK_FILE).read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def _sign(descriptor: int, holder: Holder) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, msgspec.json.encode(holder) + b"\n", 0)


def _taken(folder: Path, holder: Holder | None) -> Unavailable:
    by = f"{holder.what!r} (pid {holder.pid}) since {holder.since}" if holder else "another process"
    return Unusable(
        "data.locked",
        f"the data folder {folder} is in use by {by}. Stop that process, talk to it through its API, "
        "or set AGENTFLOW_DATA to another folder",
        holder=holder,
    )
