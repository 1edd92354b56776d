"""What a call passes beside the rules: its profile, answers that are kept, a tool that rests, secrets in answers."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json, digest
from runtime.domain.egress import APPLIANCE
from runtime.domain.event import ToolUse
from runtime.domain.exec_profile import ExecProfile, Program
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.domain.tool import RateLimit, ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError, Refused, StepFailure, Unavailable
from runtime.policies.exec_profile import ToolPolicy
from runtime.policies.permissions import Caller, RoleRule, ToolRule, ToolRules
from runtime.ports import ToolContext
from runtime.tools.call import Asked, ToolCalls
from runtime.tools.context import Means
from runtime.tools.profiles import Profiles

SPEC = ToolSpec(id="t", kind="tool.t", set_by="tool_registry.tools.t of w.yaml")


class Counting:
    """Answers with how often it was called, or fails."""

    def __init__(self, spec: ToolSpec = SPEC, fault: Exception | None = None) -> None:
        self.spec = spec
        self.fault = fault
        self.contexts: list[ToolContext] = []

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        self.contexts.append(ctx)
        if self.fault is not None:
            raise self.fault
        return {"n": len(self.contexts)}


class Told:
    """What a call tells of itself."""

    def __init__(self) -> None:
        self.lines: list[AuditEntry] = []
        self.uses: list[ToolUse] = []

    async def record(self, entry: AuditEntry) -> None:
        self.lines.append(entry)


def asked(*rules: ToolRules, tenant: str = DEFAULT_TENANT, role: str = "", price: int = 0, **arguments: Json) -> Asked:
    return Asked(
        tool="t",
        arguments=arguments,
        key="r-1/s/t",
        caller=Caller(tenant=tenant, role=role),
        sender=replace(APPLIANCE, tenant=TenantId(tenant)),
        price_micros=price,
        rules=rules,
    )


def policy(**given: object) -> ToolRules:
    return ToolRules(source="w.yaml", policy=ToolPolicy(set_by="tool_security of w.yaml", **given))  # type: ignore[arg-type]


async def test_a_call_is_told_with_its_profile_and_the_hash_of_its_arguments() -> None:
    """The auditor asks what it was allowed and whether it was the same call; not what was in it."""
    told, tool = Told(), Counting()
    calls = ToolCalls(record=told.record)
    result = await calls.call(asked(iban="DE00", price=7), lambda _name: tool, note=told.uses.append)
    profile = tool.contexts[0].profile.profile_id
    [called, settled], [use] = told.lines, told.uses
    assert (profile, profile) == (called.policy, settled.policy)
    assert {"arguments": digest({"iban": "DE00"})} == called.marks
    assert (7, "ok") == (settled.usd_micros, settled.outcome)
    assert (
        ToolUse(tool="t", outcome="ok", arguments=digest({"iban": "DE00"}), profile=profile, cost_usd_micros=7) == use
    )
    assert (profile, 7, False) == (result.profile_id, result.cost_usd_micros, result.is_cached)
    assert "DE00" not in repr([told.lines, told.uses])


async def test_of_a_minimised_run_the_hash_is_that_of_what_is_kept() -> None:
    """The hash of a number that has few possible values would tell it."""
    told = Told()

    async def as_kept(value: Json) -> Json:
        return {"iban": "<IBAN_1_ABCD>"}

    await ToolCalls().call(asked(iban="DE00"), lambda _name: Counting(), note=told.uses.append, as_kept=as_kept)
    assert digest({"iban": "<IBAN_1_ABCD>"}) == told.uses[0].arguments


@pytest.mark.parametrize(
    ("permission", "rules", "is_air_gapped", "why"),
    [
        ("network.http:x:1", [], False, "no document has tool_security"),
        (
            "network.http:x:1",
            [policy(network="deny_all")],
            False,
            r"is deny_all \(tool_security of w.yaml\)",
        ),
        ("network.http:x:1", [policy(network="custom", network_allow=("y:1",))], False, "does not name the host"),
        ("network.http:x:1", [policy(network="allow_all"), policy()], False, "deny_all"),
        ("network.http:x:1", [policy(network="allow_all")], True, "air-gapped"),
        (
            "network.http:x:1",
            [replace(policy(network="allow_all"), restricted=frozenset({"default"}))],
            False,
            "network_policy of tenant 'default' is restricted",
        ),
        ("files.read:/srv/own/keys", [policy(filesystem="read_only")], False, "the appliance's or the system's own"),
        ("files.read:/proc", [policy(filesystem="read_only")], False, "the appliance's or the system's own"),
        ("files.write:/srv/x", [policy(filesystem="read_only")], False, "writing takes custom"),
        ("made.up", [policy(network="allow_all")], False, "unknown"),
    ],
)
async def test_what_a_tool_needs_and_a_rule_denies_is_refused_by_name(
    permission: str, rules: Sequence[ToolRules], is_air_gapped: bool, why: str
) -> None:
    """Before anything happens, saying which rule it is."""
    told, tool = Told(), Counting(replace(SPEC, permissions=(permission,)))
    profiles = Profiles(is_air_gapped=is_air_gapped, private=("/srv/own",))
    with pytest.raises(Refused, match=why) as refused:
        await ToolCalls(record=told.record, profiles=profiles).call(asked(*rules), lambda _name: tool)
    assert ("tool.denied", [("tool.refused", "tool.denied")], []) == (
        refused.value.code, [(line.event, line.outcome) for line in told.lines], tool.contexts
    )  # fmt: skip


async def test_what_every_document_allows_is_in_the_profile() -> None:
    tool = Counting(replace(SPEC, permissions=("network.http:api.x:443", "secrets.use:key", "mcp.read:s")))
    rules = [policy(network="allow_all"), policy(network="custom", network_allow=("*.x:443",))]
    await ToolCalls().call(asked(*rules), lambda _name: tool)
    profile = tool.contexts[0].profile
    assert (("api.x:443",), ("key",), "inside") == (profile.egress_allow, profile.secrets, profile.runtime)


async def test_a_tool_of_a_server_reaches_what_the_operator_gave_the_server() -> None:
    """Its server is granted in the settings; a document with tool_security narrows that."""
    spec = replace(SPEC, kind="tool.mcp", permissions=("network.http:docs:443", "files.read:/srv/docs", "mcp.read:s"))
    await ToolCalls().call(asked(), lambda _name: Counting(spec))
    with pytest.raises(Refused, match="filesystem_access is none"):
        await ToolCalls().call(asked(policy()), lambda _name: Counting(spec))


async def test_the_level_of_the_tool_itself_counts() -> None:
    """What a server calls destructive is not for a role that is granted `*`, though no document says a level."""
    rules = ToolRules(source="w.yaml", roles={"clerk": RoleRule(allowed_tools=("*",))})
    await ToolCalls().call(asked(rules, role="clerk"), lambda _name: Counting())
    with pytest.raises(Refused, match="of level high, and role 'clerk' goes up to low"):
        await ToolCalls().call(asked(rules, role="clerk"), lambda _name: Counting(replace(SPEC, security_level="high")))


async def test_only_answers_of_idempotent_tools_are_given_again() -> None:
    """And only to the same tenant, for equal arguments, while they are fresh; they cost nothing."""
    told, clock = Told(), ManualClock()
    calls = ToolCalls(record=told.record, means=Means(clock=clock))
    kept = Counting(replace(SPEC, is_idempotent=True, cache_ms=60_000))
    for each in (asked(q=1, price=5), asked(q=1, price=5), asked(q=2), asked(q=1, tenant="acme")):
        await calls.call(each, lambda _name: kept, note=told.uses.append)
    assert [(False, 5), (True, 0), (False, 0), (False, 0)] == [
        (use.is_cached, use.cost_usd_micros) for use in told.uses
    ]
    assert [False, True, False, False] == [line.is_cached for line in told.lines if line.event == "tool.settled"]
    clock.advance(60)
    assert {"n": 4} == (await calls.call(asked(q=1), lambda _name: kept)).output
    effect = Counting(replace(SPEC, cache_ms=60_000))
    for _ in range(2):
        await calls.call(asked(q=1), lambda _name: effect)
    assert 2 == len(effect.contexts)


async def test_another_definition_of_a_tool_has_no_part_in_what_was_kept() -> None:
    calls = ToolCalls()
    spec = replace(SPEC, is_idempotent=True, cache_ms=60_000)
    await calls.call(asked(), lambda _name: Counting(spec))
    other = Counting(replace(spec, version="2"))
    assert not (await calls.call(asked(), lambda _name: other)).is_cached


async def test_a_tool_that_fails_again_and_again_is_left_alone_then_tried() -> None:
    clock = ManualClock()
    calls = ToolCalls(means=Means(clock=clock))
    tool = Counting(fault=Unavailable("x.down", "down"))
    codes = []
    for _ in range(7):
        with pytest.raises(AgentFlowError) as error:
            await calls.call(asked(), lambda _name: tool)
        codes.append(error.value.code)
    assert [*["x.down"] * 5, *["tool.resting"] * 2] == codes
    tool.fault = None
    clock.advance(11)
    assert (await calls.call(asked(), lambda _name: tool)).output


async def test_what_is_wrong_with_a_call_is_no_fault_of_the_tool() -> None:
    calls = ToolCalls()
    for fault in (StepFailure("code.failed", "no"), Refused("x.no", "no")):
        for _ in range(7):
            with pytest.raises(type(fault), match="no"):
                await calls.call(asked(), lambda _name: Counting(fault=fault))  # noqa: B023  # called at once


async def test_a_secret_in_an_answer_is_masked() -> None:
    calls = ToolCalls(mask=lambda value: {"n": "[SECRET:key]"} if value == {"n": 1} else value)
    assert {"n": "[SECRET:key]"} == (await calls.call(asked(), lambda _name: Counting())).output


async def test_a_rate_that_only_the_tool_says_holds_and_one_said_twice_counts_once() -> None:
    taken: list[str] = []

    async def take(tenant: TenantId, tool: str, place: str, limit: RateLimit) -> int:
        taken.append(place)
        return 0

    tool = Counting(replace(SPEC, rate_limit=RateLimit(1, 1_000)))
    await ToolCalls(take=take).call(asked(), lambda _name: tool)
    rule = ToolRules(source="w.yaml", tools={"t": ToolRule(rate_limit=RateLimit(1, 1_000))})
    await ToolCalls(take=take).call(asked(rule), lambda _name: tool)
    assert 2 * ["tool_registry.tools.t of w.yaml"] == taken


class Programs(Counting):
    """Needs a sandbox."""

    def program(self, call: ToolCall) -> Program:
        return Program(runtime="python")


async def test_what_sandboxes_take_to_try_themselves_is_none_of_the_calls_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first call of a process would time out for what is the machine's work, not the program's."""
    monkeypatch.setattr("runtime.tools.call.GRACE_MS", 0)
    waited = []

    async def choose(profile: ExecProfile, program: bytes) -> None:
        waited.append(profile.runtime)
        await asyncio.sleep(0.05)

    calls = ToolCalls(means=Means(make_ready=choose))
    answer = await calls.call(asked(), {"t": Programs(replace(SPEC, timeout_ms=10))}.__getitem__)
    assert ({"n": 1}, ["python"]) == (answer.output, waited)
