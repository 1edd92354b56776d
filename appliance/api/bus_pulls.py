"""Messages of the bus for programs outside: asked for, and settled, over HTTP."""

import asyncio
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.bus import MessageLine, instant, message_line
from runtime.bus.pulls import MOST, Lent
from runtime.domain.journal import rfc3339
from runtime.errors import Unavailable


class Take(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to be handed."""

    subject: Annotated[str, Meta(min_length=1, max_length=512, description="A filter, such as orders.>.")]
    limit: Annotated[int, Meta(ge=1, le=MOST, description="How many at most.")] = 1
    wait_s: Annotated[float, Meta(ge=0, le=30, description="How long to wait for the first.")] = 1.0
    ack_s: Annotated[float, Meta(ge=0.1, le=3600, description="Who has not settled one for so long loses it.")] = 30.0
    since: Annotated[
        str,
        Meta(max_length=40, description="Where a consumer that is new begins: 1h ago, a time; empty: what comes now."),
    ] = ""


class DeliveryLine(MessageLine, frozen=True, kw_only=True):
    """A message that was handed out."""

    delivery: str
    """What it is settled by."""
    attempt: int
    """From 2 on it may have been taken before."""
    until: str
    """When it is another's."""


class Taken(msgspec.Struct, frozen=True):
    """What was handed out."""

    deliveries: list[DeliveryLine]


class GivenBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message that was not taken."""

    delivery: Annotated[str, Meta(max_length=64, description="Which.")]
    reason: Annotated[
        str, Meta(pattern="^[a-z][a-z0-9_.-]{0,63}$", description="A code of your own, never what the message says.")
    ] = "failed"
    retry: Annotated[bool, Meta(description="False: it is a dead letter at once.")] = True


class Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of deliveries."""

    taken: Annotated[list[str], Meta(max_length=1_000, description="Those that need not come again.")] = []
    refused: Annotated[list[GivenBack], Meta(max_length=1_000, description="Those that were not taken, and why.")] = []


class Settled(msgspec.Struct, frozen=True):
    """What was settled."""

    settled: int
    unknown: list[str]
    """Deliveries that nobody holds: settled before, or too late; they come, or came, again."""


@post(
    "/v1/bus/consumers/{consumer:str}/take",
    name="take_messages",
    status_code=200,
    **describes(
        "Be handed the next messages of a consumer, to be settled",
        tag="bus",
        answers={200: Taken},
        errors=(409, 415, 422, 507),
        body=Take,
        example={"subject": "orders.>", "wait_s": 0},
    ),
)
async def take_messages(consumer: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> Taken:
    """Makes the consumer where there is none. At least once: what is not settled in time comes again."""
    asked = await read_json(request, Take)
    desk, tenant = service.appliance.bus_desk, request.user.tenant
    start = None
    if asked.since:
        start = await desk.position(instant(asked.since, service.appliance.clock.now_us()))
    taking = asyncio.ensure_future(
        desk.pulls.take(
            tenant,
            consumer,
            asked.subject,
            limit=asked.limit,
            wait_s=asked.wait_s,
            ack_s=asked.ack_s,
            start=start,
        )
    )
    draining = asyncio.ensure_future(service.lifecycle.draining.wait())
    try:
        await asyncio.wait({taking, draining}, return_when=asyncio.FIRST_COMPLETED)
        return Taken([_line(lent) for lent in taking.result()] if taking.done() else [])
    finally:
        draining.cancel()
        taking.cancel()


@post(
    "/v1/bus/consumers/{consumer:str}/settle",
    name="settle_messages",
    status_code=200,
    **describes(
        "Say what became of deliveries",
        tag="bus",
        answers={200: Settled},
        errors=(415, 422),
        body=Settle,
        example={"taken": ["d-01m8bnj05rexdsx65rvz7f4hj2"]},
    ),
)
async def settle_messages(consumer: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> Settled:
    """One that was refused comes again after 0.1, 1, 5 and 30 s, and behind the fifth delivery is a dead letter."""
    asked = await read_json(request, Settle)
    pulls, tenant = service.appliance.bus_desk.pulls, request.user.tenant
    found = [(token, pulls.settle(tenant, consumer, token)) for token in asked.taken]
    for given in asked.refused:
        refusal = Unavailable("bus.given_back", f"its consumer says {given.reason}", retryable=given.retry)
        found.append((given.delivery, pulls.settle(tenant, consumer, given.delivery, refusal)))
    return Settled(sum(was_lent for _, was_lent in found), [token for token, was_lent in found if not was_lent])


def _line(lent: Lent) -> DeliveryLine:
    line = message_line(lent.delivery)
    return DeliveryLine(
        position=line.position,
        envelope=line.envelope,
        delivery=lent.token,
        attempt=lent.delivery.attempt,
        until=rfc3339(lent.until_us),
    )
