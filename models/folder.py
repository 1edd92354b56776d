"""The model folder: one read-only folder per model, with a manifest that holds the hash of every file.

    models/
      smollm2-135m-instruct/  manifest.json  model.gguf
      all-minilm-l6-v2/       manifest.json  model.onnx  tokenizer.json

A model appears by one rename, so it is there completely or not at all. Nothing here opens a connection or
reads what a model file means.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

import msgspec

from models.catalog import CATALOG, Kind
from runtime.errors import Conflict, Invalid, NotFound, StoreFull, Unavailable, Unusable

MANIFEST = "manifest.json"
FILES: Mapping[Kind, tuple[str, ...]] = {"chat": ("model.gguf",), "embedding": ("model.onnx", "tokenizer.json")}
"""The files of each kind of model, by the names they have in its folder."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_STAGING = ".incoming-"


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model."""

    name: str
    size_bytes: int
    sha256: str
    """64 hex digits."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is and which bytes it consists of."""

    version: int = 1
    name: str
    kind: Kind
    licence: str
    """SPDX identifier; `unknown` when nobody said."""
    context_tokens: int
    about: str = ""
    source: str = ""
    """Where it came from: packages with their versions, or the name of the file that was added."""
    added_at: datetime
    files: tuple[ModelFile, ...]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


def list_models(folder: Path) -> list[Manifest]:
    """Every model with a readable manifest, by name. Files are not hashed: `verify` does that."""
    models = []
    for name in model_names(folder):
        with suppress(Invalid):
            models.append(find(folder, name))
    return models


def model_names(folder: Path) -> list[str]:
    """The names of all models in the folder, damaged ones included."""
    return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}") if _NAME.fullmatch(path.parent.name))


def find(folder: Path, name: str) -> Manifest:
    """The manifest of one model. Raises NotFound, or Invalid when it can't be read."""
    path = folder / _checked(name) / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise NotFound(
            "model.not_installed",
            f"model {name!r} is not in {folder}. {_ways_here(name)}",
            model=name,
        ) from None
    except (msgspec.DecodeError, OSError) as error:
        raise _corrupt(name, f"{MANIFEST} can't be read: {error}") from None
    if manifest.name != name or manifest.version != 1 or tuple(f.name for f in manifest.files) != FILES[manifest.kind]:
        raise _corrupt(name, f"{MANIFEST} describes another model, or was written by a newer version")
    return manifest


def _ways_here(name: str) -> str:
    """How to get a model that is not here."""
    by_stick = "af models add FILE"
    if any(known.name == name for known in CATALOG):
        return f"Fetch it with: af models fetch {name}, or bring it on a stick: {by_stick}"
    return f"Those that are: af models list. Add this one with: {by_stick} --name {name}"


def verify(folder: Path, name: str) -> Manifest:
    """The manifest, when every file has the size and hash it names. Raises NotFound, or Invalid for a damaged one."""
    manifest = find(folder, name)
    for file in manifest.files:
        check_file(folder / name / file.name, file, model=name)
    return manifest


def check_file(path: Path, expected: ModelFile, *, model: str) -> None:
    """Hash a file and compare. Raises Invalid, saying what was found."""
    try:
        found = measure(path)
    except OSError as error:
        raise _corrupt(model, f"{path.name} can't be read: {error.strerror}") from None
    if found.size_bytes != expected.size_bytes:
        sizes = f"{found.size_bytes:,} bytes instead of {expected.size_bytes:,}"
        raise _corrupt(model, f"{path.name} has {sizes}")
    if found.sha256 != expected.sha256:
        raise _corrupt(model, f"{path.name} has sha256 {found.sha256[:16]}… instead of {expected.sha256[:16]}…")


def measure(path: Path) -> ModelFile:
    """Size and hash of a file as it is. Raises OSError."""
    with path.open("rb") as stream:
        sha256 = file_digest(stream, "sha256").hexdigest()
        return ModelFile(path.name, os.fstat(stream.fileno()).st_size, sha256)


