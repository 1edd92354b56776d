"""The door to databases against a real PostgreSQL: rows come back, nothing is changed that may not be."""

import ssl
from collections.abc import Iterator, Sequence

import pytest
from msgspec.structs import replace

from redaction.doors.sql import SqlDoor, destination_of
from redaction.guard import Guard
from redaction.known import KnownSecrets
from redaction.policy import EgressPolicy, redaction_of
from redaction.presets import PRESETS
from runtime.domain.canonical import Json
from runtime.domain.egress import Destination, Outbound, Sender
from runtime.domain.ids import TenantId
from runtime.domain.secret import Reference
from runtime.domain.sql import Operation, SqlQuery, SqlReply, SqlServer
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from tests.postgres import OWNER, READER, READER_PASSWORD, Postgres, postgres

OPEN = EgressPolicy(site_hosts=("db.bank.example", "other.bank.example"))
ALL: tuple[Operation, ...] = ("select", "insert", "update", "delete")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


async def reveal(tenant: TenantId, reference: Reference, host: str) -> str:
    return {"reader": READER_PASSWORD, "wrong": "not-the-password"}[reference.name]


def query(server: Postgres, statement: str, *parameters: Json, **fields: object) -> SqlQuery:
    given = {
        "server": SqlServer(
            host="127.0.0.1", port=server.port, database="bank", user=READER, password="secret://reader", tls="none"
        ),
        "statement": statement,
        "parameters": parameters,
        **fields,
    }
    return SqlQuery(**given)  # type: ignore[arg-type]  # fields of a query


async def asked(wanted: SqlQuery, door: SqlDoor | None = None, policy: EgressPolicy = OPEN) -> SqlReply:
    destination = Destination("sql", "site", destination_of(wanted.server))
    cleared = await Guard(policy).clear(Outbound(destination=destination, payload=wanted))
    return await (door or SqlDoor(reveal=reveal)).send(cleared)


async def failed(wanted: SqlQuery, door: SqlDoor | None = None) -> AgentFlowError:
    with pytest.raises(AgentFlowError) as raised:
        await asked(wanted, door)
    return raised.value


def count(server: Postgres) -> int:
    return int(server.psql("SELECT count(*) FROM customer"))


async def test_rows_come_back_as_json(server: Postgres) -> None:
    reply = await asked(query(server, "SELECT * FROM customer WHERE id = $1", 1))
    assert ("id", "name", "born", "balance", "at", "tags", "facts", "feeling", "photo", "token") == reply.columns
    assert [
        [
            1, "name-1", "2000-01-01", "1.50", "2026-01-31T12:00:00+00:00", ["a", "b"], '{"vip": true}', "calm",
            "AQI=", "0b8f6a1e-0000-4000-8000-000000000000",
        ]
    ] == reply.rows  # fmt: skip
    assert (False, 0) == (reply.is_truncated, reply.affected_rows)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("born", "2000-01-01"),
        ("balance", 1.5),
        ("balance", "1.50"),
        ("at", "2026-01-31T12:00:00+00:00"),
        ("feeling", "calm"),
        ("photo", "AQI="),
        ("token", "0b8f6a1e-0000-4000-8000-000000000000"),
        ("tags", ["a", "b"]),
        ("facts", {"vip": True}),
    ],
)
async def test_parameters_are_given_as_json(server: Postgres, column: str, value: Json) -> None:
    reply = await asked(query(server, f"SELECT id FROM customer WHERE {column} = $1 AND id = 1", value))
    assert [[1]] == reply.rows


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("id", "1", "parameter $1 is of type int4 and takes a whole number in its range, found a text"),
        ("id", 2**31, "a whole number in its range, found a number"),
        ("id", True, "found true or false"),
        ("born", "soon", "takes a text such as 2026-01-31"),
        ("name", 7, "takes a text without NUL, found a number"),
        ("name", "a\0b", "takes a text without NUL"),
        ("tags", "a", "takes a list"),
    ],
)
async def test_a_wrong_parameter_is_named_by_its_number(server: Postgres, column: str, value: Json, said: str) -> None:
    error = await failed(query(server, f"SELECT id FROM customer WHERE {column} = $1", value))
    assert isinstance(error, Invalid)
    assert said in error.message


