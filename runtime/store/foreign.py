"""SQLite files that are not the appliance's own: one statement at a time, with what it may do held by SQLite itself.

Every statement has a connection of its own in a thread. A file that is only read is opened read-only, with
`query_only`, and an authorizer that lets nothing but reading be compiled; one that may be changed is held to the
operations that are allowed by the same authorizer. No attaching, no pragmas, no tables made or dropped.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from runtime.domain.canonical import Json
from runtime.domain.sql import Operation, SqlReply, check_statement
from runtime.errors import Invalid, Refused, StepFailure, Unavailable
from runtime.store import driver

if TYPE_CHECKING:
    import sqlite3

_SELECT, _READ, _FUNCTION, _RECURSIVE = 21, 20, 31, 33
_READING = frozenset({_SELECT, _READ, _RECURSIVE})
_CHANGES: dict[int, Operation] = {18: "insert", 23: "update", 9: "delete"}
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "sqlcipher_export", "readfile", "writefile"})
_TELLING = ("no such table", "no such column", "no such function", "syntax error", "incomplete input", "constraint")
"""What is told of an error; the rest of its text may hold a value."""
_REPLACES = re.compile(r"\breplace\b\s+into\b|\bor\s+replace\b", re.IGNORECASE)
"""Takes rows away without SQLite asking whether that is allowed; also found where it is only quoted."""
_OPS_BETWEEN_LOOKS = 1_000
_SAFE = 2**53
_CREATE_INDEX, _CREATE_TABLE, _CREATE_VIEW, _INSERT, _TRANSACTION, _UPDATE, _REINDEX = 1, 2, 8, 18, 22, 23, 27
_FILLING = _READING | {
    _CREATE_INDEX, _CREATE_TABLE, _CREATE_VIEW, _INSERT, _TRANSACTION, _UPDATE, _REINDEX, _FUNCTION,
}  # fmt: skip
"""What a script may do. It reaches no other file: nothing is attached."""


async def ask_file(
    path: Path,
    statement: str,
    parameters: Sequence[Json],
    *,
    operations: tuple[Operation, ...] = ("select",),
    max_rows: int = 1_000,
    max_bytes: int = 1_048_576,
    timeout_s: float = 30.0,
    is_script: bool = False,
) -> SqlReply:
    """Ask one statement of an SQLite file; what it changes is durable when this returns. Cancellation stops it.

    Values stand in `parameters`, as `$1`, `$2`, …. `is_script`: the file is SQL, which fills a database in memory for
    the one statement. Raises Refused for an operation that is not allowed, Invalid for a
    statement or a parameter that SQLite does not take, StepFailure where it fails, Unavailable for the file.
    """
    check_statement(statement, tuple(parameters))
    kind = _Script if is_script else _Question
    question = kind(path, statement, parameters, operations, max_rows, max_bytes, timeout_s)
    asking = asyncio.get_running_loop().run_in_executor(None, question.ask)
    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        question.stop()
        await asyncio.gather(asking, return_exceptions=True)
        raise


class _Question:
    def __init__(
        self,
        path: Path,
        statement: str,
        parameters: Sequence[Json],
        operations: tuple[Operation, ...],
        max_rows: int,
        max_bytes: int,
        timeout_s: float,
    ) -> None:
        self._path = path
        self._statement = statement
        self._given = {str(number): _parameter(each, number) for number, each in enumerate(parameters, 1)}
        self._operations = operations
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._until_s = time.monotonic() + timeout_s
        self._stopped = threading.Event()
        self._refused = ""

    def stop(self) -> None:
        """Have the statement end."""
        self._stopped.set()

    def ask(self) -> SqlReply:
        driver.install()
        import sqlite3

        is_reading = self._operations == ("select",)
        try:
            connection = self._opened(is_reading=is_reading)
        except sqlite3.Error as error:
            raise self._unreadable(error) from None
        try:
            return self._asked(connection, is_reading=is_reading)
        except sqlite3.Warning:
            raise Invalid("sql.rejected", "there is more than one statement; ask one") from None
        except sqlite3.Error as error:
            raise self._failure(error) from None
        finally:
            connection.close()

    def _opened(self, *, is_reading: bool) -> sqlite3.Connection:
        import sqlite3

        if not self._path.is_file():
            raise Unavailable("sql.no_file", f"there is no SQLite file {str(self._path)!r}", retryable=False)
        mode = "ro" if is_reading else "rw"
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            timeout=min(self._timeout_s, 10.0),
            isolation_level=None,
            check_same_thread=True,
        )
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            if is_reading:
                connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # is it a database at all?
        except BaseException:
            connection.close()
            raise
        return connection

    def _asked(self, connection: sqlite3.Connection, *, is_reading: bool) -> SqlReply:
        if _REPLACES.search(self._statement) and not {"update", "delete"} <= set(self._operations):
            raise self._not_allowed("delete")
        connection.execute("BEGIN" if is_reading else "BEGIN IMMEDIATE")
        before = connection.total_changes
        connection.set_progress_handler(self._is_over, _OPS_BETWEEN_LOOKS)
        connection.set_authorizer(self._allows)
        cursor = connection.execute(self._statement, self._given)
        columns = tuple(str(each[0]) for each in cursor.description or ())
        rows, is_truncated = self._rows(cursor)
        connection.set_authorizer(None)
        connection.set_progress_handler(None, 0)
        affected = connection.total_changes - before
        if affected and is_truncated:
            connection.execute("ROLLBACK")
            raise StepFailure(
                "sql.too_many_rows",
                f"the statement changes rows and returns more than {self._max_rows:,} of them, or "
                f"{self._max_bytes:,} bytes; nothing was changed. Return fewer",
                retryable=False,
            )
        connection.execute("COMMIT")
        return SqlReply(columns=columns, rows=rows, affected_rows=affected, is_truncated=is_truncated)

    def _rows(self, cursor: sqlite3.Cursor) -> tuple[list[list[Json]], bool]:
        rows: list[list[Json]] = []
        size_bytes = 0
        for found in cursor:
            row = [_value(each) for each in found]
            size_bytes += len(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass"))
            if len(rows) >= self._max_rows or size_bytes > self._max_bytes:
                return rows, True
            rows.append(row)
        return rows, False

    def _allows(
        self, action: int, first: str | None, second: str | None, _database: str | None, _by: str | None
    ) -> int:
        """SQLite's question while it compiles a statement: 0 allows, 1 denies."""
        if action in _READING:
            return self._answer("select" in self._operations or action != _SELECT, "select")
        if action == _FUNCTION:
            return self._answer((second or "").lower() not in _FORBIDDEN_FUNCTIONS, "call that function on")
        change = _CHANGES.get(action)
        if change is not None and not (first or "").lower().startswith("sqlite_"):
            return self._answer(change in self._operations, change)
        return self._answer(False, "do more than read or change")

    def _answer(self, is_allowed: bool, what: str) -> int:
        if not is_allowed:
            self._refused = self._refused or what
        return 0 if is_allowed else 1

    def _is_over(self) -> int:
        return int(self._stopped.is_set() or time.monotonic() > self._until_s)

    def _not_allowed(self, what: str) -> Refused:
        return Refused(
            "sql.operation",
            f"the statement would {what} rows, and the tool may {', '.join(self._operations)}; the rule is "
            "allowed_operations of the tool",
        )

    def _unreadable(self, error: sqlite3.Error) -> Unavailable:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return Unavailable(
            "sql.unreadable", f"{str(self._path)!r} can't be opened as an SQLite file ({name})", retryable=False
        )

    def _failure(self, error: sqlite3.Error) -> Exception:
        name, said = str(getattr(error, "sqlite_errorname", type(error).__name__)), str(error)
        if self._refused:
            return self._not_allowed(self._refused)
        if name == "SQLITE_INTERRUPT":
            return StepFailure("sql.too_slow", f"the statement took over {self._timeout_s:g} s and was stopped")
        if name in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return Unavailable("sql.conflict", f"{str(self._path)!r} is being changed by another program; tried again")
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return self._unreadable(error)
        told = next((each for each in _TELLING if each in said.lower()), "")
        what = f"{name}: {told}" if told else name
        if "binding" in said or "bindings" in said:
            count = len(self._given)
            return Invalid(
                "sql.parameters", f"the statement names other parameters than $1 to ${count}, whose values are given"
            )
        if name.startswith("SQLITE_CONSTRAINT") or name in ("SQLITE_MISMATCH", "SQLITE_TOOBIG"):
            return StepFailure("sql.rejected", f"the file does not take the values ({what})", retryable=False)
        if "one statement at a time" in said:
            return Invalid("sql.rejected", "there is more than one statement; ask one")
        return Invalid("sql.rejected", f"SQLite does not take the statement ({what})")


