"""The bus over HTTP, of the caller's tenant: what is published, who takes it, and what nobody took."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json, read_query
from appliance.api.operations import Header, describes
from appliance.api.service import Service
from appliance.api.sse import MEDIA_TYPE, event, followed, last_event_header, last_event_id, opening, stream_of
from appliance.bus import BusView, ConsumerDetail, ConsumerLine, LetterLine, MessageLine, Publish, Published, instant
from runtime.domain.bus import Posted
from runtime.domain.envelope import write
from runtime.domain.subject import checked_filter, matches
from runtime.domain.trace import context_of
from runtime.errors import Invalid

SINCE = "Since when: 90s, 1h or 7d ago, or a date or time, of UTC where it says no zone."


class DeadQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters to list."""

    consumer: Annotated[str, Meta(max_length=64, description="Only those of this one.")] = ""
    limit: Annotated[int, Meta(ge=1, le=10_000, description="How many at most.")] = 100


class DeadList(msgspec.Struct, frozen=True):
    """Dead letters, newest first."""

    letters: list[LetterLine]


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters to deliver once more: give `ids`, or say `all`."""

    ids: Annotated[list[int], Meta(max_length=10_000, description="Of letters.")] = []
    all: Annotated[bool, Meta(description="Every one, of `consumer` where it is named.")] = False
    consumer: Annotated[str, Meta(max_length=64, description="With `all`: only those of this one.")] = ""


class MessagesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages to list."""

    subject: Annotated[str, Meta(max_length=512, description="A filter, such as runs.*.*.step.failed.")] = ">"
    since: Annotated[str, Meta(max_length=40, description=f"{SINCE} Empty: all.")] = ""
    after: Annotated[int, Meta(ge=0, le=10**15, description="Only those behind this position.")] = 0
    limit: Annotated[int, Meta(ge=1, le=1_000, description="How many at most.")] = 100


class MessagePage(msgspec.Struct, frozen=True):
    """Messages in order."""

    messages: list[MessageLine]
    next_after: int | None
    """`after` of the next page; null: there is no more now."""


class Rewind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on a consumer gets everything again."""

    since: Annotated[str, Meta(min_length=1, max_length=40, description=SINCE)]


class TailQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to stream."""

    subject: Annotated[str, Meta(max_length=512, description="A filter, such as runs.*.*.step.failed.")] = ">"
    after: Annotated[
        Annotated[int, Meta(ge=0, le=10**15)] | None,
        Meta(description="Position behind which to begin; null: what comes from now on."),
    ] = None


@get("/v1/bus", name="show_bus", **describes("Show subjects and consumers", tag="bus", answers={200: BusView}))
async def show_bus(request: ApiRequest, service: NamedDependency[Service]) -> BusView:
    """As `af bus list --json` prints it."""
    return await service.appliance.bus_desk.overview(request.user.tenant)


