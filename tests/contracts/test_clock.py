"""What every Clock promises."""

import asyncio
from collections.abc import Callable

import pytest

from runtime.engine.clock import ManualClock, SystemClock
from runtime.ports import Clock

Move = Callable[[float], None]


@pytest.fixture(params=["system", "manual"])
def clock(request: pytest.FixtureRequest) -> tuple[Clock, Move]:
    """A clock, and what makes it reach a time that is near."""
    if request.param == "manual":
        manual = ManualClock()
        return manual, manual.advance
    return SystemClock(), lambda seconds: None


def test_time_is_microseconds_of_this_century_and_never_decreases(clock: tuple[Clock, Move]) -> None:
    times = [clock[0].now_us() for _ in range(1_000)]
    assert times == sorted(times)
    assert 1_700_000_000_000_000 < times[0] < 4_200_000_000_000_000


async def test_sleep_ends_at_or_after_its_instant(clock: tuple[Clock, Move]) -> None:
    asked, move = clock
    due = asked.now_us() + 20_000
    sleeping = asyncio.create_task(asked.sleep_until(due))
    await asyncio.sleep(0)
    assert not sleeping.done()
    move(0.02)
    await sleeping
    assert asked.now_us() >= due


async def test_sleep_for_the_past_returns_at_once(clock: tuple[Clock, Move]) -> None:
    async with asyncio.timeout(60):
        await clock[0].sleep_until(clock[0].now_us() - 1)


def test_run_ids_are_unique_ordered_and_of_one_shape(clock: tuple[Clock, Move]) -> None:
    ids = [clock[0].new_run_id() for _ in range(1_000)]
    assert len(set(ids)) == len(ids)
    assert all(len(run) == 28 and run.startswith("r-") and run == run.lower() for run in ids)
    assert [run[:12] for run in ids] == sorted(run[:12] for run in ids)
