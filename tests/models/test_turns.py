"""Turns at a model: fair between tenants and senders, and no place is lost when somebody goes away."""

import asyncio

import pytest

from models.turns import AllTurns, Turns
from runtime.domain.egress import Sender
from runtime.domain.ids import TenantId
from runtime.errors import Unavailable


def sender(tenant: str, run: str = "") -> Sender:
    return Sender(tenant=TenantId(tenant), run=run, purpose="a test")


async def order_of(turns: Turns, senders: list[Sender]) -> list[Sender]:
    """Who was served when, all of them waiting behind one that has the turn."""
    served: list[Sender] = []

    async def ask(each: Sender) -> None:
        async with turns.taken(each):
            served.append(each)

    async with turns.taken(sender("first")):
        asking = [asyncio.create_task(ask(each)) for each in senders]
        while turns.waiting < len(senders):
            await asyncio.wait(asking, timeout=0)
    await asyncio.gather(*asking)
    return served


async def test_every_tenant_has_its_turn() -> None:
    """One who asks a hundred times does not keep another waiting a hundred times."""
    many, one = sender("many"), sender("one")
    served = await order_of(Turns(1, what="m"), [many] * 5 + [one])
    assert served[:2] == [many, one]


async def test_within_a_tenant_every_run_has_its_turn() -> None:
    busy, quiet = sender("t", "r-1"), sender("t", "r-2")
    assert (await order_of(Turns(1, what="m"), [busy] * 5 + [quiet]))[:2] == [busy, quiet]


async def test_one_who_leaves_the_queue_holds_nobody_up() -> None:
    turns = Turns(1, what="m")

    async def ask() -> str:
        async with turns.taken(sender("b")):
            return "served"

    async with turns.taken(sender("a")):
        leaving, staying = asyncio.create_task(ask()), asyncio.create_task(ask())
        while turns.waiting < 2:
            await asyncio.wait({leaving}, timeout=0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert turns.waiting == 1
    assert await staying == "served"


async def test_a_turn_that_comes_just_when_its_owner_leaves_goes_on() -> None:
    turns = Turns(1, what="m")

    async def ask() -> None:
        async with turns.taken(sender("b")):
            pass

    async with turns.taken(sender("a")):
        leaving = asyncio.create_task(ask())
        while not turns.waiting:
            await asyncio.wait({leaving}, timeout=0)
    leaving.cancel()  # its turn is set, and it has not run yet
    await asyncio.gather(leaving, return_exceptions=True)
    await asyncio.wait_for(ask(), 60)


async def test_who_leaves_just_when_a_turn_ends_takes_no_slot_along() -> None:
    """The holder and the next one often go at once, such as when one client closes all its connections."""
    turns = Turns(1, what="m")

    async def ask() -> str:
        async with turns.taken(sender("b")):
            return "served"

    async with turns.taken(sender("a")):
        leaving, staying = asyncio.create_task(ask()), asyncio.create_task(ask())
        while turns.waiting < 2:
            await asyncio.wait({leaving}, timeout=0)
        leaving.cancel()  # and it does not run before the turn ends
    assert await asyncio.wait_for(staying, 60) == "served"
    await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()
    assert (turns.waiting, turns.is_idle) == (0, True)


async def test_names_that_nobody_uses_are_forgotten() -> None:
    """Whoever calls names the model, and each made-up name would stay for ever."""
    turns = AllTurns()
    for number in range(5):
        async with turns.taken(f"model {number}", 1, sender("a")):
            assert len(turns) == 1
    assert len(turns) == 0


async def test_so_many_at_once_as_there_are_slots() -> None:
    turns, inside, most = Turns(3, what="m"), 0, 0

    async def ask(number: int) -> None:
        nonlocal inside, most
        async with turns.taken(sender(f"t{number}")):
            inside += 1
            most = max(most, inside)
            await asyncio.wait({asyncio.create_task(asyncio.sleep(0))})
            inside -= 1

    await asyncio.gather(*map(ask, range(20)))
    assert (most, inside) == (3, 0)


async def test_a_queue_that_is_full_says_so() -> None:
    turns = Turns(1, what="model 'm'", max_waiting=1)

    async def ask() -> None:
        async with turns.taken(sender("b")):
            pass

    async with turns.taken(sender("a")):
        waiting = asyncio.create_task(ask())
        while not turns.waiting:
            await asyncio.wait({waiting}, timeout=0)
        with pytest.raises(Unavailable, match=r"model\.queue_full.*model 'm'"):
            await ask()
    await waiting
