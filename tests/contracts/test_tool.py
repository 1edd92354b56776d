"""What every Tool promises: one effect per key, clear refusals, tenants apart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.domain.canonical import Json, encode
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.ids import DEFAULT_TENANT, RunId, TenantId
from runtime.domain.tool import ToolCall
from runtime.engine.clock import ManualClock
from runtime.errors import Invalid
from runtime.ports import Tool
from runtime.store.journal import journal_database
from runtime.store.lock import hold
from runtime.store.tickets import Tickets
from runtime.tools.registry import Toolbox, ToolServices
from tests.runtime.tools.contexts import context

ARGUMENTS: dict[str, dict[str, Json]] = {
    "create_ticket": {"subject": "card", "category": "cards", "summary": "It was swallowed."}
}
WRONG: dict[str, list[dict[str, Json]]] = {"create_ticket": [{}, {"subject": 1}, {"subject": "x", "unknown": "y"}]}


@pytest.fixture(params=sorted(ARGUMENTS))
async def tool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tool]:
    with hold(tmp_path, what="test", now_us=0) as lock:
        database = journal_database(tmp_path, lock=lock)
        await database.start()
        services = ToolServices(clock=ManualClock(), kept=_as_it_is, tickets=Tickets(database))
        yield Toolbox(services)[request.param]
        await database.stop()


async def _as_it_is(run: RunId, value: Json) -> Json:
    return value


async def called(tool: Tool, arguments: dict[str, Json], *, run: str, tenant: TenantId = DEFAULT_TENANT) -> Json:
    sender: Sender = replace(APPLIANCE, tenant=tenant, run=run, step="s")
    call = ToolCall(tool=tool.spec.id, arguments=arguments, idempotency_key=f"{run}/s/x")
    return await tool.call(call, context(tool.spec, sender=sender))


async def test_a_repeated_key_has_the_effect_once_and_the_same_answer(tool: Tool) -> None:
    arguments = ARGUMENTS[tool.spec.id]
    first = await called(tool, arguments, run="r-1")
    again = await called(tool, arguments, run="r-1")
    other = await called(tool, arguments, run="r-2")
    assert first == again
    assert first != other


async def test_the_answer_is_json(tool: Tool) -> None:
    assert encode(await called(tool, ARGUMENTS[tool.spec.id], run="r-1", tenant=TenantId("acme")))


async def test_other_arguments_are_refused(tool: Tool) -> None:
    for arguments in WRONG[tool.spec.id]:
        with pytest.raises(Invalid, match=tool.spec.id):
            await called(tool, arguments, run="r-1")
