"""Memory in one file: documents, their passages and vectors, searched both ways at once, and turns of sessions.

Tenants never meet here: every statement starts from the id of one collection of one tenant, and each collection
has an index of words of its own. The file can be deleted; folders are ingested, examples embedded and classifiers
trained again, and what was said in sessions is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runtime.domain.canonical import encode
from runtime.domain.ids import TenantId
from runtime.domain.memory import Collection, Document, MemoryQuery, Quote, Recalled
from runtime.errors import Corrupt, Unavailable
from runtime.store import artefacts, migrations, vectors, words
from runtime.store.database import Database
from runtime.store.key import Key
from runtime.store.lock import DataLock
from runtime.store.turns import Turns

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

# Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009) with its usual 60. CROSS JOIN keeps SQLite from reading
# the whole collection first.
_FUSION = """
WITH near AS MATERIALIZED (SELECT value AS id, key + 1 AS place FROM json_each(:near)),
spoken AS MATERIALIZED (
  SELECT id, bm25, rank() OVER (ORDER BY bm25) AS place
  FROM (SELECT rowid AS id, rank AS bm25 FROM {words} WHERE {words} MATCH :words ORDER BY rank LIMIT :candidates)
),
fused AS (
  SELECT id, 1.0 / (60 + place) AS part, 0.0 AS bm25 FROM near
  UNION ALL SELECT id, 1.0 / (60 + place), bm25 FROM spoken
),
scored AS MATERIALIZED (SELECT id, sum(part) AS score, min(bm25) AS bm25 FROM fused GROUP BY id)
SELECT passage.id, source, position, data, heading, text, vector, score,
  coalesce(bm25 / (SELECT min(bm25) FROM spoken), 0.0) AS words_ratio
