"""Writes decisions into the journal's tables, remembering where open runs end.

Used in the writer's thread alone. What is remembered only saves reading it again, and is dropped whenever a batch
is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from runtime.domain.ids import RunId, TenantId
from runtime.domain.journal import Row
from runtime.domain.run import FINAL
from runtime.errors import Conflict, SequenceConflict
from runtime.store.chains import Chains
from runtime.store.count import Count
from runtime.store.decision import Decision, key_taken
from runtime.store.posts import posted_entry

if TYPE_CHECKING:
    import sqlite3


MAX_REMEMBERED = 50_000
"""Open runs that are remembered; about 300 bytes each."""

_FIND_RUN = (
    "SELECT key, seq, status, tenant, workflow, "
    "(SELECT context FROM trace WHERE trace.run = run.key), "
    "(SELECT kind FROM origin WHERE origin.run = run.key) FROM run WHERE id = ?"
)
_FIND_KEY = "SELECT run.id FROM idempotency JOIN run ON run.key = idempotency.run WHERE idempotency.key = ?"
_INSERT_RUN = (
    "INSERT INTO run(id, workflow, definition, tenant, status, created_us, updated_us, seq) VALUES(?,?,?,?,?,?,?,0)"
)
_INSERT_ORIGIN = "INSERT INTO origin(run, kind, origin, at_us) VALUES(?,?,?,?)"
_INSERT_TRACE = "INSERT INTO trace(run, context) VALUES(?,?)"
_INSERT_KEY = "INSERT INTO idempotency(key, run) VALUES(?,?)"
_INSERT_EVENT = "INSERT INTO event(seq, run, run_seq, at_us, type, hash, data) VALUES(?,?,?,?,?,?,?)"
_MOVE_RUN = "UPDATE run SET seq = ?, updated_us = ? WHERE key = ?"
# apart from the one above, because naming the column rewrites its index entry even when the value stays
_MOVE_RUN_TO = "UPDATE run SET seq = ?, updated_us = ?, status = ? WHERE key = ?"


class _End:
    """Where a run's journal ends."""

    __slots__ = ("context", "is_what_if", "key", "seq", "status", "tenant", "workflow")

    def __init__(
        self,
        key: int,
        seq: int,
        status: str,
        tenant: TenantId,
        workflow: str,
        context: str | None = None,
        *,
        is_what_if: bool = False,
    ) -> None:
        """`context`: the traceparent that it was asked for in."""
        self.key, self.seq, self.status, self.tenant = key, seq, status, tenant
        self.workflow, self.context, self.is_what_if = workflow, context or "", is_what_if