class _Script(_Question):
    def _opened(self, *, is_reading: bool) -> sqlite3.Connection:
        """A database in memory, filled by the file's statements; from then on it is read like any other."""
        import sqlite3

        try:
            script = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise Unavailable("sql.no_file", f"{str(self._path)!r} is no file of SQL", retryable=False) from None
        connection = sqlite3.connect(":memory:", isolation_level=None)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.set_progress_handler(self._is_over, _OPS_BETWEEN_LOOKS)
            connection.set_authorizer(self._fills)
            connection.executescript(script)
            connection.set_authorizer(None)
            connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            connection.close()
            name, said = getattr(error, "sqlite_errorname", type(error).__name__), str(error).lower()
            told = next((each for each in (*_TELLING, "not authorized") if each in said), "")
            message = (
                f"{self._path.name!r} does not fill a database ({name}{told and ': '}{told}); it may make tables, "
            )
            raise Invalid("sql.script", f"{message}indexes and views, insert and update rows") from None
        return connection

    def _fills(
        self, action: int, _first: str | None, second: str | None, _database: str | None, _by: str | None
    ) -> int:
        is_forbidden = action == _FUNCTION and (second or "").lower() in _FORBIDDEN_FUNCTIONS
        return int(is_forbidden or action not in _FILLING)


def _parameter(value: Json, number: int) -> str | int | float | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Invalid("sql.parameter", f"parameter ${number} is a whole number beyond 64 bits")
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)


def _value(value: object) -> Json:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case int():
            return value if -_SAFE <= value <= _SAFE else str(value)
        case float() | str() | None:
            return value
        case _:
            return str(value)
