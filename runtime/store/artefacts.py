"""What was made from other data and takes long to make again, such as a trained classifier: the newest of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.domain.ids import TenantId

if TYPE_CHECKING:
    import sqlite3

KEPT = 20
"""Of one kind and tenant; a classifier of 50,000 examples has 80 MB."""
KEPT_OF = {"plan": 1_000}
"""Of kinds that are small."""


def content_of(connection: sqlite3.Connection, tenant: TenantId, kind: str, digest: str) -> bytes | None:
    """What was kept; None when there is nothing."""
    row = connection.execute(
        "SELECT content FROM artefact WHERE tenant=? AND kind=? AND digest=?", (tenant, kind, digest)
    ).fetchone()
    return None if row is None else bytes(row[0])


def keep(connection: sqlite3.Connection, tenant: TenantId, kind: str, digest: str, content: bytes) -> None:
    """Keep it as the newest of its kind, and forget those that are too old by that."""
    connection.execute(
        "INSERT OR REPLACE INTO artefact(tenant, kind, digest, content) VALUES(?, ?, ?, ?)",
        (tenant, kind, digest, content),
    )
    connection.execute(
        "DELETE FROM artefact WHERE id IN "
        "(SELECT id FROM artefact WHERE tenant=? AND kind=? ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (tenant, kind, KEPT_OF.get(kind, KEPT)),
    )