class Appender:
    """The journal's writing half."""

    def __init__(self, audit: Chains | None = None, count: Count | None = None) -> None:
        """`audit`: the audit log, which gets its lines in the same transaction. `count`: numbers messages too."""
        self._audit = audit
        self._count = count or Count()
        self._ends: dict[RunId, _End] = {}
        self._codes: dict[tuple[str, int], int] = {}

    def append(self, connection: sqlite3.Connection, decision: Decision) -> int:
        """Write the rows; return the last sequence number. Raises SequenceConflict or Conflict before any change."""
        run, rows = decision.run, decision.rows
        end = self._ends.get(run) or self._find(connection, run)
        found = 0 if end is None else end.seq
        if found != decision.expected_seq:
            raise SequenceConflict(run, decision.expected_seq, found)
        if end is None:
            end = self._begin(connection, decision)
        first = self._insert(connection, end.key, rows)
        if self._audit is not None:
            entries = decision.entries
            self._audit.describe(connection, end.key, run, end.tenant, entries=entries, rows=rows)
        last = rows[-1]
        if decision.status in (None, end.status):
            connection.execute(_MOVE_RUN, (last.seq, last.at_us, end.key))
        else:
            end.status = decision.status
            connection.execute(_MOVE_RUN_TO, (last.seq, last.at_us, end.status, end.key))
        end.seq = last.seq
        self._post(end, first, rows)
        if end.status in FINAL:
            del self._ends[run]
        return last.seq

    def adopt(self, connection: sqlite3.Connection, decision: Decision, origin: str, at_us: int) -> None:
        """Write a whole journal that came from elsewhere. The audit log says nothing of it: it happened there.

        Raises Conflict where there is a run of that id.
        """
        if connection.execute(_FIND_RUN, (decision.run,)).fetchone() is not None:
            raise Conflict("run.key_taken", f"there is a run {decision.run!r} here already")
        end, last = self._begin(connection, decision), decision.rows[-1]
        self._insert(connection, end.key, decision.rows)
        connection.execute(_MOVE_RUN_TO, (last.seq, last.at_us, decision.status or end.status, end.key))
        connection.execute(
            "INSERT OR REPLACE INTO origin(run, kind, origin, at_us) VALUES(?,?,?,?)",
            (end.key, "imported", origin, at_us),
        )
        self._ends.pop(decision.run, None)

    def forget(self) -> None:
        """Read everything again the next time."""
        self._ends.clear()
        self._codes.clear()
        self._count.forget()

    def _find(self, connection: sqlite3.Connection, run: RunId) -> _End | None:
        row = connection.execute(_FIND_RUN, (run,)).fetchone()
        if row is None:
            return None
        *end, kind = row
        if kind == "imported":
            raise imported(run)
        return self._remember(run, _End(*end, is_what_if=kind == "what_if"))

    def _begin(self, connection: sqlite3.Connection, decision: Decision) -> _End:
        started, at_us = decision.started, decision.rows[0].at_us
        assert started is not None, "a decision for sequence 0 starts a run"
        key = decision.idempotency_key
        if key is not None:
            taken = connection.execute(_FIND_KEY, (key,)).fetchone()
            if taken is not None:
                raise key_taken(key, taken[0])
        row = connection.execute(
            _INSERT_RUN,
            (decision.run, started.workflow, started.definition, started.tenant, "running", at_us, at_us),
        ).lastrowid
        assert row is not None, "an INSERT has a row id"
        if key is not None:
            connection.execute(_INSERT_KEY, (key, row))
        if started.what_if is not None:
            connection.execute(_INSERT_ORIGIN, (row, "what_if", started.what_if.run, at_us))
        if started.traceparent:
            connection.execute(_INSERT_TRACE, (row, started.traceparent))
        is_what_if, context = started.what_if is not None, started.traceparent
        return self._remember(
            decision.run, _End(row, 0, "running", started.tenant, started.workflow, context, is_what_if=is_what_if)
        )

    def _insert(self, connection: sqlite3.Connection, run: int, rows: Sequence[Row]) -> int:
        """Write the rows of a run; the number of the first of them in the order of all."""
        codes, cursor = self._codes, self._count.last(connection)
        for place, row in enumerate(rows, 1):
            code = codes.get((row.type, row.v)) or self._code(connection, row)
            connection.execute(
                _INSERT_EVENT, (cursor + place, run, row.seq, row.at_us, code, row.hash, row.data.decode())
            )
        self._count.move(cursor + len(rows))
        return cursor + 1

    def _post(self, end: _End, first: int, rows: Sequence[Row]) -> None:
        """Have subscribers of the bus hear of the rows, once they are durable."""
        if self._count.is_heard:
            about = partial(
                posted_entry,
                tenant=end.tenant,
                workflow=end.workflow,
                is_what_if=end.is_what_if,
                context=end.context,
            )
            self._count.post(about(position, row) for position, row in enumerate(rows, first))

    def _code(self, connection: sqlite3.Connection, row: Row) -> int:
        kind = (row.type, row.v)
        connection.execute("INSERT INTO entry_type(name, v) VALUES(?,?) ON CONFLICT DO NOTHING", kind)
        code: int = connection.execute("SELECT code FROM entry_type WHERE name = ? AND v = ?", kind).fetchone()[0]
        self._codes[kind] = code
        return code

    def _remember(self, run: RunId, end: _End) -> _End:
        if len(self._ends) >= MAX_REMEMBERED:
            self._ends.clear()
        self._ends[run] = end
        return end


def imported(run: RunId) -> Conflict:
    """The error for whoever wants to go on with a run that came from elsewhere."""
    return Conflict("run.imported", f"run {run!r} was imported, and is only looked at; start one of its workflow here")
