"""The door to PostgreSQL. It asks what the guard has cleared, and nothing else.

Each statement has a connection and a transaction of its own: whatever it leaves behind in the session ends with it.
What it may do is held by the database: read-only transactions are so for the server, and whether rows are changed is
read from the server's own plan. What the server says of an error may hold values, so only its class is told.
"""

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import asyncpg
from asyncpg import Record
from asyncpg.prepared_stmt import PreparedStatement

from redaction.doors.reaching import (
    Resolve,
    Reveal,
    Trust,
    addresses_of,
    check_place,
    place_of,
    system_resolve,
)
from redaction.doors.sql_values import Given, from_row, to_parameter
from redaction.policy import is_loopback
from runtime.domain.canonical import Json
from runtime.domain.egress import Cleared, Destination
from runtime.domain.secret import reference_of
from runtime.domain.sql import SqlQuery, SqlReply, SqlServer, check_operations, check_statement
from runtime.errors import Invalid, Refused, StepFailure, Unavailable

Connection: TypeAlias = "asyncpg.Connection[Record]"
Statement: TypeAlias = "PreparedStatement[Record]"

_CONNECT_S = 10.0
_EXPLAIN = "EXPLAIN (FORMAT JSON) "
_BATCH = 200


def destination_of(server: SqlServer) -> str:
    """The `host:port` of a database."""
    return place_of(server.host, server.port)


async def reach(host: str, port: int, *, timeout_s: float) -> None:
    """Connect as the door does and ask nothing, past every check: for the proof that nothing gets out."""
    # a login of its own, so that none is looked for in the system's files
    found = await asyncpg.connect(
        host=host, port=port, user="nobody", password="none", database="none", ssl=False, timeout=timeout_s
    )
    found.terminate()


class SqlDoor:
    """Asks PostgreSQL."""

    def __init__(
        self, *, resolve: Resolve | None = None, reveal: Reveal | None = None, trust: Trust | None = None
    ) -> None:
        """`resolve`: None: the system's resolver. `reveal`: None: there are no secrets here. `trust`: makes what
        certificates are held to; None: the system's authorities."""
        self._resolve = resolve or system_resolve
        self._reveal = reveal
        self._trust = trust

    async def send(self, cleared: Cleared[SqlQuery]) -> SqlReply:
        """Ask one statement and read its rows, up to its limits. Changes are durable when this returns.

        Raises Refused (address, rights), Unavailable (no answer in time), StepFailure (the database says no) or
        Invalid (the statement, its parameters).
        """
        query, server = cleared.payload, cleared.payload.server
        place = destination_of(server)
        check_place(cleared.destination, place)
        check_statement(query.statement, query.parameters)
        if server.tls == "none" and not is_loopback(place):
            raise Refused(
                "sql.no_tls", f"{place} would be asked in the clear; set tls to require, which needs TLS on the server"
            )
        with _in_our_words(place, query.timeout_s):
            async with asyncio.timeout(query.timeout_s):
                connection = await self._connect(query, cleared.destination)
                try:
                    return await _ask(connection, query, place)
                finally:
                    connection.terminate()  # at once: nothing of it is used again, and no farewell is waited for

    async def _connect(self, query: SqlQuery, destination: Destination) -> Connection:
        server = query.server
        password = await self._password(query, destination.host)
        addresses = await addresses_of(server.host, server.port, self._resolve, zone=destination.zone)
        for number, address in enumerate(addresses, 1):
            try:
                return await asyncpg.connect(
                    host=address,
                    port=server.port,
                    user=server.user,
                    password=password,
                    database=server.database,
                    passfile="/dev/null",  # nothing of this machine's user goes along
                    ssl=False if server.tls == "none" else self._tls(server.host),
                    timeout=min(_CONNECT_S, query.timeout_s),
                    statement_cache_size=0,
                    server_settings={
                        "application_name": "agentflow",
                        "default_transaction_read_only": "on" if query.is_read_only else "off",
                        "statement_timeout": str(max(int(query.timeout_s * 1_000), 1)),
                        "lock_timeout": str(max(int(query.timeout_s * 500), 1)),
                        "idle_in_transaction_session_timeout": str(max(int(query.timeout_s * 1_000), 1)),
                    },
                )
            except ConnectionRefusedError:
                if number == len(addresses):
                    raise
        raise AssertionError("a resolved name has an address")

    async def _password(self, query: SqlQuery, place: str) -> str:
        if not query.server.password:
            return ""
        reference = reference_of(query.server.password)
        if self._reveal is None:
            raise Unavailable("secret.no_store", f"{reference} can't be resolved here", retryable=False)
        return await self._reveal(query.holder, reference, place)

    def _tls(self, name: str) -> ssl.SSLContext:
        """Bound to the name: the connection goes to an address, and who answers must be whom the name names."""
        context = _Named(ssl.PROTOCOL_TLS_CLIENT)
        context.name = name
        if self._trust is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            for certificate in self._trust().get_ca_certs(binary_form=True):
                context.load_verify_locations(cadata=certificate)
        return context


