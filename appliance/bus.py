"""The bus as operators see and steer it: `af bus` and `/v1/bus`, written once so that the two never disagree."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runtime.bus.local import ConsumerView, LocalBus
from runtime.bus.pulls import Pulls
from runtime.domain.audit import AuditEntry
from runtime.domain.bus import DeadLetter, Delivery, Standing
from runtime.domain.canonical import Json, parse
from runtime.domain.egress import Sender
from runtime.domain.envelope import message, write
from runtime.domain.ids import TenantId
from runtime.domain.journal import rfc3339
from runtime.domain.units import milliseconds
from runtime.engine.relay import Relay
from runtime.errors import AgentFlowError, Invalid, NotFound
from runtime.ports import Clock, Record
from runtime.store.messages import Messages

MOST_LETTERS = 10_000
DAY_US = 86_400_000_000

log = logging.getLogger(__name__)

BusEvent = Literal["bus.retried", "bus.replayed"]


class SubjectLine(msgspec.Struct, frozen=True, kw_only=True):
    """What was published under a subject, or of a workflow's runs."""

    subject: str
    """A filter that chooses it."""
    messages: int
    last_at: str


class ConsumerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A durable consumer."""

    name: str
    subject: str
    """Its filter."""
    standing: Standing
    """`live`: it has everything as it comes; `behind`: it reads what it missed; `away`: nobody takes for it here."""
    members: int
    """How many share its messages."""
    cursor: int
    """Everything up to this position is settled."""
    lag: int
    """Positions from there to the head of the bus, whether or not they are for it."""
    oldest_s: float
    """Age of the oldest message that it was handed and has not settled; 0: there is none."""
    dead_letters: int


class BusView(msgspec.Struct, frozen=True, kw_only=True):
    """The bus at a glance."""

    tenant: str
    head: int
    """Position of the newest message, of all tenants."""
    subjects: list[SubjectLine]
    consumers: list[ConsumerLine]
    dead_letters: int


class FailureLine(msgspec.Struct, frozen=True, kw_only=True):
    """A message that will be delivered again."""

    position: int
    deliveries: int
    reason: str


class LetterLine(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter."""

    id: int
    consumer: str
    position: int
    message: str
    """The envelope's id; empty where it is kept no longer."""
    subject: str
    deliveries: int
    reason: str
    at: str
    """When it was given up."""
    is_retried: bool
    """Whether another delivery was asked for, and has not ended."""


class ConsumerDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One consumer in full."""

    consumer: ConsumerLine
    waiting: list[FailureLine]
    """What it did not take and will get again."""
    dead: list[LetterLine]
    """The newest of its dead letters."""


class MessageLine(msgspec.Struct, frozen=True, kw_only=True):
    """A message with its place."""

    position: int
    envelope: dict[str, Json]


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message to publish."""

    subject: Annotated[str, Meta(min_length=1, max_length=512, description="What to publish it under.")]
    payload: Annotated[Json, Meta(description="Any JSON, up to 1 MiB.")] = None
    id: Annotated[
        str, Meta(max_length=256, description="Equal for every publication of the same message; empty: a new one.")
    ] = ""
    type: Annotated[str, Meta(min_length=1, max_length=256, description="What kind of message it is.")] = "message"
    to: Annotated[str, Meta(max_length=512, description="Whom it is for.")] = ""
    traceparent: Annotated[str, Meta(max_length=55, description="W3C trace context that it belongs to.")] = ""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    id: str
    is_new: bool
    """False: one with this id was there already."""


