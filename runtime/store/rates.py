"""How often tools were called, in the journal's file, so that a restart gives nobody new calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.domain.ids import TenantId
from runtime.domain.tool import RateLimit
from runtime.policies.rates import taken
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3


class Rates:
    """The buckets of one appliance; each tenant has its own of every rule."""

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def take(self, tenant: TenantId, tool: str, rule: str, limit: RateLimit) -> int:
        """Take one call out of a rule's bucket, durably; 0, or the microseconds until there is one."""
        now_us = self._now_us()
        return await self._database.write(lambda connection: _take(connection, (tenant, tool, rule), limit, now_us))


def _take(connection: sqlite3.Connection, key: tuple[str, str, str], limit: RateLimit, now_us: int) -> int:
    row = connection.execute(
        "SELECT full_at_us FROM tool_rate WHERE tenant = ? AND tool = ? AND rule = ?", key
    ).fetchone()
    full_at_us, wait_us = taken(0 if row is None else int(row[0]), limit, now_us)
    if not wait_us:
        connection.execute(
            "INSERT INTO tool_rate(tenant, tool, rule, full_at_us) VALUES(?,?,?,?) "
            "ON CONFLICT(tenant, tool, rule) DO UPDATE SET full_at_us = excluded.full_at_us",
            (*key, full_at_us),
        )
    return wait_us
