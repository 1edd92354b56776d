"""The life of the served appliance: starting, ready, draining, stopped; and what the operating system is told of it.

A service manager hears of it by the sd_notify protocol (NOTIFY_SOCKET): READY, STOPPING, and WATCHDOG from the
event loop itself, so that a loop that is stuck is restarted, and a store that never answers.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from redaction.doors.local import tell_service_manager
from runtime.errors import AgentFlowError

log = logging.getLogger(__name__)

Phase = Literal["starting", "ready", "draining", "stopped"]


class Lifecycle:
    """The phase that a server is in. Phases only go forward."""

    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self.draining = asyncio.Event()
        """Set from the first moment of draining; whatever waits or streams ends then."""

    def ready(self) -> None:
        """Everything is up; requests are served from now on."""
        self.phase = "ready"
        tell_service_manager("READY=1")

    def drain(self) -> None:
        """Take nothing new and end what waits. Safe to call twice."""
        if self.phase in ("starting", "ready"):
            self.phase = "draining"
            tell_service_manager("STOPPING=1")
        self.draining.set()

    def stop(self) -> None:
        """Nothing is served any more."""
        self.drain()
        self.phase = "stopped"


@contextmanager
def stop_signals(on_first: Callable[[], None], on_second: Callable[[], None]) -> Iterator[None]:
    """Call `on_first` at the first SIGTERM or SIGINT and `on_second` at every later one."""
    loop = asyncio.get_running_loop()
    actions = iter([on_first])
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, lambda: next(actions, on_second)())
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def keep_watchdog_fed(alive: Callable[[], Awaitable[None]]) -> None:
    """Tell the service manager twice per WATCHDOG_USEC that the loop turns and the store answers.

    `alive` returns once the store has taken a write; a store that says what is wrong with it, such as a full disk, is
    alive, and a restart would mend nothing. Returns at once when nobody asks.
    """
    period_us = int(os.environ.get("WATCHDOG_USEC") or 0)
    while period_us:
        half_s = period_us / 2_000_000
        try:
            async with asyncio.timeout(half_s):
                await alive()
        except TimeoutError:
            log.error("the store has not answered for %.1f s: the service manager is not told that all is well", half_s)
            continue
        except AgentFlowError:
            pass
        tell_service_manager("WATCHDOG=1")
        await asyncio.sleep(half_s)