class BusDesk:
    """One appliance's bus."""

    def __init__(self, store: Messages, clock: Clock, record: Record, *, days: int = 0) -> None:
        """`record`: keeps a line of the audit log. `days`: how long messages are kept; 0: for good."""
        self._days = days
        self._pruning: asyncio.Task[None] | None = None
        self._store, self._clock, self._record = store, clock, record
        self.bus = LocalBus(store, clock)
        """Takes subscribers once it is open."""
        self.pulls = Pulls(self.bus, clock)
        """Consumers outside, which ask for what is theirs."""

    async def open(self) -> None:
        """Hand over what becomes durable from now on; for whoever writes the data folder."""
        await Relay(self._store, self.bus.begin, self.bus.deliver).start()
        await self.bus.refresh()
        if self._days:
            self._pruning = asyncio.create_task(self._prune_daily(), name="bus-prune")

    async def close(self) -> None:
        """Hand over nothing more. Safe to call twice."""
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.gather(self._pruning, return_exceptions=True)
        await self.pulls.stop()
        await self.bus.stop()

    async def overview(self, tenant: TenantId) -> BusView:
        """Subjects, consumers, how far they have come."""
        consumers = [self._line(each) for each in await self.bus.consumers(tenant)]
        return BusView(
            tenant=tenant,
            head=await self._store.head(),
            subjects=[
                SubjectLine(subject=subject, messages=count, last_at=rfc3339(last_us))
                for subject, count, last_us in await self._store.subjects(tenant)
            ],
            consumers=consumers,
            dead_letters=sum(each.dead_letters for each in consumers),
        )

    async def consumer(self, tenant: TenantId, name: str) -> ConsumerDetail:
        """One consumer, what it will get again, and what it will not. Raises NotFound."""
        found = [each for each in await self.bus.consumers(tenant) if each.name == name]
        if not found:
            raise NotFound("bus.no_consumer", f"there is no consumer {name!r}; `af bus list` shows those there are")
        failures = await self._store.failures(tenant, name)
        return ConsumerDetail(
            consumer=self._line(found[0]),
            waiting=[
                FailureLine(position=each.position, deliveries=each.deliveries, reason=each.reason)
                for each in failures
                if each.position > found[0].cursor
            ],
            dead=await self.dead(tenant, consumer=name, limit=20),
        )

    async def dead(
        self, tenant: TenantId, *, consumer: str = "", ids: Sequence[int] = (), limit: int = 100
    ) -> list[LetterLine]:
        """Dead letters, newest first."""
        return [_letter(each) for each in await self._store.dead(tenant, consumer=consumer, ids=ids, limit=limit)]

    async def retry(
        self, tenant: TenantId, ids: Sequence[int], *, consumer: str = "", actor: str = ""
    ) -> list[LetterLine]:
        """Have dead letters delivered once more, all of them without `ids`; the audit log says who asked.

        Raises NotFound where one that was named is not there, or the consumer is not.
        """
        if consumer:
            await self.consumer(tenant, consumer)
        found = await self._store.dead(tenant, consumer=consumer, ids=ids, limit=MOST_LETTERS)
        if missing := sorted(set(ids) - {each.id for each in found}):
            listed = ", ".join(map(str, missing[:10]))
            raise NotFound(
                "bus.no_letter", f"there is no dead letter {listed} here; `af bus dead` lists those there are"
            )
        chosen = [each for each in found if not each.is_retried]
        if chosen:
            await self._tell("bus.retried", tenant, actor, subject=_named(chosen), found={"letters": len(chosen)})
        return [_letter(each) for each in await self.bus.retry(tenant, [each.id for each in chosen])]

    async def rewind(self, tenant: TenantId, name: str, since_us: int, *, actor: str = "") -> ConsumerLine:
        """Have a consumer get everything again from an instant on; the audit log says who asked. Raises NotFound."""
        found = [each for each in await self.bus.consumers(tenant) if each.name == name]
        if found:
            cursor = await self.position(since_us)
            since = {"from": rfc3339(since_us), "before": str(found[0].cursor), "after": str(cursor)}
            await self._tell("bus.replayed", tenant, actor, subject=f"consumer {name}", marks=since)
            await self.bus.rewind(tenant, name, cursor)
        return (await self.consumer(tenant, name)).consumer

    async def position(self, since_us: int) -> int:
        """The position behind which everything is from an instant on."""
        first = (await self._store.page(0, limit=1, since_us=since_us)).posts
        return first[0].position - 1 if first else await self._store.head()

    async def messages(
        self, tenant: TenantId, wanted: str, *, after: int = 0, since_us: int = 0, limit: int = 100
    ) -> list[MessageLine]:
        """The next messages that a filter chooses, in order."""
        found: list[MessageLine] = []
        async for delivery in self.bus.replay(tenant, wanted, after=after, since_us=since_us):
            found.append(message_line(delivery))
            if len(found) == limit:
                break
        return found

    async def publish(self, tenant: TenantId, asked: Publish, *, actor: str = "") -> Published:
        """Publish a message; durable when this returns. Raises Invalid."""
        made = message(
            asked.subject,
            asked.payload,
            id=asked.id or f"m{self._clock.new_run_id().removeprefix('r')}",
            at_us=self._clock.now_us(),
            tenant=tenant,
            type=asked.type,
            sender=actor,
            recipient=asked.to,
            context=asked.traceparent,
        )
        return Published(id=made.id, is_new=await self.bus.publish(made))

    async def _prune_daily(self) -> None:
        while True:
            now_us = self._clock.now_us()
            try:
                await self._store.prune(now_us - self._days * DAY_US)
            except AgentFlowError as error:
                log.error("messages that are too old are kept: %s", error)
            await self._clock.sleep_until(now_us + DAY_US)

    async def _tell(
        self,
        event: BusEvent,
        tenant: TenantId,
        actor: str,
        *,
        subject: str,
        found: dict[str, int] | None = None,
        marks: dict[str, str] | None = None,
    ) -> None:
        sender = Sender(purpose=actor or "the appliance", tenant=tenant)
        await self._record(
            AuditEntry(
                event=event,
                sender=sender,
                actor=actor,
                subject=subject,
                found=found or {},
                marks=marks or {},
                outcome="ok",
            )
        )

    def _line(self, view: ConsumerView) -> ConsumerLine:
        age_us = self._clock.now_us() - view.oldest_us if view.oldest_us else 0
        return ConsumerLine(
            name=view.name,
            subject=view.wanted,
            standing=view.standing,
            members=view.members,
            cursor=view.cursor,
            lag=view.lag,
            oldest_s=max(0, age_us) / 1e6,
            dead_letters=view.dead,
        )


