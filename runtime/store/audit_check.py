"""Checks the audit log of a file: chain, tree, checkpoints, and what it says of the journal. Names the first fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from runtime.audit.described import journal_hash
from runtime.audit.note import Checkpoint, NoteKey, Verify, checkpoint_in, parsed, text_of
from runtime.audit.record import AuditRow, Checking, entry_in
from runtime.audit.tree import Growing
from runtime.domain.audit import AuditEntry
from runtime.errors import AgentFlowError
from runtime.store.audit import Kept, checkpoints, overdue

if TYPE_CHECKING:
    import sqlite3

_PAGE_ROWS = 2_000
_RECORDS = "SELECT seq, record, leaf, detail FROM audit_record WHERE chain = ? AND seq > ? ORDER BY seq LIMIT ?"
_SUBTREES = "SELECT size, peaks FROM audit_checkpoint WHERE chain = (SELECT key FROM audit_chain WHERE tenant = ?)"
_NAMES_ENTRY = b'"entry_hash":'


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked of one tenant's chain."""

    tenant: str
    records: int
    """How many fit, one behind the other."""
    root: str
    """Of their tree, in hex."""
    checkpoints: int
    """How many signed checkpoints fit."""
    entries: int
    """Entries of the journal that have the hash that a record names."""
    fault: str | None
    """What is wrong first; None: nothing."""
    anchored: int | None
    """The size of the checkpoint that was kept outside; None: there is none."""


class _End(NamedTuple):
    """Where a chain says that it ends."""

    key: int
    size: int
    prev: bytes
    peaks: bytes


class _Fault(Exception):
    """Something does not fit; control ends here, and the report says so."""


def tenants(connection: sqlite3.Connection) -> list[str]:
    """Whose chains there are."""
    return [tenant for (tenant,) in connection.execute("SELECT tenant FROM audit_chain ORDER BY tenant")]


_CHAINS = """
WITH RECURSIVE chain(key) AS (
  SELECT min(chain) FROM {table}
  UNION ALL SELECT (SELECT min(chain) FROM {table} WHERE chain > key) FROM chain WHERE key IS NOT NULL
) SELECT count(*) FROM chain WHERE key IS NOT NULL AND key NOT IN (SELECT key FROM audit_chain)"""


def lost(connection: sqlite3.Connection) -> str | None:
    """What tells that a tenant's chain was taken out of the list of chains; None: nothing."""
    for table in ("audit_record", "audit_checkpoint"):
        if connection.execute(_CHAINS.format(table=table)).fetchone()[0]:
            return f"{table} has rows of a chain that the list of chains does not have: it was taken out there"
    listed, last = connection.execute("SELECT count(*), coalesce(max(key), 0) FROM audit_chain").fetchone()
    return f"{last - listed} of {last} chains were taken away" if last != listed else None


def check(
    connection: sqlite3.Connection,
    tenant: str,
    *,
    key: NoteKey | None,
    verify: Verify,
    outside: str | None = None,
    within_s: float = 0,
) -> ChainReport:
    """Check one chain from its first record to its end.

    `key`: what its checkpoints are signed with; None: only their roots are compared. `outside`: a signed checkpoint
    that was kept elsewhere. `within_s`: how long records may have stayed unsigned; 0: for ever.
    """
    chain = _Chain(connection, tenant)
    signed, anchored, fault = 0, None, None
    try:
        roots, anchored = _signed_roots(connection, tenant, key, verify, outside)
        chain.go_along(roots)
        chain.require_end(roots)
        chain.require_signed(within_s)
        signed = len(roots)
    except _Fault as found:
        fault = str(found)
    return ChainReport(
        tenant=tenant,
        records=chain.checking.tree.size,
        root=chain.checking.tree.root().hex(),
        checkpoints=signed,
        entries=chain.entries,
        fault=fault,
        anchored=anchored,
    )


