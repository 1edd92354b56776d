"""The journal of every run in one SQLite file: the StateStore of the appliance.

A row is written once and never changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.domain.audit import AuditEntry
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Entry, Row
from runtime.ports import RunKind, RunSummary
from runtime.store import project_files, queries
from runtime.store.appender import Appender
from runtime.store.backup import back_up
from runtime.store.chains import Chains
from runtime.store.count import Count
from runtime.store.database import Database, Durability
from runtime.store.decision import decision_of
from runtime.store.key import Key
from runtime.store.lock import DataLock
from runtime.store.messages import Messages
from runtime.store.migrations import journal_steps
from runtime.store.published import Published
from runtime.store.triggers import TriggerStates
from runtime.store.verification import Verified, verify

if TYPE_CHECKING:
    import sqlite3

JOURNAL_FILE = "journal.db"
GATHER_S = 0.01
"""How long a follower that was woken waits for more: under load it then reads pages, not single commits."""


def journal_database(
    folder: Path, *, lock: DataLock | None, key: Key | None = None, durability: Durability = "full"
) -> Database:
    """The database of a data folder that holds its journal; not opened yet. Without the lock it only reads."""
    return Database(folder / JOURNAL_FILE, lock=lock, key=key, durability=durability, steps=journal_steps())


class Journal:
    """StateStore over a database that is started and stopped by whoever made it."""

    def __init__(self, database: Database, audit: Chains | None = None) -> None:
        """`audit`: the audit log, which gets its lines in the transaction of what they tell of; None: none is kept."""
        self._database = database
        self._audit = audit
        count = Count()
        self._appender = Appender(audit, count)
        database.on_rollback(self._appender.forget)
        self.messages = Messages(database, count)
        """What the bus remembers beside the entries."""
        self.published = Published(database, audit)
        """The definitions that have a name here."""
        self.triggers = TriggerStates(database, audit)
        """What is remembered of their triggers."""

    async def append(
        self,
        run: RunId,
        expected_seq: int,
        entries: Sequence[Entry],
        *,
        idempotency_key: str | None = None,
        status: str | None = None,
    ) -> int:
        """See StateStore. Durable when this returns; other callers' appends may share the transaction."""
        decision = decision_of(run, expected_seq, entries, idempotency_key, status)
        # it looks at everything before it changes anything, so it needs no savepoint
        return await self._database.write(lambda c: self._appender.append(c, decision), savepoint=False)

    async def adopt(self, run: RunId, entries: Sequence[Entry], *, origin: str, at_us: int) -> None:
        """Keep a whole journal that came from elsewhere, to be looked at; durable when this returns.

        Nothing is ever appended to it, and nobody who follows the journal is told of it. Raises Conflict where there is
        a run of that id, and Invalid for entries that are no whole journal.
        """
        decision = decision_of(run, 0, entries, None)
        await self._database.write(lambda c: self._appender.adopt(c, decision, origin, at_us))

    async def read(self, run: RunId, *, after_seq: int = 0, limit: int = queries.PAGE_ROWS) -> Sequence[Row]:
        """See StateStore."""
        return await self._database.read(lambda c: queries.rows_of(c, run, after_seq, limit))

    async def runs(
        self,
        *,
        status: Sequence[str] = (),
        workflow: str = "",
        kinds: Sequence[RunKind] = (),
        limit: int = 100,
        before: RunId | None = None,
    ) -> Sequence[RunSummary]:
        """See StateStore. Raises NotFound when `before` names no run."""
        return await self._database.read(
            lambda c: queries.summaries(c, status, workflow, kinds=kinds, limit=limit, before=before)
        )

    async def run(self, run: RunId) -> RunSummary:
        """See StateStore."""
        return await self._database.read(lambda c: queries.summary_of(c, run))

    async def run_by_key(self, idempotency_key: str) -> RunId | None:
        """See StateStore."""
        return await self._database.read(lambda c: queries.run_of_key(c, idempotency_key))

    async def follow(self, cursor: int = 0) -> AsyncIterator[tuple[int, Row]]:
        """See StateStore. Ends when the database is stopped.

        Rows come about 10 ms late; in a process that only reads, another one's at most a quarter of a second.
        """
        while self._database.is_open:
            commits = self._database.commits  # taken first: a commit during the read is then not slept through
            page = await self._database.read(partial(queries.page_behind, cursor=cursor))
            for cursor, row in page:  # the last row's cursor is where the next page begins
                yield cursor, row
            if not page:
                await self._database.changed(commits)
                await asyncio.sleep(GATHER_S)

    async def head(self) -> int:
        """See StateStore."""
        return await self._database.read(queries.head)

    async def save_definition(
        self, definition: DefinitionHash, name: str, document: bytes, at_us: int, *, files: Sequence[bytes] = ()
    ) -> None:
        """See StateStore. One that was saved before becomes the newest of its name again."""

        def save(connection: sqlite3.Connection) -> None:
            project_files.keep(connection, files)
            if queries.save_definition(connection, definition, name, document, at_us) and self._audit is not None:
                self._audit.add(connection, _definition_changed(name, definition), at_us)

        await self._database.write(save)

    async def definition(self, definition: DefinitionHash) -> tuple[str, bytes]:
        """See StateStore."""
        return await self._database.read(lambda c: queries.definition_of(c, definition))

    async def definitions(self) -> Sequence[tuple[str, DefinitionHash, int]]:
        """See StateStore."""
        return await self._database.read(queries.definitions)

    async def missing_files(self, hashes: Sequence[str]) -> frozenset[str]:
        """See StateStore."""
        return await self._database.read(lambda c: project_files.missing(c, hashes))

    async def file(self, sha256: str) -> bytes:
        """See StateStore."""
        return await self._database.read(lambda c: project_files.content_of(c, sha256))

    async def verify(self, run: RunId | None = None) -> Verified:
        """Check every row of the journal and every project file, or one run, against its hash and its neighbours.

        Raises Corrupt, naming the first bad row or file; NotFound when there is no such run.
        """
        return await self._database.aside(lambda c: verify(c, run))

    async def backup(self, target: Path) -> Verified:
        """Write a verified copy of the whole file, with the same key, while appends go on.

        Durable and complete when this returns; nothing is at `target` before. Raises Conflict when something is
        there already, StoreFull, Unavailable or Corrupt.
        """
        return await back_up(self._database, target)


def _definition_changed(name: str, definition: DefinitionHash) -> AuditEntry:
    return AuditEntry(event="definition.changed", subject=name, marks={"definition": definition})
