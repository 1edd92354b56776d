"""Time and ids: the one place that asks the machine for either, and a clock for tests that moves by hand."""

import asyncio
import heapq
import itertools
import secrets
import time

from runtime.domain.ids import RunId

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class SystemClock:
    """The machine's clock, held so that it never runs backwards within a process."""

    def __init__(self) -> None:
        self._latest_us = 0

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        self._latest_us = max(self._latest_us, time.time_ns() // 1_000)
        return self._latest_us

    async def sleep_until(self, at_us: int) -> None:
        """Return at or after the instant."""
        while (left_us := at_us - self.now_us()) > 0:
            # a day at most at once, so that a clock that was set forward is noticed
            await asyncio.sleep(min(left_us / 1e6, 86_400))

    def new_run_id(self) -> RunId:
        """`r-`, 10 characters of milliseconds, 16 of randomness."""
        return _run_id(self.now_us() // 1_000, secrets.randbits(80))


class ManualClock:
    """A clock that stands still until `advance`; ids count up."""

    def __init__(self, start_us: int = 1_767_225_600_000_000) -> None:
        self._now_us = start_us
        self._ids = itertools.count(1)
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_us(self) -> int:
        """The time that was last set."""
        return self._now_us

    async def sleep_until(self, at_us: int) -> None:
        """Return once `advance` has reached the instant."""
        if at_us <= self._now_us:
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at_us, next(self._ids), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move time on and wake whoever is due."""
        self._now_us += round(seconds * 1e6)
        while self._sleepers and self._sleepers[0][0] <= self._now_us:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def new_run_id(self) -> RunId:
        """The next number, spelled as an id."""
        return _run_id(self._now_us // 1_000, next(self._ids))


def _run_id(milliseconds: int, rest: int) -> RunId:
    number = milliseconds << 80 | rest
    return RunId("r-" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5)))