def instant(text: str, now_us: int, *, zone: tzinfo = UTC) -> int:
    """The instant that a text names: `90s`, `1h`, `7d` ago, or a date or time, of `zone` where it says none.

    Raises Invalid.
    """
    with suppress(ValueError):
        return max(0, now_us - milliseconds(text) * 1_000)
    try:
        at = datetime.fromisoformat(text)
        return max(0, round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1e6))
    except (ValueError, OverflowError):
        raise Invalid(
            "bus.bad_time", f"{text[:40]!r} names no time; take 90s, 1h, 7d, or one such as 2026-01-31T14:00"
        ) from None


def message_line(delivery: Delivery) -> MessageLine:
    """A message as JSON: its envelope, hash included."""
    return MessageLine(position=delivery.position, envelope=parse(write(delivery.envelope), max_depth=101))  # type: ignore[arg-type]  # an envelope is an object


def _named(letters: Sequence[DeadLetter]) -> str:
    named = ", ".join(f"{each.id} of {each.consumer}" for each in letters[:5])
    return f"dead letters {named}" + (f" and {len(letters) - 5} more" if len(letters) > 5 else "")


def _letter(letter: DeadLetter) -> LetterLine:
    return LetterLine(
        id=letter.id,
        consumer=letter.consumer,
        position=letter.position,
        message=letter.message,
        subject=letter.subject,
        deliveries=letter.deliveries,
        reason=letter.reason,
        at=rfc3339(letter.at_us),
        is_retried=letter.is_retried,
    )
