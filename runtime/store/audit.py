"""The audit log in the journal's file: append-only, a chain for each tenant, durable before what it tells of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runtime.audit.chain import FIRST_PREV, Line, first_break
from runtime.audit.levels import EVERYTHING, Levels
from runtime.audit.note import Checkpoint, NoteKey, Sign, bears, signed
from runtime.audit.record import ERASED, ERASURE, AuditRow, entry_in, record_in, spans_of
from runtime.audit.tree import Growing, root_of
from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import TenantId
from runtime.errors import Conflict, Corrupt, Invalid, NotFound
from runtime.store.chains import Chains
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

PAGE = 1_000

log = logging.getLogger(__name__)


class ChainHead(NamedTuple):
    """Where a tenant's chain ends."""

    tenant: TenantId
    size: int
    root: bytes
    signed: int = 0
    """How many of its records the last checkpoint covers."""


class Kept(NamedTuple):
    """A checkpoint as it is kept."""

    size: int
    at_us: int
    note: str


class AuditLog:
    """The lines of one appliance."""

    def __init__(self, database: Database, now_us: Callable[[], int], levels: Levels = EVERYTHING) -> None:
        self._database = database
        self._now_us = now_us
        self.chains = Chains(levels)
        """For whoever writes what is told of, in the same transaction."""
        database.on_rollback(self.chains.forget)

    async def append(self, entry: AuditEntry) -> int:
        """Write the next line of its tenant's chain; return its number, 0 where its level leaves it out.

        Durable when this returns. Raises StoreFull, Unavailable, or Invalid for a text that is no Unicode.
        """
        at_us = self._now_us()
        return await self._database.write(lambda connection: self.chains.add(connection, entry, at_us))

    async def erase(self, tenant: TenantId, seqs: Sequence[int], *, actor: str) -> int:
        """Erase what lines tell of, and write down that it was done; return how many there were.

        The records stay, with the hashes of what they told of: the chain, the tree and proofs hold as before. Durable
        when this returns. Raises NotFound for a line that is not there, Invalid for one that tells of an erasure.
        """
        at_us = self._now_us()
        return await self._database.write(
            lambda connection: erase(connection, self.chains, tenant, seqs, actor=actor, at_us=at_us)
        )

    async def read(self, tenant: TenantId, *, after_seq: int = 0, limit: int = PAGE) -> Sequence[AuditRow]:
        """Lines of a tenant behind `after_seq`, in order."""
        return await self._database.read(lambda connection: rows_behind(connection, tenant, after_seq, limit))

    async def newest(self, tenant: TenantId, limit: int) -> Sequence[AuditRow]:
        """The last lines of a tenant, in order."""
        size = next((head.size for head in await self.heads() if head.tenant == tenant), 0)
        return await self.read(tenant, after_seq=max(0, size - limit), limit=limit)

    async def heads(self) -> Sequence[ChainHead]:
        """Where every chain ends, by tenant."""
        return await self._database.read(heads)

    async def checkpoints(self, tenant: TenantId) -> Sequence[Kept]:
        """The signed checkpoints of a tenant, oldest first."""
        return await self._database.read(lambda connection: checkpoints(connection, tenant))

    async def sign(self, tenant: TenantId, key: NoteKey, sign: Sign, *, within_s: float = 0) -> Kept | None:
        """Sign where a chain ends now, and keep it; None where nothing was added since the last time.

        What is signed begins with what was signed before: it is worked out from there. Raises Corrupt when the chain
        does not go on from its last checkpoint, or stayed without one for longer than `within_s` (0: however long), and
        signs nothing then; Conflict where another key signed it before.
        """
        at_us = self._now_us()
        return await self._database.write(
            lambda connection: _sign(connection, tenant, key, sign, at_us=at_us, within_s=within_s)
        )

    async def aside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run long work on a reading connection of its own."""
        return await self._database.aside(work)

    async def take_over(self) -> int:
        """Move the lines of format 1 into the chains of their tenants; return how many there were."""
        if not await self._database.read(_has_first_format):
            return 0
        at_us = self._now_us()
        return await self._database.write(lambda connection: _take_over(connection, self.chains, at_us))


def heads(connection: sqlite3.Connection) -> Sequence[ChainHead]:
    """Where every chain ends, by tenant."""
    rows = connection.execute(
        "SELECT tenant, size, peaks, (SELECT max(size) FROM audit_checkpoint WHERE chain = key) FROM audit_chain "
        "ORDER BY tenant"
    ).fetchall()
    return [
        ChainHead(TenantId(tenant), size, Growing(size, bytes(peaks)).root(), signed or 0)
        for tenant, size, peaks, signed in rows
    ]


def rows_behind(connection: sqlite3.Connection, tenant: str, after_seq: int, limit: int) -> Sequence[AuditRow]:
    """Records of a tenant, in order."""
    rows = connection.execute(
        "SELECT seq, record, leaf, detail FROM audit_record "
        "WHERE chain = (SELECT key FROM audit_chain WHERE tenant = ?) AND seq > ? ORDER BY seq LIMIT ?",
        (tenant, after_seq, limit),
    )
    return [AuditRow(*row) for row in rows.fetchall()]


def leaves(connection: sqlite3.Connection, tenant: str, after_seq: int = 0, size: int = 2**62) -> list[bytes]:
    """The leaves' hashes of a chain's records behind `after_seq` up to `size`, in order."""
    rows = connection.execute(
        "SELECT leaf FROM audit_record WHERE chain = (SELECT key FROM audit_chain WHERE tenant = ?) "
        "AND seq > ? AND seq <= ? ORDER BY seq",
        (tenant, after_seq, size),
    )
    return [leaf for (leaf,) in rows]


def checkpoints(connection: sqlite3.Connection, tenant: str) -> Sequence[Kept]:
    """The signed checkpoints of a tenant, oldest first."""
    rows = connection.execute(
        "SELECT size, at_us, note FROM audit_checkpoint WHERE chain = (SELECT key FROM audit_chain WHERE tenant = ?) "
        "ORDER BY size",
        (tenant,),
    )
    return [Kept(*row) for row in rows.fetchall()]


def erase(
    connection: sqlite3.Connection, chains: Chains, tenant: TenantId, seqs: Sequence[int], *, actor: str, at_us: int
) -> int:
    """See AuditLog."""
    where = "chain = (SELECT key FROM audit_chain WHERE tenant = ?) AND seq = ?"
    connection.execute("PRAGMA secure_delete=ON")  # what was there is overwritten, and not only let go
    told: list[int] = []
    for seq in sorted(set(seqs)):
        row = connection.execute(f"SELECT record, detail FROM audit_record WHERE {where}", (tenant, seq)).fetchone()
        if row is None:
            raise NotFound("audit.no_line", f"the audit log of tenant {tenant!r} has no line {seq}")
        if record_in(bytes(row[0])).action == ERASURE:
            raise Invalid("audit.not_erasable", f"line {seq} says what was erased, and stays")
        if bytes(row[1]) != ERASED:
            connection.execute(f"UPDATE audit_record SET detail = x'' WHERE {where}", (tenant, seq))
            told.append(seq)
    if told:
        line = AuditEntry(
            event="data.erased",
            sender=Sender(tenant=tenant),
            actor=actor,
            subject="audit log",
            found={"lines": len(told)},
            marks={"lines": spans_of(told)},
        )
        chains.add(connection, line, at_us)
    return len(told)


def no_chain(tenant: str) -> NotFound:
    """The error for a tenant that nothing was written down of."""
    return NotFound("audit.no_chain", f"the audit log has no line of tenant {tenant!r}; `af audit list` shows those")


def signed_now(connection: sqlite3.Connection, tenant: TenantId, key: NoteKey, sign: Sign) -> str:
    """A checkpoint of where a chain ends now, which is not kept. Raises NotFound and Corrupt."""
    found = _grown(connection, tenant)
    if found is None:
        raise no_chain(tenant)
    _, tree, _ = found
    return signed(Checkpoint(key.name, tree.size, tree.root()), key, sign)


def overdue(connection: sqlite3.Connection, tenant: str, within_s: float) -> str:
    """What tells that records behind the last checkpoint stayed without one for longer; empty: nothing.

    Their longest pause does not count: a clock may have been set then, or the machine have slept. Raises Corrupt.
    """
    chain, size = connection.execute("SELECT key, size FROM audit_chain WHERE tenant = ?", (tenant,)).fetchone()
    of = "SELECT max(size) FROM audit_checkpoint WHERE chain = ? AND size <= ?"
    signed = connection.execute(of, (chain, size)).fetchone()[0] or 0

    def times(where: str, *seqs: int) -> list[int]:
        read = f"SELECT seq, record, leaf, x'' FROM audit_record WHERE chain = ? AND {where} ORDER BY seq"
        return [AuditRow(*row).at_us for row in connection.execute(read, (chain, *seqs))]

    ends = times("seq IN (?, ?)", signed + 1, size)
    if not ends or ends[-1] - ends[0] <= within_s * 1e6:
        return ""
    every = times("seq > ? AND seq <= ?", signed, size)
    found_s = (every[-1] - every[0] - max(after - before for before, after in pairwise(every))) / 1e6
    if found_s <= within_s:
        return ""
    return (
        f"the records behind {signed} were written for {found_s:,.0f} s, and no checkpoint is there of that time: it "
        "was taken away, or there was no key to sign with"
    )


def overdue_s(checkpoint_s: float) -> float:
    """How long records may stay unsigned at the most where they are signed so often; 0: for ever.

    Twice as long, and ten minutes for a machine that cannot keep up.
    """
    return 2 * checkpoint_s + 600 if checkpoint_s else 0.0


def root_at(connection: sqlite3.Connection, tenant: TenantId, size: int) -> bytes:
    """The root of a chain's first records."""
    return root_of(leaves(connection, tenant, 0, size))


