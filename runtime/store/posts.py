"""Entries and messages as the bus hands them over: read from the tables of both, in the order of one count."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from runtime.domain.bus import Batch, Posted
from runtime.domain.envelope import Envelope, of_entry, read
from runtime.domain.ids import RunId, TenantId
from runtime.domain.journal import Row, require_whole
from runtime.domain.subject import entry_subject
from runtime.errors import Corrupt, Invalid
from runtime.store.count import last_position

if TYPE_CHECKING:
    import sqlite3

PAGE_BYTES = 4 * 2**20
"""A page ends here even when it has fewer messages."""

_ENTRIES = (
    "SELECT event.seq, run.tenant, run.workflow, coalesce(origin.kind, '') = 'what_if', run.id, event.run_seq, "
    "coalesce(trace.context, ''), event.at_us, entry_type.name, CAST(event.data AS BLOB), event.hash, entry_type.v "
    "FROM event CROSS JOIN run ON run.key = event.run CROSS JOIN entry_type ON entry_type.code = event.type "
    "LEFT JOIN origin ON origin.run = event.run LEFT JOIN trace ON trace.run = event.run "
    "WHERE event.seq > ? AND event.seq <= ? AND event.at_us >= ? "
    "AND coalesce(origin.kind, '') <> 'imported' ORDER BY event.seq LIMIT ?"
)
_MESSAGES = (
    "SELECT seq, tenant, subject, run, at_us, body FROM message WHERE seq > ? AND seq <= ? AND at_us >= ? "
    "AND body IS NOT NULL ORDER BY seq LIMIT ?"
)


def page(connection: sqlite3.Connection, after: int, limit: int, since_us: int) -> Batch:
    """Entries and messages behind a position, in order."""
    upto = last_position(connection)  # first: all that is numbered up to here can be seen by what is read below
    span = (after, upto, since_us, limit)
    both = heapq.merge(
        map(_entry, connection.execute(_ENTRIES, span)),
        map(_message, connection.execute(_MESSAGES, span)),
        key=lambda posted: posted.position,
    )
    posts: list[Posted] = []
    size = 0
    for posted in both:
        posts.append(posted)
        size += posted.size
        if len(posts) >= limit or size > PAGE_BYTES:
            upto = posted.position
            break
    both.close()
    return Batch(after, max(after, upto), posts)


def posted_entry(
    position: int,
    row: Row,
    *,
    tenant: TenantId,
    workflow: str,
    is_what_if: bool,
    context: str = "",
    is_read: bool = False,
) -> Posted:
    """An entry of a journal as the bus hands it over; `is_read`: its bytes come from the file, and may be others."""
    make = partial(of_entry, row, tenant=tenant, workflow=workflow, is_what_if=is_what_if, context=context)
    return Posted(
        position,
        tenant,
        entry_subject(workflow, row.run, row.type, is_what_if=is_what_if),
        row.run,
        at_us=row.at_us,
        size=len(row.data),
        make=partial(_checked, row, make) if is_read else make,
    )


def posted_message(position: int, envelope: Envelope, size: int) -> Posted:
    """A message as the bus hands it over."""
    return Posted(
        position,
        envelope.tenant,
        envelope.subject,
        envelope.run,
        at_us=envelope.at_us,
        size=size,
        make=lambda: envelope,
    )


def find(connection: sqlite3.Connection, position: int) -> Posted | None:
    """What stands at a position; None: nothing that may be delivered."""
    found = page(connection, position - 1, 1, 0).posts
    return found[0] if found and found[0].position == position else None


def _entry(columns: tuple[int, str, str, int, str, int, str, int, str, bytes, bytes, int]) -> Posted:
    position, tenant, workflow, is_what_if, run, seq, context, *row = columns
    return posted_entry(
        position,
        Row(RunId(run), seq, *row),  # type: ignore[arg-type]  # the columns of a row, in order
        tenant=TenantId(tenant),
        workflow=workflow,
        is_what_if=bool(is_what_if),
        context=context,
        is_read=True,
    )


def _message(columns: tuple[int, str, str, str, int, bytes]) -> Posted:
    position, tenant, subject, run, at_us, body = columns
    return Posted(
        position,
        TenantId(tenant),
        subject,
        RunId(run),
        at_us=at_us,
        size=len(body),
        make=partial(_read, position, bytes(body)),
    )


def _checked(row: Row, make: Callable[[], Envelope]) -> Envelope:
    require_whole(row)
    return make()


def _read(position: int, body: bytes) -> Envelope:
    try:
        return read(body)
    except Invalid as error:
        raise Corrupt("bus.damaged", f"message {position} is not what was written: {error.message}") from None
