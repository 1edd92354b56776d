"""The local table of tickets that workflows open for people to work on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import RunId, StepId, TenantId
from runtime.errors import NotFound
from runtime.store.chains import Chains
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3

_PREFIX = "T-"
_COLUMNS = "key, created_us, tenant, run, step, subject, category, summary, status, closed_us, closed_by, note"


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """One ticket."""

    id: str
    """`T-000001`, counting up over all tenants."""
    created_us: int
    tenant: TenantId
    run: RunId
    """The run that opened it; empty when a person did."""
    step: StepId
    subject: str
    category: str
    summary: str
    status: str
    """`open` or `closed`."""
    closed_us: int | None = None
    """None: it is open, or was closed by a version that kept no time."""
    closed_by: str = ""
    note: str = ""
    """What was said when it was closed."""


class Tickets:
    """Tickets in the journal's file."""

    def __init__(
        self, database: Database, audit: Chains | None = None, mask: Callable[[str], str] = lambda text: text
    ) -> None:
        """`audit`: the log that is told what people do with tickets. `mask`: takes known secrets out of a note."""
        self._database = database
        self._audit = audit
        self._mask = mask

    async def create(
        self,
        *,
        idempotency_key: str,
        at_us: int,
        tenant: TenantId,
        run: RunId,
        step: StepId,
        subject: str,
        category: str,
        summary: str,
    ) -> Ticket:
        """Open a ticket; durable when this returns. A repeated key gives the ticket it opened the first time."""
        values = (idempotency_key, at_us, tenant, run, step, subject, category, summary)
        return await self._database.write(lambda connection: _create(connection, values))

    async def find(self, id: str, *, tenant: TenantId) -> Ticket:
        """One ticket. Raises NotFound, also for another tenant's."""
        found = await self._database.read(lambda c: _select(c, "tenant = ? AND key = ?", (tenant, _key(id)), limit=1))
        if not found:
            raise unknown_ticket(id)
        return found[0]

    async def newest(
        self, *, tenant: TenantId, status: str = "", category: str = "", limit: int = 100, before: str = ""
    ) -> Sequence[Ticket]:
        """A tenant's tickets, newest first; `before` is a ticket's id and pages on."""
        wanted = "tenant = ? AND key < ? AND (status = ? OR ? = '') AND (category = ? OR ? = '')"
        values = (tenant, _key(before) if before else 2**63 - 1, status, status, category, category)
        return await self._database.read(lambda c: _select(c, wanted, values, limit=limit))

    async def close(
        self, id: str, *, tenant: TenantId, at_us: int, by: str, note: str, is_by_hand: bool = True
    ) -> Ticket:
        """Close a ticket; durable when this returns, with a line in the audit log where it was done by hand.

        One that is closed stays as it is. Raises NotFound.
        """
        change = "status = 'closed', closed_us = ?, closed_by = ?, note = ? WHERE status = 'open'"
        told = _told("ticket.closed", id, tenant, by) if is_by_hand else None
        return await self._changed(id, tenant, change, (at_us, by, self._mask(note)), told=told, at_us=at_us)

    async def reopen(self, id: str, *, tenant: TenantId, at_us: int, by: str) -> Ticket:
        """Open a closed ticket again; durable when this returns, with a line in the audit log.

        One that is open stays as it is. Raises NotFound.
        """
        change = "status = 'open', closed_us = NULL, closed_by = '', note = '' WHERE status = 'closed'"
        return await self._changed(id, tenant, change, (), told=_told("ticket.reopened", id, tenant, by), at_us=at_us)

    async def _changed(
        self, id: str, tenant: TenantId, change: str, values: tuple[object, ...], *, told: AuditEntry | None, at_us: int
    ) -> Ticket:
        place = (tenant, _key(id))

        def work(connection: sqlite3.Connection) -> Sequence[Ticket]:
            changed = connection.execute(f"UPDATE ticket SET {change} AND tenant = ? AND key = ?", (*values, *place))
            if changed.rowcount and self._audit is not None and told is not None:
                self._audit.add(connection, told, at_us)
            return _select(connection, "tenant = ? AND key = ?", place, limit=1)

        found = await self._database.write(work)
        if not found:
            raise unknown_ticket(id)
        return found[0]


def _told(event: Literal["ticket.closed", "ticket.reopened"], id: str, tenant: TenantId, by: str) -> AuditEntry:
    sender = Sender(purpose=by, tenant=tenant)
    return AuditEntry(event=event, sender=sender, actor=by, subject=f"{_PREFIX}{_key(id):06d}", outcome="ok")


def unknown_ticket(id: str) -> NotFound:
    """What is raised for a number that no ticket of the tenant has."""
    return NotFound("ticket.not_found", f"there is no ticket {id[:40]!r} here; af tickets list has them", ticket=id)


def _create(connection: sqlite3.Connection, values: tuple[object, ...]) -> Ticket:
    connection.execute(
        "INSERT INTO ticket(idempotency_key, created_us, tenant, run, step, subject, category, summary) "
        "VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(idempotency_key) DO NOTHING",
        values,
    )
    return _select(connection, "idempotency_key = ?", values[:1], limit=1)[0]


def _select(connection: sqlite3.Connection, wanted: str, values: tuple[object, ...], *, limit: int) -> Sequence[Ticket]:
    statement = f"SELECT {_COLUMNS} FROM ticket WHERE {wanted} ORDER BY key DESC LIMIT ?"
    return [_ticket(*row) for row in connection.execute(statement, (*values, limit)).fetchall()]


def _ticket(
    key: int,
    created_us: int,
    tenant: str,
    run: str,
    step: str,
    subject: str,
    category: str,
    summary: str,
    status: str,
    closed_us: int | None,
    closed_by: str,
    note: str,
) -> Ticket:
    return Ticket(
        id=f"{_PREFIX}{key:06d}",
        created_us=created_us,
        tenant=TenantId(tenant),
        run=RunId(run),
        step=StepId(step),
        subject=subject,
        category=category,
        summary=summary,
        status=status,
        closed_us=closed_us,
        closed_by=closed_by,
        note=note,
    )


def _key(id: str) -> int:
    """The row of an id; 0, which no row has, for what is no id."""
    digits = id.removeprefix(_PREFIX)
    return int(digits) if digits.isascii() and digits.isdigit() else 0