FROM scored CROSS JOIN passage USING(id) JOIN document ON document.id=passage.document
WHERE passage.collection=:collection AND length(vector)=:size
ORDER BY score DESC, source, position LIMIT :limit
"""


class Memory:
    """The file of memory; implements MemoryStore."""

    def __init__(self, path: Path, *, lock: DataLock | None, key: Key | None = None) -> None:
        """Writes when it is given the data folder's lock, and only reads otherwise."""
        self._database = Database(
            path,
            lock=lock,
            key=key,
            durability="normal",
            steps=migrations.steps(files("runtime.store") / "memory_migrations"),
            prepare=vectors.load_extension,
        )
        self.turns = Turns(self._database)
        """What was said in sessions."""

    async def start(self) -> None:
        """Open the file. Raises what opening a database raises; a damaged file is Unavailable, for it can go."""
        try:
            await self._database.start()
        except Corrupt as error:
            raise Unavailable(
                "memory.damaged",
                f"{self._database.path} is damaged; what it holds can be made again: remove it and start anew",
                retryable=False,
            ) from error

    async def stop(self) -> None:
        """Write what is queued and close. Safe to call twice."""
        await self._database.stop()

    async def save(self, collection: Collection, documents: Sequence[Document]) -> None:
        """Put documents into a collection, each in place of the one of its source; all of them or none."""
        for document in documents:
            _require_vectors(document)
        await self._database.write(lambda connection: _save(connection, collection, documents))

    async def search(self, collection: Collection, query: MemoryQuery) -> Sequence[Recalled]:
        """The passages that fit best by vector and by words, best first."""
        vectors.require_vectors([query.vector])
        return await self._read(lambda connection: _search(connection, collection, query))

    async def forget(self, collection: Collection, sources: Sequence[str] | None = None) -> int:
        """Forget some documents, or the whole collection; return how many there were."""
        return await self._database.write(lambda connection: _forget(connection, collection, sources))

    async def sources(self, collection: Collection) -> Mapping[str, str]:
        """Source → digest of every document of a collection."""
        return await self._read(lambda connection: _sources(connection, collection))

    async def collections(self, tenant: TenantId) -> Sequence[tuple[str, int, int]]:
        """Name, documents and passages of every collection of a tenant, by name."""
        return await self._read(lambda connection: _collections(connection, tenant))

    async def known_vectors(self, tenant: TenantId, model: str, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The vectors kept for these digests of texts."""
        return await self._read(lambda connection: _known_vectors(connection, tenant, model, digests))

    async def keep_vectors(self, tenant: TenantId, model: str, vectors: Mapping[bytes, bytes]) -> None:
        """Keep vectors by the digest of their text."""
        rows = [(tenant, model, digest, vector) for digest, vector in vectors.items()]
        await self._database.write(
            lambda connection: connection.executemany("INSERT OR REPLACE INTO text_vector VALUES(?, ?, ?, ?)", rows)
        )

    async def artefact(self, tenant: TenantId, kind: str, digest: str) -> bytes | None:
        """What was kept under a digest; None when there is nothing."""
        return await self._read(lambda connection: artefacts.content_of(connection, tenant, kind, digest))

    async def keep_artefact(self, tenant: TenantId, kind: str, digest: str, content: bytes) -> None:
        """Keep what was made; only the newest 20 of a kind stay."""
        await self._database.write(lambda connection: artefacts.keep(connection, tenant, kind, digest, content))

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return await self._database.read(lambda connection: _at_one_moment(connection, query))


def _at_one_moment(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> T:
    """Run several statements that must see the same documents."""
    connection.execute("BEGIN")
    try:
        return query(connection)
    finally:
        connection.execute("COMMIT")


def _require_vectors(document: Document) -> None:
    vectors.require_vectors(
        [vector for passage in document.passages for vector in (passage.vector, *(q.vector for q in passage.quotes))]
    )


def _find(connection: sqlite3.Connection, collection: Collection) -> int | None:
    row = connection.execute(
        "SELECT id FROM collection WHERE tenant=? AND name=?", (collection.tenant, collection.name)
    ).fetchone()
    return None if row is None else int(row[0])


def _find_or_make(connection: sqlite3.Connection, collection: Collection) -> int:
    known = _find(connection, collection)
    if known is not None:
        return known
    made = connection.execute(
        "INSERT INTO collection(tenant, name) VALUES(?, ?) RETURNING id", (collection.tenant, collection.name)
    ).fetchone()[0]
    words.create(connection, made)
    return int(made)


def _save(connection: sqlite3.Connection, collection: Collection, documents: Sequence[Document]) -> None:
    key = _find_or_make(connection, collection)
    _remove(connection, key, [document.source for document in documents])
    for document in documents:
        _insert(connection, key, document)


def _insert(connection: sqlite3.Connection, collection: int, document: Document) -> None:
    key = connection.execute(
        "INSERT INTO document(collection, source, digest, data) VALUES(?, ?, ?, ?) RETURNING id",
        (collection, document.source, document.digest, encode(document.data).decode()),
    ).fetchone()[0]
    ids = []
    for position, passage in enumerate(document.passages):
        row = (collection, key, position, passage.heading, passage.text, passage.vector)
        made = connection.execute(
            "INSERT INTO passage(collection, document, position, heading, text, vector) VALUES(?, ?, ?, ?, ?, ?) "
            "RETURNING id",
            row,
        ).fetchone()[0]
        quotes = [(made, place, quote.text, quote.vector) for place, quote in enumerate(passage.quotes)]
        connection.executemany("INSERT INTO quote VALUES(?, ?, ?, ?)", quotes)
        ids.append(made)
    pairs = list(zip(ids, document.passages, strict=True))
    words.add(connection, collection, [(made, passage.heading, passage.text) for made, passage in pairs])
    vectors.add(connection, collection, [(made, passage.vector) for made, passage in pairs])


def _remove(connection: sqlite3.Connection, collection: int, sources: Sequence[str]) -> int:
    wanted = {"collection": collection, "sources": json.dumps(sources)}
    chosen = (
        "SELECT id FROM document WHERE collection=:collection AND source IN (SELECT value FROM json_each(:sources))"
    )
    passages = connection.execute(f"SELECT id, vector FROM passage WHERE document IN ({chosen})", wanted).fetchall()
    words.remove(connection, collection, [passage for passage, _ in passages])
    vectors.remove(connection, collection, passages)
    return connection.execute(f"DELETE FROM document WHERE id IN ({chosen})", wanted).rowcount


def _forget(connection: sqlite3.Connection, collection: Collection, sources: Sequence[str] | None) -> int:
    key = _find(connection, collection)
    if key is None:
        return 0
    if sources is not None:
        return _remove(connection, key, sources)
    forgotten = _remove(connection, key, list(_sources(connection, collection)))
    words.drop(connection, key)
    connection.execute("DELETE FROM collection WHERE id=?", (key,))
    return forgotten


def _sources(connection: sqlite3.Connection, collection: Collection) -> Mapping[str, str]:
    rows = connection.execute(
        "SELECT source, digest FROM document WHERE collection=? ORDER BY source", (_find(connection, collection),)
    )
    return {source: digest for source, digest in rows}


def _collections(connection: sqlite3.Connection, tenant: TenantId) -> Sequence[tuple[str, int, int]]:
    return connection.execute(
        "SELECT name, (SELECT count(*) FROM document WHERE collection=collection.id), "
        "(SELECT count(*) FROM passage WHERE collection=collection.id) FROM collection WHERE tenant=? ORDER BY name",
        (tenant,),
    ).fetchall()


def _search(connection: sqlite3.Connection, collection: Collection, query: MemoryQuery) -> Sequence[Recalled]:
    key = _find(connection, collection)
    if key is None:
        return []
    rows = connection.execute(
        _FUSION.format(words=words.table(key)),
        {
            "near": json.dumps(vectors.nearest(connection, key, query.vector)),
            "words": words.expression(query.text),
            "candidates": vectors.CANDIDATES,
            "collection": key,
            "size": len(query.vector),
            "limit": query.limit,
        },
    ).fetchall()
    similarities = vectors.cosines([row[6] for row in rows], query.vector)
    return [
        Recalled(
            source=source,
            position=position,
            data=json.loads(data),
            heading=heading,
            text=text,
            quotes=_quotes(connection, passage),
            similarity=similarity,
            words_ratio=words_ratio,
            score=score,
        )
        for (passage, source, position, data, heading, text, _, score, words_ratio), similarity in zip(
            rows, similarities, strict=True
        )
    ]


def _quotes(connection: sqlite3.Connection, passage: int) -> tuple[Quote, ...]:
    rows = connection.execute("SELECT text, vector FROM quote WHERE passage=? ORDER BY position", (passage,))
    return tuple(Quote(text, vector) for text, vector in rows)


def _known_vectors(
    connection: sqlite3.Connection, tenant: TenantId, model: str, digests: Sequence[bytes]
) -> Mapping[bytes, bytes]:
    rows = connection.execute(
        "SELECT digest, vector FROM text_vector "
        "WHERE tenant=? AND model=? AND digest IN (SELECT unhex(value) FROM json_each(?))",
        (tenant, model, json.dumps([digest.hex() for digest in digests])),
    )
    return {digest: vector for digest, vector in rows}
