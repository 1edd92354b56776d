"""Tickets as people and programs see them: those to work on, notices, and the mails that were handed in.

Written once, so that the command line and the HTTP API never disagree.
"""

from collections.abc import Iterable

import msgspec

from runtime.domain.journal import rfc3339
from runtime.store.tickets import Ticket


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    """One ticket."""

    ticket_id: str
    created_at: str
    category: str
    """`notice` and `mail` are written by tools of those kinds; any other is whatever opened it says."""
    subject: str
    summary: str
    status: str
    """`open` or `closed`."""
    run_id: str
    """The run that opened it; empty: none did."""
    step: str
    closed_at: str | None
    """Null: it is open."""
    closed_by: str
    note: str
    """What was said when it was closed."""


class TicketList(msgspec.Struct, frozen=True):
    """Tickets, newest first."""

    tickets: list[TicketView]
    has_more: bool


def ticket_view(ticket: Ticket) -> TicketView:
    """The view of a ticket."""
    return TicketView(
        ticket_id=ticket.id,
        created_at=rfc3339(ticket.created_us),
        category=ticket.category,
        subject=ticket.subject,
        summary=ticket.summary,
        status=ticket.status,
        run_id=ticket.run,
        step=ticket.step,
        closed_at=None if ticket.closed_us is None else rfc3339(ticket.closed_us),
        closed_by=ticket.closed_by,
        note=ticket.note,
    )


def ticket_list(found: Iterable[Ticket], limit: int) -> TicketList:
    """A page of `limit` out of what was found for one more."""
    views = [ticket_view(each) for each in found]
    return TicketList(views[:limit], len(views) > limit)
