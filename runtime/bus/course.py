"""One consumer's way through the bus: what it is given, in which order, and what becomes of what it does not take.

Messages of one lane (a run, or a subject without one) are handed over one after the other; a lane whose head was not
taken waits out its back-off, and the others go on. What comes is taken from memory while the consumer keeps up; one
that does not is behind, holds nothing but a bounded window, and reads what follows from the store by its position.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from runtime.domain.bus import Batch, DeadLetter, Delivery, Failure, Posted, Standing, Terms
from runtime.domain.ids import TenantId
from runtime.domain.subject import matches
from runtime.errors import AgentFlowError, Unavailable
from runtime.ports import BusStore, Clock, Receive

WINDOW = 1_024
"""Messages that are handed out, or wait to be, at one time; so many may come again after a crash."""
WINDOW_BYTES = 16 * 2**20
PAGE = 256
KEEP_S = 0.05
"""How long a place that was reached may go unwritten: what was taken in that time comes again after a crash."""
IDLE_KEEP_S = 5.0
"""The same for a place that was reached because nothing on the way was for this consumer."""
RETRY_S = 1.0
"""How long to wait when the store does not answer."""

log = logging.getLogger(__name__)


class Course:
    """A consumer at work; one that has a name is kept in the store."""

    def __init__(
        self,
        store: BusStore,
        clock: Clock,
        *,
        tenant: TenantId,
        name: str,
        wanted: str,
        terms: Terms,
        start: int,
        on_letter: Callable[[], Awaitable[None]],
    ) -> None:
        """`name`: empty for one that is forgotten when it ends. `start`: the position that it has come to.

        `on_letter`: called when there is one dead letter more, or less.
        """
        self._on_letter = on_letter
        self.tenant, self.name, self.wanted, self.terms = tenant, name, wanted, terms
        self.taken = self.dropped = 0
        """Messages since the start."""
        self._store, self._clock = store, clock
        self._seen = self._kept = start
        """Everything up to here has been looked at; how far it is known in the store."""
        self._known_failures: dict[int, Failure] = {}
        self._open: dict[int, _Job] = {}
        """What is not settled, by position, in their order."""
        self._size = 0
        self._lanes: dict[str, deque[_Job]] = {}
        self._ready: asyncio.PriorityQueue[tuple[int, int, deque[_Job]]] = asyncio.PriorityQueue()
        self._turns = itertools.count()
        self._is_live = False
        self._newest = start
        self._news, self._progress = asyncio.Event(), asyncio.Event()
        self._members: dict[int, list[asyncio.Task[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving: set[asyncio.Task[None] | None] = set()

    @property
    def cursor(self) -> int:
        """Everything up to here is settled."""
        return next(iter(self._open)) - 1 if self._open else self._seen

    @property
    def standing(self) -> Standing:
        """How it is doing."""
        if not self._members:
            return "away"
        return "live" if self._is_live else "behind"

    @property
    def oldest_us(self) -> int:
        """When the oldest message happened that is not settled; 0: there is none."""
        return next(iter(self._open.values())).posted.at_us if self._open else 0

    @property
    def members(self) -> int:
        """How many share its messages."""
        return len(self._members)

    def goes_on_from(self, head: int) -> None:
        """Begin at the head of the bus, with nothing to be read before."""
        self._seen = self._kept = self._newest = head
        self._is_live = True

    async def start(self, *, head: int) -> None:
        """Begin; `head` is the bus's."""
        self._newest = max(self._newest, head)
        if self.name:
            known = await self._store.failures(self.tenant, self.name)
            self._known_failures = {failure.position: failure for failure in known}
            self._tasks.append(asyncio.create_task(self._keep_places(), name=f"bus-keep-{self.name}"))
            await self.take_revived()
        self._tasks.append(asyncio.create_task(self._catch_up(), name=f"bus-read-{self.name}"))

    async def stop(self) -> None:
        """End; what was handed out and not taken comes again. Safe to call twice."""
        tasks = [*self._tasks, *(task for member in self._members.values() for task in member)]
        self._tasks.clear()
        self._members.clear()
        await self._ended(tasks)
        if self.name and self.cursor != self._kept:
            with suppress(AgentFlowError):  # it comes again then
                await self._keep()

    def join(self, receive: Receive, *, as_member: int = 0) -> int:
        """Let one more take messages; a number to leave with."""
        member = as_member or max(self._members, default=0) + 1
        self._members[member] = [
            asyncio.create_task(self._work(receive), name=f"bus-take-{self.name}") for _ in range(self.terms.at_once)
        ]
        return member

    async def leave(self, member: int) -> None:
        """End one who takes; what it has not taken goes to the others. Safe to call twice."""
        await self._ended(self._members.pop(member, []))

    def offer(self, batch: Batch) -> None:
        """What has just become durable. Never waits: who cannot keep up reads it later."""
        self._newest = batch.upto
        if not self._is_live:
            self._news.set()
            return
        chosen = [posted for posted in batch.posts if posted.position > self._seen and self._takes(posted)]
        if len(self._open) + len(chosen) > WINDOW or self._size > WINDOW_BYTES:
            self.fall_behind()
            return
        for posted in chosen:
            self._take(posted)
        self._seen = max(self._seen, batch.upto)

    def fall_behind(self) -> None:
        """Read what follows from the store."""
        self._is_live = False
        self._news.set()

    async def take_revived(self) -> None:
        """Hand over the dead letters that somebody asked to have delivered again."""
        taken = {job.letter.id for lane in self._lanes.values() for job in lane if job.letter}
        for letter, posted in await self._store.revived(self.tenant, self.name):
            if letter.id not in taken:
                self._enter(f"dead letter {letter.id}", _Job(posted, letter=letter))

    async def _ended(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        own = asyncio.current_task()
        if own in tasks:  # it leaves from within a delivery, and ends when that is taken
            self._leaving.add(own)
        others = [task for task in tasks if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _takes(self, posted: Posted) -> bool:
        return posted.tenant == self.tenant and matches(self.wanted, posted.subject)

    def _take(self, posted: Posted) -> None:
        job = _Job(posted)
        if self._known_failures and (known := self._known_failures.pop(posted.position, None)):
            job.deliveries = known.deliveries
        self._open[posted.position] = job
        self._size += posted.size
        self._enter(posted.lane, job)

    def _enter(self, lane: str, job: "_Job") -> None:
        job.lane = lane
        if (waiting := self._lanes.get(lane)) is None:
            waiting = self._lanes[lane] = deque()
            waiting.append(job)
            self._next(waiting)
        else:
            waiting.append(job)

    def _next(self, lane: "deque[_Job]") -> None:
        """Have the head of a lane handed over; the oldest of all lanes is first."""
        self._ready.put_nowait((lane[0].posted.position, next(self._turns), lane))

    async def _catch_up(self) -> None:
        while True:
            try:
                while self._is_live or self._is_full() or self._seen >= self._newest:
                    if not self._is_live and self._seen >= self._newest:
                        self._is_live = True
                    self._news.clear()
                    await self._news.wait()
                batch = await self._store.page(self._seen, limit=PAGE)
                for posted in batch.posts:
                    if self._takes(posted):
                        self._take(posted)
                self._seen = batch.upto
                self._progress.set()
            except AgentFlowError as error:
                log.error("consumer %r of the bus cannot read what it has missed: %s", self.name, error)
                await asyncio.sleep(RETRY_S)
            except Exception:  # the same
                log.exception("consumer %r of the bus cannot read what it has missed", self.name)
                await asyncio.sleep(RETRY_S)

    def _is_full(self) -> bool:
        return len(self._open) >= WINDOW or self._size > WINDOW_BYTES

    async def _work(self, receive: Receive) -> None:
        while True:
            _, _, lane = await self._ready.get()
            job = lane[0]
            try:
                refusal = await self._hand_over(receive, job)
                if refusal is None:
                    self.taken += 1
                    await self._settle(lane, job)
                else:
                    await self._refused(lane, job, refusal)
                if asyncio.current_task() in self._leaving:
                    return
            except asyncio.CancelledError:
                if lane and lane[0] is job:  # somebody else's now
                    self._next(lane)
                raise
            except Exception:  # a mistake of the store's or ours must not end all taking
                log.exception("consumer %r of the bus lost its way at message %d", self.name, job.posted.position)
                if lane and lane[0] is job:
                    asyncio.get_running_loop().call_later(RETRY_S, self._next, lane)

    async def _hand_over(self, receive: Receive, job: "_Job") -> "_Refusal | None":
        """Why it was not taken; None: it was."""
        job.deliveries += 1
        try:
            delivery = Delivery(job.posted.envelope(), job.posted.position, job.deliveries)
            async with asyncio.timeout(self.terms.ack_s):
                await receive(delivery)
        except TimeoutError:
            late = Unavailable("bus.not_acknowledged", f"it was not taken within {self.terms.ack_s:g} s")
            return _Refusal(str(late))
        except AgentFlowError as error:
            return _Refusal(str(error), is_final=not error.retryable)
        except Exception as error:
            log.exception("consumer %r of the bus failed at message %d", self.name, job.posted.position)
            return _Refusal(type(error).__name__)
        return None

    async def _refused(self, lane: "deque[_Job]", job: "_Job", refusal: "_Refusal") -> None:
        failure = Failure(position=job.posted.position, deliveries=job.deliveries, reason=refusal.reason)
        is_over = refusal.is_final or job.deliveries >= self.terms.max_deliveries
        try:
            if is_over:
                await self._give_up(failure)
            elif self.name and job.letter is None:
                await self._store.note(self.tenant, self.name, failure)
        except AgentFlowError as error:
            log.error("consumer %r of the bus cannot note what it did not take: %s", self.name, error)
            is_over = False
        if not is_over:
            asyncio.get_running_loop().call_later(self.terms.wait_s(job.deliveries), self._next, lane)
            return
        job.letter = None  # it is one again, or for the first time
        await self._settle(lane, job)

    async def _give_up(self, failure: Failure) -> None:
        if self.name:
            await self._store.bury(self.tenant, self.name, failure, at_us=self._clock.now_us())
            await self._on_letter()
        self.dropped += 1
        log.warning(
            "message %d is a dead letter of consumer %r after %d deliveries: %s",
            failure.position,
            self.name,
            failure.deliveries,
            failure.reason,
        )

    async def _settle(self, lane: "deque[_Job]", job: "_Job") -> None:
        if job.letter is not None:
            with suppress(AgentFlowError):  # it is delivered once more then
                await self._store.resolve(self.tenant, job.letter.id)
                await self._on_letter()
        lane.popleft()
        if self._open.pop(job.posted.position, None) is not None:
            self._size -= job.posted.size
        if lane:
            self._next(lane)
        else:
            del self._lanes[job.lane]
        self._progress.set()
        if not self._is_live:
            self._news.set()

    async def _keep_places(self) -> None:
        """Write down how far it has come, at once when it was idle, and then every so often."""
        is_behind = False  # said once
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_KEEP_S):
                    await self._progress.wait()
            self._progress.clear()
            if self.cursor == self._kept:
                continue
            try:
                await self._keep()
                is_behind = False
            except AgentFlowError as error:
                if not is_behind:
                    log.error("consumer %r of the bus cannot note how far it has come: %s", self.name, error)
                is_behind = True
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(KEEP_S)

    async def _keep(self) -> None:
        cursor = self.cursor
        await self._store.move(self.tenant, self.name, cursor)
        self._kept = cursor


class _Job:
    """A message that is to be handed over."""

    __slots__ = ("deliveries", "lane", "letter", "posted")

    def __init__(self, posted: Posted, *, letter: DeadLetter | None = None) -> None:
        self.posted, self.letter = posted, letter
        self.deliveries = 0
        self.lane = ""


class _Refusal(msgspec.Struct, frozen=True):
    """Why a message was not taken."""

    reason: str
    is_final: bool = False
