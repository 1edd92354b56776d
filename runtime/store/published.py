"""The workflows that were published here, in the journal's file: which definition has a name, and had it before.

They are encrypted, and backed up, with the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import DEFAULT_TENANT, DefinitionHash
from runtime.store.chains import Chains
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that was given a name."""

    name: str
    definition: DefinitionHash
    source: bytes = b""
    """The document as it came; a history is without."""
    at_us: int
    actor: str
    note: str


class Published:
    """Names that definitions have. The definitions themselves are the StateStore's."""

    def __init__(self, database: Database, audit: Chains | None = None) -> None:
        """`audit`: the log that is told of each."""
        self._database = database
        self._audit = audit

    async def put(self, given: Publication) -> None:
        """Give a definition its name, in the place of the one that had it.

        Durable when this returns, with a line in the audit log; what has the name already stays as it is.
        """
        await self._database.write(lambda connection: self._put(connection, given))

    async def all(self) -> Mapping[str, DefinitionHash]:
        """Every name with its definition, by name."""
        return await self._database.read(_all)

    async def history(self, name: str) -> Sequence[Publication]:
        """What had a name, the newest first: that has it now."""
        return await self._database.read(lambda connection: _history(connection, name))

    async def source(self, name: str, definition: DefinitionHash) -> bytes:
        """The document that a definition was last published from under a name; empty where it was not."""
        return await self._database.read(lambda connection: _source(connection, name, definition))

    def _put(self, connection: sqlite3.Connection, given: Publication) -> None:
        if _all(connection).get(given.name) == given.definition:
            return
        connection.execute(
            "INSERT INTO published(name, definition, source, published_us) VALUES(?,?,?,?) ON CONFLICT(name) DO UPDATE "
            "SET definition = excluded.definition, source = excluded.source, published_us = excluded.published_us",
            (given.name, given.definition, given.source, given.at_us),
        )
        connection.execute(
            "INSERT INTO publication(name, definition, source, at_us, actor, note) VALUES(?,?,?,?,?,?)",
            (given.name, given.definition, given.source, given.at_us, given.actor, given.note),
        )
        if self._audit is not None:
            self._audit.add(connection, _told(given), given.at_us)


def _told(given: Publication) -> AuditEntry:
    return AuditEntry(
        event="workflow.published",
        sender=Sender(purpose=given.actor or "the appliance", tenant=DEFAULT_TENANT),
        actor=given.actor,
        subject=given.name,
        marks={"definition": given.definition},
        outcome="ok",
    )


def _all(connection: sqlite3.Connection) -> Mapping[str, DefinitionHash]:
    return dict(connection.execute("SELECT name, definition FROM published ORDER BY name").fetchall())


def _history(connection: sqlite3.Connection, name: str) -> Sequence[Publication]:
    rows = connection.execute(
        "SELECT definition, at_us, actor, note FROM publication WHERE name = ? ORDER BY seq DESC", (name,)
    )
    return [
        Publication(name=name, definition=definition, at_us=at_us, actor=actor, note=note)
        for definition, at_us, actor, note in rows.fetchall()
    ]


def _source(connection: sqlite3.Connection, name: str, definition: DefinitionHash) -> bytes:
    rows = connection.execute(
        "SELECT source FROM publication WHERE name = ? AND definition = ? ORDER BY seq DESC LIMIT 1", (name, definition)
    )
    return next((bytes(source) for (source,) in rows.fetchall()), b"")