class _Chain:
    """One tenant's records on their way through the checks."""

    def __init__(self, connection: sqlite3.Connection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._end = _end_of(connection, tenant)
        self.checking = Checking()
        self.entries = 0

    def go_along(self, roots: Mapping[int, tuple[str, bytes]]) -> None:
        """Every record in order. Raises _Fault at the first that does not fit."""
        checking = self.checking
        for row in self._rows():
            if fault := checking.fault(row):
                raise _Fault(fault)
            if _NAMES_ENTRY in row.detail:
                self._compare(row)
            signed = roots.get(row.seq)
            if signed is not None and signed[1] != checking.tree.root():
                raise _Fault(f"{signed[0]} at {row.seq} has another root: one of the records up to there is another")

    def require_end(self, roots: Mapping[int, tuple[str, bytes]]) -> None:
        """That nothing was cut off, or added by the way. Raises _Fault."""
        if fault := self.checking.taken():
            raise _Fault(fault)
        size, tree = self.checking.tree.size, self.checking.tree
        beyond = [what for at, (what, _) in sorted(roots.items()) if at > size]
        if beyond:
            raise _Fault(f"the records behind {size} were taken away: {beyond[-1]} covers {max(roots)}")
        if self._end is None:
            return
        if self._end.size > size:
            raise _Fault(f"the records behind {size} were taken away: there were {self._end.size}")
        if (self._end.prev, self._end.peaks) != (bytes.fromhex(self.checking.prev), b"".join(tree.peaks)):
            raise _Fault(f"the end of the chain was changed: it should be behind record {size}")
        last = self._connection.execute(
            "SELECT max(seq) FROM audit_record WHERE chain = ?", (self._end.key,)
        ).fetchone()
        now = _end_of(self._connection, self._tenant)
        if last[0] and now and last[0] > now.size:
            raise _Fault(f"record {now.size + 1} was put behind the end of the chain")

    def require_signed(self, within_s: float) -> None:
        """That a checkpoint is there of every time in which one was made. Raises _Fault."""
        if self._end and within_s and (fault := overdue(self._connection, self._tenant, within_s)):
            raise _Fault(fault)

    def _rows(self) -> Iterator[AuditRow]:
        """Those up to the end that was found first; more may come meanwhile."""
        place = 0
        while self._end and place < self._end.size:
            limit = min(_PAGE_ROWS, self._end.size - place)
            page = self._connection.execute(_RECORDS, (self._end.key, place, limit)).fetchall()
            if not page:
                return
            yield from map(AuditRow._make, page)
            place = page[-1][0]

    def _compare(self, row: AuditRow) -> None:
        """That the journal still has what the record says."""
        try:
            entry = entry_in(row.detail)
        except (msgspec.MsgspecError, ValueError):
            raise _Fault(f"record {row.seq} was changed: its detail cannot be read") from None
        if not entry.entry_hash:
            return
        found = (
            _whole_journal(self._connection, entry) if entry.event == "run.finished" else _hash(self._connection, entry)
        )
        if found != entry.entry_hash:
            what = f"entry {entry.entry} of run {entry.sender.run!r}"
            if entry.event == "run.finished":
                what = f"the journal of run {entry.sender.run!r} up to entry {entry.entry}"
            raise _Fault(f"record {row.seq} has another hash for {what}: the journal was changed")
        if wrong := _listed_otherwise(self._connection, self._tenant, entry):
            raise _Fault(f"record {row.seq} says otherwise than the list of runs: {wrong}")
        self.entries += 1


def _end_of(connection: sqlite3.Connection, tenant: str) -> _End | None:
    row = connection.execute("SELECT key, size, prev, peaks FROM audit_chain WHERE tenant = ?", (tenant,)).fetchone()
    return None if row is None else _End(*row)


def _signed_roots(
    connection: sqlite3.Connection, tenant: str, key: NoteKey | None, verify: Verify, outside: str | None
) -> tuple[dict[int, tuple[str, bytes]], int | None]:
    """What was signed, by size; and the size of what is kept outside. Raises _Fault."""
    roots: dict[int, tuple[str, bytes]] = {}
    for kept in checkpoints(connection, tenant):
        size, root = _opened(kept, key, verify)
        roots[size] = ("the checkpoint", root)
    _require_subtrees(connection, tenant, roots)
    if outside is None:
        return roots, None
    try:
        found = _checkpoint(outside, key, verify)
    except AgentFlowError as error:
        raise _Fault(f"the checkpoint that is kept outside is none of this log's: {error.message}") from None
    if key and found.origin != key.name:
        raise _Fault(f"the checkpoint that is kept outside is of {found.origin!r}, not of {key.name!r}")
    if found.size in roots and roots[found.size][1] != found.root:
        raise _Fault(f"the checkpoint that is kept outside has another root at {found.size} than the one kept here")
    if found.size:
        roots[found.size] = ("the checkpoint that is kept outside", found.root)
    return roots, found.size


def _require_subtrees(connection: sqlite3.Connection, tenant: str, roots: Mapping[int, tuple[str, bytes]]) -> None:
    """That what the next checkpoint goes on from is what the last one signed. Raises _Fault."""
    for size, peaks in connection.execute(_SUBTREES, (tenant,)):
        try:
            fits = Growing(size, peaks).root() == roots[size][1]
        except (KeyError, ValueError):
            fits = False
        if not fits:
            raise _Fault(f"the checkpoint at {size} has other subtrees beside it than it signs: they were changed")


def _checkpoint(note: str, key: NoteKey | None, verify: Verify) -> Checkpoint:
    """The checkpoint in a note; without a key whoever signed it. Raises Invalid."""
    return parsed(text_of(note)) if key is None else checkpoint_in(note, key, verify)


def _opened(kept: Kept, key: NoteKey | None, verify: Verify) -> tuple[int, bytes]:
    try:
        found = _checkpoint(kept.note, key, verify)
    except AgentFlowError as error:
        raise _Fault(f"the checkpoint at {kept.size} is none of this appliance's: {error.message}") from None
    if (found.origin, found.size) != (key.name if key else found.origin, kept.size):
        raise _Fault(f"the checkpoint at {kept.size} is of {found.origin!r} at {found.size}")
    return found.size, found.root


def _listed_otherwise(connection: sqlite3.Connection, tenant: str, entry: AuditEntry) -> str:
    """Whose run it is listed as, of which workflow, and how it ended, where that is another; empty: it is not."""
    listed = connection.execute(
        "SELECT tenant, workflow, status, seq FROM run WHERE id = ?", (entry.sender.run,)
    ).fetchone()
    if listed is None:
        return ""
    whose, workflow, status, seq = listed
    if entry.event == "run.started" and (whose, workflow) != (tenant, entry.sender.workflow):
        return f"run {entry.sender.run!r} is there of workflow {workflow!r} of tenant {whose!r}"
    if entry.event == "run.finished" and seq == entry.entry and status != entry.outcome:
        return f"run {entry.sender.run!r} has {status!r} there, and ended as {entry.outcome!r}"
    return ""


def _hash(connection: sqlite3.Connection, entry: AuditEntry) -> str:
    found = connection.execute(
        "SELECT event.hash FROM run JOIN event ON event.run = run.key WHERE run.id = ? AND event.run_seq = ?",
        (entry.sender.run, entry.entry),
    ).fetchone()
    return bytes(found[0]).hex() if found else ""


def _whole_journal(connection: sqlite3.Connection, entry: AuditEntry) -> str:
    found = connection.execute(
        "SELECT event.hash FROM run JOIN event ON event.run = run.key WHERE run.id = ? AND event.run_seq <= ? "
        "ORDER BY event.run_seq",
        (entry.sender.run, entry.entry),
    ).fetchall()
    return journal_hash(bytes(each) for (each,) in found)