async def test_values_are_no_part_of_the_statement(server: Postgres) -> None:
    reply = await asked(query(server, "SELECT id FROM customer WHERE name = $1", "x' OR '1'='1"))
    assert [] == reply.rows


async def test_the_number_of_parameters_must_fit(server: Postgres) -> None:
    error = await failed(query(server, "SELECT id FROM customer WHERE id = $1 OR id = $2", 1))
    assert "sql.parameters: the statement names 2 parameters ($1, $2, …), and 1 values are given" == str(error)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM customer",
        "INSERT INTO customer(id, name) VALUES (99, 'x')",
        "UPDATE customer SET name = 'x'",
        "WITH gone AS (DELETE FROM customer RETURNING id) SELECT * FROM gone",
        "SELECT sneak()",
        "SELECT id FROM customer WHERE id = pretend()",
        "SELECT * INTO copied FROM customer",
        "SELECT nextval('pg_catalog.nothing')",
        "SELECT id FROM customer FOR UPDATE",
    ],
)
async def test_a_tool_that_reads_changes_nothing(server: Postgres, statement: str) -> None:
    """Held by the server: a function that says it is harmless is run in a read-only transaction too."""
    before = count(server)
    with pytest.raises((Refused, Invalid, StepFailure)):
        await asked(query(server, statement))
    assert before == count(server)
    assert "copied" not in server.psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


@pytest.mark.parametrize(
    "statement",
    [
        "SET default_transaction_read_only = off",
        "COMMIT",
        "COPY customer TO PROGRAM 'id'",
        "COPY customer TO STDOUT",
        "DO $$ BEGIN DELETE FROM customer; END $$",
        "CREATE TABLE t(x int)",
        "DROP TABLE customer",
        "GRANT ALL ON customer TO public",
        "CALL sneak()",
        "EXPLAIN ANALYZE DELETE FROM customer",
        "PREPARE x AS SELECT 1",
        "LISTEN x",
        "VACUUM",
        "/* SELECT */ TRUNCATE customer",
        "SELECT 1; DELETE FROM customer",
        "SELECT 1; COMMIT; DELETE FROM customer",
        "MERGE INTO customer USING secret ON false WHEN NOT MATCHED THEN DO NOTHING",
    ],
)
async def test_one_statement_that_reads_or_changes_rows(server: Postgres, statement: str) -> None:
    before = count(server)
    error = await failed(query(server, statement, operations=ALL))
    assert error.code in ("sql.statement", "sql.rejected")
    assert before == count(server)


async def test_what_a_statement_leaves_in_its_session_ends_with_it(server: Postgres) -> None:
    setting = "SELECT set_config('default_transaction_read_only', 'off', false)"
    await asked(query(server, setting))
    reply = await asked(query(server, "SELECT current_setting('default_transaction_read_only')"))
    assert [["on"]] == reply.rows


async def test_allowed_operations_are_held_by_the_plan(server: Postgres) -> None:
    """The first word says `WITH` or `SELECT`; what is done to rows is in the plan."""
    inserting: tuple[Operation, ...] = ("select", "insert")
    hidden = "WITH gone AS (DELETE FROM customer WHERE id = 3 RETURNING id) SELECT * FROM gone"
    error = await failed(query(server, hidden, operations=inserting))
    assert "sql.operation" == error.code
    assert "would delete rows, and the tool may select, insert" in error.message
    upsert = "INSERT INTO customer(id, name) VALUES (3, 'x') ON CONFLICT(id) DO UPDATE SET name = 'changed'"
    error = await failed(query(server, upsert, operations=inserting))
    assert "sql.operation" == error.code
    assert "name-3" == server.psql("SELECT name FROM customer WHERE id = 3").strip()


async def test_a_select_of_a_tool_that_may_write_is_read_only_too(server: Postgres) -> None:
    before = count(server)
    for statement in ("SELECT sneak()", "SELECT * INTO copied FROM customer", "SELECT pretend()"):
        await failed(query(server, statement, operations=ALL))
    assert before == count(server)


