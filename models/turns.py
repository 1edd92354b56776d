"""Turns at something that answers few at once: every tenant in turn, and within a tenant every sender.

A sender that asks a hundred times waits for its own hundred; somebody else's one question waits for one answer.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.domain.egress import Sender
from runtime.errors import Unavailable

MAX_WAITING = 1_024
"""Questions that may wait for one model."""

_Queue = deque[asyncio.Future[None]]


class Turns:
    """Hands out `slots` turns. For one event loop."""

    def __init__(self, slots: int, *, what: str, max_waiting: int = MAX_WAITING) -> None:
        """`what` is named to those who find the queue full."""
        self._free = slots
        self._what = what
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, OrderedDict[str, _Queue]] = OrderedDict()
        self._slots = slots
        self.waiting = 0
        """How many wait."""

    @property
    def is_idle(self) -> bool:
        """Whether nobody has a turn, or waits for one."""
        return self._free == self._slots

    @asynccontextmanager
    async def taken(self, sender: Sender) -> AsyncIterator[None]:
        """A turn, for as long as the block lasts. A caller that is cancelled leaves the queue.

        Raises Unavailable when too many wait already.
        """
        await self._take(sender)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, sender: Sender) -> None:
        if self._free:
            self._free -= 1
            return
        if self.waiting >= self._max_waiting:
            raise Unavailable(
                "model.queue_full", f"{self.waiting:,} questions wait for {self._what} already; ask again later"
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        who = sender.run or sender.purpose
        self._waiting.setdefault(sender.tenant, OrderedDict()).setdefault(who, deque()).append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was ours just when we went away
            else:
                self._leave(sender.tenant, who, turn)
            raise

    def _pass_on(self) -> None:
        """Wake the next one that still waits; where there is none, the slot is free."""
        while self._waiting:
            turn = self._next()
            if not turn.done():  # else it was cancelled, and its owner has not run since
                turn.set_result(None)
                return
        self._free += 1

    def _next(self) -> asyncio.Future[None]:
        """Taken out of the queue: of the tenant that was served longest ago, its sender that was."""
        tenant, senders = self._waiting.popitem(last=False)
        who, queue = senders.popitem(last=False)
        turn = queue.popleft()
        if queue:
            senders[who] = queue
        if senders:
            self._waiting[tenant] = senders
        self.waiting -= 1
        return turn

    def _leave(self, tenant: str, who: str, turn: asyncio.Future[None]) -> None:
        senders = self._waiting.get(tenant, OrderedDict())
        if turn not in senders.get(who, ()):
            return  # it was passed over meanwhile
        senders[who].remove(turn)
        self.waiting -= 1
        if not senders[who]:
            del senders[who]
        if not senders:
            del self._waiting[tenant]


class AllTurns:
    """Turns at many things by name; what nobody uses is forgotten, as callers make up names."""

    def __init__(self) -> None:
        self._turns: dict[str, Turns] = {}

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def waiting(self) -> int:
        """How many wait, for anything."""
        return sum(turns.waiting for turns in self._turns.values())

    @asynccontextmanager
    async def taken(self, what: str, slots: int, sender: Sender) -> AsyncIterator[None]:
        """A turn at `what`, which has `slots`; as `Turns.taken`."""
        turns = self._turns.get(what)
        if turns is None:
            turns = self._turns[what] = Turns(slots, what=what)
        try:
            async with turns.taken(sender):
                yield
        finally:
            if turns.is_idle:
                self._turns.pop(what, None)
