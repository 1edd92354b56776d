"""Bring a model into the model folder from a file or a folder, such as one on a stick.

The files are copied, hashed, and tried in a child process before the model appears: a damaged file takes that child
down, not this program. Nothing here opens a connection.
"""

import asyncio
import re
import shutil
from pathlib import Path

import msgspec

from models import folder as models_folder
from models.catalog import CATALOG, Kind, KnownModel
from models.folder import FILES, Manifest, ModelFile
from models.host import WorkerHost
from models.llama_library import check_magic
from models.wire import Inspect, Inspected
from runtime.errors import Invalid, NotFound, Unavailable


def add(source: Path, folder: Path, *, name: str | None = None, kind: Kind | None = None) -> Manifest:
    """Copy a model in and return its manifest; adding the same files again returns the one that is there.

    `source`: a `.gguf` file (chat), or a folder with model.onnx and tokenizer.json (embedding) or with model.gguf,
    such as a model's folder of another appliance. Not to be called from a running event loop.
    Raises NotFound, Invalid (not a model, or damaged), Conflict (name taken), Unavailable (folder, engine).
    """
    files = _files(source, kind)
    kind = "embedding" if "model.onnx" in files else "chat"
    if kind == "chat":
        check_magic(files["model.gguf"])
    measured = tuple(_measured(name, path) for name, path in files.items())
    known = _own_manifest(source, measured) or _known(measured)
    name = name or (known.name if known else _name_from(source))
    twin = _twin(folder, name, measured)
    if twin:
        return twin
    models_folder.free_name(folder, name)
    with models_folder.exclusive(folder), models_folder.staging(folder, name) as stage:
        for expected in measured:
            shutil.copyfile(files[expected.name], stage / expected.name)
            models_folder.check_file(stage / expected.name, expected, model=name)
        found = _tried(kind, stage, source)
        manifest = Manifest(
            name=name,
            kind=kind,
            licence=known.licence if known else found.licence,
            context_tokens=known.context_tokens if known else found.context_tokens,
            about=known.about if known else found.about,
            source=source.name,
            added_at=models_folder.file_time(stage / measured[0].name),
            files=measured,
        )
        models_folder.install(folder, stage, manifest)
    return manifest


def _files(source: Path, kind: Kind | None) -> dict[str, Path]:
    """The model's files by the names they get here."""
    if not source.exists():
        raise NotFound("model.no_such_file", f"there is no file or folder {source}")
    if source.is_file():
        if kind == "embedding":
            raise Invalid(
                "model.needs_folder",
                f"{source.name}: an embedding model is a folder with model.onnx and tokenizer.json",
            )
        return {FILES["chat"][0]: source}
    kinds: tuple[Kind, ...] = (kind,) if kind else ("chat", "embedding")
    for each in kinds:
        files = {name: source / name for name in FILES[each]}
        if all(path.is_file() for path in files.values()):
            return files
    expected = " or ".join(" and ".join(FILES[each]) for each in kinds)
    raise Invalid("model.not_a_model_folder", f"{source} holds no model: expected {expected} in it")


def _measured(name: str, path: Path) -> ModelFile:
    try:
        found = models_folder.measure(path)
    except OSError as error:
        raise Invalid("model.unreadable_file", f"{path} can't be read: {error.strerror}") from None
    return ModelFile(name, found.size_bytes, found.sha256)


def _own_manifest(source: Path, files: tuple[ModelFile, ...]) -> Manifest | None:
    """The manifest that a model's folder from another appliance brings. Raises Invalid when its files differ."""
    try:
        manifest = msgspec.json.decode((source / models_folder.MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None
    if manifest.files != files:
        raise Invalid(
            "model.damaged",
            f"the files in {source} are not those that its manifest names; copy it again",
        )
    return manifest


def _known(files: tuple[ModelFile, ...]) -> KnownModel | None:
    """The catalogue's entry of exactly these bytes."""
    hashes = {file.sha256 for file in files}
    return next((model for model in CATALOG if {source.sha256 for source in model.sources} == hashes), None)


def _name_from(source: Path) -> str:
    stem = source.stem if source.is_file() else source.name
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64]
    if not name:
        raise Invalid("model.no_name", f"{source.name!r} makes no name for a model; give one with --name")
    return name


def _twin(folder: Path, name: str, files: tuple[ModelFile, ...]) -> Manifest | None:
    try:
        there = models_folder.verify(folder, name)
    except NotFound:
        return None
    return there if there.files == files else None


def _tried(kind: Kind, stage: Path, source: Path) -> Inspected:
    try:
        return asyncio.run(_inspect(kind, stage))
    except Unavailable as error:
        if error.code != "model.worker_died":
            raise
        died = str(error.facts.get("signal") or "an error")
        raise Invalid(
            "model.kills_engine", f"{source.name} ends the model engine ({died}); nothing was added"
        ) from None


async def _inspect(kind: Kind, stage: Path) -> Inspected:
    host = WorkerHost(None)
    try:
        found = await host.call(Inspect(kind=kind, folder=str(stage.absolute())))
    finally:
        await host.stop()
    assert isinstance(found, Inspected)
    return found
