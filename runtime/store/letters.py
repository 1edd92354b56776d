"""What consumers of the bus were given and did not take: failures that are tried again, and dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.domain.bus import DeadLetter, Failure, Posted
from runtime.domain.ids import TenantId
from runtime.errors import Corrupt
from runtime.store.database import Database
from runtime.store.posts import find

if TYPE_CHECKING:
    import sqlite3

KEY = "(SELECT key FROM bus_consumer WHERE tenant = ? AND name = ?)"
_DEAD = (
    "SELECT dead_letter.id, bus_consumer.tenant, bus_consumer.name, seq, deliveries, reason, at_us, revived_us "
    "FROM dead_letter JOIN bus_consumer ON bus_consumer.key = dead_letter.consumer "
)


class Letters:
    """The half of a BusStore that is about what was not taken."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def failures(self, tenant: TenantId, name: str) -> Sequence[Failure]:
        """See BusStore."""
        rows = await self._database.read(
            lambda c: c.execute(
                f"SELECT seq, deliveries, reason FROM bus_failure WHERE consumer = {KEY}", (tenant, name)
            ).fetchall()
        )
        return [Failure(position=seq, deliveries=deliveries, reason=reason) for seq, deliveries, reason in rows]

    async def note(self, tenant: TenantId, name: str, failure: Failure) -> None:
        """See BusStore."""
        values = (tenant, name, failure.position, failure.deliveries, failure.reason)
        await self._database.write(
            lambda c: c.execute(
                f"INSERT OR REPLACE INTO bus_failure(consumer, seq, deliveries, reason) VALUES({KEY},?,?,?)", values
            )
        )

    async def bury(self, tenant: TenantId, name: str, failure: Failure, *, at_us: int) -> None:
        """See BusStore."""
        values = (tenant, name, failure.position, failure.deliveries, failure.reason, at_us)

        def bury_it(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT INTO dead_letter(consumer, seq, deliveries, reason, at_us) VALUES({KEY},?,?,?,?) "
                "ON CONFLICT(consumer, seq) DO UPDATE SET deliveries = deliveries + excluded.deliveries, "
                "reason = excluded.reason, at_us = excluded.at_us, revived_us = NULL",
                values,
            )
            connection.execute(f"DELETE FROM bus_failure WHERE consumer = {KEY} AND seq = ?", values[:3])

        await self._database.write(bury_it)

    async def dead(
        self, tenant: TenantId, *, consumer: str = "", ids: Sequence[int] = (), limit: int = 100
    ) -> Sequence[DeadLetter]:
        """See BusStore."""
        among = f"AND dead_letter.id IN ({', '.join('?' * len(ids))}) " if ids else ""
        return await self._database.read(
            lambda c: _dead(
                c,
                f"WHERE tenant = ? AND (? = '' OR name = ?) {among}ORDER BY dead_letter.id DESC LIMIT ?",
                tenant,
                consumer,
                consumer,
                *ids,
                limit,
            )
        )

    async def revive(self, tenant: TenantId, ids: Sequence[int], *, at_us: int) -> Sequence[DeadLetter]:
        """See BusStore."""

        def revive_them(connection: sqlite3.Connection) -> Sequence[DeadLetter]:
            among = ", ".join("?" * len(ids))
            found = _dead(connection, f"WHERE tenant = ? AND revived_us IS NULL AND id IN ({among})", tenant, *ids)
            connection.executemany(
                "UPDATE dead_letter SET revived_us = ? WHERE id = ?", [(at_us, letter.id) for letter in found]
            )
            return found

        return await self._database.write(revive_them)

    async def revived(self, tenant: TenantId, name: str) -> Sequence[tuple[DeadLetter, Posted]]:
        """See BusStore."""

        def find_them(connection: sqlite3.Connection) -> Sequence[tuple[DeadLetter, Posted]]:
            where = "WHERE tenant = ? AND name = ? AND revived_us IS NOT NULL ORDER BY seq"
            letters = _dead(connection, where, tenant, name)
            return [(letter, posted) for letter in letters if (posted := find(connection, letter.position))]

        return await self._database.read(find_them)

    async def resolve(self, tenant: TenantId, letter: int) -> None:
        """See BusStore."""
        await self._database.write(
            lambda c: c.execute(
                "DELETE FROM dead_letter WHERE id = ? AND consumer IN (SELECT key FROM bus_consumer WHERE tenant = ?)",
                (letter, tenant),
            )
        )


def _dead(connection: sqlite3.Connection, where: str, *values: object) -> Sequence[DeadLetter]:
    letters = []
    for id, tenant, name, seq, deliveries, reason, at_us, revived_us in connection.execute(_DEAD + where, values):
        posted = find(connection, seq)
        letters.append(
            DeadLetter(
                id=id,
                tenant=TenantId(tenant),
                consumer=name,
                position=seq,
                message=_id(posted),
                subject=posted.subject if posted else "",
                deliveries=deliveries,
                reason=reason,
                at_us=at_us,
                is_retried=revived_us is not None,
            )
        )
    return letters


def _id(posted: Posted | None) -> str:
    try:
        return posted.envelope().id if posted else ""
    except Corrupt:  # that may be the very reason
        return ""
