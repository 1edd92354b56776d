"""Tickets over HTTP: each tenant's own, closed once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

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
