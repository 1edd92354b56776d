"""The workflows that were published here, in the journal's file: which definition has a name, and its own document.

They are encrypted, and backed up, with the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runtime.domain.ids import DefinitionHash
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3


class Published:
    """Names that definitions have. The definitions themselves are the StateStore's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, name: str, definition: DefinitionHash, source: bytes, at_us: int) -> None:
        """Give a definition its name, in the place of the one that had it. Durable when this returns."""
        await self._database.write(lambda connection: _put(connection, name, definition, source, at_us))

    async def all(self) -> Mapping[str, DefinitionHash]:
        """Every name with its definition, by name."""
        return await self._database.read(_all)


def _put(connection: sqlite3.Connection, name: str, definition: DefinitionHash, source: bytes, at_us: int) -> None:
    connection.execute(
        "INSERT INTO published(name, definition, source, published_us) VALUES(?,?,?,?) ON CONFLICT(name) DO UPDATE "
        "SET definition = excluded.definition, source = excluded.source, published_us = excluded.published_us",
        (name, definition, source, at_us),
    )


def _all(connection: sqlite3.Connection) -> Mapping[str, DefinitionHash]:
    return dict(connection.execute("SELECT name, definition FROM published ORDER BY name").fetchall())
