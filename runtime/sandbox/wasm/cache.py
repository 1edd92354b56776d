"""Compiled modules on disk. Loading one is running its machine code, so the folder is ours alone or is not used."""

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from runtime.errors import Unavailable


class Cache:
    """One folder, mode 0700, of files that only this user could have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Make the folder where there is none. Raises Unavailable where it is somebody else's, or open to others."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = self.folder.lstat()
        except OSError as error:
            raise Unavailable("sandbox.no_cache", f"{self.folder} cannot be used: {error.strerror}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise Unavailable(
                "sandbox.cache_open",
                f"{self.folder} must be a folder of the appliance's own user with mode 0700, since what lies in it is "
                "run; remove it, and it is made anew",
                retryable=False,
            )

    def path(self, module: bytes, mark: str) -> Path:
        """Where the machine code of a module is, or will be; `mark`: of all else that decides it."""
        digest = sha256(mark.encode())
        digest.update(b"\0")
        digest.update(module)
        return self.folder / f"{digest.hexdigest()}.cwasm"

    def holds(self, path: Path) -> bool:
        """Whether it is there, whole, and written by us."""
        try:
            found = path.lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077

    def keep(self, part: Path, path: Path) -> None:
        """Put a file that was written in full into its place, durably."""
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)

    def drop(self, path: Path) -> None:
        """Forget one."""
        with suppress(FileNotFoundError):
            path.unlink()
