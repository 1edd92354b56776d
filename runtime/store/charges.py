"""The table of what was spent: how lines are written, and how they are added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runtime.costs.budget import Key
from runtime.costs.periods import HOUR_US, period_of
from runtime.domain.cost import Budget, Period
from runtime.domain.egress import CostBound, Sender
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = {
    "tenant": "tenant",
    "workflow": "workflow",
    "agent": "agent",
    "role": "role",
    "model": "item",
    "tool": "item",
    "memory": "item",
}
"""Dimension → its column; an item begins with its kind."""
_ITEMS = ("model", "tool", "memory")
_SUMS = "sum(calls), sum(usd_micros), sum(input_tokens), sum(output_tokens)"


class Place(NamedTuple):
    """What a total of an hour is added up by."""

    hour_us: int
    tenant: str
    workflow: str
    agent: str
    role: str
    item: str


class Spending(NamedTuple):
    """What was spent on something."""

    name: str
    calls: int = 0
    usd_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    open_usd_micros: int = 0
    """Of the money, what is set aside for calls that are not settled yet."""
    open_tokens: int = 0


class Charges:
    """The table, to be looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spending_by(self, dimension: str, between_us: tuple[int, int], *, tenant: str = "") -> list[Spending]:
        """What was spent between two instants, by the names of a dimension, the dearest first; of one tenant, or of
        all."""
        return await self._database.read(lambda c: spending_by(c, dimension, between_us, tenant=tenant))

    async def hours(self, between_us: tuple[int, int], *, tenant: str = "") -> list[tuple[int, Spending]]:
        """The beginning of each hour in which something was spent, and what; in order, of one tenant, or of all."""
        return await self._database.read(lambda c: hours(c, between_us, tenant=tenant))

    async def charge_back(self, between_us: tuple[int, int], *, tenant: str = "") -> list[tuple[str, str, Spending]]:
        """Tenant, workflow, and what was spent there on each item; sorted by these names."""
        return await self._database.read(lambda c: charge_back(c, between_us, tenant=tenant))

    async def spent_under(self, key: Key) -> tuple[int, int]:
        """Micro-dollars and tokens that stand under one budget's count."""
        return await self._database.read(lambda c: spent_under(c, key))

    async def counts_of(
        self, budget: Budget, now_us: int, *, tenant: str = "", limit: int = 100
    ) -> list[tuple[Key, Spending]]:
        """What a budget has seen in the period of `now_us`, for each of its names, the dearest first."""
        return await self._database.read(lambda c: counts_of(c, budget, now_us, tenant=tenant, limit=limit))


def add(connection: sqlite3.Connection, sender: Sender, cost: CostBound, at_us: int, *, state: str) -> int:
    """Write a line; return its id."""
    cursor = connection.execute(
        "INSERT INTO charge(at_us, state, tenant, workflow, agent, role, run, item, calls, usd_micros, input_tokens, "
        "output_tokens) VALUES(?,?,?,?,?,?,?,?,1,?,?,?)",
        (
            at_us,
            state,
            sender.tenant,
            sender.workflow,
            sender.agent,
            sender.role,
            sender.run,
            cost.item,
            cost.usd_micros,
            cost.input_tokens,
            cost.output_tokens,
        ),
    )
    return int(cursor.lastrowid or 0)


def settle(connection: sqlite3.Connection, line: int, spent: CostBound) -> int:
    """Put what was spent in the place of what was set aside; a line over nothing goes. How many lines there were."""
    if not (spent.usd_micros or spent.input_tokens or spent.output_tokens):
        return connection.execute("DELETE FROM charge WHERE id = ?", (line,)).rowcount
    return connection.execute(
        "UPDATE charge SET state = 'settled', usd_micros = ?, input_tokens = ?, output_tokens = ? WHERE id = ?",
        (spent.usd_micros, spent.input_tokens, spent.output_tokens, line),
    ).rowcount


def give_up_open(connection: sqlite3.Connection) -> int:
    """Mark what an ended process has left open; how many lines there were."""
    return connection.execute("UPDATE charge SET state = 'lost' WHERE state = 'open'").rowcount


def add_totals(connection: sqlite3.Connection, totals: Iterable[tuple[Place, Sequence[int]]]) -> None:
    """Add calls, micro-dollars, input and output tokens to the totals of their hours."""
    connection.executemany(
        "INSERT INTO charge(at_us, state, tenant, workflow, agent, role, run, item, calls, usd_micros, input_tokens, "
        "output_tokens) VALUES(?,'total',?,?,?,?,'',?,?,?,?,?) "
        "ON CONFLICT(at_us, tenant, workflow, agent, role, item) WHERE state = 'total' DO UPDATE SET "
        "calls = calls + excluded.calls, usd_micros = usd_micros + excluded.usd_micros, "
        "input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens",
        [(*place, *sums) for place, sums in totals],
    )


def spent_under(connection: sqlite3.Connection, key: Key) -> tuple[int, int]:
    """Micro-dollars and tokens of one budget's count, open and lost lines at their bounds."""
    clauses, values = _of_period(key)
    for dimension, name in zip(key[2::2], key[3::2], strict=True):
        kind = str(dimension)
        clauses.append(f"{_COLUMNS[kind]} = ?")
        values.append(f"{kind}:{name}" if kind in _ITEMS else name)
    row = connection.execute(
        "SELECT coalesce(sum(usd_micros), 0), coalesce(sum(input_tokens + output_tokens), 0) FROM charge WHERE "
        + " AND ".join(clauses),
        values,
    ).fetchone()
    return int(row[0]), int(row[1])


