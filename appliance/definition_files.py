"""The files of definitions: their bytes are in the journal, and a folder of them is laid out for agents to read.

A folder can go at any time; it is laid out anew. What was changed in one is noticed before the definition is first
used in a process, and undone.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath

from runtime.domain.canonical import encode
from runtime.domain.workflow import Workflow
from runtime.errors import Conflict, Corrupt, NotFound
from runtime.ports import StateStore
from runtime.store.failures import translate

FOLDER = "definitions"
"""In the data folder, where files are laid out when no database key is set."""
_PLAIN_FOLDERS = (FOLDER, "cache")

log = logging.getLogger(__name__)


class DefinitionFiles:
    """Keeps definitions with their files, and lays the files out."""

    def __init__(self, store: StateStore, root: Callable[[], Path]) -> None:
        """`root` names the folder to lay out in; it is asked when the first definition with files is used."""
        self._store = store
        self._root = root

    async def keep(self, workflow: Workflow, at_us: int, brought: Mapping[str, bytes] | None = None) -> None:
        """Keep the definition, and the files it names as they lie in its folder; durable when this returns.

        `brought`: files by the sha256 of their content in hex, where they lie in no folder here.
        Raises Conflict when a file is no longer what the definition was read with, or was not brought.
        """
        missing = await self._store.missing_files(list(workflow.files.values()))
        read = _read if brought is None else partial(_brought, brought=brought)
        contents = await asyncio.to_thread(read, workflow, missing) if missing else []
        document = encode(workflow.document)
        await self._store.save_definition(workflow.hash, workflow.name, document, at_us, files=contents)

    async def lay_out(self, workflow: Workflow) -> str:
        """The folder that holds the definition's files as they were kept, and nothing else; none without files.

        Raises NotFound when a file was never kept, Corrupt when a kept one is damaged, StoreFull or Unavailable.
        """
        if not workflow.files:
            return str(Path(os.devnull) / "no-files")  # exists nowhere, whereas "" would be the working directory
        folder = self._root() / workflow.hash.removeprefix("sha256:")[:32]
        if not await asyncio.to_thread(_holds, folder, workflow.files):
            if folder.exists():
                log.warning(
                    "the files of workflow %r in %s were changed; they are laid out anew from the journal",
                    workflow.name,
                    folder,
                )
            contents = {path: await self._content(workflow, path) for path in workflow.files}
            await asyncio.to_thread(_write, folder, contents)
        return str(folder)

    async def _content(self, workflow: Workflow, path: str) -> bytes:
        try:
            return await self._store.file(workflow.files[path])
        except NotFound:
            raise NotFound(
                "definition.files_missing",
                f"file {path!r} of workflow {workflow.name!r} ({workflow.hash}) is not in the journal. Run the "
                "workflow once more from its own folder, unchanged: it is kept then",
            ) from None


def remove_plain_copies(data: Path) -> None:
    """Remove what was laid out in a data folder before it had a database key; the journal has what is needed."""
    for name in _PLAIN_FOLDERS:
        if (data / name).is_dir():
            log.warning("a database key is set: removing %s, which holds files in the clear", data / name)
            shutil.rmtree(data / name, ignore_errors=True)


def _read(workflow: Workflow, wanted: Collection[str]) -> list[bytes]:
    """The files with these hashes, from the workflow's folder."""
    paths = {digest: path for path, digest in workflow.files.items() if digest in wanted}
    return [read_unchanged(workflow, path, digest) for digest, path in paths.items()]


def _brought(workflow: Workflow, wanted: Collection[str], *, brought: Mapping[str, bytes]) -> list[bytes]:
    """The same out of what was brought."""
    absent = [path for path, digest in workflow.files.items() if digest in wanted and digest not in brought]
    if absent:
        raise Conflict(
            "definition.file_absent", f"file {absent[0]!r} of workflow {workflow.name!r} was not sent with it"
        )
    return [brought[digest] for digest in wanted]


def read_unchanged(workflow: Workflow, path: str, digest: str) -> bytes:
    """A file of a workflow's folder. Raises Conflict when it is no longer what the definition was read with."""
    file = Path(workflow.folder) / path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise translate(error, file) from None
    if sha256(content).hexdigest() != digest:
        raise Conflict(
            "definition.file_changed",
            f"file {path!r} of workflow {workflow.name!r} changed while it was read; try again",
            retryable=True,
        )
    return content


def _holds(folder: Path, files: Mapping[str, str]) -> bool:
    """Whether a folder holds exactly these files (path → sha256): a stray module would be imported first."""
    if folder.is_symlink():
        return False
    found: dict[str, str] = {}
    for parent, folders, names in os.walk(folder):
        for name in [*names, *folders]:
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                return False
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = sha256(path.read_bytes()).hexdigest()
    return found == files


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put a folder with these files in the place of whatever is there; it appears whole or not at all."""
    draft = folder.with_name(f".draft-{folder.name}")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)  # a process was killed while it made it
        draft.mkdir(mode=0o700)
        for path, content in contents.items():
            _write_file(draft, path, content)
        _remove(folder)
        os.replace(draft, folder)
    except OSError as error:
        raise translate(error, folder) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_file(draft: Path, path: str, content: bytes) -> None:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise Corrupt("definition.file_outside", f"a stored definition names the file {path!r}, outside its folder")
    target = draft / path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
        file.write(content)


def _remove(place: Path) -> None:
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
