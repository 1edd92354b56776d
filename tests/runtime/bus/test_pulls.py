"""Consumers that ask: what is lent, settled, given back, forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.bus.local import LocalBus
from runtime.bus.pulls import Pulls
from runtime.domain.ids import DEFAULT_TENANT
from runtime.engine.clock import SystemClock
from runtime.errors import Conflict, Unavailable
from tests.runtime.bus.samples import PATIENCE_S, open_bus, said

NAME, ORDERS = "billing", "orders.>"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[LocalBus]:
    async with open_bus(tmp_path) as (opened, _):
        yield opened


@pytest.fixture
async def pulls(bus: LocalBus) -> AsyncIterator[Pulls]:
    made = Pulls(bus, SystemClock())
    yield made
    await made.stop()


async def taken(pulls: Pulls, count: int = 1, **more: float) -> list[tuple[str, object, int]]:
    """So many of what is lent: token, payload, attempt."""
    found = await pulls.take(
        DEFAULT_TENANT, NAME, ORDERS, limit=count, wait_s=more.pop("wait_s", PATIENCE_S), start=0, **more
    )
    return [(each.token, each.delivery.envelope.payload, each.delivery.attempt) for each in found]


def settle(pulls: Pulls, token: str, refusal: Unavailable | None = None) -> bool:
    return pulls.settle(DEFAULT_TENANT, NAME, token, refusal)


async def test_what_was_settled_does_not_come_again(bus: LocalBus, pulls: Pulls) -> None:
    """One subject in order, one at a time; other subjects beside it."""
    for subject, payload in (("orders.a", 1), ("orders.a", 2), ("orders.b", 3)):
        await bus.publish(said(subject, payload))
    (first, *_), (other, *_) = both = [*await taken(pulls), *await taken(pulls)]
    assert [1, 3] == [payload for _, payload, _ in both]
    assert [] == await taken(pulls, wait_s=0.0)
    assert [True, True, False] == [settle(pulls, token) for token in (first, other, first)]
    ((last, third, attempt),) = await taken(pulls)
    assert (2, 1, True) == (third, attempt, settle(pulls, last))
    assert not settle(pulls, "d-nobody")


async def test_what_is_not_settled_in_time_comes_again(bus: LocalBus, pulls: Pulls) -> None:
    """And who comes too late is told so."""
    await bus.publish(said("orders.a", 1))
    ((late, _, first),) = await taken(pulls, ack_s=0.01)
    ((token, payload, second),) = await taken(pulls)
    assert ([1, 2], 1, [False, True]) == ([first, second], payload, [settle(pulls, late), settle(pulls, token)])


async def test_what_is_given_back_for_good_is_a_dead_letter(bus: LocalBus, pulls: Pulls) -> None:
    """With the reason that was given, and it is delivered once more when somebody asks for that."""
    await bus.publish(said("orders.a", 1))
    ((token, *_),) = await taken(pulls)
    assert settle(pulls, token, Unavailable("bus.given_back", "its consumer says no_stock", retryable=False))
    async with asyncio.timeout(PATIENCE_S):
        while not (view := (await bus.consumers(DEFAULT_TENANT))[0]).dead:
            await asyncio.sleep(0)
    assert (NAME, "live", 1) == (view.name, view.standing, view.dead)
    letters = await bus.retry(DEFAULT_TENANT, [1])
    assert ["bus.given_back: its consumer says no_stock"] == [letter.reason for letter in letters]
    ((again, *_),) = await taken(pulls)
    assert settle(pulls, again)


async def test_a_message_waits_for_who_asks_as_long_as_it_takes(bus: LocalBus, pulls: Pulls) -> None:
    """Time runs for the taker from when it has the message; who asks first gets it."""
    asking = asyncio.create_task(taken(pulls))
    async with asyncio.timeout(PATIENCE_S):
        while not await bus.consumers(DEFAULT_TENANT):
            await asyncio.sleep(0)
    await bus.publish(said("orders.a", 1))
    assert [(1, 1)] == [(payload, attempt) for _, payload, attempt in await asking]


async def test_another_filter_is_refused_while_somebody_is_at_work(bus: LocalBus, pulls: Pulls) -> None:
    """Later it is the consumer's new one."""
    await bus.publish(said("orders.a", 1))
    ((token, *_),) = await taken(pulls)
    with pytest.raises(Conflict, match=r"bus\.consumer_differs"):
        await pulls.take(DEFAULT_TENANT, NAME, "stock.>")
    settle(pulls, token)
    async with asyncio.timeout(PATIENCE_S):
        while True:  # it is settled at the next turn
            with suppress(Conflict):
                assert [] == await pulls.take(DEFAULT_TENANT, NAME, "stock.>", wait_s=0)
                break
            await asyncio.sleep(0)
    await bus.publish(said("stock.a", 2))
    (lent,) = await pulls.take(DEFAULT_TENANT, NAME, "stock.>", wait_s=PATIENCE_S)
    assert 2 == lent.delivery.envelope.payload


async def test_who_does_not_ask_any_more_is_away(bus: LocalBus) -> None:
    """And goes on where it was; what it held comes again."""
    pulls = Pulls(bus, SystemClock(), idle_s=0.01)
    await bus.publish(said("orders.a", 1))
    await taken(pulls, ack_s=0.02)
    async with asyncio.timeout(PATIENCE_S):
        while (await bus.consumers(DEFAULT_TENANT))[0].standing != "away":
            await asyncio.sleep(0.005)
    await pulls.stop()
    later = Pulls(bus, SystemClock())
    assert [1] == [payload for _, payload, _ in await taken(later)]
    await later.stop()
