"""One way for every call: what is refused has no effect, what is wrong gives one clear error, and all of it is told."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.tool import RateLimit, ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError
from runtime.policies.permissions import Caller, ToolRule, ToolRules
from runtime.ports import ToolContext
from runtime.store.journal import journal_database
from runtime.store.lock import hold
from runtime.store.rates import Rates
from runtime.tools.call import Asked, ToolCalls
from runtime.tools.checks import MAX_BYTES


class Echo:
    spec = ToolSpec(id="echo", kind="tool.echo")

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.keys: list[str] = []

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        self.keys.append(call.idempotency_key)
        if self.answer == "hang":
            await asyncio.Event().wait()
        return call.arguments if self.answer is None else self.answer  # type: ignore[return-value]  # whatever a tool gives


def asked(rule: ToolRule | None = None, **arguments: object) -> Asked:
    return Asked(
        tool="echo",
        arguments=arguments,  # type: ignore[arg-type]  # some of it is no JSON on purpose
        key="r-1/s/echo",
        caller=Caller(tenant=DEFAULT_TENANT),
        sender=APPLIANCE,
        rules=(ToolRules(source="tools.yaml", tools={"echo": rule}),) if rule else (),
    )


def cyclic() -> dict[str, Json]:
    return {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"n": {"$ref": "#/$defs/a"}}}}}


@pytest.mark.parametrize(
    ("call", "answer", "code"),
    [
        (asked(n=float("nan")), None, "tool.arguments"),
        (asked(b=b"\0\1"), None, "tool.arguments"),
        (asked(text="x" * MAX_BYTES), None, "tool.arguments"),
        (asked(ToolRule(input_schema={"required": ["n"]})), None, "tool.arguments"),
        (asked(ToolRule(input_schema=cyclic()), n={"n": 1}), None, "tool.arguments"),
        (asked(ToolRule(input_schema={"type": 7})), None, "schema.invalid"),
        (asked(), float("inf"), "tool.output_not_json"),
        (asked(), b"\0\1", "tool.output_not_json"),
        (asked(), "x" * MAX_BYTES, "tool.output_too_large"),
        (asked(ToolRule(output_schema={"type": "object"})), "text", "tool.output_invalid"),
        (asked(ToolRule(timeout_ms=10)), "hang", "tool.timeout"),
    ],
)
async def test_what_is_wrong_gives_one_clear_error(call: Asked, answer: object, code: str) -> None:
    told: list[AuditEntry] = []

    async def record(entry: AuditEntry) -> None:
        told.append(entry)

    tool = Echo(answer)
    with pytest.raises(AgentFlowError) as error:
        await ToolCalls(record=record).call(call, lambda _name: tool)
    assert code == error.value.code
    assert code == told[-1].outcome
    assert bool(tool.keys) == (told[-1].event == "tool.settled"), "what was refused has no effect"
    assert len(error.value.message) < 500


async def test_a_call_that_only_rehearses_has_no_effect() -> None:
    tool = Echo()
    result = await ToolCalls().call(replace(asked(n=1), is_dry=True), lambda _name: tool)
    assert {"dry_run": True} == result.output
    assert [] == tool.keys


async def test_a_rate_holds_over_a_restart(tmp_path: Path) -> None:
    """Otherwise whoever makes the appliance crash gets a new hour of mails."""
    clock, call, codes = ManualClock(), asked(ToolRule(rate_limit=RateLimit(2, 3_600_000)), n=1), []
    places: list[str] = []
    for _ in range(2):
        with hold(tmp_path, what="test", now_us=0) as lock:
            database = journal_database(tmp_path, lock=lock)
            await database.start()
            calls = ToolCalls(take=Rates(database, clock.now_us).take)
            for _ in range(2):
                try:
                    await calls.call(call, lambda _name: Echo())
                    codes.append("ok")
                except AgentFlowError as error:
                    codes.append(error.code)
                    places.append(str(error.facts["rule"]))
            await database.stop()
    assert ["ok", "ok", "tool.rate_limited", "tool.rate_limited"] == codes
    assert 2 * ["tool_registry.tools.echo of tools.yaml"] == places
