"""A run's journal as server-sent events, from any point, live.

Each event's id is its sequence number, its name the entry's type, its data the very envelope that the entry's
hash covers. A client that was cut off goes on with Last-Event-ID; one that has everything is told so with 204.
"""

from collections.abc import AsyncIterator
from http import HTTPStatus

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from appliance.api.bodies import ApiRequest
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.api.sse import MEDIA_TYPE, event, followed, last_event_header, last_event_id, opening, stream_of
from runtime.domain.command import FinishRun
from runtime.domain.ids import RunId
from runtime.domain.journal import Row, envelope_of
from runtime.domain.run import FINAL

PAGE = 32


@get(
    "/v1/runs/{run_id:str}/events",
    name="stream_events",
    **describes(
        "Follow a run's journal",
        tag="runs",
        answers={200: MEDIA_TYPE, 204: None},
        errors=(400, 404),
        headers=last_event_header("Sequence number of the last entry that you have; absent: from the start."),
    ),
)
async def stream_events(
    run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[None] | Stream:
    """Ends behind `run.finished`, or when the server drains; 204 when there is nothing left to come."""
    after = last_event_id(request, "the sequence number of a journal entry") or 0
    summary = await service.store.run(RunId(run_id))
    if summary.status in FINAL and after >= summary.seq:
        return Response(None, status_code=HTTPStatus.NO_CONTENT)
    return stream_of(followed(service, opening(), _rows(service, summary.run, after), _told))


async def _rows(service: Service, run: RunId, after: int) -> AsyncIterator[Row]:
    with service.tail.watch(run) as changed:
        while True:
            changed.clear()
            rows = await service.store.read(run, after_seq=after, limit=PAGE)
            for row in rows:
                yield row
                after = row.seq
            if rows and rows[-1].type == FinishRun.TYPE:
                return
            if not rows:
                await changed.wait()


def _told(row: Row) -> bytes:
    return event(row.seq, row.type, envelope_of(row))
