"""The bus within one process: what has become durable in its store is handed to whoever subscribes.

It never publishes what the store does not hold, and nobody who is slow keeps the store or another subscriber waiting.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec

from runtime.bus.course import Course
from runtime.domain.bus import (
    DEFAULT_TERMS,
    Batch,
    ConsumerState,
    DeadLetter,
    Delivery,
    Standing,
    Terms,
    checked_consumer,
)
from runtime.domain.envelope import Envelope, require_publishable
from runtime.domain.ids import TenantId
from runtime.domain.subject import EVERYTHING, INBOX, checked_filter, matches, token
from runtime.errors import Conflict, NotFound, Unavailable
from runtime.ports import BusStore, Clock, Leave, Receive

PAGE = 256


class ConsumerView(msgspec.Struct, frozen=True, kw_only=True):
    """A durable consumer as it is now."""

    tenant: TenantId
    name: str
    wanted: str
    cursor: int
    lag: int
    """Positions between the cursor and the head of the bus."""
    oldest_us: int
    """When the oldest message happened that it was handed and has not settled; 0: there is none."""
    standing: Standing
    members: int
    dead: int


class LocalBus:
    """MessageBus over a BusStore of the same process."""

    def __init__(self, store: BusStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._head = 0
        self._courses: list[Course] = []
        self._named: dict[tuple[TenantId, str], Course] = {}
        self._states: dict[tuple[TenantId, str], ConsumerState] = {}
        self._takers: dict[tuple[TenantId, str], dict[int, Receive]] = {}
        self._opening = asyncio.Lock()
        self._is_open = False

    def begin(self, head: int) -> None:
        """Hand over what comes behind this position."""
        self._head = max(self._head, head)
        self._is_open = True

    def counts(self) -> Sequence[ConsumerView]:
        """Every named consumer as it is known here, without a look at the store."""
        return [self._view(kept, self._head) for kept in self._states.values()]

    async def refresh(self) -> None:
        """Look into the store for `counts`."""
        self._states = {(kept.tenant, kept.name): kept for kept in await self._store.consumers()}

    def deliver(self, batch: Batch) -> None:
        """Hand over what has just become durable; called in order, and never waits."""
        is_next = batch.after <= self._head
        self._head = max(self._head, batch.upto)
        for course in self._courses:
            if not is_next:
                course.fall_behind()
            course.offer(batch)

    async def stop(self) -> None:
        """End every subscription; named consumers go on from where they are. Safe to call twice."""
        self._is_open = False
        courses, self._courses = self._courses, []
        self._named.clear()
        for course in courses:
            await course.stop()

    async def publish(self, envelope: Envelope) -> bool:
        """See MessageBus."""
        require_publishable(envelope)
        return await self._store.keep(envelope)

    async def subscribe(
        self,
        tenant: TenantId,
        wanted: str,
        receive: Receive,
        *,
        consumer: str = "",
        start: int | None = None,
        terms: Terms = DEFAULT_TERMS,
    ) -> Leave:
        """See MessageBus."""
        checked_filter(wanted)
        if not self._is_open:
            raise Unavailable("bus.closed", "the bus is not open here; it is stopping, or this process only reads")
        if consumer:
            return await self._join(tenant, checked_consumer(consumer), wanted, receive, start=start, terms=terms)
        course = self._course(tenant, "", wanted, terms, self._head if start is None else start)
        if start is None:
            course.goes_on_from(self._head)
        self._courses.append(course)
        await course.start(head=self._head)
        course.join(receive)
        return partial(self._end, course)

    async def request(self, envelope: Envelope, *, timeout_s: float) -> Envelope:
        """See MessageBus."""
        inbox = f"{INBOX}.{token(envelope.id)}"
        if not any(
            course.members and course.tenant == envelope.tenant and matches(course.wanted, envelope.subject)
            for course in self._courses
        ):
            raise Unavailable("bus.no_responder", f"nobody here answers what is published under {envelope.subject!r}")
        answered: asyncio.Future[Envelope] = asyncio.get_running_loop().create_future()

        async def take(delivery: Delivery) -> None:
            if not answered.done():
                answered.set_result(delivery.envelope)

        leave = await self.subscribe(envelope.tenant, inbox, take)
        try:
            await self.publish(msgspec.structs.replace(envelope, reply_to=inbox))
            async with asyncio.timeout(timeout_s):
                return await answered
        except TimeoutError:
            raise Unavailable(
                "bus.no_reply", f"no reply to {envelope.id!r} under {envelope.subject!r} came within {timeout_s:g} s"
            ) from None
        finally:
            await leave()

    async def replay(
        self, tenant: TenantId, wanted: str = EVERYTHING, *, after: int = 0, since_us: int = 0
    ) -> AsyncIterator[Delivery]:
        """See MessageBus."""
        checked_filter(wanted)
        head = await self._store.head()
        while after < head:
            batch = await self._store.page(after, limit=PAGE, since_us=since_us)
            for posted in batch.posts:
                if posted.position <= head and posted.tenant == tenant and matches(wanted, posted.subject):
                    yield Delivery(posted.envelope(), posted.position)
            after = batch.upto

    async def consumers(self, tenant: TenantId | None = None) -> Sequence[ConsumerView]:
        """Every named consumer, at work here or not."""
        head = max(self._head, await self._store.head())
        return [self._view(kept, head) for kept in await self._store.consumers(tenant)]

    async def retry(self, tenant: TenantId, ids: Sequence[int]) -> Sequence[DeadLetter]:
        """Have dead letters delivered once more, now or when their consumer is back; those that will be."""
        revived = await self._store.revive(tenant, ids, at_us=self._clock.now_us())
        for name in {letter.consumer for letter in revived}:
            if course := self._named.get((tenant, name)):
                await course.take_revived()
        return revived

    async def rewind(self, tenant: TenantId, name: str, cursor: int) -> None:
        """Have a consumer get again what it wants behind a position. Raises NotFound."""
        async with self._opening:
            if all(kept.name != name for kept in await self._store.consumers(tenant)):
                raise NotFound("bus.no_consumer", f"there is no consumer {name!r}; `af bus list` shows those there are")
            course = self._named.pop((tenant, name), None)
            if course is not None:
                self._courses.remove(course)
                await course.stop()
            await self._store.move(tenant, name, cursor)
            await self.refresh()
            if course is not None:
                await self._begin(tenant, name, course.wanted, start=cursor, terms=course.terms)

    async def forget(self, tenant: TenantId, name: str) -> None:
        """Have no such consumer any more; nobody may be at work for it."""
        async with self._opening:
            if (tenant, name) in self._named:
                raise Conflict("bus.consumer_differs", f"consumer {name!r} is at work; end who takes its messages")
            await self._store.forget(tenant, name)
            await self.refresh()

    async def _join(
        self, tenant: TenantId, name: str, wanted: str, receive: Receive, *, start: int | None, terms: Terms
    ) -> Leave:
        async with self._opening:
            course = self._named.get((tenant, name))
            if course is not None and (course.wanted, course.terms) != (wanted, terms):
                raise Conflict(
                    "bus.consumer_differs",
                    f"consumer {name!r} is at work for {course.wanted!r}; to join it, want the same on the same terms",
                )
            if course is None:
                at = self._head if start is None else start
                course = await self._begin(tenant, name, wanted, start=at, terms=terms)
            member = course.join(receive)
            self._takers.setdefault((tenant, name), {})[member] = receive
        return partial(self._leave, tenant, name, member)

    async def _begin(self, tenant: TenantId, name: str, wanted: str, *, start: int, terms: Terms) -> Course:
        kept: ConsumerState = await self._store.open_consumer(
            tenant, name, wanted, start=start, at_us=self._clock.now_us()
        )
        course = self._course(tenant, name, wanted, terms, kept.cursor)
        self._named[tenant, name] = course
        self._courses.append(course)
        await self.refresh()
        await course.start(head=self._head)
        for member, receive in self._takers.get((tenant, name), {}).items():
            course.join(receive, as_member=member)
        return course

    async def _leave(self, tenant: TenantId, name: str, member: int) -> None:
        async with self._opening:
            takers = self._takers.get((tenant, name), {})
            takers.pop(member, None)
            course = self._named.get((tenant, name))
            if course is None:
                return
            await course.leave(member)
            if not course.members:
                del self._named[tenant, name]
                self._courses.remove(course)
                await course.stop()
                await self.refresh()

    async def _end(self, course: Course) -> None:
        if course in self._courses:
            self._courses.remove(course)
        await course.stop()

    def _course(self, tenant: TenantId, name: str, wanted: str, terms: Terms, start: int) -> Course:
        return Course(
            self._store,
            self._clock,
            tenant=tenant,
            name=name,
            wanted=wanted,
            terms=terms,
            start=start,
            on_letter=self.refresh,
        )

    def _view(self, kept: ConsumerState, head: int) -> ConsumerView:
        course = self._named.get((kept.tenant, kept.name))
        cursor = course.cursor if course else kept.cursor
        return ConsumerView(
            tenant=kept.tenant,
            name=kept.name,
            wanted=kept.wanted,
            cursor=cursor,
            lag=max(0, head - cursor),
            oldest_us=course.oldest_us if course else 0,
            standing=course.standing if course else "away",
            members=course.members if course else 0,
            dead=kept.dead,
        )
