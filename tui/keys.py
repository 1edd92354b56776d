"""Keys, one after the other: the next is given to whoever has the keyboard once the last has done what it does.

Without this a key goes to the widget that had the focus when it was pressed; pressed while a screen opens or closes it
is told to a screen that is not there yet, or not any more, and is lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from textual import events
from textual.message_pump import MessagePump

PATIENCE_S = 5.0
"""How long a key waits for a part of the screen that does not come."""
HOLD_S = 1.0
"""How long keys are held for what was asked of the server; then they are meant for the screen that is there."""
ROUNDS = 2
"""A key is told from the widget up to the application; what it sets off there goes the same way once more."""


class Keys:
    """What was pressed and pasted, in its order."""

    def __init__(
        self,
        give: Callable[[events.Event], Awaitable[None]],
        holders: Callable[[], list[MessagePump]],
    ) -> None:
        """`give`: tell a key to whoever has the keyboard; `holders`: they, from the innermost to the outermost."""
        self._give = give
        self._holders = holders
        self._pressed: asyncio.Queue[events.Event] = asyncio.Queue()
        self._left = 0
        self._opening = 0
        self._is_patient = True
        self._opened = asyncio.Event()

    @property
    def are_done(self) -> bool:
        """Whether every key has done what it does."""
        return self._left == 0

    def take(self, event: events.Event) -> None:
        """A key, or text that was pasted."""
        self._left += 1
        self._pressed.put_nowait(event)

    async def run(self) -> None:
        """Never ends by itself."""
        while True:
            event = await self._pressed.get()
            try:
                await self._passed(self._holders()[-2:])  # the screen: it is there, and something has the focus
                await self._nothing_opens()
                holders = self._holders()
                await self._give(event)
                for _ in range(ROUNDS):
                    await self._passed(holders)
                await self._nothing_opens()
            finally:
                self._left -= 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keys wait while a screen is drawn, or the server is asked for what it shows: they are meant for that."""
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1
            if not self._opening:
                self._is_patient = True
                self._opened.set()

    async def _nothing_opens(self) -> None:
        """What was begun to be opened is there, or takes too long."""
        if self._opening and self._is_patient:
            self._opened.clear()
            self._is_patient = await _soon(self._opened, HOLD_S)

    async def _passed(self, pumps: list[MessagePump]) -> None:
        """Each of these has done what it was told before, in this order."""
        for pump in pumps:
            was_reached = asyncio.Event()
            if pump.call_later(was_reached.set):
                await _soon(was_reached)


async def _soon(event: asyncio.Event, patience_s: float = PATIENCE_S) -> bool:
    """Whether it came: else it has gone, or is far too slow, and whoever presses keys has waited long enough."""
    try:
        await asyncio.wait_for(event.wait(), patience_s)
    except TimeoutError:
        return False
    return True