class _Named(ssl.SSLContext):
    name: str

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.name, session)


async def _ask(connection: Connection, query: SqlQuery, place: str) -> SqlReply:
    if getattr(connection.get_settings(), "is_superuser", "off") == "on":
        raise Refused(
            "sql.superuser",
            f"user {query.server.user!r} is a superuser of {place}, who could read its files and more; make a role "
            "with the rights that this tool needs",
        )
    async with connection.transaction(readonly=True):
        changes, is_top = await _changes(connection, query)
        check_operations(changes or frozenset({"select"}), query.operations)
        if not changes:
            return await _read(connection, query)
    async with connection.transaction():
        return await _change(connection, query, is_counted=is_top)


async def _changes(connection: Connection, query: SqlQuery) -> tuple[frozenset[str], bool]:
    """What the statement would do to rows, as the server plans it, and whether it answers with all of those.

    It is not run for that.
    """
    explained = await connection.prepare(f"{_EXPLAIN}{query.statement}")
    said = await explained.fetchval(*_given(explained, query))
    plan = json.loads(said) if isinstance(said, str) else said
    found: set[str] = set()
    _walk(plan, found)
    is_top = len(plan) == 1 and plan[0].get("Plan", {}).get("Node Type") == "ModifyTable"
    return frozenset(found), is_top


def _walk(plan: Json, found: set[str]) -> None:
    inner = list(plan.values()) if isinstance(plan, dict) else plan if isinstance(plan, list) else []
    if isinstance(plan, dict) and plan.get("Node Type") == "ModifyTable":
        found.add(str(plan.get("Operation")).lower())
        if str(plan.get("Conflict Resolution")).upper() == "UPDATE":
            found.add("update")
    for each in inner:
        _walk(each, found)


async def _read(connection: Connection, query: SqlQuery) -> SqlReply:
    statement = await connection.prepare(query.statement)
    columns = tuple(each.name for each in statement.get_attributes())
    rows, is_truncated = await _rows(statement, query)
    return SqlReply(columns=columns, rows=rows, is_truncated=is_truncated)


async def _change(connection: Connection, query: SqlQuery, *, is_counted: bool) -> SqlReply:
    statement = await connection.prepare(query.statement)
    columns = tuple(each.name for each in statement.get_attributes())
    if not columns:
        await statement.fetch(*_given(statement, query))
        return SqlReply(affected_rows=int(str(statement.get_statusmsg()).rpartition(" ")[2]))
    rows, is_truncated = await _rows(statement, query)
    if is_truncated:
        raise StepFailure(
            "sql.too_many_rows",
            f"the statement changes rows and returns more than {query.max_rows:,} of them, or {query.max_bytes:,} "
            "bytes; nothing was changed. Return fewer",
            retryable=False,
        )
    return SqlReply(columns=columns, rows=rows, affected_rows=len(rows) if is_counted else None)


