"""The application on a terminal that nobody sees: it draws all it would draw, and somebody counts what it takes."""

import asyncio
from collections.abc import Callable

from textual import events
from textual.drivers.headless_driver import HeadlessDriver

from tui.app import Dashboard
from tui.client import Client
from tui.panels.drawn import Lines


class UnseenDriver(HeadlessDriver):
    """Takes what would be written, and keeps its length."""

    written = 0

    @property
    def is_headless(self) -> bool:
        """No: nothing is drawn for a headless one."""
        return False

    def write(self, data: str) -> None:
        """Count it."""
        self.written += len(data)


class Unseen(Dashboard):
    """A dashboard that tells when a frame has been drawn, and how long a key takes."""

    def __init__(self, client: Client, *, now_us: Callable[[], int], on_drawn: Callable[[], None]) -> None:
        super().__init__(client, now_us=now_us, driver_class=UnseenDriver)
        self._on_drawn = on_drawn

    @property
    def written(self) -> int:
        """Letters that a terminal would have been sent."""
        return self._driver.written if isinstance(self._driver, UnseenDriver) else 0

    async def press(self, key: str) -> None:
        """Press a key that moves the cursor of the list of runs; it has been drawn when this returns."""
        lines = self.screen.query_one("#runs", Lines)
        before, moved = lines.cursor, asyncio.Event()
        assert self._driver is not None, "it runs"
        self._driver.send_message(events.Key(key, None))
        while lines.cursor == before:
            await asyncio.sleep(0.001)
        self.screen.call_after_refresh(moved.set)
        await moved.wait()

    def _frame(self) -> None:
        super()._frame()
        self.screen.call_after_refresh(self._on_drawn)
