"""What an agent may reach: the tools it was granted, each call of them an effect of its own."""

import asyncio

import pytest

from runtime.agents.context import AgentContext
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE
from runtime.domain.exec_profile import ExecProfile, Outcome, Program
from runtime.domain.ids import AgentId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.errors import Refused, Unavailable
from runtime.ports import Record, Tool, ToolContext, nothing_recorded
from runtime.tools.call import ToolCalls
from runtime.tools.context import Means
from tests.runtime.agents.tasks import task


class Once:
    """A tool that has its effect once per key, as every tool must."""

    spec = ToolSpec(id="once", kind="tool.once")

    def __init__(self) -> None:
        self.effects: dict[str, Json] = {}

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        return self.effects.setdefault(call.idempotency_key, call.arguments)


def context(*tools: Tool, record: Record = nothing_recorded, means: Means | None = None) -> AgentContext:
    spec = AgentSpec(id=AgentId("a"), type="custom", tools=("once", "absent"))
    return AgentContext(
        task(None),
        spec,
        sender=APPLIANCE,
        folder="",
        models=None,  # type: ignore[arg-type]  # no tool asks for it
        http=None,  # type: ignore[arg-type]
        tools={tool.spec.id: tool for tool in tools},
        tool_calls=ToolCalls(record=record, means=means or Means()),
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


class Log:
    """Takes lines; `fault` is what it raises instead."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.lines: list[AuditEntry] = []
        self._fault = fault

    async def record(self, entry: AuditEntry) -> None:
        if self._fault is not None:
            raise self._fault
        self.lines.append(entry)


async def test_a_call_is_in_the_log_before_and_after() -> None:
    """What was called, and how it ended, joined; never with what."""
    log = Log()
    await context(Once(), record=log.record).call_tool("once", {"iban": "DE00"})
    assert [("tool.called", "once", ""), ("tool.settled", "once", "ok")] == [
        (line.event, line.subject, line.outcome) for line in log.lines
    ]
    assert (1, True) == (len({line.passage for line in log.lines}), "DE00" not in repr(log.lines))


async def test_a_refused_call_has_one_line_with_the_code() -> None:
    log = Log()
    with pytest.raises(Refused):
        await context(Once(), record=log.record).call_tool("other", {})
    assert [("tool.refused", "other", "tool.not_granted")] == [(e.event, e.subject, e.outcome) for e in log.lines]


async def test_a_call_that_cannot_be_logged_does_not_happen() -> None:
    """Else what is not in the log would be what matters most."""
    once, log = Once(), Log(Unavailable("audit.closed", "closed"))
    with pytest.raises(Unavailable, match="closed"):
        await context(once, record=log.record).call_tool("once", {})
    assert {} == once.effects


async def test_compiling_an_agents_own_program_is_none_of_its_time() -> None:
    """The first task of a large module would time out for what is the machine's work, and so would every other."""
    seen: list[bytes] = []

    async def make_ready(profile: ExecProfile, program: bytes) -> None:
        seen.append(program)
        await asyncio.sleep(0.1)

    async def run(profile: ExecProfile, program: bytes, **given: object) -> Outcome:
        if program == b"slow":
            await asyncio.sleep(30)
        return Outcome(exit_code=0, stdout=program, stderr=b"")

    ctx = context(means=Means(make_ready=make_ready, run=run))
    own = ToolSpec(id="a", kind="agent.wasm", is_trusted=True)
    async with asyncio.timeout(0.05) as ctx.bound:
        assert b"quick" == (await ctx.run_program(own, Program(runtime="wasm"), b"quick")).stdout
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05) as ctx.bound:
            await ctx.run_program(own, Program(runtime="wasm"), b"slow")
    assert [b"quick", b"slow"] == seen