async def _rows(statement: Statement, query: SqlQuery) -> tuple[list[list[Json]], bool]:
    """The rows up to the limits, and whether there were more."""
    rows: list[list[Json]] = []
    size_bytes = 0
    cursor = await statement.cursor(*_given(statement, query))
    while records := await cursor.fetch(_BATCH):
        for record in records:
            row = from_row(record.values())
            size_bytes += len(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass"))
            if len(rows) >= query.max_rows or size_bytes > query.max_bytes:
                return rows, True
            rows.append(row)
    return rows, False


def _given(statement: Statement, query: SqlQuery) -> list[Given]:
    kinds = [each.name for each in statement.get_parameters()]
    if len(kinds) != len(query.parameters):
        raise Invalid(
            "sql.parameters",
            f"the statement names {len(kinds)} parameters ($1, $2, …), and {len(query.parameters)} values are given",
        )
    return [
        to_parameter(value, kind, number)
        for number, (value, kind) in enumerate(zip(query.parameters, kinds, strict=True), 1)
    ]


@contextmanager
def _in_our_words(place: str, timeout_s: float) -> Iterator[None]:
    """Whatever goes wrong with a database, as one of our errors, without what it said: that may hold a value."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _said(error, place, timeout_s) from None
    except ssl.SSLError as error:
        why = f"its certificate or its protocol is not taken ({error.reason or 'unknown'})"
        raise _no_tls(place, why) from None
    except TimeoutError:
        raise Unavailable("sql.timeout", f"{place} gave no answer within {timeout_s:g} s") from None
    except ConnectionRefusedError:
        raise Unavailable("egress.unreachable", f"no connection to {place}: it refuses, or is not there") from None
    except OSError as error:
        if "SSL" in str(error):
            raise _no_tls(place, "it does not offer to encrypt") from None
        raise Unavailable("sql.broken", f"the connection to {place} broke off") from None
    except asyncpg.InterfaceError as error:
        raise StepFailure(
            "sql.driver", f"the answer of {place} can't be read ({type(error).__name__})", retryable=False
        ) from None


def _said(error: asyncpg.PostgresError, place: str, timeout_s: float) -> Exception:
    """The error of a state (SQLSTATE), with where in the statement it is and which constraint it breaks."""
    state = error.sqlstate or ""
    facts = [type(error).__name__.removesuffix("Error"), f"SQLSTATE {state}"]
    position = getattr(error, "position", None)
    if position and str(position).isdigit():
        facts.append(f"at character {max(int(position) - len(_EXPLAIN), 1)}")  # it is first met behind this
    if constraint := getattr(error, "constraint_name", None):
        facts.append(f"constraint {constraint!r}")
    what = ", ".join(facts)
    match state:
        case "25006":
            return Refused(
                "sql.read_only",
                f"{place} refuses to change anything in a read-only transaction ({what}); allow the operation under "
                "allowed_operations of the tool",
            )
        case "42501":
            return Refused(
                "sql.not_allowed", f"the user of the tool may not do this in {place} ({what}); grant it there"
            )
        case "57014":
            return StepFailure("sql.too_slow", f"{place} stopped the statement after {timeout_s:g} s ({what})")
        case "3D000":
            return StepFailure("sql.no_database", f"{place} has no database of that name ({what})", retryable=False)
    match state[:2]:
        case "28":
            return StepFailure(
                "sql.login_refused",
                f"{place} does not take the login ({what}); correct user and password",
                retryable=False,
            )
        case "40" | "55":
            return Unavailable("sql.conflict", f"another transaction of {place} stood in the way ({what}); tried again")
        case "53" | "57" | "58" | "08":
            return Unavailable("sql.busy", f"{place} can't answer now ({what})")
        case "22" | "23" | "44" | "P0":
            return StepFailure("sql.rejected", f"{place} does not take the values ({what})", retryable=False)
    return Invalid("sql.rejected", f"{place} does not take the statement ({what})")


def _no_tls(place: str, why: str) -> Unavailable:
    return Unavailable(
        "sql.no_tls",
        f"no encrypted connection to {place}: {why}. Give the server a certificate that this machine trusts",
        retryable=False,
    )
