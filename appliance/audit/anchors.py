"""Checkpoints of the audit log that are kept outside the data folder: a file, or a folder with one a tenant.

Whoever can write the data folder should not be able to write there; a medium that is taken away is best.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

from runtime.audit.note import Checkpoint, parsed, text_of
from runtime.errors import Conflict, Invalid
from runtime.store.failures import translate

SUFFIX = ".checkpoint"
UPLINK = "uplink"
"""In place of a path: the broker at the other end of the uplink keeps them."""


class Anchor:
    """A place for checkpoints."""

    def __init__(self, path: Path) -> None:
        """`path`: a folder that is there, for every tenant; else a file, for one."""
        self._path = path

    @property
    def is_folder(self) -> bool:
        """Whether it keeps a checkpoint of each tenant."""
        return self._path.is_dir()

    def file(self, tenant: str) -> Path:
        """Where a tenant's checkpoint is."""
        return self._path / f"{quote(tenant, safe='')}{SUFFIX}" if self.is_folder else self._path

    def tenants(self) -> list[str]:
        """Whose checkpoints a folder holds; of a file only who reads it knows."""
        return sorted(unquote(each.name.removesuffix(SUFFIX)) for each in self._path.glob(f"*{SUFFIX}"))

    def found(self, tenant: str) -> str | None:
        """The checkpoint of a tenant; None where there is none. Raises what reading a file raises."""
        path = self.file(tenant)
        try:
            return path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise Invalid("audit.no_note", f"{path} is no signed note: it is no text") from None
        except OSError as error:
            raise translate(error, path) from None

    def keep(self, tenant: str, note: str) -> Path:
        """Put a newer checkpoint in the place of the one that is there; durable when this returns.

        Raises Conflict where another log's or a later one is kept, and what writing a file raises.
        """
        path = self.file(tenant)
        before = self.found(tenant)
        if before is not None:
            _require_later(parsed(text_of(before)), parsed(text_of(note)), path)
        draft = path.with_name(f"{path.name}.new")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise translate(error, path) from None
        return path


def _require_later(before: Checkpoint, now: Checkpoint, path: Path) -> None:
    if before.origin != now.origin:
        raise Conflict("audit.other_anchor", f"{path} keeps the checkpoint of {before.origin!r}; name another file")
    if before.size > now.size or (before.size == now.size and before.root != now.root):
        raise Conflict(
            "audit.rolled_back",
            f"{path} keeps a checkpoint over {before.size} records, and the log has {now.size} or others: records "
            "were taken away or changed. Keep both as they are, and run `af audit verify --anchor`",
        )
