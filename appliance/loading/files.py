"""The project files that a definition names: found inside its folder, read, and hashed.

Nothing outside the folder is ever opened, whatever a name or a link says.
"""

import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from runtime.errors import Invalid, NotFound

MAX_TOTAL_BYTES = 50 * 1_000_000
"""All files of one definition together."""
MAX_FILES = 5_000
_BLOCK_BYTES = 1_048_576


class ProjectFiles:
    """The files of one definition; those that `keep` was called for are part of its hash."""

    def __init__(self, folder: Path | None, *, stored: Mapping[str, str] | None = None) -> None:
        """`stored`: the hashes that a stored definition carries; its files are not looked at again."""
        self._folder = folder
        self._kept: dict[str, str] = dict(stored or {})
        self._total_bytes = 0
        self.are_stored = stored is not None

    @property
    def hashes(self) -> Mapping[str, str]:
        """Relative path → sha256 in hex, by path."""
        return dict(sorted(self._kept.items()))

    def beside(self) -> "ProjectFiles":
        """The same folder for another definition, with none of its files kept yet."""
        return ProjectFiles(self._folder)

    def find(self, name: str) -> Path:
        """The file or folder of a relative name. Raises NotFound, or Invalid when it lies outside or is no file."""
        relative = Path(name)
        if "\0" in name or relative.is_absolute() or ".." in relative.parts or relative == Path("."):
            raise Invalid(
                "file.outside", f"{name!r} must be a relative path inside the definition's folder, without '..'"
            )
        if self._folder is None or self.are_stored:
            raise NotFound("file.not_found", f"{name!r} does not exist in the definition's folder")
        found = self._folder / relative
        self._check_inside(found, name)
        if not os.path.exists(found):
            raise NotFound("file.not_found", f"{name!r} does not exist in the definition's folder")
        if not found.is_file() and not found.is_dir():
            raise Invalid("file.not_a_file", f"{name!r} is neither a file nor a folder")
        return found

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """The first `max_bytes` bytes of a file, and one more when there are more."""
        found = self.find(name)
        if found.is_dir():
            raise Invalid("file.not_a_file", f"{name!r} is a folder; name a file in it")
        try:
            with found.open("rb") as file:
                return file.read(max_bytes + 1)
        except OSError as error:
            raise Invalid("file.unreadable", f"{name!r} cannot be read: {error.strerror}") from None

    def keep(self, name: str) -> None:
        """Make a file, or every file in a folder, part of the definition.

        Files and folders whose names begin with a dot are left out, and `__pycache__` is.
        """
        if self.are_stored:
            return
        found = self.find(name)
        for path in _walk(found) if found.is_dir() else [found]:
            self._keep_file(path)

    def _keep_file(self, path: Path) -> None:
        assert self._folder is not None, "find() has looked"
        name = path.relative_to(self._folder).as_posix()
        self._check_inside(path, name)
        if name in self._kept or not path.is_file():
            return
        try:
            self._total_bytes += path.stat().st_size
            self._check_total(name)
            self._kept[name] = _sha256(path)
        except OSError as error:
            raise Invalid("file.unreadable", f"{name!r} cannot be read: {error.strerror}") from None

    def _check_inside(self, path: Path, name: str) -> None:
        assert self._folder is not None, "find() has looked"
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._folder)):
            raise Invalid("file.outside", f"{name!r} leads out of the definition's folder")

    def _check_total(self, name: str) -> None:
        if self._total_bytes > MAX_TOTAL_BYTES or len(self._kept) >= MAX_FILES:
            raise Invalid(
                "file.too_much",
                f"with {name!r} the files of this definition are more than {MAX_TOTAL_BYTES // 1_000_000} MB "
                f"or {MAX_FILES:,} files",
            )


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not _is_left_out(each))
        yield from (Path(parent, each) for each in sorted(files) if not _is_left_out(each))


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
