"""Tickets over HTTP: each tenant's own, closed once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.audit.record import entry_in
from runtime.domain.ids import DEFAULT_TENANT, RunId, StepId, TenantId
from tests.appliance.api.serving import Api, open_api


@pytest.fixture
async def api(data_folder: Path) -> AsyncIterator[Api]:
    async with open_api(data_folder) as opened:
        yield opened


async def opened(api: Api, key: str, tenant: TenantId = DEFAULT_TENANT) -> str:
    ticket = await api.service.appliance.tickets.create(
        idempotency_key=key,
        at_us=1,
        tenant=tenant,
        run=RunId(""),
        step=StepId(""),
        subject="card",
        category="cards",
        summary="",
    )
    return ticket.id


async def test_tickets_are_listed_closed_and_opened_again(api: Api) -> None:
    first, second, foreign = await opened(api, "a"), await opened(api, "b"), await opened(api, "c", TenantId("shop"))
    page = (await api.client.get("/v1/tickets?limit=1")).json()
    assert ([second], True) == ([each["ticket_id"] for each in page["tickets"]], page["has_more"])
    older = (await api.client.get(f"/v1/tickets?before={second}&status=open&category=cards")).json()
    assert [first] == [each["ticket_id"] for each in older["tickets"]]
    closed = (await api.client.post(f"/v1/tickets/{first}/close", json={"note": "called"})).json()
    assert ("closed", "called") == (closed["status"], closed["note"])
    assert closed["closed_by"]
    assert closed == (await api.client.get(f"/v1/tickets/{first}")).json()
    assert "open" == (await api.client.post(f"/v1/tickets/{first}/reopen", json={})).json()["status"]
    assert 404 == (await api.client.post(f"/v1/tickets/{foreign}/close", json={})).status_code


async def test_closing_is_told_to_the_audit_log_and_keeps_no_secret(api: Api) -> None:
    """Whoever closes it may have pasted one; each tenant's log says what was done to its tickets, and by whom."""
    appliance = api.service.appliance
    appliance.known.add("crm", "correct-horse-battery")
    ticket = await opened(api, "a")
    closed = await api.client.post(f"/v1/tickets/{ticket}/close", json={"note": "use correct-horse-battery"})
    assert "use [SECRET:crm]" == closed.json()["note"]
    assert "use [SECRET:crm]" == (await appliance.tickets.find(ticket, tenant=DEFAULT_TENANT)).note
    assert 404 == (await api.client.post("/v1/tickets/T-000099/close", json={})).status_code
    await api.client.post(f"/v1/tickets/{ticket}/reopen", json={})
    assert appliance.audit is not None
    told = [entry_in(row.detail) for row in await appliance.audit.read(DEFAULT_TENANT)]
    assert [("ticket.closed", ticket, "first"), ("ticket.reopened", ticket, "first")] == [
        (each.event, each.subject, each.actor) for each in told if each.event.startswith("ticket.")
    ]
