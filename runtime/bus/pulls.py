"""Consumers that ask for their messages and say later what became of each, as programs outside do over HTTP.

A message that was handed out is its taker's for a while. When that is over, or it was given back, it comes again, and
behind the last delivery it is a dead letter: all as with consumers of this process, whose course this is.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from runtime.bus.local import LocalBus
from runtime.domain.bus import Delivery, Terms
from runtime.domain.ids import TenantId
from runtime.errors import AgentFlowError, Conflict, Unavailable
from runtime.ports import Clock, Leave

MOST = 64
"""Messages of one consumer that are handed out at one time."""
IDLE_S = 60.0
"""Who has not asked for so long, and holds nothing, is away."""
TERMS = Terms(ack_s=math.inf, at_once=MOST)
"""How long a taker has runs from when it was handed the message, not from when the message waited for somebody."""


class Lent(msgspec.Struct, frozen=True):
    """A message that was handed out."""

    token: str
    """What its taker names it by."""
    delivery: Delivery
    until_us: int
    """When it is another's."""


class Pulls:
    """Everybody who asks."""

    def __init__(self, bus: LocalBus, clock: Clock, *, idle_s: float = IDLE_S) -> None:
        self._bus, self._clock, self._idle_s = bus, clock, idle_s
        self._pulls: dict[tuple[TenantId, str], _Pull] = {}
        self._opening = asyncio.Lock()
        self._leaving: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """End; what is handed out comes again at the next start. Safe to call twice."""
        if self._leaving is not None:
            self._leaving.cancel()
            with suppress(asyncio.CancelledError):
                await self._leaving
            self._leaving = None
        pulls, self._pulls = self._pulls, {}
        for pull in pulls.values():
            await pull.close()

    async def take(
        self,
        tenant: TenantId,
        name: str,
        wanted: str,
        *,
        limit: int = 1,
        wait_s: float = 1.0,
        ack_s: float = 30.0,
        start: int | None = None,
    ) -> Sequence[Lent]:
        """The next messages that a consumer is to get, waiting for the first; none when none came.

        Each has to be settled within `ack_s`, or it comes again. `start`: as for `subscribe`. Raises Invalid, and
        Conflict while somebody takes under this name what another filter chooses.
        """
        pull = await self._opened(tenant, name, wanted, start)
        pull.asking += 1
        try:
            if not pull.offers:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await pull.until_offered()
            lent = [pull.lend(self._clock, ack_s) for _ in range(min(limit, len(pull.offers)))]
            return [each for each in lent if each is not None]
        finally:
            pull.asking -= 1
            pull.asked_at = asyncio.get_running_loop().time()

    def settle(self, tenant: TenantId, name: str, token: str, refusal: AgentFlowError | None = None) -> bool:
        """Say what became of a message: it was taken, or why not. False: it is not lent, or no longer."""
        pull = self._pulls.get((tenant, name))
        offer = None if pull is None else pull.lent.get(token)
        if offer is None or offer.settled.done():
            return False
        offer.settled.set_result(refusal)
        return True

    async def _opened(self, tenant: TenantId, name: str, wanted: str, start: int | None) -> "_Pull":
        async with self._opening:
            pull = self._pulls.get((tenant, name))
            if pull is not None and pull.wanted != wanted:
                if pull.is_busy:
                    raise Conflict(
                        "bus.consumer_differs",
                        f"consumer {name!r} is at work for {pull.wanted!r}; to share its messages, want the same",
                    )
                await self._end(tenant, name)
                pull = None
            if pull is None:
                pull = _Pull(wanted)
                pull.leave = await self._bus.subscribe(
                    tenant, wanted, pull.receive, consumer=name, start=start, terms=TERMS
                )
                pull.asked_at = asyncio.get_running_loop().time()
                self._pulls[tenant, name] = pull
                if self._leaving is None:
                    self._leaving = asyncio.create_task(self._end_the_idle(), name="bus-idle")
            return pull

    async def _end(self, tenant: TenantId, name: str) -> None:
        await self._pulls.pop((tenant, name)).close()

    async def _end_the_idle(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._idle_s / 2)
            async with self._opening:
                for (tenant, name), pull in list(self._pulls.items()):
                    if not pull.is_busy and now() - pull.asked_at >= self._idle_s:
                        await self._end(tenant, name)


class _Offer:
    """A message that is for whoever asks next, or is somebody's."""

    def __init__(self, delivery: Delivery) -> None:
        loop = asyncio.get_running_loop()
        self.delivery = delivery
        self.taken: asyncio.Future[tuple[str, float]] = loop.create_future()
        """What it is lent under, and for how long."""
        self.settled: asyncio.Future[AgentFlowError | None] = loop.create_future()


class _Pull:
    """One consumer."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.leave: Leave | None = None
        self.offers: deque[_Offer] = deque()
        self.lent: dict[str, _Offer] = {}
        self.asking = 0
        self.asked_at = 0.0
        self._news = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether somebody asks, or holds a message."""
        return bool(self.asking or self.lent)

    async def close(self) -> None:
        """Leave the bus; what was not settled is others', or comes again."""
        if self.leave is not None:
            await self.leave()

    async def until_offered(self) -> None:
        """Return when there is something to be had."""
        while not self.offers:
            self._news.clear()
            await self._news.wait()

    def lend(self, clock: Clock, ack_s: float) -> Lent | None:
        """Hand out what is next; None: it is on its way back to the bus."""
        offer = self.offers.popleft()
        if offer.taken.done():
            return None
        token = f"d-{clock.new_run_id().removeprefix('r-')}"
        self.lent[token] = offer
        offer.taken.set_result((token, ack_s))
        return Lent(token, offer.delivery, clock.now_us() + round(ack_s * 1e6))

    async def receive(self, delivery: Delivery) -> None:
        """Wait until somebody asks, and then until it is settled; raises why it was not taken."""
        offer = _Offer(delivery)
        self.offers.append(offer)
        self._news.set()
        token = ""
        try:
            token, ack_s = await offer.taken
            try:
                async with asyncio.timeout(ack_s):
                    refusal = await offer.settled
            except TimeoutError:
                raise Unavailable("bus.not_acknowledged", f"it was not settled within {ack_s:g} s") from None
            if refusal is not None:
                raise refusal
        finally:
            with suppress(ValueError):
                self.offers.remove(offer)
            if offer.taken.done() and not offer.taken.cancelled():
                token, _ = offer.taken.result()
            self.lent.pop(token, None)