def _sign(
    connection: sqlite3.Connection, tenant: TenantId, key: NoteKey, sign: Sign, *, at_us: int, within_s: float
) -> Kept | None:
    found = _grown(connection, tenant)
    if found is None or found[2]:
        return None
    chain, tree, _ = found
    _require_same_key(connection, tenant, chain, key)
    if within_s and (fault := overdue(connection, tenant, within_s)):
        raise Corrupt(
            "audit.overdue",
            f"in the audit log of tenant {tenant!r} {fault}, so nothing more is signed; run `af audit verify`, and "
            "keep journal.db as it is",
        )
    note = signed(Checkpoint(key.name, tree.size, tree.root()), key, sign)
    peaks = b"".join(tree.peaks)
    connection.execute("INSERT INTO audit_checkpoint VALUES(?,?,?,?,?)", (chain, tree.size, at_us, peaks, note))
    return Kept(tree.size, at_us, note)


def _require_same_key(connection: sqlite3.Connection, tenant: TenantId, chain: int, key: NoteKey) -> None:
    """Raise Conflict where somebody else signed the chain before: two keys make a log that no verifier takes."""
    last = "SELECT note FROM audit_checkpoint WHERE chain = ? ORDER BY size DESC LIMIT 1"
    found = connection.execute(last, (chain,)).fetchone()
    if found and not bears(found[0], key):
        raise Conflict(
            "audit.other_key",
            f"the audit log of tenant {tenant!r} is signed by another key or under another name than {key.name!r} with "
            f"{key.id.hex()}, so nothing more is signed; put the key back where audit.key_file says, and audit.origin",
        )