def spending_by(
    connection: sqlite3.Connection, dimension: str, between_us: tuple[int, int], *, tenant: str = ""
) -> list[Spending]:
    """What was spent in a period, by the names of a dimension, the dearest first; of one tenant, or of all."""
    column = _COLUMNS[dimension]
    prefix = f"{dimension}:" if dimension in _ITEMS else ""
    rows = connection.execute(
        f"SELECT {column}, {_SUMS}, {_open('usd_micros')}, {_open('input_tokens + output_tokens')} FROM charge "
        f"WHERE at_us >= ? AND at_us < ? AND (? = '' OR tenant = ?) AND substr({column}, 1, ?) = ? "
        f"GROUP BY {column} ORDER BY 3 DESC, 4 + 5 DESC, 1",
        (*between_us, tenant, tenant, len(prefix), prefix),
    )
    return [Spending(str(name).removeprefix(prefix), *map(int, sums)) for name, *sums in rows]


def hours(
    connection: sqlite3.Connection, between_us: tuple[int, int], *, tenant: str = ""
) -> list[tuple[int, Spending]]:
    """The beginning of each hour of a period in which something was spent, and what; of one tenant, or of all."""
    rows = connection.execute(
        f"SELECT at_us - at_us % {HOUR_US}, {_SUMS}, {_open('usd_micros')}, {_open('input_tokens + output_tokens')} "
        "FROM charge WHERE at_us >= ? AND at_us < ? AND (? = '' OR tenant = ?) GROUP BY 1 ORDER BY 1",
        (*between_us, tenant, tenant),
    )
    return [(int(at_us), Spending("", *map(int, sums))) for at_us, *sums in rows]


def charge_back(
    connection: sqlite3.Connection, between_us: tuple[int, int], *, tenant: str = ""
) -> list[tuple[str, str, Spending]]:
    """Tenant, workflow, and what was spent there on each item (`model:…`, `tool:…`); sorted by these names."""
    rows = connection.execute(
        f"SELECT tenant, workflow, item, {_SUMS}, {_open('usd_micros')}, {_open('input_tokens + output_tokens')} "
        "FROM charge WHERE at_us >= ? AND at_us < ? AND (? = '' OR tenant = ?) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        (*between_us, tenant, tenant),
    )
    return [(str(whose), str(workflow), Spending(str(item), *map(int, sums))) for whose, workflow, item, *sums in rows]


def counts_of(
    connection: sqlite3.Connection, budget: Budget, now_us: int, *, tenant: str = "", limit: int = 100
) -> list[tuple[Key, Spending]]:
    """What a budget has seen in the period of `now_us`, for each of the names that it fits; of one tenant, or of all.

    A budget per run has a count for each run; the dearest `limit` are given.
    """
    begin, _ = period_of(budget.per, now_us)
    columns = [_COLUMNS[dimension] for dimension, _ in budget.scope]
    clauses, values = ["(? = '' OR tenant = ?)"], [tenant, tenant, *([] if budget.per == "run" else [begin])]
    clauses.append("run <> ''" if budget.per == "run" else "at_us >= ?")
    for (dimension, pattern), column in zip(budget.scope, columns, strict=True):
        prefix = f"{dimension}:" if dimension in _ITEMS else ""
        clauses.append(f"{column} <> '' AND substr({column}, 1, ?) = ? AND (? = '*' OR {column} = ?)")
        values += [len(prefix), prefix, pattern, prefix + pattern]
    groups = [*(["run"] if budget.per == "run" else []), *columns]
    rows = connection.execute(
        f"SELECT {', '.join([*groups, ''])}{_SUMS}, {_open('usd_micros')}, {_open('input_tokens + output_tokens')} "
        f"FROM charge WHERE {' AND '.join(clauses)} "
        + (f"GROUP BY {', '.join(groups)} " if groups else "")
        + f"ORDER BY {len(groups) + 2} DESC, {len(groups) + 3} DESC LIMIT ?",
        (*values, limit),
    ).fetchall()
    return [_count(budget, begin, row) for row in rows if row[len(groups)] is not None]


def _count(budget: Budget, begin: int, row: Sequence[object]) -> tuple[Key, Spending]:
    run: list[object] = []
    if budget.per == "run":
        run, row = [row[0]], row[1:]
    names = [
        str(name).removeprefix(f"{dimension}:")
        for (dimension, _), name in zip(budget.scope, row[: len(budget.scope)], strict=True)
    ]
    parts = (part for (dimension, _), name in zip(budget.scope, names, strict=True) for part in (dimension, name))
    key: Key = (budget.per, str(run[0]) if run else begin, *parts)
    return key, Spending("", *(int(str(number)) for number in row[len(budget.scope) :]))


def _of_period(key: Key) -> tuple[list[str], list[str | int]]:
    per, begin = key[0], key[1]
    if per == "run":
        return ["run = ?"], [begin]
    period: dict[str, Period] = {"hour": "hour", "day": "day", "month": "month"}
    return ["at_us >= ?", "at_us < ?"], [begin, period_of(period[str(per)], int(begin))[1]]


def _open(expression: str) -> str:
    return f"sum(CASE WHEN state = 'open' THEN {expression} ELSE 0 END)"