@get(
    "/v1/bus/consumers/{consumer:str}",
    name="show_consumer",
    **describes("Show one consumer, and what it did not take", tag="bus", answers={200: ConsumerDetail}, errors=(404,)),
)
async def show_consumer(
    consumer: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> ConsumerDetail:
    """As `af bus show --json` prints it."""
    return await service.appliance.bus_desk.consumer(request.user.tenant, consumer)


@post(
    "/v1/bus/consumers/{consumer:str}/rewind",
    name="rewind_consumer",
    status_code=HTTPStatus.OK,
    **describes(
        "Have a consumer get everything again from an instant on",
        tag="bus",
        answers={200: ConsumerLine},
        errors=(404, 415, 422, 507),
        body=Rewind,
        example={"since": "24h"},
    ),
)
async def rewind_consumer(
    consumer: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> ConsumerLine:
    """At least once: what it has taken since comes again. The audit log says who asked."""
    asked = await read_json(request, Rewind)
    since_us = instant(asked.since, service.appliance.clock.now_us())
    desk = service.appliance.bus_desk
    return await desk.rewind(request.user.tenant, consumer, since_us, actor=request.user.actor)


@get(
    "/v1/bus/dead",
    name="list_dead_letters",
    **describes("List dead letters, newest first", tag="bus", answers={200: DeadList}, errors=(422,), query=DeadQuery),
)
async def list_dead_letters(request: ApiRequest, service: NamedDependency[Service]) -> DeadList:
    """What a consumer will not get again unless somebody asks, with the reason."""
    query = read_query(request, DeadQuery)
    desk = service.appliance.bus_desk
    return DeadList(await desk.dead(request.user.tenant, consumer=query.consumer, limit=query.limit))


@post(
    "/v1/bus/dead/retry",
    name="retry_dead_letters",
    status_code=HTTPStatus.OK,
    **describes(
        "Deliver dead letters once more",
        tag="bus",
        answers={200: DeadList},
        errors=(404, 415, 422, 507),
        body=Retry,
        example={"all": True},
    ),
)
async def retry_dead_letters(request: ApiRequest, service: NamedDependency[Service]) -> DeadList:
    """Now, or when their consumer is back; those that will be. The audit log says who asked."""
    asked = await read_json(request, Retry)
    if bool(asked.ids) == asked.all:
        raise Invalid("bus.retry_what", "give the ids of dead letters, or say all: one of the two")
    desk = service.appliance.bus_desk
    return DeadList(await desk.retry(request.user.tenant, asked.ids, consumer=asked.consumer, actor=request.user.actor))


@get(
    "/v1/bus/messages",
    name="list_messages",
    **describes("List messages in order", tag="bus", answers={200: MessagePage}, errors=(422,), query=MessagesQuery),
)
async def list_messages(request: ApiRequest, service: NamedDependency[Service]) -> MessagePage:
    """Entries of journals and what was published, from a position or an instant; nothing is delivered by it."""
    query = read_query(request, MessagesQuery)
    appliance = service.appliance
    since_us = instant(query.since, appliance.clock.now_us()) if query.since else 0
    found = await appliance.bus_desk.messages(
        request.user.tenant, query.subject, after=query.after, since_us=since_us, limit=query.limit
    )
    return MessagePage(found, found[-1].position if len(found) == query.limit else None)


@post(
    "/v1/bus/messages",
    name="publish_message",
    **describes(
        "Publish a message; it is durable when this answers",
        tag="bus",
        answers={201: Published},
        errors=(415, 422, 507),
        body=Publish,
        headers={"traceparent": Header("W3C trace context of the message, where the body has none.", ".*")},
        example={"subject": "orders.created", "payload": {"order": 17}},
    ),
)
async def publish_message(request: ApiRequest, service: NamedDependency[Service]) -> Published:
    """Under any subject but those of journals. Repeat it with the same `id` when the answer was lost."""
    asked = await read_json(request, Publish)
    if not asked.traceparent:
        asked = msgspec.structs.replace(asked, traceparent=context_of(request.headers.get("traceparent")))
    return await service.appliance.bus_desk.publish(request.user.tenant, asked, actor=request.user.actor)


@get(
    "/v1/bus/tail",
    name="tail_bus",
    **describes(
        "Follow what is published",
        tag="bus",
        answers={200: MEDIA_TYPE},
        errors=(400, 422),
        query=TailQuery,
        headers=last_event_header("Position of the last one that you have; stands above `after`."),
    ),
)
async def tail_bus(request: ApiRequest, service: NamedDependency[Service]) -> Stream:
    """Each event's id is the message's position, its name the type, its data the envelope, hash included."""
    query = read_query(request, TailQuery)
    wanted = checked_filter(query.subject)
    tenant = request.user.tenant
    after = last_event_id(request, "the position of a message")
    messages = service.appliance.store.messages
    if after is None:
        after = await messages.head() if query.after is None else query.after

    def told(posted: Posted) -> bytes | None:
        if posted.tenant != tenant or not matches(wanted, posted.subject):
            return None
        envelope = posted.envelope()
        return event(posted.position, envelope.type, write(envelope))

    return stream_of(followed(service, opening(f"from {after}"), messages.follow(after), told))
