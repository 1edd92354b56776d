"""The project files that definitions name, kept once under the SHA-256 of their content, in hex."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from runtime.errors import Corrupt, NotFound

if TYPE_CHECKING:
    import sqlite3


def keep(connection: sqlite3.Connection, contents: Sequence[bytes]) -> None:
    """Keep files; those that are here already cost nothing."""
    connection.executemany(
        "INSERT INTO project_file(sha256, content) VALUES(?, ?) ON CONFLICT DO NOTHING",
        ((sha256(content).hexdigest(), content) for content in contents),
    )


def missing(connection: sqlite3.Connection, hashes: Sequence[str]) -> frozenset[str]:
    """Those of the hashes whose files are not here."""
    rows = connection.execute(
        "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT sha256 FROM project_file)",
        (json.dumps(list(hashes)),),
    )
    return frozenset(found for (found,) in rows)


def content_of(connection: sqlite3.Connection, digest: str) -> bytes:
    """One file. Raises NotFound, and Corrupt when it is not what its hash says."""
    row = connection.execute("SELECT content FROM project_file WHERE sha256=?", (digest,)).fetchone()
    if row is None:
        raise no_file(digest)
    return _checked(digest, row[0])


def verify(connection: sqlite3.Connection) -> None:
    """Check every file against its hash, one at a time. Raises Corrupt at the first bad one."""
    key = 0
    while row := connection.execute(
        "SELECT key, sha256, content FROM project_file WHERE key > ? ORDER BY key LIMIT 1", (key,)
    ).fetchone():
        key, digest, content = row
        _checked(digest, content)


def no_file(digest: str) -> NotFound:
    """The error for a file that is not here."""
    return NotFound("definition.no_file", f"no project file with sha256 {digest} is kept here", sha256=digest)


def _checked(digest: str, content: bytes) -> bytes:
    if sha256(content).hexdigest() != digest:
        raise Corrupt(
            "definition.file_damaged",
            f"the project file with sha256 {digest} is damaged in the journal's file; restore it from a backup",
            sha256=digest,
        )
    return content
