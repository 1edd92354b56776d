"""The audit log in the journal's file: append-only, chained, durable before what it tells of goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runtime.audit.chain import FIRST_PREV, Line, first_break, link
from runtime.domain.audit import AuditEntry
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3

_PAGE = 1_000


class AuditLog:
    """The lines of one appliance."""

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def append(self, entry: AuditEntry) -> int:
        """Write the next line; return its number. Durable when this returns. Raises StoreFull or Unavailable."""
        at_us = self._now_us()
        return await self._database.write(lambda connection: _append(connection, entry, at_us))

    async def read(self, *, after_seq: int = 0, limit: int = _PAGE) -> Sequence[Line]:
        """Lines behind `after_seq`, in order."""
        return await self._database.read(lambda connection: _lines(connection, after_seq, limit))

    async def newest(self, limit: int) -> Sequence[Line]:
        """The last lines, in order."""
        head = await self._database.read(_head)
        return await self.read(after_seq=max(0, head[0] - limit), limit=limit)

    async def first_break(self) -> tuple[int, str]:
        """How many lines fit one behind the other, and what is wrong with the next; empty when nothing is."""
        seq, prev = 0, FIRST_PREV
        while lines := await self.read(after_seq=seq):
            for line in lines:
                if fault := first_break([line], prev=prev, after_seq=seq):
                    return seq, fault
                seq, prev = line.seq, line.hash
        head = await self._database.read(_head)
        return seq, "" if head == (seq, prev) else f"the lines behind {seq} were taken away"


def _append(connection: sqlite3.Connection, entry: AuditEntry, at_us: int) -> int:
    seq, prev = _head(connection)
    line = link(entry, seq=seq + 1, at_us=at_us, prev=prev)
    connection.execute(
        "INSERT INTO audit(seq, at_us, hash, body) VALUES(?,?,?,?)",
        (line.seq, line.at_us, bytes.fromhex(line.hash), line.body),
    )
    connection.execute("UPDATE audit_head SET seq = ?, hash = ?", (line.seq, bytes.fromhex(line.hash)))
    return line.seq


def _head(connection: sqlite3.Connection) -> tuple[int, str]:
    seq, digest = connection.execute("SELECT seq, hash FROM audit_head").fetchone()
    return int(seq), bytes(digest).hex()


def _lines(connection: sqlite3.Connection, after_seq: int, limit: int) -> Sequence[Line]:
    rows = connection.execute(
        "SELECT seq, at_us, hash, body FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit)
    )
    return [Line(seq=seq, at_us=at_us, hash=bytes(digest).hex(), body=bytes(body)) for seq, at_us, digest, body in rows]
