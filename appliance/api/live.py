"""The journals of all runs as one stream of server-sent events, in the order in which entries became durable.

Each event's id is its place in that order; with `brief` its data lack what people and agents said, so that a screen
that shows a hundred runs gets kilobytes and no letters.
"""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.api.sse import MEDIA_TYPE, event, followed, last_event_header, last_event_id, opening, stream_of
from runtime.domain.journal import Row, envelope_of

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
        answers={200: MEDIA_TYPE},
        errors=(400, 422),
        query=LiveQuery,
        headers=last_event_header("Place of the last entry that you have; stands above `after`."),
    ),
)
async def stream_all_events(request: ApiRequest, service: NamedDependency[Service]) -> Stream:
    """Ends when the server drains. The first comment names the place at which it begins."""
    query = read_query(request, LiveQuery)
    head = await service.store.head()
    after = last_event_id(request, "the place of an entry among all")
    if after is None:
        after = head if query.after is None else query.after

    def told(found: tuple[int, Row]) -> bytes:
        return event_of(*found, is_brief=query.brief)

    return stream_of(followed(service, opening(f"from {after} of {head}"), service.store.follow(after), told))


def event_of(place: int, row: Row, *, is_brief: bool) -> bytes:
    """One event; its data are the entry's envelope, or the envelope without what was said."""
    envelope = envelope_of(row)
    if is_brief:
        fields = _fields.decode(row.data)
        if not SAID.isdisjoint(fields):
            kept = msgspec.json.encode({name: value for name, value in fields.items() if name not in SAID})
            envelope = envelope_of(msgspec.structs.replace(row, data=kept))
    return event(place, row.type, envelope)
