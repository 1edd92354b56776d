"""What is asked of the journal's tables. Every query is short: none leaves a statement open behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Row
from runtime.errors import NotFound
from runtime.ports import RunSummary

if TYPE_CHECKING:
    import sqlite3

PAGE_ROWS = 1_000
PAGE_BYTES = 4 * 2**20
"""A page of the followers' ends here even when it has fewer rows: outputs may be large."""

# data is read as the bytes that were hashed, whatever they are
_ROW = "run.id, event.run_seq, event.at_us, entry_type.name, CAST(event.data AS BLOB), event.hash, entry_type.v"
_JOINED = "event JOIN run ON run.key = event.run JOIN entry_type ON entry_type.code = event.type"
_READ = f"SELECT {_ROW} FROM {_JOINED} WHERE event.run = ? AND event.run_seq > ? ORDER BY event.run_seq LIMIT ?"
# CROSS JOIN keeps the order of the loops: by seq, whatever the planner makes of its statistics
_FOLLOW = (
    f"SELECT event.seq, {_ROW} FROM event CROSS JOIN run ON run.key = event.run "
    "CROSS JOIN entry_type ON entry_type.code = event.type WHERE event.seq > ? "
    "AND event.run NOT IN (SELECT run FROM origin WHERE kind = 'imported') ORDER BY event.seq LIMIT ?"
)
_SUMMARY = (
    "id, workflow, definition, tenant, status, created_us, updated_us, seq, "
    "coalesce(origin.kind, 'run'), coalesce(origin.origin, '')"
)
_RUNS = "run LEFT JOIN origin ON origin.run = run.key"


def rows_of(connection: sqlite3.Connection, run: RunId, after_seq: int, limit: int) -> Sequence[Row]:
    """Rows of one run, in order; none for an unknown run."""
    key = _key_of(connection, run)
    return [] if key is None else [Row(*row) for row in connection.execute(_READ, (key, after_seq, limit)).fetchall()]


def page_behind(connection: sqlite3.Connection, cursor: int) -> Sequence[tuple[int, Row]]:
    """The next rows of all runs in the order of their commits: up to PAGE_ROWS, or somewhat more than PAGE_BYTES."""
    page: list[tuple[int, Row]] = []
    size = 0
    statement = connection.execute(_FOLLOW, (cursor, PAGE_ROWS))
    for seq, *fields in statement:
        row = Row(*fields)
        page.append((seq, row))
        size += len(row.data)
        if size > PAGE_BYTES:
            break
    statement.close()
    return page


def head(connection: sqlite3.Connection) -> int:
    """The cursor behind the newest row."""
    newest: int = connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]
    return newest


def summary_of(connection: sqlite3.Connection, run: RunId) -> RunSummary:
    """One run. Raises NotFound."""
    row = connection.execute(f"SELECT {_SUMMARY} FROM {_RUNS} WHERE id = ?", (run,)).fetchone()
    if row is None:
        raise no_run(run)
    return _summary(*row)


def summaries(
    connection: sqlite3.Connection,
    statuses: Sequence[str],
    workflow: str,
    *,
    kinds: Sequence[str],
    limit: int,
    before: RunId | None,
) -> Sequence[RunSummary]:
    """Runs, newest first. Raises NotFound when `before` names none."""
    bound = 2**63 - 1 if before is None else _key_of(connection, before)
    if bound is None:
        raise no_run(before)
    # one indexed walk per status: a few waiting runs are found at once among a million finished ones
    filters = [("AND status = ?", [status]) for status in dict.fromkeys(statuses)] or [("", [])]
    if workflow:
        filters = [(f"{text} AND workflow = ?", [*values, workflow]) for text, values in filters]
    if kinds:
        among = f"AND coalesce(origin.kind, 'run') IN ({', '.join('?' * len(kinds))})"
        filters = [(f"{text} {among}", [*values, *kinds]) for text, values in filters]
    walk = (
        f"SELECT * FROM (SELECT run.key, {_SUMMARY} FROM {_RUNS} WHERE run.key < ? {{}} ORDER BY run.key DESC LIMIT ?)"
    )
    walks = [walk.format(text) for text, _ in filters]
    values = [value for _, named in filters for value in (bound, *named, limit)]
    statement = f"{' UNION ALL '.join(walks)} ORDER BY key DESC LIMIT ?"
    return [_summary(*row[1:]) for row in connection.execute(statement, (*values, limit)).fetchall()]


def run_of_key(connection: sqlite3.Connection, idempotency_key: str) -> RunId | None:
    """The run that a key is bound to."""
    row = connection.execute(
        "SELECT run.id FROM idempotency JOIN run ON run.key = idempotency.run WHERE idempotency.key = ?",
        (idempotency_key,),
    ).fetchone()
    return None if row is None else RunId(row[0])


def save_definition(
    connection: sqlite3.Connection, definition: DefinitionHash, name: str, document: bytes, at_us: int
) -> bool:
    """Keep a definition, or make one that was kept before the newest of its name again; whether either was needed."""
    newest = connection.execute(
        "SELECT hash FROM definition WHERE name = ? ORDER BY saved_us DESC, key DESC LIMIT 1", (name,)
    ).fetchone()
    is_news = bool(newest != (definition,))
    if is_news:
        connection.execute(
            "INSERT INTO definition(hash, name, document, saved_us) VALUES(?,?,?,?) "
            "ON CONFLICT(hash) DO UPDATE SET saved_us = excluded.saved_us",
            (definition, name, document, at_us),
        )
    return is_news


def definition_of(connection: sqlite3.Connection, definition: DefinitionHash) -> tuple[str, bytes]:
    """Name and document. Raises NotFound."""
    row = connection.execute("SELECT name, document FROM definition WHERE hash = ?", (definition,)).fetchone()
    if row is None:
        raise no_definition(definition)
    return row[0], row[1]


def definitions(connection: sqlite3.Connection) -> Sequence[tuple[str, DefinitionHash, int]]:
    """Name, hash and time saved, newest first."""
    return connection.execute("SELECT name, hash, saved_us FROM definition ORDER BY saved_us DESC, key DESC").fetchall()


def no_run(run: RunId | None) -> NotFound:
    """The error for a run that is not here."""
    return NotFound("run.not_found", f"there is no run {run!r} here; `af runs list` shows those there are", run=run)


def no_definition(definition: DefinitionHash) -> NotFound:
    """The error for a definition that is not here."""
    return NotFound("definition.not_found", f"there is no definition {definition!r} here", definition=definition)


def _key_of(connection: sqlite3.Connection, run: RunId) -> int | None:
    row = connection.execute("SELECT key FROM run WHERE id = ?", (run,)).fetchone()
    return None if row is None else int(row[0])


def _summary(*columns: Any) -> RunSummary:  # noqa: ANN401  # a row of the database
    return RunSummary(**dict(zip(RunSummary.__struct_fields__, columns, strict=True)))
