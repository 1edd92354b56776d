"""Server-sent events: the header that goes on where a client was cut off, the bytes of one event, the stream.

It knows nothing of what is told; that is the business of whoever has a stream.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from litestar.response import Stream

from appliance.api.bodies import ApiRequest
from appliance.api.operations import Header
from appliance.api.problems import HttpError
from appliance.api.service import Service

RECONNECT_MS = 2000
HEARTBEAT = b": still here\n\n"
MEDIA_TYPE = "text/event-stream"
_HEADER = "Last-Event-ID"
_PATTERN = "^[0-9]{1,15}$"

T = TypeVar("T")


def last_event_header(meaning: str) -> dict[str, Header]:
    """The header for an operation's description."""
    return {_HEADER: Header(meaning, _PATTERN)}


def last_event_id(request: ApiRequest, what: str) -> int | None:
    """Number of the last event that the client has; None where it says none. `what`: what is numbered, for people."""
    header: str | None = request.headers.get(_HEADER.lower())
    if header is None:
        return None
    if not re.fullmatch(_PATTERN, header, re.ASCII):
        raise HttpError(HTTPStatus.BAD_REQUEST, "events.bad_last_event_id", f"{_HEADER} is {what}, such as 17")
    return int(header)


def event(number: int, name: str, data: bytes) -> bytes:
    """One event; its data have no line break, as canonical JSON has none."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), data)


def opening(*remarks: str) -> bytes:
    """What a stream says first: when to come again, and what else is worth knowing."""
    return "\n".join([f"retry: {RECONNECT_MS}", *(f": {remark}" for remark in remarks), "\n"]).encode()


def stream_of(events: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> Stream:
    """An answer that nobody on the way keeps or holds back."""
    return Stream(
        events,
        media_type=MEDIA_TYPE,
        headers={"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})},
        status_code=HTTPStatus.OK,
    )


async def followed(
    service: Service, first: bytes, found: AsyncIterator[T], told: Callable[[T], bytes | None]
) -> AsyncIterator[bytes]:
    """`first`, then each of `found` as `told` tells it (None: not at all), until there is no more or the server drains.

    A comment when nothing came for a while, so that a dead connection is noticed.
    """
    draining: asyncio.Future[bool] = asyncio.ensure_future(service.lifecycle.draining.wait())
    awaited: asyncio.Future[T] | None = None
    service.metrics.streams.inc()
    try:
        yield first
        while not draining.done():
            awaited = awaited or asyncio.ensure_future(anext(found))
            either: set[asyncio.Future[Any]] = {awaited, draining}
            ready, _ = await asyncio.wait(either, timeout=service.heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            if awaited in ready:
                each, awaited = awaited.result(), None
                if (said := told(each)) is not None:
                    yield said
            elif not ready:
                yield HEARTBEAT
    except StopAsyncIteration:
        return
    finally:
        service.metrics.streams.dec()
        for task in (awaited, draining):
            if task is not None:
                task.cancel()
