"""Which files of a project have changed: their times and sizes, compared. Looks, and never reads or writes."""

import os
import stat
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from runtime.ports import Sleep

EVERY_S = 0.5
MAX_FILES = 5_000
"""As many as a definition may name."""

Stamps = Mapping[str, tuple[int, int]]
"""Relative path → time of change in nanoseconds and size."""


def look(folder: Path) -> Stamps:
    """The files of a folder and below, without those whose names or folders begin with a dot, and Python's caches."""
    found: dict[str, tuple[int, int]] = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(files):
            if name.startswith(".") or name.endswith(("~", ".pyc", ".part", ".swp")):
                continue
            path = Path(parent, name)
            try:
                stamp = path.stat()
            except OSError:  # it was there a moment ago
                continue
            if not stat.S_ISREG(stamp.st_mode):  # reading a pipe would wait for ever
                continue
            found[path.relative_to(folder).as_posix()] = (stamp.st_mtime_ns, stamp.st_size)
            if len(found) >= MAX_FILES:
                return found
    return found


def changed(before: Stamps, after: Stamps) -> tuple[str, ...]:
    """The files that were written, added or removed, by name."""
    return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))


async def changes(
    folder: Path, before: Stamps, sleep: Sleep, *, every_s: float = EVERY_S
) -> AsyncGenerator[tuple[str, ...], None]:
    """The files that change, as often as some do; one that is still being written is told when it rests.

    `before`: a look at the folder that was taken before anything in it was read, so that no save in between is lost.

    A save by an editor is several steps: what has changed is told when a second look finds nothing new.
    """
    while True:
        await sleep(every_s)
        after = look(folder)
        if not changed(before, after):
            continue
        while True:
            await sleep(every_s / 4)
            settled = look(folder)
            if not changed(after, settled):
                break
            after = settled
        if names := changed(before, settled):
            yield names
        before = settled
