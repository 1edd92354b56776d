"""SQLite files that are not ours: rows come back, and nothing is done that is not allowed."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from runtime.domain.canonical import Json
from runtime.domain.sql import Operation, SqlReply
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from runtime.store.foreign import ask_file

ALL: tuple[Operation, ...] = ("select", "insert", "update", "delete")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT UNIQUE, photo BLOB, balance REAL);
            INSERT INTO customer VALUES (1, 'Ada', x'0102', 1.5), (2, 'Bob', NULL, NULL);
            CREATE TABLE log(said TEXT);
            CREATE VIEW everybody AS SELECT name FROM customer;
            CREATE TRIGGER gone AFTER INSERT ON log BEGIN DELETE FROM customer; END;
            """
        )
    connection.close()
    return path


def count(file: Path) -> int:
    connection = sqlite3.connect(file)
    try:
        found: int = connection.execute("SELECT count(*) FROM customer").fetchone()[0]
        return found
    finally:
        connection.close()


async def ask(file: Path, statement: str, *parameters: Json, **limits: object) -> SqlReply:
    return await ask_file(file, statement, parameters, **limits)  # type: ignore[arg-type]  # limits of a question


async def failed(file: Path, statement: str, *parameters: Json, **limits: object) -> AgentFlowError:
    with pytest.raises(AgentFlowError) as raised:
        await ask(file, statement, *parameters, **limits)
    return raised.value


async def test_rows_come_back_as_json(file: Path) -> None:
    reply = await ask(file, "SELECT * FROM customer WHERE id = $1", 1)
    assert (("id", "name", "photo", "balance"), [[1, "Ada", "AQI=", 1.5]]) == (reply.columns, reply.rows)
    assert [["Ada"], ["Bob"]] == (await ask(file, "SELECT name FROM everybody ORDER BY name")).rows


async def test_values_are_no_part_of_the_statement(file: Path) -> None:
    assert [] == (await ask(file, "SELECT id FROM customer WHERE name = $1", "x' OR '1'='1")).rows


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM customer",
        "INSERT INTO customer(name) VALUES ('x')",
        "UPDATE customer SET name = 'x'",
        "REPLACE INTO customer VALUES (1, 'x', NULL, NULL)",
        "WITH x AS (SELECT 1) DELETE FROM customer",
    ],
)
async def test_a_tool_that_reads_changes_nothing(file: Path, statement: str) -> None:
    error = await failed(file, statement)
    assert (Refused, "sql.operation") == (type(error), error.code)
    assert count(file) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA query_only = OFF",
        "ATTACH '/tmp/other.db' AS other",
        "CREATE TABLE t(x)",
        "DROP TABLE customer",
        "COMMIT",
        "VACUUM INTO '/tmp/copy.db'",
        "SELECT 1; DELETE FROM customer",
        "SELECT load_extension('/tmp/x')",
        "SELECT * FROM pragma_table_info('customer')",
        "WITH x AS (SELECT 1) INSERT INTO sqlite_schema SELECT * FROM x",
        "EXPLAIN DELETE FROM customer",
        "",
    ],
)
async def test_nothing_but_one_statement_about_rows(file: Path, statement: str) -> None:
    error = await failed(file, statement, operations=ALL)
    assert error.code in ("sql.operation", "sql.statement", "sql.rejected", "sql.empty")
    assert count(file) == 2
    assert not Path("/tmp/copy.db").exists()


async def test_allowed_operations_are_held_by_sqlite(file: Path) -> None:
    """Also behind an upsert, a trigger, and a conflict that takes rows away."""
    inserting: tuple[Operation, ...] = ("select", "insert")
    for statement in (
        "INSERT INTO customer(id, name) VALUES (1, 'x') ON CONFLICT(id) DO UPDATE SET name = 'x'",
        "INSERT INTO log VALUES ('x')",
        "INSERT OR REPLACE INTO customer VALUES (1, 'x', NULL, NULL)",
        "WITH x AS (SELECT 1) INSERT OR  REPLACE INTO customer SELECT 1, 'x', NULL, NULL FROM x",
    ):
        assert "sql.operation" == (await failed(file, statement, operations=inserting)).code
    assert [["Ada"], ["Bob"]] == (await ask(file, "SELECT name FROM customer ORDER BY id")).rows


