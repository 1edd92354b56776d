"""What an agent may reach: the tools it was granted, each call of them an effect of its own."""

import pytest

from runtime.agents.context import AgentContext
from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE
from runtime.domain.ids import AgentId, TenantId
from runtime.domain.workflow import AgentSpec
from runtime.errors import Refused
from runtime.ports import Tool
from tests.runtime.agents.tasks import task


class Once:
    """A tool that has its effect once per key, as every tool must."""

    id = "once"

    def __init__(self) -> None:
        self.effects: dict[str, Json] = {}

    async def call(self, arguments: dict[str, Json], *, idempotency_key: str, tenant: TenantId) -> Json:
        return self.effects.setdefault(idempotency_key, arguments)


def context(*tools: Tool) -> AgentContext:
    spec = AgentSpec(id=AgentId("a"), type="custom", tools=("once", "absent"))
    return AgentContext(
        task(None),
        spec,
        sender=APPLIANCE,
        folder="",
        models=None,  # type: ignore[arg-type]  # no tool asks for it
        http=None,  # type: ignore[arg-type]
        tools={tool.id: tool for tool in tools},
    )


async def test_two_calls_of_a_tool_in_one_step_are_two_effects() -> None:
    """The second ticket of a step would otherwise be the first one again."""
    once = Once()
    first_attempt = context(once)
    assert [{"n": 1}, {"n": 2}] == [await first_attempt.call_tool("once", {"n": n}) for n in (1, 2)]
    second_attempt = context(once)
    assert [{"n": 1}, {"n": 2}] == [await second_attempt.call_tool("once", {"n": n}) for n in (1, 2)]
    assert 2 == len(once.effects)


@pytest.mark.parametrize("tool", ["other", "absent"])
async def test_a_tool_that_is_not_granted_or_not_there_is_refused(tool: str) -> None:
    with pytest.raises(Refused, match=tool):
        await context(Once()).call_tool(tool, {})
