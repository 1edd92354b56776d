"""A project in one file, to be carried to where it is deployed: a zip with a manifest of hashes.

Format 1: first `agentflow.json`, `{"format": "agentflow.project", "v": 1, "name": …, "definition": HASH, "files":
{path: sha256}}`, then the files by their path. Equal projects give equal bytes: times, owners and modes are left out.
"""

import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath

import msgspec

from appliance import watching
from appliance.loader import FILE
from runtime.domain.canonical import encode
from runtime.domain.ids import DefinitionHash
from runtime.domain.workflow import Workflow
from runtime.errors import Conflict, Corrupt, Invalid
from runtime.store.failures import translate

FORMAT = "agentflow.project"
VERSION = 1
MANIFEST = "agentflow.json"
MAX_BYTES = 200 * 1_000_000
"""Of all files together."""
MAX_MANIFEST_BYTES = 10 * 1_000_000
"""5,000 files with the longest paths that systems take, and their hashes."""
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those whose unpacking stops at the size that was announced."""
_TIME = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can hold."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds."""

    format: str
    v: int
    name: str
    definition: DefinitionHash
    files: dict[str, str]


def bundle(folder: Path, workflow: Workflow) -> bytes:
    """The files of a project, without hidden ones, caches and earlier bundles.

    Raises Invalid for more than 200 MB, Conflict for a file that changed since the workflow was read, Unusable.
    """
    found = watching.look(folder)
    if len(found) >= watching.MAX_FILES or sum(size for _, size in found.values()) > MAX_BYTES:
        most = f"{MAX_BYTES // 1_000_000} MB or {watching.MAX_FILES:,} files"
        raise Invalid("bundle.too_large", f"{folder} has more than {most}; take out what can be made again")
    # a folder of articles may hold what looks like an editor's leftover, and the definition has it
    contents = {path: _read(folder / path) for path in sorted({*found, *workflow.files})}
    contents = {path: each for path, each in contents.items() if path in workflow.files or not _is_bundle(each)}
    manifest = Manifest(
        format=FORMAT,
        v=VERSION,
        name=workflow.name,
        definition=workflow.hash,
        files={path: sha256(content).hexdigest() for path, content in contents.items()},
    )
    for path, digest in workflow.files.items():
        if manifest.files[path] != digest:
            raise Conflict(
                "definition.file_changed", f"file {path!r} changed while it was read; try again", retryable=True
            )
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for path, content in {MANIFEST: encode(msgspec.to_builtins(manifest)), **contents}.items():
            entry = zipfile.ZipInfo(path, _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content)
    return written.getvalue()


def is_bundle_name(name: str) -> bool:
    """Whether a file's name is a bundle's; some disks give names in capitals."""
    return name.lower().endswith(".zip")


def unpack_file(file: Path, folder: Path) -> Manifest:
    """The same with a bundle in a file. Raises NotFound, Unusable and as `unpack`."""
    return unpack(_read(file), folder)


def unpack(content: bytes, folder: Path) -> Manifest:
    """Write the files of a bundle into a folder that is empty, or not there yet.

    Raises Invalid for what is no bundle, Corrupt for a damaged one, before anything is written.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            if any(entry.compress_type not in _COMPRESSIONS for entry in archive.infolist()):
                raise _no_bundle("it is compressed otherwise")
            manifest = _manifest(archive)
            contents = dict(_checked(archive, manifest))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _no_bundle(str(error)) from None
    for path, inside in contents.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(inside)
    return manifest


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    try:
        if archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
            raise _no_bundle(f"{MANIFEST} in it is longer than {MAX_MANIFEST_BYTES // 1_000_000} MB")
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (KeyError, msgspec.MsgspecError):
        raise _no_bundle(f"no {MANIFEST} in it can be read") from None
    if (manifest.format, manifest.v) != (FORMAT, VERSION):
        raise Invalid(
            "bundle.version", f"the bundle has format {manifest.format!r} {manifest.v}; this program reads {FORMAT} 1"
        )
    if FILE not in manifest.files:
        raise _no_bundle(f"no {FILE} in it")
    return manifest


def _checked(archive: zipfile.ZipFile, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """What the manifest names, each held to its hash before it is written."""
    if sum(archive.getinfo(path).file_size for path in manifest.files if path in archive.NameToInfo) > MAX_BYTES:
        raise Invalid("bundle.too_large", f"the bundle holds more than {MAX_BYTES // 1_000_000} MB")
    for path, digest in manifest.files.items():
        pure = PurePosixPath(path)
        if not pure.parts or pure.is_absolute() or ".." in pure.parts:
            raise Invalid("bundle.outside", f"the bundle names the file {path!r}, outside its folder")
        if str(pure) != path or any(str(parent) in manifest.files for parent in pure.parents):
            raise _no_bundle(f"{path!r} in it is no name of a file, or lies below one")
        try:
            content = archive.read(path)
        except (KeyError, zipfile.BadZipFile, zlib.error):
            content = b""
        if sha256(content).hexdigest() != digest:
            raise Corrupt("bundle.damaged", f"file {path!r} of the bundle is not what was built; build it again")
        yield path, content


def _is_bundle(content: bytes) -> bool:
    """Whether it begins as a zip whose first file is a manifest; its name stands at byte 30 of a zip."""
    return content.startswith(b"PK\3\4") and content[30:].startswith(MANIFEST.encode())


def _no_bundle(why: str) -> Invalid:
    return Invalid("bundle.unreadable", f"not a bundle that af build made: {why}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise translate(error, path) from None
