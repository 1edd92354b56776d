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
        self.waiting = 0
        """How many wait."""

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
        """Wake the next one: of the tenant that was served longest ago, its sender that was."""
        if not self._waiting:
            self._free += 1
            return
        tenant, senders = self._waiting.popitem(last=False)
        who, queue = senders.popitem(last=False)
        turn = queue.popleft()
        if queue:
            senders[who] = queue
        if senders:
            self._waiting[tenant] = senders
        self.waiting -= 1
        turn.set_result(None)

    def _leave(self, tenant: str, who: str, turn: asyncio.Future[None]) -> None:
        senders = self._waiting[tenant]
        senders[who].remove(turn)
        self.waiting -= 1
        if not senders[who]:
            del senders[who]
        if not senders:
            del self._waiting[tenant]
