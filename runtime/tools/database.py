"""The kind `database`: one statement to an SQLite file, or through the door to PostgreSQL; values are parameters only.

Reading is the default, and is held by the database itself; a tool that may change rows names the operations.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, cast

from runtime.domain.canonical import Json
from runtime.domain.sql import Operation, SqlQuery, SqlReply, SqlServer, server_of
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.domain.units import size_bytes
from runtime.errors import Invalid
from runtime.ports import ToolContext
from runtime.store.foreign import ask_file
from runtime.tools.arguments import only, text_of
from runtime.tools.files import check_granted
from runtime.tools.places import is_sql_script, sqlite_path
from runtime.tools.registry import ToolServices

SQLITE = "sqlite:"
DEFAULT_ROWS = 1_000
DEFAULT_REPLY_BYTES = 524_288


class DatabaseTool:
    """Asks. Implements Tool; the answer is `{rows, count, is_truncated, affected_rows}`, each row by its columns."""

    dry_answer: ClassVar[Json] = {"rows": [], "count": 0, "is_truncated": False, "affected_rows": 0}
    """What a what-if is told, which asks nothing."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        config = spec.config
        self.spec = spec
        self._connection = str(config["connection"])
        self._folder = services.folder
        self._query = str(config.get("query", ""))
        self._names = tuple(cast("list[str]", config.get("parameters", [])))
        self._operations = cast("tuple[Operation, ...]", tuple(cast("list[str]", config.get("allowed_operations", []))))
        self._operations = self._operations or ("select",)
        self._max_rows = int(str(config.get("max_rows", DEFAULT_ROWS)))
        self._max_bytes = size_bytes(config["max_reply"]) if "max_reply" in config else DEFAULT_REPLY_BYTES

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Ask one statement. Raises Refused for an operation that the tool does not allow."""
        statement, parameters = self._asked(call.arguments)
        timeout_s = ctx.profile.timeout_ms / 1_000
        if self._connection.startswith(SQLITE):
            is_script = is_sql_script(self._connection)
            path = Path(self._folder, self._path) if is_script else Path(self._granted(ctx))
            reply = await ask_file(
                path,
                statement,
                parameters,
                operations=self._operations,
                max_rows=self._max_rows,
                max_bytes=self._max_bytes,
                timeout_s=timeout_s,
                is_script=is_script,
            )
        else:
            reply = await ctx.sql.send(self._question(statement, parameters, timeout_s))
        return _answer(reply)

    def _granted(self, ctx: ToolContext) -> str:
        return check_granted(self.spec, ctx.profile, self._path, writing=self._operations != ("select",))

    @property
    def _path(self) -> str:
        return sqlite_path(self._connection)

    def _question(self, statement: str, parameters: tuple[Json, ...], timeout_s: float) -> SqlQuery:
        config = self.spec.config
        server = server_of(self._connection)
        return SqlQuery(
            server=SqlServer(
                host=server.host,
                port=server.port,
                database=server.database,
                user=server.user,
                password=str(config.get("password", "")),
                tls="none" if config.get("tls") == "none" else "require",
            ),
            statement=statement,
            parameters=parameters,
            operations=self._operations,
            max_rows=self._max_rows,
            max_bytes=self._max_bytes,
            timeout_s=timeout_s,
        )

    def _asked(self, given: Mapping[str, Json]) -> tuple[str, tuple[Json, ...]]:
        tool = self.spec.id
        if self._query:
            only(given, self._names, tool)
            missing = [name for name in self._names if name not in given]
            if missing:
                raise Invalid("tool.arguments", f"tool {tool!r} needs {', '.join(map(repr, missing))}")
            return self._query, tuple(given[name] for name in self._names)
        only(given, ("query", "parameters"), tool)
        parameters = given.get("parameters") or []
        if not isinstance(parameters, list):
            raise Invalid("tool.arguments", f"tool {tool!r} takes 'parameters' as a list: the values of $1, $2, …")
        return text_of(given, "query", tool), tuple(parameters)


def _answer(reply: SqlReply) -> Json:
    names = _distinct(reply.columns)
    rows: list[Json] = [dict(zip(names, row, strict=True)) for row in reply.rows]
    return {
        "rows": rows,
        "count": len(rows),
        "is_truncated": reply.is_truncated,
        "affected_rows": reply.affected_rows,
    }


def _distinct(columns: tuple[str, ...]) -> list[str]:
    """The names, a second of one name as `name_2`."""
    names: list[str] = []
    for column in columns:
        name, number = column, 2
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names.append(name)
    return names
