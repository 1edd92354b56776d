"""What every Tool promises: one effect per key, clear refusals, tenants apart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.domain.canonical import Json, encode
from runtime.domain.ids import DEFAULT_TENANT, RunId, TenantId
from runtime.engine.clock import ManualClock
from runtime.errors import Invalid
from runtime.ports import Tool
from runtime.store.journal import journal_database
from runtime.store.lock import hold
from runtime.store.tickets import Tickets
from runtime.tools.tickets import CreateTicket

ARGUMENTS = {"create_ticket": {"subject": "card", "category": "cards", "summary": "It was swallowed."}}


@pytest.fixture(params=["create_ticket"])
async def tool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tool]:
    with hold(tmp_path, what="test", now_us=0) as lock:
        database = journal_database(tmp_path, lock=lock)
        await database.start()
        yield {"create_ticket": CreateTicket}[request.param](Tickets(database), ManualClock(), kept=_as_it_is)
        await database.stop()


async def _as_it_is(run: RunId, value: Json) -> Json:
    return value


async def test_a_repeated_key_has_the_effect_once_and_the_same_answer(tool: Tool) -> None:
    arguments = {**ARGUMENTS[tool.id]}
    first = await tool.call(arguments, idempotency_key="r-1/s/x", tenant=DEFAULT_TENANT)  # type: ignore[arg-type]
    again = await tool.call(arguments, idempotency_key="r-1/s/x", tenant=DEFAULT_TENANT)  # type: ignore[arg-type]
    other = await tool.call(arguments, idempotency_key="r-2/s/x", tenant=DEFAULT_TENANT)  # type: ignore[arg-type]
    assert first == again
    assert first != other


async def test_the_answer_is_json(tool: Tool) -> None:
    answer = await tool.call({**ARGUMENTS[tool.id]}, idempotency_key="r-1/s/x", tenant=TenantId("acme"))
    assert encode(answer)


@pytest.mark.parametrize("arguments", [{}, {"subject": 1}, {"subject": "x", "unknown": "y"}])
async def test_other_arguments_are_refused(tool: Tool, arguments: dict[str, object]) -> None:
    with pytest.raises(Invalid, match=tool.id):
        await tool.call(arguments, idempotency_key="r-1/s/x", tenant=DEFAULT_TENANT)  # type: ignore[arg-type]
