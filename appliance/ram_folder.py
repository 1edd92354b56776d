"""A folder in RAM, for files that may not lie on a disk in the clear."""

import os
from collections.abc import Sequence
from pathlib import Path

from appliance.own_folder import Locked, made, remove, remove_leftovers
from runtime.errors import Unusable

RAM = Path("/dev/shm")
MOUNTS = Path("/proc/self/mounts")
RAM_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})


class RamFolder:
    """A folder of this process and user alone, made when it is first asked for."""

    def __init__(self, parent: Path = RAM, *, mounts: Path = MOUNTS) -> None:
        """`mounts` lists the file systems as /proc/self/mounts does."""
        self._parent = parent
        self._mounts = mounts
        self._made: Locked | None = None

    def start(self) -> None:
        """Remove what processes of this user left behind that have ended."""
        remove_leftovers(self._parent, _prefix())

    def stop(self) -> None:
        """Remove the folder and all that is in it. Safe to call twice."""
        if self._made is not None:
            remove(*self._made)
            self._made = None

    def path(self) -> Path:
        """The folder, with mode 0700. Raises Unusable where there is no file system in RAM."""
        if self._made is None:
            self._require_ram()
            self._made = self._make()
        return self._made[0]

    def _make(self) -> Locked:
        try:
            locked = made(self._parent, _prefix())
        except OSError as error:
            raise self._unusable(f"takes no folder: {error.strerror}") from None
        if locked is None:
            raise self._unusable("does not let a folder be locked")
        return locked

    def _require_ram(self) -> None:
        lines = self._mounts.read_text().splitlines() if self._mounts.exists() else []
        found = _file_system_of(self._parent, lines)
        if found not in RAM_FILE_SYSTEMS:
            raise self._unusable(f"is {found or 'no file system that is known'}, not one in RAM")

    def _unusable(self, problem: str) -> Unusable:
        return Unusable(
            "ram.unusable",
            f"a database key is set, so project files may lie in RAM only, and {self._parent} {problem}. "
            f"Mount a tmpfs there: mount -t tmpfs -o mode=1777 tmpfs {self._parent}",
        )


def _prefix() -> str:
    return f"agentflow-{os.getuid()}-"


def _file_system_of(path: Path, mounts: Sequence[str]) -> str:
    """The type of the file system that holds `path`, by lines as in /proc/mounts (`device place type …`)."""
    holding = ""
    deepest = -1
    for line in mounts:
        _, place, kind, *_ = line.split(" ")
        # of two mounts on one place, the later one covers the earlier
        if path.is_relative_to(place) and len(Path(place).parts) >= deepest:
            holding, deepest = kind, len(Path(place).parts)
    return holding