async def test_changes_are_counted_and_kept(server: Postgres) -> None:
    inserted = await asked(query(server, "INSERT INTO customer(id, name) VALUES ($1, $2)", 1001, "new", operations=ALL))
    changed = await asked(
        query(server, "UPDATE customer SET name = $2 WHERE id = $1 RETURNING id, name", 1001, "z", operations=ALL)
    )
    gone = await asked(query(server, "DELETE FROM customer WHERE id = $1", 1001, operations=ALL))
    assert (1, [[1001, "z"]], 1, 1) == (
        inserted.affected_rows, changed.rows, changed.affected_rows, gone.affected_rows,
    )  # fmt: skip


async def test_rows_and_bytes_are_limited(server: Postgres) -> None:
    reply = await asked(query(server, "SELECT id FROM customer ORDER BY id", max_rows=3))
    assert ([[1], [2], [3]], True) == (reply.rows, reply.is_truncated)
    wide = await asked(query(server, "SELECT repeat('x', 1000) FROM generate_series(1, 100000)", max_bytes=10_000))
    assert (9, True) == (len(wide.rows), wide.is_truncated)


async def test_a_change_with_too_many_rows_is_taken_back(server: Postgres) -> None:
    before = server.psql("SELECT sum(id) FROM customer")
    wanted = query(server, "UPDATE customer SET id = id + 5000 RETURNING id", operations=ALL, max_rows=3)
    error = await failed(wanted)
    assert "sql.too_many_rows" == error.code
    assert before == server.psql("SELECT sum(id) FROM customer")


async def test_a_slow_statement_is_stopped_in_the_server(server: Postgres) -> None:
    error = await failed(query(server, "SELECT count(*) FROM generate_series(1, 1000000000)", timeout_s=0.5))
    assert error.code in ("sql.too_slow", "sql.timeout")
    busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'"
    for _ in range(50):
        if server.psql(busy).strip() == "0":
            return
    raise AssertionError("the statement still runs")


async def test_a_superuser_is_refused(server: Postgres) -> None:
    """A read-only transaction of a superuser still reads the server's files."""

    async def give(tenant: TenantId, reference: Reference, host: str) -> str:
        return "owner-password-1"

    wanted = query(server, "SELECT pg_read_file('/etc/passwd')")
    wanted = replace(wanted, server=replace(wanted.server, user=OWNER))
    error = await failed(wanted, SqlDoor(reveal=give))
    assert "sql.superuser" == error.code


@pytest.mark.parametrize(
    ("statement", "kind", "code"),
    [
        ("SELECT nosuch FROM customer", Invalid, "sql.rejected"),
        ("SELECT id FROM", Invalid, "sql.rejected"),
        ("SELECT * FROM secret", Refused, "sql.not_allowed"),
        ("SELECT 1 / (id - id) FROM customer", StepFailure, "sql.rejected"),
        ("", Invalid, "sql.empty"),
    ],
)
async def test_what_the_server_says_is_told_without_values(
    server: Postgres, statement: str, kind: type[AgentFlowError], code: str
) -> None:
    error = await failed(query(server, statement))
    assert (kind, code) == (type(error), error.code)
    assert "nosuch" not in error.message


async def test_a_broken_constraint_is_named_and_its_value_is_not(server: Postgres) -> None:
    error = await failed(query(server, "INSERT INTO customer(id, name) VALUES (1, 'x')", operations=ALL))
    assert "constraint 'customer_pkey'" in error.message
    assert "(1)" not in error.message


async def test_the_wrong_place_in_a_statement_is_named(server: Postgres) -> None:
    error = await failed(query(server, "SELECT nosuch FROM customer"))
    assert "UndefinedColumn, SQLSTATE 42703, at character 8" in error.message


async def test_a_wrong_password_says_so(server: Postgres) -> None:
    wanted = query(server, "SELECT 1")
    error = await failed(replace(wanted, server=replace(wanted.server, password="secret://wrong")))
    assert ("sql.login_refused", False) == (error.code, error.retryable)


