"""Checks a journal's rows and the files kept beside them: each says what was written, and no row is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from runtime.domain.envelope import hash_of
from runtime.domain.envelope import read as read_envelope
from runtime.domain.ids import RunId
from runtime.domain.journal import Row, read
from runtime.errors import Corrupt, Invalid
from runtime.store import project_files
from runtime.store.queries import no_run

if TYPE_CHECKING:
    import sqlite3

_PAGE_ROWS = 256
_ENTRIES = """
SELECT event.run, event.run_seq, event.seq, run.seq,
       coalesce(run.id, '?'), event.run_seq, event.at_us, coalesce(entry_type.name, '?'),
       CAST(event.data AS BLOB), event.hash, coalesce(entry_type.v, 0)
FROM event INDEXED BY event_run
LEFT JOIN run ON run.key = event.run LEFT JOIN entry_type ON entry_type.code = event.type
WHERE (event.run, event.run_seq) > (?, ?) AND event.run <= ?
ORDER BY event.run, event.run_seq LIMIT ?"""

_MESSAGES = "SELECT seq, hash, body FROM message WHERE seq > ? AND body IS NOT NULL ORDER BY seq LIMIT ?"


class Verified(NamedTuple):
    """What was checked and found good."""

    runs: int
    entries: int


class _Line(NamedTuple):
    """An entry with what its neighbours must agree with."""

    run: int
    run_seq: int
    cursor: int
    end: int | None
    """Where the index of runs says that the run ends; None when it does not know the run."""
    row: Row


def verify(connection: sqlite3.Connection, run: RunId | None) -> Verified:
    """Check one run, or all of them and the file itself. Raises Corrupt at the first bad row; NotFound.

    It reads in pages, so that a long check does not keep the log from being folded into the file.
    """
    if run is not None:
        found = connection.execute("SELECT key FROM run WHERE id = ?", (run,)).fetchone()
        if found is None:
            raise no_run(run)
        return _verify_runs(connection, found[0], found[0])
    _require_sound_file(connection)
    return verify_rows(connection)


def verify_rows(connection: sqlite3.Connection) -> Verified:
    """Check every row and project file, not the pages they lie in. Raises Corrupt at the first bad row."""
    verified = _verify_runs(connection, 0, 2**63 - 1)
    _require_nothing_missing(connection)
    _verify_messages(connection)
    project_files.verify(connection)
    return verified


def _verify_runs(connection: sqlite3.Connection, first: int, last: int) -> Verified:
    runs = entries = 0
    before: _Line | None = None
    for line in _lines(connection, first, last):
        if before is None or before.run != line.run:
            runs += 1
            _require_ended(before)
        _require_next(line, 1 if before is None or before.run != line.run else before.run_seq + 1)
        entries += 1
        before = line
    _require_ended(before)
    return Verified(runs, entries)


def _lines(connection: sqlite3.Connection, first: int, last: int) -> Iterator[_Line]:
    place = (first, -1)
    while page := connection.execute(_ENTRIES, (*place, last, _PAGE_ROWS)).fetchall():
        for run, run_seq, cursor, end, *fields in page:
            yield _Line(run, run_seq, cursor, end, Row(*fields))
        place = (page[-1][0], page[-1][1])


def _require_next(line: _Line, expected_seq: int) -> None:
    row = line.row
    if line.end is None:
        raise _corrupt("journal.orphan", line, "belongs to a run that is missing")
    if row.seq != expected_seq:
        raise _corrupt("journal.gap", line, f"should have sequence {expected_seq}; the entries between are missing")
    read(row)


def _require_ended(line: _Line | None) -> None:
    if line is not None and line.run_seq != line.end:
        raise _corrupt("journal.cut", line, f"is the last one found, but the run had {line.end} entries")


def _require_sound_file(connection: sqlite3.Connection) -> None:
    for check in ("cipher_integrity_check", "integrity_check"):
        for (finding,) in connection.execute(f"PRAGMA {check}").fetchmany(1):
            if finding != "ok":
                raise Corrupt("store.corrupt", f"the database file is damaged: {finding}. Restore a backup")


def _require_nothing_missing(connection: sqlite3.Connection) -> None:
    bare = connection.execute(
        "SELECT id FROM run WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.run = run.key) LIMIT 1"
    ).fetchone()
    if bare is not None:
        raise Corrupt("journal.cut", f"run {bare[0]!r} has no entries left; restore the journal from a backup")
    gap = connection.execute(
        "SELECT seq FROM (SELECT seq FROM event UNION ALL SELECT seq FROM message) AS row WHERE seq > 1 "
        "AND NOT EXISTS (SELECT 1 FROM event WHERE event.seq = row.seq - 1) "
        "AND NOT EXISTS (SELECT 1 FROM message WHERE message.seq = row.seq - 1) LIMIT 1"
    ).fetchone()
    if gap is not None:
        raise Corrupt(
            "journal.gap", f"the row before row {gap[0]} of the journal is missing; restore the journal from a backup"
        )


def _verify_messages(connection: sqlite3.Connection) -> None:
    """Check that every message of the bus is what was published, as far as it is still kept."""
    after = 0
    while rows := connection.execute(_MESSAGES, (after, _PAGE_ROWS)).fetchall():
        for after, digest, body in rows:
            try:
                is_whole = hash_of(read_envelope(bytes(body))) == f"sha256:{bytes(digest).hex()}"
            except Invalid:
                is_whole = False
            if not is_whole:
                raise Corrupt("bus.damaged", f"message {after} is not what was written; restore a backup")


def _corrupt(code: str, line: _Line, problem: str) -> Corrupt:
    return Corrupt(
        code,
        f"entry {line.row.seq} of run {line.row.run!r} (row {line.cursor}) {problem}; "
        "restore the journal from a backup",
        run=line.row.run,
        seq=line.row.seq,
        cursor=line.cursor,
    )