def remove(folder: Path, name: str) -> Manifest | None:
    """Take a model away; return its manifest when that was readable. Raises NotFound."""
    home = folder / _checked(name)
    if not home.is_dir():
        find(folder, name)
    try:
        manifest = find(folder, name)
    except Invalid:
        manifest = None
    with exclusive(folder):
        doomed = folder / f"{_STAGING}removed-{name}"
        home.rename(doomed)
        shutil.rmtree(doomed)
    return manifest


@contextmanager
def exclusive(folder: Path, *, is_patient: bool = True) -> Iterator[None]:
    """Hold the folder's lock, so that one program at a time changes it; make the folder, clear out leftovers.

    `is_patient`: wait for another program that has it; otherwise that is Unavailable. Raises Unavailable when the
    folder can't be written, StoreFull when the disk runs full inside.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX if is_patient else fcntl.LOCK_EX | fcntl.LOCK_NB)
            for leftover, back in unfinished(folder):
                leftover.rename(folder / back) if back else shutil.rmtree(leftover)
            yield
    except OSError as error:
        raise _unwritable(folder, error) from None


def unfinished(folder: Path) -> list[tuple[Path, str]]:
    """What a program that was killed left in a folder, and the model that it must become again, else empty.

    A model that was moved away to be replaced is whole; it counts where nothing has its name.
    """
    replaced = f"{_STAGING}replaced-"
    found = []
    for leftover in sorted(folder.glob(f"{_STAGING}*")):
        name = leftover.name.removeprefix(replaced) if leftover.name.startswith(replaced) else ""
        found.append((leftover, name if name and not (folder / name).exists() else ""))
    return found


@contextmanager
def staging(folder: Path, name: str) -> Iterator[Path]:
    """A folder to put the files of a new model in, gone again unless `install` was called. Needs the lock."""
    stage = folder / f"{_STAGING}{_checked(name)}"
    stage.mkdir()
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def install(folder: Path, stage: Path, manifest: Manifest) -> None:
    """Make a staged model the one of its name; an older one is replaced. Durable when it returns. Needs the lock."""
    (stage / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    for path in stage.iterdir():
        path.chmod(0o444)
        _sync(path)
    _sync(stage)
    home = folder / manifest.name
    if home.exists():
        home.rename(folder / f"{_STAGING}replaced-{manifest.name}")
    stage.rename(home)
    _sync(folder)
    shutil.rmtree(folder / f"{_STAGING}replaced-{manifest.name}", ignore_errors=True)


def file_time(path: Path) -> datetime:
    """When a file was last written, by its file system's clock."""
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)


def free_name(folder: Path, name: str) -> str:
    """`name`, checked. Raises Invalid for a bad one, Conflict when a model of that name is here."""
    if (folder / _checked(name)).exists():
        raise Conflict(
            "model.exists",
            f"a model {name!r} is already in {folder}. Give another name with --name, or: af models rm {name}",
            model=name,
        )
    return name


def missing(folder: Path, names: Sequence[str]) -> list[str]:
    """Those of `names` that are not in the folder, complete and unchanged."""
    absent = []
    for name in names:
        try:
            verify(folder, name)
        except Invalid:  # not there, or damaged
            absent.append(name)
    return absent


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid(
            "model.bad_name",
            f"{name!r} can't name a model; use up to 64 lower-case letters, digits, dots, dashes and underscores",
        )
    return name


def _corrupt(name: str, what: str) -> Invalid:
    advice = f"Nothing was loaded. Put it right with: af models rm {name}, then af models fetch or af models add"
    return Invalid("model.corrupt", f"model {name!r}: {what}. {advice}", model=name)


def _unwritable(folder: Path, error: OSError) -> Unavailable:
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return StoreFull("model.disk_full", f"no space left for models in {folder}. Free some, then run it again")
    return Unusable(
        "model.folder_unwritable",
        f"{folder} can't be written: {error.strerror}. Make it writable, or point AGENTFLOW_MODELS elsewhere",
        retryable=False,
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
