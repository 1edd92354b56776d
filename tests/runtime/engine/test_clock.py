"""Ids sort by time, and time does not run backwards."""

import asyncio

from runtime.engine.clock import ManualClock, SystemClock


def test_run_ids_are_unique_and_sort_by_time() -> None:
    clock = SystemClock()
    ids = [clock.new_run_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert [i[:12] for i in ids] == sorted(i[:12] for i in ids)
    assert all(len(i) == 28 and i.startswith("r-") for i in ids)


def test_time_never_decreases() -> None:
    clock = SystemClock()
    times = [clock.now_us() for _ in range(1_000)]
    assert times == sorted(times)


async def test_a_manual_clock_wakes_sleepers_in_order() -> None:
    clock = ManualClock(start_us=0)
    woken: list[int] = []

    async def sleeper(at_us: int) -> None:
        await clock.sleep_until(at_us)
        woken.append(at_us)

    tasks = [asyncio.create_task(sleeper(at)) for at in (3_000_000, 1_000_000, 2_000_000)]
    await asyncio.sleep(0)
    clock.advance(2)
    await asyncio.gather(tasks[1], tasks[2])
    assert woken == [1_000_000, 2_000_000]
    clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken == [1_000_000, 2_000_000, 3_000_000]
