"""Writes records of the audit log into its tables, remembering where each tenant's chain ends.

Used in the writer's thread alone, inside the transaction of what is told of. What is remembered only saves reading it
again, and is dropped whenever a batch is lost.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from runtime.audit.described import described, journal_hash
from runtime.audit.levels import EVERYTHING, Levels
from runtime.audit.record import FIRST_PREV, detail_of, digest, row_of
from runtime.audit.tree import Growing
from runtime.domain.audit import AuditEntry
from runtime.domain.ids import RunId, TenantId
from runtime.domain.journal import Entry, Row

if TYPE_CHECKING:
    import sqlite3

_NONCE_BYTES = 16
_HASHES = "SELECT hash FROM event WHERE run = ? ORDER BY run_seq"
_INSERT = "INSERT INTO audit_record(chain, seq, record, leaf, detail) VALUES(?,?,?,?,?)"
_MOVE = "UPDATE audit_chain SET size = ?, prev = ?, peaks = ? WHERE key = ?"


class Chain:
    """Where a tenant's chain ends."""

    __slots__ = ("key", "prev", "tree")

    def __init__(self, key: int, prev: str, tree: Growing) -> None:
        self.key, self.prev, self.tree = key, prev, tree


class Chains:
    """The chains of one file."""

    def __init__(self, levels: Levels = EVERYTHING, nonce: Callable[[int], str] = secrets.token_hex) -> None:
        self._levels = levels
        self._nonce = nonce
        self._known: dict[str, Chain] = {}

    def forget(self) -> None:
        """Read everything again the next time."""
        self._known.clear()

    def add(self, connection: sqlite3.Connection, entry: AuditEntry, at_us: int) -> int:
        """Write a line; return its number, 0 where its level leaves it out."""
        if not self._levels.takes(entry):
            return 0
        if entry.wanted:
            entry = msgspec.structs.replace(entry, wanted="")
        detail = detail_of(entry, self._nonce(_NONCE_BYTES))
        return self.add_detail(connection, entry, detail, at_us)

    def add_detail(self, connection: sqlite3.Connection, entry: AuditEntry, detail: bytes, at_us: int) -> int:
        """Write a line with the bytes of its detail."""
        tenant = entry.sender.tenant
        chain = self._known.get(tenant) or self._find(connection, tenant)
        row = row_of(entry.event, entry.sender.run, detail, seq=chain.tree.size + 1, at_us=at_us, prev=chain.prev)
        connection.execute(_INSERT, (chain.key, *row))
        chain.tree.append(row.leaf)
        chain.prev = digest(row.record)
        moved = (row.seq, bytes.fromhex(chain.prev), b"".join(chain.tree.peaks), chain.key)
        connection.execute(_MOVE, moved)
        return row.seq

    def describe(
        self,
        connection: sqlite3.Connection,
        key: int,
        run: RunId,
        tenant: TenantId,
        *,
        entries: Sequence[Entry],
        rows: Sequence[Row],
    ) -> None:
        """Write what a decision means for the log, when its rows are in the journal; `key`: the run's there."""
        for line in described(run, tenant, entries, rows):
            if line.event == "run.finished":
                line = msgspec.structs.replace(line, entry_hash=journal_hash(_hashes(connection, key)))
            self.add(connection, line, entries[0].at_us)

    def _find(self, connection: sqlite3.Connection, tenant: str) -> Chain:
        row = connection.execute(
            "SELECT key, size, prev, peaks FROM audit_chain WHERE tenant = ?", (tenant,)
        ).fetchone()
        if row is None:
            key = connection.execute(
                "INSERT INTO audit_chain(tenant, size, prev, peaks) VALUES(?,0,?,x'')",
                (tenant, bytes.fromhex(FIRST_PREV)),
            ).lastrowid
            assert key is not None, "an INSERT has a row id"
            found = Chain(key, FIRST_PREV, Growing())
        else:
            found = Chain(row[0], bytes(row[2]).hex(), Growing(row[1], bytes(row[3])))
        self._known[tenant] = found
        return found


def _hashes(connection: sqlite3.Connection, key: int) -> Iterable[bytes]:
    return (bytes(found) for (found,) in connection.execute(_HASHES, (key,)).fetchall())
