"""A question to a database as data, so that it can be cleared before it is asked, and what may be asked. Pure."""

import re
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Invalid, Refused

Operation = Literal["select", "insert", "update", "delete"]

OPERATIONS: tuple[Operation, ...] = ("select", "insert", "update", "delete")
MAX_STATEMENT_BYTES = 65_536
MAX_PARAMETERS = 1_000

_FIRST = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()*([A-Za-z]+)", re.DOTALL)
"""The first word of a statement, behind white space, comments and brackets."""
_FIRST_WORDS = frozenset({"select", "with", "values", "insert", "update", "delete", "replace"})
"""What may begin a statement: reading and changing rows. Never what changes tables, roles, settings or sessions."""


class SqlServer(msgspec.Struct, frozen=True, kw_only=True):
    """A PostgreSQL database on another machine, or on this one."""

    host: str
    port: int = 5432
    database: str
    user: str
    password: str = ""
    """A reference to a secret, which only the door resolves; empty: the server asks for none."""
    tls: Literal["require", "none"] = "require"
    """`none`: in the clear, on this machine alone."""


class SqlQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One statement, with what it may do."""

    server: SqlServer
    statement: str
    """One statement; its values stand in the parameters, as `$1`, `$2`, …"""
    parameters: tuple[Json, ...] = ()
    operations: tuple[Operation, ...] = ("select",)
    """Those that are allowed; with `select` alone the transaction is read-only."""
    max_rows: int = 1_000
    max_bytes: int = 1_048_576
    """Of the rows, as JSON."""
    holder: TenantId = DEFAULT_TENANT
    """Whose secret the password is."""
    timeout_s: float = 30.0

    @property
    def is_read_only(self) -> bool:
        """Whether nothing may be changed."""
        return self.operations == ("select",)


class SqlReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a statement."""

    columns: tuple[str, ...] = ()
    rows: list[list[Json]] = []
    affected_rows: int | None = 0
    """Rows that were inserted, changed or deleted; None: the statement does not say."""
    is_truncated: bool = False
    """Whether there were more rows than may be answered; only of statements that read."""


def check_statement(statement: str, parameters: tuple[Json, ...]) -> None:
    """Raise Invalid for what can't be one statement that reads or changes rows. Never quotes it.

    This names a mistake early; what a statement may do is held by the database itself.
    """
    if not statement.strip():
        raise Invalid("sql.empty", "there is no statement; write one, such as SELECT name FROM customer WHERE id = $1")
    size_bytes = len(statement.encode("utf-8", "surrogatepass"))
    if size_bytes > MAX_STATEMENT_BYTES or len(parameters) > MAX_PARAMETERS or "\0" in statement:
        raise Invalid(
            "sql.too_long",
            f"the statement has {size_bytes:,} bytes and {len(parameters):,} parameters; at most "
            f"{MAX_STATEMENT_BYTES:,} bytes without NUL and {MAX_PARAMETERS:,} parameters are taken",
        )
    word = first_word(statement)
    if word not in _FIRST_WORDS:
        raise Invalid(
            "sql.statement",
            f"a statement that begins with {word.upper()[:20] or 'no word'} is none that a tool may ask; it begins "
            "with SELECT, WITH, VALUES, INSERT, UPDATE or DELETE",
        )


def first_word(statement: str) -> str:
    """The first word, in lower case; empty where there is none."""
    found = _FIRST.match(statement)
    return found.group(1).lower() if found else ""


def check_operations(found: frozenset[str], allowed: tuple[Operation, ...]) -> None:
    """Raise Refused for an operation that is not allowed."""
    for operation in sorted(found - set(allowed)):
        raise Refused(
            "sql.operation",
            f"the statement would {operation} rows, and the tool may {', '.join(allowed)}; the rule is "
            "allowed_operations of the tool",
        )


def server_of(connection: str) -> SqlServer:
    """The server that `postgresql://user@host:port/database` names. Raises Invalid, which does not quote it."""
    try:
        parts = urlsplit(connection)
        port = parts.port or 5432
    except ValueError:
        raise _bad_connection() from None
    database = unquote(parts.path.removeprefix("/"))
    is_whole = parts.scheme in ("postgresql", "postgres") and parts.hostname and parts.username and database
    if not is_whole or "/" in database or parts.query or parts.fragment:
        raise _bad_connection()
    if parts.password is not None:
        raise Invalid(
            "sql.password_in_connection", "the connection holds a password; name a secret under 'password' instead"
        )
    return SqlServer(host=str(parts.hostname).lower(), port=port, database=database, user=unquote(str(parts.username)))


def _bad_connection() -> Invalid:
    return Invalid(
        "sql.connection",
        "the connection can't be read; write postgresql://USER@HOST:PORT/DATABASE, or sqlite:/absolute/path.db",
    )
