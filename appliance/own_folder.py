"""Folders of one process alone, gone with it.

The lock of one dies with its process. A process that was killed leaves its folder behind, and the next start removes
it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ATTEMPTS = 10

Locked = tuple[Path, int]
"""A folder, and the descriptor that holds its lock."""


@contextmanager
def temporary_folder(what: str) -> Iterator[Path]:
    """A temporary folder for the length of the block; leftovers of the same kind go first."""
    parent = Path(tempfile.gettempdir())
    prefix = f"agentflow-{what}-{os.getuid()}-"
    remove_leftovers(parent, prefix)
    locked = made(parent, prefix)
    folder = locked[0] if locked is not None else Path(tempfile.mkdtemp(prefix=prefix))  # where nothing can be locked
    try:
        yield folder
    finally:
        if locked is not None:
            remove(*locked)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove what processes of this user left behind that have ended."""
    for folder in parent.glob(f"{prefix}*"):
        descriptor = _lock(folder)
        if descriptor is not None:
            remove(folder, descriptor)


def made(parent: Path, prefix: str) -> Locked | None:
    """A folder of this process, with mode 0700; None where folders cannot be locked. Raises OSError."""
    for _ in range(_ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))
        descriptor = _lock(folder)
        if descriptor is not None:
            return folder, descriptor
        # another process is starting, and took it for a leftover before it was locked
        with suppress(OSError):
            folder.rmdir()
    return None


def remove(folder: Path, descriptor: int) -> None:
    """Remove a locked folder, and only then let go of its lock."""
    shutil.rmtree(folder, ignore_errors=True)
    os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Lock a folder of this user; its descriptor, or None when a process has it, or it has gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.fstat(descriptor).st_uid == os.getuid() and folder.exists()
    except OSError:
        is_ours = False
    if not is_ours:
        os.close(descriptor)
        return None
    return descriptor
