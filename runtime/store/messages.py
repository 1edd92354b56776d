"""What the bus remembers, in the journal's file: messages besides its entries, consumers, dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from runtime.domain.bus import Batch, ConsumerState, Posted
from runtime.domain.envelope import Envelope, hash_of, write
from runtime.domain.ids import TenantId
from runtime.domain.subject import INBOX, RUNS, WHAT_IF, token
from runtime.errors import NotFound
from runtime.store.count import Count, last_position
from runtime.store.database import Database
from runtime.store.letters import KEY, Letters
from runtime.store.posts import page, posted_message

if TYPE_CHECKING:
    import sqlite3


MOST_SUBJECTS = 200
_PRUNE = (
    "UPDATE message SET body = NULL WHERE body IS NOT NULL AND at_us < ? AND seq <= coalesce("
    "(SELECT min(cursor) FROM bus_consumer WHERE bus_consumer.tenant = message.tenant), seq) "
    "AND seq NOT IN (SELECT seq FROM dead_letter)"
)


class Messages(Letters):
    """BusStore over a database that is started and stopped by whoever made it."""

    def __init__(self, database: Database, count: Count) -> None:
        """`count`: that of the journal in the same file."""
        super().__init__(database)
        self._count = count
        self._listeners: list[Callable[[Batch], None]] = []

    def listen(self, listener: Callable[[Batch], None]) -> None:
        """See BusStore."""
        if not self._listeners:
            self._count.hear()
            self._database.on_commit(self._count.taken, self._tell)
        self._listeners.append(listener)

    async def keep(self, envelope: Envelope) -> bool:
        """See BusStore."""
        content, digest = write(envelope), bytes.fromhex(hash_of(envelope).removeprefix("sha256:"))
        return await self._database.write(
            lambda connection: self._keep(connection, envelope, content, digest), savepoint=False
        )

    async def page(self, after: int, *, limit: int = 256, since_us: int = 0) -> Batch:
        """See BusStore."""
        return await self._database.read(lambda connection: page(connection, after, limit, since_us))

    async def head(self) -> int:
        """See BusStore."""
        return await self._database.read(last_position)

    async def follow(self, after: int) -> AsyncIterator[Posted]:
        """Everything behind a position, of all tenants, then what comes as it becomes durable.

        Ends when the database is stopped. In a process that only reads it comes at most a quarter of a second late.
        """
        while self._database.is_open:
            commits = self._database.commits  # taken first: a commit during the read is then not slept through
            batch = await self.page(after)
            for posted in batch.posts:
                yield posted
            after = batch.upto
            if not batch.posts:
                await self._database.changed(commits)

    async def subjects(self, tenant: TenantId) -> Sequence[tuple[str, int, int]]:
        """What was published: a filter, how many messages, and when the last one was; the newest first."""
        return await self._database.read(lambda connection: _subjects(connection, tenant))

    async def prune(self, before_us: int) -> int:
        """Forget what messages from before an instant said, once every consumer of their tenant has settled them.

        Their numbers and hashes stay, dead letters whole. Returns how many there were.
        """
        return await self._database.write(lambda connection: connection.execute(_PRUNE, (before_us,)).rowcount)

    async def open_consumer(self, tenant: TenantId, name: str, wanted: str, *, start: int, at_us: int) -> ConsumerState:
        """See BusStore."""

        def open_it(connection: sqlite3.Connection) -> ConsumerState:
            connection.execute(
                "INSERT INTO bus_consumer(tenant, name, wanted, cursor, created_us) VALUES(?,?,?,?,?) "
                "ON CONFLICT(tenant, name) DO UPDATE SET wanted = excluded.wanted",
                (tenant, name, wanted, start, at_us),
            )
            return _consumers(connection, "tenant = ? AND name = ?", tenant, name)[0]

        return await self._database.write(open_it)

    async def consumers(self, tenant: TenantId | None = None) -> Sequence[ConsumerState]:
        """See BusStore."""
        return await self._database.read(lambda c: _consumers(c, "? IS NULL OR tenant = ?", tenant, tenant))

    async def move(self, tenant: TenantId, name: str, cursor: int) -> None:
        """See BusStore."""

        def move_it(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                "UPDATE bus_consumer SET cursor = ? WHERE tenant = ? AND name = ? RETURNING key", (cursor, tenant, name)
            ).fetchone()
            if row is None:
                raise no_consumer(name)
            connection.execute("DELETE FROM bus_failure WHERE consumer = ? AND seq <= ?", (row[0], cursor))

        await self._database.write(move_it)

    async def forget(self, tenant: TenantId, name: str) -> None:
        """See BusStore."""

        def forget_it(connection: sqlite3.Connection) -> None:
            for table in ("bus_failure", "dead_letter"):
                connection.execute(f"DELETE FROM {table} WHERE consumer = {KEY}", (tenant, name))
            connection.execute("DELETE FROM bus_consumer WHERE tenant = ? AND name = ?", (tenant, name))

        await self._database.write(forget_it)

    def _keep(self, connection: sqlite3.Connection, envelope: Envelope, content: bytes, digest: bytes) -> bool:
        known = connection.execute(
            "SELECT hash FROM message WHERE tenant = ? AND id = ?", (envelope.tenant, envelope.id)
        ).fetchone()
        if known is not None:
            return False
        seq = self._count.last(connection) + 1
        connection.execute(
            "INSERT INTO message(seq, id, tenant, subject, run, at_us, hash, body) VALUES(?,?,?,?,?,?,?,?)",
            (
                seq,
                envelope.id,
                envelope.tenant,
                envelope.subject,
                envelope.run,
                envelope.at_us,
                digest,
                content,
            ),
        )
        self._count.move(seq)
        self._count.post([posted_message(seq, envelope, len(content))])
        return True

    def _tell(self, batch: Batch) -> None:
        for listener in self._listeners:
            listener(batch)


def _subjects(connection: sqlite3.Connection, tenant: str) -> Sequence[tuple[str, int, int]]:
    runs = connection.execute(
        "SELECT workflow, coalesce(origin.kind, 'run') AS kind, sum(seq), max(updated_us) FROM run "
        "LEFT JOIN origin ON origin.run = run.key WHERE tenant = ? AND coalesce(origin.kind, '') <> 'imported' "
        "GROUP BY workflow, kind",
        (tenant,),
    )
    found = [
        (f"{WHAT_IF if kind == 'what_if' else RUNS}.{token(workflow)}.>", count, last_us)
        for workflow, kind, count, last_us in runs
    ]
    found += connection.execute(
        "SELECT subject, count(*), max(at_us) FROM message WHERE tenant = ? AND subject NOT LIKE ? GROUP BY subject",
        (tenant, f"{INBOX}.%"),
    ).fetchall()
    return sorted(found, key=lambda line: -line[2])[:MOST_SUBJECTS]


def no_consumer(name: str) -> NotFound:
    """The error for a consumer that is not here."""
    return NotFound("bus.no_consumer", f"there is no consumer {name!r}; `af bus list` shows those there are")


def _consumers(connection: sqlite3.Connection, which: str, *values: object) -> Sequence[ConsumerState]:
    rows = connection.execute(
        "SELECT tenant, name, wanted, cursor, created_us, "
        "(SELECT count(*) FROM dead_letter WHERE consumer = bus_consumer.key) "
        f"FROM bus_consumer WHERE {which} ORDER BY tenant, name",
        values,
    )
    return [ConsumerState(**dict(zip(ConsumerState.__struct_fields__, row, strict=True))) for row in rows]
