"""The kind `file`: the files of one folder, read-only unless writing is granted, and no way out of it.

A path is opened by the kernel beneath the folder that is held open (openat2 with RESOLVE_BENEATH), so that neither
`..`, nor a link, nor a folder that is moved meanwhile leads elsewhere. Links are not followed at all.
"""

import asyncio
import base64
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

from runtime.domain.canonical import Json
from runtime.domain.exec_profile import ExecProfile
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.domain.units import size_bytes
from runtime.errors import Invalid, NotFound, Refused, StepFailure
from runtime.ports import ToolContext
from runtime.tools.arguments import only, text_of
from runtime.tools.beneath import open_beneath
from runtime.tools.registry import ToolServices

SITE_FOLDER = "site_folder"
"""The key under which the settings say where a folder lies that the tool names."""
DEFAULT_BYTES = 524_288
MOST_ENTRIES = 1_000

_KNOWN = ("operation", "path", "content", "encoding")


class FileTool:
    """Reads, lists and, where granted, writes. Implements Tool."""

    dry_answer: ClassVar[Json] = {"path": "", "content": "", "size_bytes": 0}
    """What a what-if is told, which opens nothing."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._folder = str(spec.config.get(SITE_FOLDER) or spec.config["folder"])
        self._can_write = spec.config.get("access") == "read_write"
        self._max_bytes = size_bytes(spec.config["max_size"]) if "max_size" in spec.config else DEFAULT_BYTES

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Do one thing with one file. Raises Refused for a way out, NotFound, StepFailure for what is too large."""
        given, tool = call.arguments, self.spec.id
        only(given, _KNOWN, tool)
        operation = text_of(given, "operation", tool, default="read")
        path = text_of(given, "path", tool, default="." if operation == "list" else None)
        if not os.path.isabs(self._folder):
            raise Refused(
                "tool.no_folder",
                f"tool {tool!r} works in the folder {self._folder!r}, and no folder has that name here; name its path "
                f"in the settings: folders: {{{self._folder}: /absolute/path}}",
            )
        root = check_granted(self.spec, ctx.profile, self._folder, writing=operation == "write")
        match operation:
            case "read":
                return await asyncio.to_thread(self._read, root, path)
            case "list":
                return await asyncio.to_thread(self._list, root, path)
            case "write":
                self._check_may_write()
                content = self._content(given)
                return await asyncio.to_thread(self._write, root, path, content)
        known = "read, list, write" if self._can_write else "read, list"
        raise Invalid("tool.arguments", f"tool {tool!r} takes {known} as 'operation', not {operation[:20]!r}")

    def _read(self, root: str, path: str) -> Json:
        with self._opened(root, path, os.O_RDONLY | os.O_NONBLOCK) as held:
            found = os.fstat(held)
            if not stat.S_ISREG(found.st_mode):
                raise Invalid(
                    "file.not_a_file", f"tool {self.spec.id!r}: what 'path' names is no file; list it instead"
                )
            if found.st_size > self._max_bytes:
                raise StepFailure(
                    "file.too_large",
                    f"tool {self.spec.id!r}: the file has {found.st_size:,} bytes, and {self._max_bytes:,} are read; "
                    "raise 'max_size'",
                    retryable=False,
                )
            data = _all_of(held, self._max_bytes)
        try:
            return {"path": path, "content": data.decode(), "size_bytes": len(data)}
        except UnicodeDecodeError:
            encoded = base64.b64encode(data).decode()
            return {"path": path, "content": encoded, "encoding": "base64", "size_bytes": len(data)}

    def _list(self, root: str, path: str) -> Json:
        with self._opened(root, path, os.O_RDONLY | os.O_DIRECTORY) as held:
            names = sorted(os.listdir(held))
            entries: list[Json] = []
            for name in names[:MOST_ENTRIES]:
                with suppress(OSError):
                    entries.append(_entry(name, os.stat(name, dir_fd=held, follow_symlinks=False)))
        return {"path": path, "entries": entries, "is_truncated": len(names) > MOST_ENTRIES}

    def _write(self, root: str, path: str, content: bytes) -> Json:
        folder, _, name = path.rstrip("/").rpartition("/")
        if not name or name in (".", ".."):
            raise Invalid("tool.arguments", f"tool {self.spec.id!r} needs the name of a file in 'path'")
        with self._opened(root, folder or ".", os.O_RDONLY | os.O_DIRECTORY) as held:
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.stat(name, dir_fd=held, follow_symlinks=False).st_mode):
                    raise Invalid("file.not_a_file", f"tool {self.spec.id!r}: 'path' names what is no file")
            draft = f".{secrets.token_hex(8)}.draft"
            written = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640, dir_fd=held)
            try:
                with open(written, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(draft, name, src_dir_fd=held, dst_dir_fd=held)  # whole or not at all
                os.fsync(held)
            except BaseException:
                with suppress(OSError):
                    os.unlink(draft, dir_fd=held)
                raise
        return {"path": path, "size_bytes": len(content)}

    @contextmanager
    def _opened(self, root: str, path: str, flags: int) -> Iterator[int]:
        tool = self.spec.id
        try:
            held = open_beneath(root, path, flags)
        except FileNotFoundError:
            raise NotFound("file.not_found", f"tool {tool!r}: there is no such file in its folder") from None
        except NotADirectoryError:
            raise NotFound("file.not_found", f"tool {tool!r}: there is no such folder in its folder") from None
        except PermissionError:
            raise Refused(
                "file.not_readable", f"tool {tool!r}: the system does not let the appliance open it"
            ) from None
        except OSError as error:
            raise _way_out(tool, error) from None
        try:
            yield held
        finally:
            os.close(held)

    def _check_may_write(self) -> None:
        if not self._can_write:
            raise Refused(
                "file.read_only",
                f"tool {self.spec.id!r} only reads; to let it write set 'access: read_write' in {self.spec.set_by}",
            )

    def _content(self, given: dict[str, Json]) -> bytes:
        tool = self.spec.id
        content = text_of(given, "content", tool, default="")
        try:
            data = base64.b64decode(content, validate=True) if given.get("encoding") == "base64" else content.encode()
        except ValueError:
            raise Invalid("tool.arguments", f"tool {tool!r}: 'content' is no text, or no base64 as it says") from None
        if len(data) > self._max_bytes:
            raise Invalid(
                "file.too_large", f"tool {tool!r}: {len(data):,} bytes would be written; {self._max_bytes:,} may be"
            )
        return data


def check_granted(spec: ToolSpec, profile: ExecProfile, place: str, *, writing: bool) -> str:
    """The real path of a folder or file that the profile of a call has. Raises Refused for one that it has not."""
    real = os.path.realpath(place)
    granted = profile.rw_paths if writing else (*profile.ro_paths, *profile.rw_paths)
    if real not in granted:
        verb = "write" if writing else "read"
        raise Refused(
            "tool.place_not_granted",
            f"tool {spec.id!r} may not {verb} {place!r}; add files.{verb}:{place} to its permissions, and the place to "
            "filesystem_allow of tool_security, with filesystem_access: custom",
        )
    return real


def _way_out(tool: str, error: OSError) -> Refused:
    is_link = error.errno == errno.ELOOP
    return Refused(
        "file.outside",
        f"tool {tool!r} stays in its folder: {'the path leads over a link' if is_link else 'the path leads out of it'}",
    )


def _all_of(held: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while size <= limit and (piece := os.read(held, min(65_536, limit + 1 - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)[:limit]


def _entry(name: str, found: os.stat_result) -> Json:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    kind = kinds.get(stat.S_IFMT(found.st_mode), "other")
    return {"name": os.fsencode(name).decode("utf-8", "replace"), "kind": kind, "size_bytes": found.st_size}
