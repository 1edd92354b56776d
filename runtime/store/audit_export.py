"""Writes the audit log to files for public tools: tiles of a whole chain, and the proof of one record.

Names, actors and what else details say stay here: records hold hashes alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runtime.audit.note import NoteKey, Sign, parsed, text_of
from runtime.audit.tiles import WIDTH, entry_bundle, hash_tiles, proof, tile_path
from runtime.domain.ids import TenantId
from runtime.errors import Conflict, NotFound
from runtime.store.audit import leaves, rows_behind, signed_now
from runtime.store.failures import translate

if TYPE_CHECKING:
    import sqlite3


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    tenant: str
    records: int
    files: int
    """Files that were not there before."""
    folder: str
    vkey: str
    """Whose signature the checkpoint bears, for verifiers."""


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """A record and what shows that it is in the log."""

    tenant: str
    seq: int
    index: int
    """The tree's leaf of it: `seq - 1`."""
    record: str
    """Its bytes, which are JSON."""
    proof: str
    """A tlog-proof file."""
    vkey: str


def export_tiles(
    connection: sqlite3.Connection, tenant: TenantId, folder: Path, *, key: NoteKey, sign: Sign
) -> Exported:
    """Write a chain as tiles into a folder, or add to it what is new; the checkpoint last.

    A full tile that is there already stays as it is. Raises Conflict where it is of another log, NotFound for a tenant
    without a chain, Corrupt where the chain does not go on from its last checkpoint.
    """
    note = signed_now(connection, tenant, key, sign)
    size = parsed(text_of(note)).size
    files = 0
    try:
        _require_same_log(folder, key)
        for path, content in hash_tiles(leaves(connection, tenant, size=size)):
            files += _write(folder / path, content)
        for first in range(0, size, WIDTH):
            rows = rows_behind(connection, tenant, first, min(WIDTH, size - first))
            path = tile_path("entries", first // WIDTH, len(rows))
            files += _write(folder / path, entry_bundle([row.record for row in rows]))
        (folder / "checkpoint").write_text(note, "utf-8")
    except OSError as error:
        raise translate(error, folder) from None
    return Exported(tenant=tenant, records=size, files=files, folder=str(folder), vkey=key.vkey)


def prove(connection: sqlite3.Connection, tenant: TenantId, seq: int, *, key: NoteKey, sign: Sign) -> Proven:
    """The proof of one record. Raises NotFound, and Corrupt as `export_tiles` does."""
    rows = rows_behind(connection, tenant, seq - 1, 1)
    if not rows or rows[0].seq != seq:
        raise NotFound("audit.no_line", f"the audit log of tenant {tenant!r} has no line {seq}")
    note = signed_now(connection, tenant, key, sign)
    size = parsed(text_of(note)).size
    return Proven(
        tenant=tenant,
        seq=seq,
        index=seq - 1,
        record=rows[0].record.decode(),
        proof=proof(leaves(connection, tenant, size=size), seq - 1, note),
        vkey=key.vkey,
    )


def _require_same_log(folder: Path, key: NoteKey) -> None:
    head = folder / "checkpoint"
    if head.exists() and (origin := parsed(text_of(head.read_text("utf-8"))).origin) != key.name:
        raise Conflict("audit.other_export", f"{folder} holds the tiles of {origin!r}; name another folder")


def _write(path: Path, content: bytes) -> int:
    """Write a tile; 1 where it was not there."""
    if path.exists():
        if path.read_bytes() != content:
            raise Conflict(
                "audit.other_export",
                f"{path} holds other records than the audit log: one of the two was changed. Keep both as they are, "
                "and run `af audit verify`",
            )
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return 1
