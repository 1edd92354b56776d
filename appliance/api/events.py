"""A run's journal as server-sent events, from any point, live.

Each event's id is its sequence number, its name the entry's type, its data the very envelope that the entry's
hash covers. A client that was cut off goes on with Last-Event-ID; one that has everything is told so with 204.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from appliance.api.bodies import ApiRequest
from appliance.api.operations import Header, describes
from appliance.api.problems import HttpError
from appliance.api.service import Service
from runtime.domain.command import FinishRun
from runtime.domain.ids import RunId
from runtime.domain.journal import Row, envelope_of
from runtime.domain.run import FINAL

PAGE = 32
RECONNECT_MS = 2000
LAST_EVENT_PATTERN = "^[0-9]{1,15}$"


@get(
    "/v1/runs/{run_id:str}/events",
    name="stream_events",
    **describes(
        "Follow a run's journal",
        tag="runs",
        answers={200: "text/event-stream", 204: None},
        errors=(400, 404),
        headers={
            "Last-Event-ID": Header(
                "Sequence number of the last entry that you have; absent: from the start.", LAST_EVENT_PATTERN
            )
        },
    ),
)
async def stream_events(
    run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[None] | Stream:
    """Ends behind `run.finished`, or when the server drains; 204 when there is nothing left to come."""
    after = _last_seen(request.headers.get("last-event-id"))
    summary = await service.store.run(RunId(run_id))
    if summary.status in FINAL and after >= summary.seq:
        return Response(None, status_code=HTTPStatus.NO_CONTENT)
    return Stream(
        _events(service, summary.run, after),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        status_code=HTTPStatus.OK,
    )


async def _events(service: Service, run: RunId, after: int) -> AsyncIterator[bytes]:
    service.metrics.streams.inc()
    try:
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        with service.tail.watch(run) as changed:
            while not service.lifecycle.draining.is_set():
                changed.clear()
                rows = await service.store.read(run, after_seq=after, limit=PAGE)
                for row in rows:
                    yield _event(row)
                    after = row.seq
                if rows and rows[-1].type == FinishRun.TYPE:
                    return
                if not rows:
                    async for heartbeat in _until(changed, service.heartbeat_s):
                        yield heartbeat
    finally:
        service.metrics.streams.dec()


async def _until(changed: asyncio.Event, heartbeat_s: float) -> AsyncIterator[bytes]:
    """Wait for news; a comment when there was none for a while, so that dead connections are noticed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(heartbeat_s):
            await changed.wait()
        return
    yield b": still here\n\n"


def _event(row: Row) -> bytes:
    # canonical JSON has no line breaks, so the data is one line
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row.seq, row.type.encode(), envelope_of(row))


def _last_seen(header: str | None) -> int:
    if header is None:
        return 0
    if not re.fullmatch(LAST_EVENT_PATTERN, header, re.ASCII):
        message = "Last-Event-ID is the sequence number of a journal entry, such as 17"
        raise HttpError(HTTPStatus.BAD_REQUEST, "events.bad_last_event_id", message)
    return int(header)
