"""The vault of one tenant: an encrypted file of its own with the values that pseudonyms stand for.

A pseudonym is durable here before anything that names it is written elsewhere. Deleting a row here takes the value
out of everything that names it. Must never be read by whatever has no need of the values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runtime.domain.minimise import MEMORY_SCOPES, Pseudonym
from runtime.store import migrations
from runtime.store.database import Database, Durability
from runtime.store.key import Key
from runtime.store.lock import DataLock

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = "entity, number, core, value, is_number"
_INSERT = f"INSERT INTO pseudonym(scope, {_COLUMNS}, created_us) VALUES(?,?,?,?,?,?,?)"


class Known(msgspec.Struct, frozen=True):
    """What a vault knows of one scope."""

    pseudonyms: Sequence[Pseudonym]
    spent: Mapping[str, int]
    """Entity → highest number of a value that was purged."""
    secret: bytes
    """The tenant's 32 bytes that marks are made with."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """How much a vault holds of one scope; never what."""

    scope: str
    values: int
    first_us: int
    last_us: int


class Vault:
    """One tenant's file. Without the data folder's lock it is only read."""

    def __init__(self, path: Path, *, lock: DataLock | None, key: Key, durability: Durability = "full") -> None:
        steps = migrations.steps(files("runtime.store") / "vault_migrations")
        self._database = Database(
            path, lock=lock, key=key, durability=durability, steps=steps, prepare=_overwrite_what_is_deleted
        )

    async def start(self) -> None:
        """Open the file; who writes makes it where it is missing. Raises as a database does, NotFound for a reader."""
        await self._database.start()

    async def stop(self) -> None:
        """Close the file. Safe to call twice."""
        await self._database.stop()

    async def known(self, scope: str) -> Known:
        """What is known of one scope, pseudonyms in the order in which they were given."""
        return await self._database.read(lambda connection: _known(connection, scope))

    async def keep(self, scope: str, pseudonyms: Sequence[Pseudonym], at_us: int) -> None:
        """Keep new pseudonyms, all or none; durable when this returns. Raises StoreFull or Unavailable."""
        rows = [
            (scope, each.entity, each.number, each.core, each.value, int(each.is_number), at_us) for each in pseudonyms
        ]
        await self._database.write(lambda connection: connection.executemany(_INSERT, rows))

    async def held(self) -> Sequence[Held]:
        """How much there is of each scope, oldest first."""
        return await self._database.read(_held)

    async def purge(
        self, *, scopes: Collection[str] = (), before_us: int = 0, spared: Collection[str] = frozenset()
    ) -> int:
        """Delete the values of these scopes, or with none given those of runs kept before an instant; return how many.

        `spared`: scopes that keep theirs. Durable when this returns.
        """
        return await self._database.write(lambda connection: _purge(connection, scopes, before_us, spared))

    async def erase(self, value: str) -> int:
        """Delete a value from every scope, in whatever case; return how often it was there.

        What holds it among other words goes too: a name and an address may have been kept as one value.
        """
        return await self._database.write(lambda connection: _erase(connection, value))


def _overwrite_what_is_deleted(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete=ON")


def _known(connection: sqlite3.Connection, scope: str) -> Known:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM pseudonym WHERE scope = ? ORDER BY key", (scope,))
    spent = connection.execute("SELECT entity, number FROM spent WHERE scope = ?", (scope,))
    secret = connection.execute("SELECT content FROM secret").fetchone()[0]
    return Known(
        [Pseudonym(entity, number, core, value, bool(flag)) for entity, number, core, value, flag in rows],
        dict(spent.fetchall()),
        bytes(secret),
    )


def _held(connection: sqlite3.Connection) -> Sequence[Held]:
    rows = connection.execute(
        "SELECT scope, count(*), min(created_us), max(created_us) FROM pseudonym GROUP BY scope ORDER BY 3, 1"
    )
    return [Held(scope=scope, values=values, first_us=first, last_us=last) for scope, values, first, last in rows]


def _purge(connection: sqlite3.Connection, scopes: Collection[str], before_us: int, spared: Collection[str]) -> int:
    chosen = scopes or [
        scope
        for (scope,) in connection.execute("SELECT DISTINCT scope FROM pseudonym WHERE created_us < ?", (before_us,))
        if not scope.startswith(MEMORY_SCOPES)
    ]
    limit = "" if scopes else " AND created_us < ?"
    values = () if scopes else (before_us,)
    return sum(_delete(connection, f"scope = ?{limit}", (scope, *values)) for scope in chosen if scope not in spared)


def _erase(connection: sqlite3.Connection, value: str) -> int:
    wanted = value.strip().casefold()
    rows = connection.execute("SELECT scope, entity, number, value FROM pseudonym").fetchall()
    found = [(scope, entity, number) for scope, entity, number, text in rows if _holds(text.casefold(), wanted)]
    return sum(_delete(connection, "scope = ? AND entity = ? AND number = ?", place) for place in found)


def _holds(text: str, wanted: str) -> bool:
    """Whether a text holds another as words of its own: `ann@x.org` is not in `joann@x.org`."""
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        before, behind = text[at - 1 : at] if at else "", text[at + len(wanted) : at + len(wanted) + 1]
        if not before.isalnum() and not behind.isalnum():
            return True
        at = text.find(wanted, at + 1)
    return False


def _delete(connection: sqlite3.Connection, wanted: str, values: tuple[object, ...]) -> int:
    # what still names a number must never come to name another value
    connection.execute(
        f"INSERT INTO spent SELECT scope, entity, max(number) FROM pseudonym WHERE {wanted} GROUP BY scope, entity "
        "ON CONFLICT(scope, entity) DO UPDATE SET number = max(number, excluded.number)",
        values,
    )
    return connection.execute(f"DELETE FROM pseudonym WHERE {wanted}", values).rowcount