async def test_changes_are_counted_and_kept(file: Path) -> None:
    made = await ask(file, "INSERT INTO customer(name) VALUES ($1) RETURNING id", "Cy", operations=ALL)
    assert (1, [[3]]) == (made.affected_rows, made.rows)
    assert count(file) == 3


async def test_rows_and_bytes_are_limited(file: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    reply = await ask(file, endless, max_rows=3)
    assert ([[1], [2], [3]], True) == (reply.rows, reply.is_truncated)
    assert (await ask(file, endless, max_bytes=100)).is_truncated


async def test_a_change_with_too_many_rows_is_taken_back(file: Path) -> None:
    error = await failed(file, "DELETE FROM customer RETURNING id", operations=ALL, max_rows=1)
    assert "sql.too_many_rows" == error.code
    assert count(file) == 2


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_a_slow_statement_is_stopped(file: Path) -> None:
    error = await failed(file, ENDLESS, timeout_s=0.2)
    assert (StepFailure, "sql.too_slow") == (type(error), error.code)


async def test_cancelling_ends_the_statement(file: Path) -> None:
    asking = asyncio.create_task(ask(file, ENDLESS))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asking, 60)


async def test_a_file_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    error = await failed(tmp_path / "none.db", "SELECT 1")
    assert (Unavailable, "sql.no_file") == (type(error), error.code)
    assert [] == list(tmp_path.iterdir())


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "note.db").write_text("this is no database, whatever its name says " * 40)
    assert "sql.unreadable" == (await failed(tmp_path / "note.db", "SELECT 1")).code


@pytest.mark.parametrize(
    ("statement", "parameters", "kind", "said"),
    [
        ("SELECT nosuch FROM customer", (), Invalid, "no such column"),
        ("SELECT * FROM nosuch", (), Invalid, "no such table"),
        ("SELECT id FROM", (), Invalid, "SQLITE_ERROR"),
        ("SELECT id FROM customer WHERE id = $2", (1,), Invalid, "sql.parameters"),
        ("INSERT INTO customer(name) VALUES ('Ada')", (), StepFailure, "SQLITE_CONSTRAINT"),
        ("SELECT $1", (2**64,), Invalid, "beyond 64 bits"),
    ],
)
async def test_errors_are_told_without_values(
    file: Path, statement: str, parameters: tuple[Json, ...], kind: type[AgentFlowError], said: str
) -> None:
    error = await failed(file, statement, *parameters, operations=ALL)
    assert isinstance(error, kind)
    assert said in str(error)
    assert "nosuch" not in error.message
    assert "Ada" not in error.message


async def test_a_file_of_sql_fills_a_database_for_one_statement(tmp_path: Path) -> None:
    """What it fills is read alone, and gone afterwards."""
    script = tmp_path / "rows.sql"
    script.write_text(
        "CREATE TABLE a(x); CREATE INDEX i ON a(x); INSERT INTO a VALUES (1), (2); UPDATE a SET x = x + 1;"
    )
    assert [[5]] == (await ask(script, "SELECT sum(x) FROM a", is_script=True)).rows
    assert isinstance(await failed(script, "DELETE FROM a", is_script=True), Refused)


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'FILE' AS other",
        "VACUUM INTO 'FILE'",
        "PRAGMA journal_mode = WAL",
        "SELECT load_extension('x')",
        "CREATE TABLE a(x); INSERT INTO b VALUES (1)",
        "CREATE TABL a(x)",
    ],
)
async def test_a_file_of_sql_reaches_no_other_file(tmp_path: Path, statement: str) -> None:
    script = tmp_path / "rows.sql"
    script.write_text(statement.replace("FILE", str(tmp_path / "other.db")))
    assert "sql.script" == (await failed(script, "SELECT 1", is_script=True)).code
    assert ["rows.sql"] == [each.name for each in tmp_path.iterdir()]
    script.write_text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
    assert "sql.script" == (await failed(script, "SELECT 1", is_script=True, timeout_s=0.2)).code
