"""The index of passages by their vectors: one bit per dimension in sqlite-vec, rescored by the vectors themselves.

The vectors in the table `passage` are the truth and the index can be made from them at any time. Where
sqlite-vec cannot be loaded, collections are searched vector by vector instead: slower, and never worse.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import Invalid

if TYPE_CHECKING:
    import sqlite3

CANDIDATES = 160
"""How many passages the bit index proposes; 99 % of the ten truly nearest are among them at 9,000 real questions."""
READ_ALL_UP_TO = 500
"""Passages of a collection that are compared one by one: as fast as the index, and exact."""

_FLOAT_BYTES = 4


def load_extension(connection: sqlite3.Connection) -> None:
    """Give a connection sqlite-vec, or leave it without where it cannot be loaded (there is no build for musl)."""
    import sqlite3

    # not imported: it brings numpy, a sixth of the time that a command takes to start
    library = find_spec("sqlite_vec")
    if library is None or library.origin is None:
        return
    try:
        connection.enable_load_extension(True)
        try:
            connection.load_extension(str(Path(library.origin).with_name("vec0")))
        finally:
            connection.enable_load_extension(False)
    except (AttributeError, sqlite3.Error):
        return


def is_loaded(connection: sqlite3.Connection) -> bool:
    """Whether a connection has sqlite-vec."""
    return connection.execute("SELECT 1 FROM pragma_module_list WHERE name='vec0'").fetchone() is not None


def require_vectors(vectors: Sequence[bytes]) -> None:
    """Raises Invalid unless all vectors are finite float32 of one length."""
    import numpy as np

    sizes = {len(vector) for vector in vectors}
    if len(sizes) > 1 or not all(size and size % _FLOAT_BYTES == 0 for size in sizes):
        raise Invalid("memory.bad_vector", f"vectors must be float32 of one length; found {sorted(sizes)[:5]} bytes")
    if not np.isfinite(np.frombuffer(b"".join(vectors), "<f4")).all():
        raise Invalid("memory.bad_vector", "vectors must be finite; found NaN or infinity")


def cosines(vectors: Sequence[bytes], query: bytes) -> list[float]:
    """Cosine of each unit vector and the query, summed in float64 so that it is the same on every path."""
    import numpy as np

    if not vectors:
        return []
    rows = np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1).astype(np.float64)
    products: list[float] = (rows * np.frombuffer(query, "<f4").astype(np.float64)).sum(axis=1).tolist()
    return products


def add(connection: sqlite3.Connection, collection: int, passages: Sequence[tuple[int, bytes]]) -> None:
    """Index (passage, vector) of a collection whose table holds them already.

    Where that cannot be done the collection is noted as unindexed; the first time it can, all of it is indexed.
    """
    if not is_loaded(connection) or any(_dimensions(vector) % 8 for _, vector in passages):
        connection.execute("INSERT OR IGNORE INTO unindexed VALUES(?)", (collection,))
    elif connection.execute("DELETE FROM unindexed WHERE collection=?", (collection,)).rowcount:
        _index_anew(connection, collection)
    else:
        _insert(connection, collection, passages)


def remove(connection: sqlite3.Connection, collection: int, passages: Iterable[tuple[int, bytes]]) -> None:
    """Take (passage, vector) of a collection out of the index."""
    if not is_loaded(connection):
        connection.execute("INSERT OR IGNORE INTO unindexed VALUES(?)", (collection,))
        return
    for passage, vector in passages:
        if _exists(connection, table(_dimensions(vector))):
            connection.execute(f"DELETE FROM {table(_dimensions(vector))} WHERE rowid=?", (passage,))


def nearest(connection: sqlite3.Connection, collection: int, query: bytes) -> Sequence[int]:
    """The passages nearest to a query, nearest first, ties by source and position."""
    ids = None if _must_read_all(connection, collection, query) else _by_bits(connection, collection, query)
    rows = [row for row in _read(connection, collection, ids) if len(row[1]) == len(query)]
    near = [
        (-cosine, *row[2:], row[0]) for row, cosine in zip(rows, cosines([row[1] for row in rows], query), strict=True)
    ]
    return [place[-1] for place in sorted(near)[:CANDIDATES]]


def table(dimensions: int) -> str:
    """The name of the index for vectors of so many dimensions."""
    return f"bits_{int(dimensions)}"


def _dimensions(vector: bytes) -> int:
    return len(vector) // _FLOAT_BYTES


def _insert(connection: sqlite3.Connection, collection: int, passages: Sequence[tuple[int, bytes]]) -> None:
    for size in sorted({_dimensions(vector) for _, vector in passages}):
        connection.execute(
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {table(size)} "
            f"USING vec0(collection INTEGER PARTITION KEY, bits bit[{size}])"
        )
    for passage, vector in passages:
        connection.execute(
            f"INSERT INTO {table(_dimensions(vector))}(rowid, collection, bits) VALUES(?, ?, vec_quantize_binary(?))",
            (passage, collection, vector),
        )


def _index_anew(connection: sqlite3.Connection, collection: int) -> None:
    """Also removes what points at passages that went while there was no sqlite-vec."""
    passages = connection.execute("SELECT id, vector FROM passage WHERE collection=?", (collection,)).fetchall()
    indexes = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'bits\\_%' ESCAPE '\\' AND rootpage=0")
    for (name,) in indexes.fetchall():
        stale = connection.execute(f"SELECT rowid FROM {name} WHERE collection=?", (collection,)).fetchall()
        connection.executemany(f"DELETE FROM {name} WHERE rowid=?", stale)
    _insert(connection, collection, passages)


def _must_read_all(connection: sqlite3.Connection, collection: int, query: bytes) -> bool:
    """Whether there is no index of this collection, or none that would be asked for less than everything."""
    if not is_loaded(connection) or not _exists(connection, table(_dimensions(query))):
        return True
    if connection.execute("SELECT 1 FROM unindexed WHERE collection=?", (collection,)).fetchone():
        return True
    few = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM passage WHERE collection=? LIMIT ?)", (collection, READ_ALL_UP_TO + 1)
    ).fetchone()[0]
    return bool(few <= READ_ALL_UP_TO)


def _by_bits(connection: sqlite3.Connection, collection: int, query: bytes) -> Sequence[int]:
    found = connection.execute(
        f"SELECT rowid FROM {table(_dimensions(query))} "
        "WHERE bits MATCH vec_quantize_binary(?) AND k=? AND collection=?",
        (query, CANDIDATES, collection),
    )
    return [passage for (passage,) in found]


def _read(
    connection: sqlite3.Connection, collection: int, ids: Sequence[int] | None
) -> Sequence[tuple[int, bytes, str, int]]:
    """(passage, vector, source, position) of a collection's passages, of all or of those with these ids."""
    chosen = "" if ids is None else "AND passage.id IN (SELECT value FROM json_each(:ids))"
    return connection.execute(
        "SELECT passage.id, vector, source, position FROM passage JOIN document ON document.id=passage.document "
        f"WHERE passage.collection=:collection {chosen}",
        {"collection": collection, "ids": json.dumps(ids)},
    ).fetchall()


def _exists(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name=?", (name,)).fetchone() is not None
