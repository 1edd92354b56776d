"""Tickets that workflows open."""

import asyncio

import pytest

from runtime.domain.ids import StepId, TenantId
from runtime.errors import NotFound
from runtime.store.database import Database
from runtime.store.tickets import Ticket, Tickets
from tests.runtime.store.samples import NOON_US, run_id

BANK, SHOP = TenantId("bank"), TenantId("shop")


@pytest.fixture
def tickets(database: Database) -> Tickets:
    return Tickets(database)


async def create(tickets: Tickets, key: str, *, tenant: TenantId = BANK, subject: str = "Swallowed card") -> Ticket:
    return await tickets.create(
        idempotency_key=key,
        at_us=NOON_US,
        tenant=tenant,
        run=run_id(1),
        step=StepId("create_ticket"),
        subject=subject,
        category="cards",
        summary="The machine at the airport kept it.",
    )


async def test_a_ticket_is_found_as_it_was_opened(tickets: Tickets) -> None:
    """Somebody will work on what it says."""
    opened = await create(tickets, "r/1")
    assert ("T-000001", "open", NOON_US, run_id(1)) == (opened.id, opened.status, opened.created_us, opened.run)
    assert opened == await tickets.find("T-000001", tenant=BANK)


async def test_a_step_that_is_tried_again_opens_no_second_ticket(tickets: Tickets) -> None:
    """Effects happen at least once; the table makes it once."""
    opened = await asyncio.gather(*(create(tickets, "r/1", subject=f"attempt {n}") for n in range(20)))
    assert {"attempt 0"} == {ticket.subject for ticket in opened}
    assert "T-000002" == (await create(tickets, "r/2")).id
    assert 2 == len(await tickets.newest(tenant=BANK))


async def test_tickets_are_listed_newest_first_in_pages(tickets: Tickets) -> None:
    """The newest is what somebody looks for."""
    for number in range(4):
        await create(tickets, str(number))
    assert ["T-000004", "T-000003"] == [ticket.id for ticket in await tickets.newest(tenant=BANK, limit=2)]
    older = await tickets.newest(tenant=BANK, before="T-000003", status="open")
    assert ["T-000002", "T-000001"] == [ticket.id for ticket in older]
    assert [] == list(await tickets.newest(tenant=BANK, status="closed"))


async def test_tenants_do_not_see_each_others_tickets(tickets: Tickets) -> None:
    """The number is easy to guess."""
    opened = await create(tickets, "r/1")
    assert [] == list(await tickets.newest(tenant=SHOP))
    with pytest.raises(NotFound):
        await tickets.find(opened.id, tenant=SHOP)


@pytest.mark.parametrize("id", ["", "T-", "T-x", "T-000002", "T-٣", "1 OR 1=1"])
async def test_an_id_of_no_ticket_is_not_found(tickets: Tickets, id: str) -> None:
    """Ids come from people."""
    await create(tickets, "r/1")
    with pytest.raises(NotFound):
        await tickets.find(id, tenant=BANK)


async def test_a_ticket_is_closed_once_and_opened_again(tickets: Tickets) -> None:
    """The first to close it has worked on it; another tenant cannot."""
    opened = await create(tickets, "r/1")
    closed = await tickets.close(opened.id, tenant=BANK, at_us=NOON_US + 1, by="cli", note="called")
    assert ("closed", NOON_US + 1, "cli", "called") == (closed.status, closed.closed_us, closed.closed_by, closed.note)
    assert closed == await tickets.close(opened.id, tenant=BANK, at_us=NOON_US + 2, by="other", note="again")
    with pytest.raises(NotFound):
        await tickets.reopen(opened.id, tenant=SHOP, at_us=NOON_US, by="cli")
    assert opened == await tickets.reopen(opened.id, tenant=BANK, at_us=NOON_US, by="cli")


async def test_tickets_are_listed_by_category_and_status(tickets: Tickets) -> None:
    """Notices are read apart from what is to be worked on."""
    first = await create(tickets, "r/1")
    await tickets.close((await create(tickets, "r/2")).id, tenant=BANK, at_us=NOON_US, by="cli", note="")
    assert [first] == list(await tickets.newest(tenant=BANK, status="open", category="cards"))
    assert [] == list(await tickets.newest(tenant=BANK, category="notice"))
