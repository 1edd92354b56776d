"""The journals of all runs as one stream of server-sent events, in the order in which entries became durable.

Each event's id is its place in that order; with `brief` its data lack what people and agents said, so that a screen
that shows a hundred runs gets kilobytes and no letters.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_query
from appliance.api.events import LAST_EVENT_PATTERN, RECONNECT_MS
from appliance.api.operations import Header, describes
from appliance.api.problems import HttpError
from appliance.api.service import Service
from runtime.domain.journal import Row, envelope_of

HEARTBEAT = b": still here\n\n"
SAID = frozenset({"input", "output", "payload", "evidence", "plan", "memory"})
"""Fields of an entry that hold what people and agents said, or a plan's whole state."""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class LiveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to stream."""

    after: Annotated[
        Annotated[int, Meta(ge=0, le=10**15)] | None,
        Meta(description="Place behind which to begin; null: what comes from now on."),
    ] = None
    brief: Annotated[bool, Meta(description="Without what people and agents said.")] = False


@get(
    "/v1/events",
    name="stream_all_events",
    **describes(
        "Follow the journals of all runs",
        tag="runs",
        answers={200: "text/event-stream"},
        errors=(400, 422),
        query=LiveQuery,
        headers={
            "Last-Event-ID": Header("Place of the last entry that you have; stands above `after`.", LAST_EVENT_PATTERN)
        },
    ),
)
async def stream_all_events(request: ApiRequest, service: NamedDependency[Service]) -> Stream:
    """Ends when the server drains. The first comment names the place at which it begins."""
    query = read_query(request, LiveQuery)
    head = await service.store.head()
    after = _last_seen(request.headers.get("last-event-id"))
    if after is None:
        after = head if query.after is None else query.after
    return Stream(
        _events(service, after, head, is_brief=query.brief),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        status_code=HTTPStatus.OK,
    )


async def _events(service: Service, after: int, head: int, *, is_brief: bool) -> AsyncIterator[bytes]:
    draining: asyncio.Future[bool] = asyncio.ensure_future(service.lifecycle.draining.wait())
    rows = service.store.follow(after)
    awaited: asyncio.Future[tuple[int, Row]] | None = None
    service.metrics.streams.inc()
    try:
        yield b"retry: %d\n: from %d of %d\n\n" % (RECONNECT_MS, after, head)
        while not draining.done():
            awaited = awaited or asyncio.ensure_future(anext(rows))
            either: set[asyncio.Future[Any]] = {awaited, draining}
            ready, _ = await asyncio.wait(either, timeout=service.heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            if awaited in ready:
                place, row = awaited.result()
                awaited = None
                yield event_of(place, row, is_brief=is_brief)
            elif not ready:
                yield HEARTBEAT
    except StopAsyncIteration:  # the store was closed
        return
    finally:
        service.metrics.streams.dec()
        for task in (awaited, draining):
            if task is not None:
                task.cancel()


def event_of(place: int, row: Row, *, is_brief: bool) -> bytes:
    """One event; its data are the entry's envelope, or the envelope without what was said."""
    envelope = envelope_of(row)
    if is_brief:
        fields = _fields.decode(row.data)
        if not SAID.isdisjoint(fields):
            kept = msgspec.json.encode({name: value for name, value in fields.items() if name not in SAID})
            envelope = envelope_of(msgspec.structs.replace(row, data=kept))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (place, row.type.encode(), envelope)


def _last_seen(header: str | None) -> int | None:
    if header is None:
        return None
    if not re.fullmatch(LAST_EVENT_PATTERN, header, re.ASCII):
        message = "Last-Event-ID is the place of an entry among all, such as 1700"
        raise HttpError(HTTPStatus.BAD_REQUEST, "events.bad_last_event_id", message)
    return int(header)