def _grown(connection: sqlite3.Connection, tenant: str) -> tuple[int, Growing, bool] | None:
    """A chain's key, its tree as it grew out of the last checkpoint's, and whether it is that one still.

    Raises Corrupt where it did not grow out of it.
    """
    found = connection.execute("SELECT key, size, peaks FROM audit_chain WHERE tenant = ?", (tenant,)).fetchone()
    if found is None:
        return None
    last = connection.execute(
        "SELECT size, peaks FROM audit_checkpoint WHERE chain = ? AND size <= ? ORDER BY size DESC LIMIT 1", found[:2]
    ).fetchone()
    tree = Growing(last[0], bytes(last[1])) if last else Growing()
    for leaf in leaves(connection, tenant, tree.size, found[1]):  # more may have come meanwhile
        tree.append(leaf)
    if (tree.size, b"".join(tree.peaks)) != (found[1], bytes(found[2])):
        raise Corrupt(
            "audit.inconsistent",
            f"the audit log of tenant {tenant!r} does not go on from its last checkpoint, so nothing more is signed; "
            "run `af audit verify`, and keep journal.db as it is",
        )
    return found[0], tree, bool(last) and last[0] == tree.size


def _has_first_format(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT EXISTS(SELECT 1 FROM audit)").fetchone()[0])


def _take_over(connection: sqlite3.Connection, chains: Chains, at_us: int) -> int:
    """Each line's bytes become the detail of a record, whose `data_hash` is the hash that the line had."""
    rows = connection.execute("SELECT seq, at_us, hash, body FROM audit ORDER BY seq")
    lines = [Line(seq=seq, at_us=at, hash=bytes(found).hex(), body=bytes(body)) for seq, at, found, body in rows]
    head = connection.execute("SELECT seq, hash FROM audit_head").fetchone()
    fault = first_break(lines)
    if not fault and (head[0], bytes(head[1]).hex()) != (lines[-1].seq, lines[-1].hash):
        fault = f"the lines behind {lines[-1].seq} were taken away"
    if fault:
        log.error("the audit log as it was before this version is broken: %s; it is taken over as it is", fault)
    try:
        for line in lines:
            chains.add_detail(connection, entry_in(line.body), line.body, line.at_us)
    except Exception:
        chains.forget()  # what it remembers of chains is not kept
        raise
    taken = AuditEntry(event="audit.migrated", found={"lines": len(lines)}, outcome=fault or "ok", subject="format 1")
    chains.add(connection, taken, at_us)
    _empty_first_format(connection)
    return len(lines)


def _empty_first_format(connection: sqlite3.Connection) -> None:
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
    ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DELETE FROM audit")
    connection.execute("UPDATE audit_head SET seq = 0, hash = ?", (bytes.fromhex(FIRST_PREV),))
    for _, made_by in triggers:
        connection.execute(made_by)