async def test_the_name_is_what_the_certificate_is_held_to(server: Postgres) -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    door = SqlDoor(
        reveal=reveal, resolve=resolve, trust=lambda: ssl.create_default_context(cafile=str(server.authority))
    )
    wanted = query(server, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    own = replace(wanted, server=replace(wanted.server, tls="require"))
    assert [[True]] == (await asked(own, door)).rows
    other = replace(wanted, server=replace(wanted.server, host="other.bank.example", tls="require"))
    error = await failed(other, door)
    assert "sql.no_tls" == error.code
    assert "other.bank.example" in error.message


async def test_nothing_is_asked_in_the_clear_on_another_machine(server: Postgres) -> None:
    wanted = query(server, "SELECT 1")
    error = await failed(replace(wanted, server=replace(wanted.server, host="db.bank.example")))
    assert "sql.no_tls" == error.code


async def test_an_address_that_is_never_reached_is_not_reached_by_sql(server: Postgres) -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return ["169.254.169.254"]

    wanted = query(server, "SELECT 1")
    wanted = replace(wanted, server=replace(wanted.server, host="db.bank.example", tls="require"))
    assert "egress.forbidden_address" == (await failed(wanted, SqlDoor(resolve=resolve, reveal=reveal))).code


async def test_nobody_there_is_unavailable(server: Postgres) -> None:
    wanted = query(server, "SELECT 1")
    error = await failed(replace(wanted, server=replace(wanted.server, port=1)))
    assert (Unavailable, "egress.unreachable") == (type(error), error.code)


async def test_leave_for_one_database_is_not_leave_for_another(server: Postgres) -> None:
    destination = Destination("sql", "site", "localhost:5432")
    cleared = await Guard(OPEN).clear(Outbound(destination=destination, payload=query(server, "SELECT 1")))
    with pytest.raises(Refused, match=r"egress\.other_destination"):
        await SqlDoor(reveal=reveal).send(cleared)


async def test_the_rules_are_asked_before_a_connection_is_made(server: Postgres) -> None:
    with pytest.raises(Refused, match=r"egress\.air_gapped"):
        await asked(query(server, "SELECT 1"), policy=replace(OPEN, mode="air_gapped"))
    outbound = Outbound(
        destination=Destination("sql", "site", f"127.0.0.1:{server.port}"),
        payload=query(server, "SELECT 1"),
        sender=Sender(data_class="restricted"),
    )
    with pytest.raises(Refused, match=r"egress\.data_class_refused"):
        await Guard(OPEN).clear(outbound)


CARD = "4111111111111111"


async def test_parameters_are_redacted_as_the_policy_says(server: Postgres) -> None:
    """A pseudonym in a question finds nothing, so the site's own databases are asked with what there is."""
    names_off = replace(PRESETS["default"], names=False)
    wanted = query(server, "SELECT $1::text AS said", CARD)
    assert [[CARD]] == (await asked(wanted)).rows
    strict = replace(OPEN, redaction=redaction_of({"sql/site": names_off}))
    rows = (await asked(wanted, policy=strict)).rows
    assert CARD not in str(rows)


async def test_a_value_within_a_statement_is_refused_not_changed(server: Postgres) -> None:
    names_off = replace(PRESETS["default"], names=False)
    strict = replace(OPEN, redaction=redaction_of({"sql/site": names_off}))
    with pytest.raises(Refused, match=r"redaction\.blocked.*parameters"):
        await asked(query(server, f"SELECT id FROM customer WHERE name = '{CARD}'"), policy=strict)


async def test_a_known_secret_leaves_in_no_question(server: Postgres) -> None:
    known = KnownSecrets()
    known.add("crm", "hunter22-hunter22")
    wanted = query(server, "SELECT $1::text AS said", "hunter22-hunter22")
    destination = Destination("sql", "site", destination_of(wanted.server))
    cleared = await Guard(OPEN, known=known).clear(Outbound(destination=destination, payload=wanted))
    reply = await SqlDoor(reveal=reveal).send(cleared)
    assert "hunter22" not in str(reply.rows)
