"""One call of a tool, from the rules to the answer: the only way by which agents reach tools.

permission → arguments → rate limit → budget → audit → run, bounded in time → answer's size and schema → settle. Each
refusal says which rule it is, where that stands, and how to grant the call; the audit log has a line of it.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace

from runtime.domain.audit import AuditEntry, tool_entry
from runtime.domain.canonical import Json, encode
from runtime.domain.cost import EACH, Budget
from runtime.domain.egress import CostBound, Sender
from runtime.domain.exec_profile import INSIDE
from runtime.domain.ids import TenantId
from runtime.domain.schema import Schema
from runtime.domain.tool import RateLimit, ToolCall
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure
from runtime.policies.exec_profile import RoleRule, TenantRule, ToolPolicy, compile_profile
from runtime.policies.permissions import Caller, ToolRules, check, roles_of
from runtime.ports import ProgramTool, Record, Tool, nothing_recorded
from runtime.tools.context import CallContext, Means

Reserve = Callable[[Sender, CostBound], Awaitable[Callable[[CostBound], Awaitable[None] | None]]]
"""Sets aside what a call can cost, or raises Refused; the answer takes what was spent, and gives the rest back."""
Take = Callable[[TenantId, str, str, RateLimit], Awaitable[int]]
"""Takes a call of (tenant, tool) out of a rule's bucket, durably; 0, or the microseconds until there is one."""

MAX_BYTES = 1_048_576
"""Canonical bytes of what a tool is given, and of what it answers."""

log = logging.getLogger(__name__)


async def nothing_reserved(sender: Sender, bound: CostBound) -> Callable[[CostBound], None]:
    """Where nobody counts what is spent."""
    return lambda _spent: None


async def nothing_taken(tenant: TenantId, tool: str, rule: str, limit: RateLimit) -> int:
    """Where nobody counts calls."""
    return 0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A call that somebody wants made."""

    tool: str
    arguments: dict[str, Json]
    key: str
    """Equal for every attempt at this call, also after a crash; the tool hands it on."""
    caller: Caller
    sender: Sender
    price_micros: int = 0
    rules: Sequence[ToolRules] = ()
    policy: ToolPolicy = ToolPolicy()
    """What profiles are compiled from."""
    is_dry: bool = False
    """Whether nothing may have an effect: the rules are looked at, and the tool is not called."""


class ToolCalls:
    """Makes calls."""

    def __init__(
        self,
        *,
        reserve: Reserve = nothing_reserved,
        record: Record = nothing_recorded,
        take: Take = nothing_taken,
        means: Means = Means(),  # noqa: B008  # frozen
        is_air_gapped: bool = False,
    ) -> None:
        """`means`: what the tools may reach, each call as far as its profile goes."""
        self._means = means
        self._is_air_gapped = is_air_gapped
        self._reserve = reserve
        self._record = record
        self._take = take

    async def call(self, asked: Asked, find: Callable[[str], Tool]) -> Json:
        """Make the call; the answer. Raises Refused, Invalid (arguments), StepFailure, Unavailable, or what it raises.

        `find`: the tool by name; raises Refused where there is none.
        """
        tool, sender, passage = asked.tool, asked.sender, secrets.token_hex(8)
        bound = CostBound(usd_micros=asked.price_micros, item=f"tool:{tool}")
        try:
            check(tool, asked.caller, asked.rules)
            found = find(tool)
            _check_arguments(asked)
            context = self._context(found, asked)
            if asked.is_dry:
                return rehearsal(found)
            await self._take_all(asked)
            settle, spent = await self._reserve(_with_role_budgets(asked), bound), CostBound()
        except (Refused, Invalid) as refused:
            await self._record(tool_entry("tool.refused", tool, sender, passage=passage, outcome=refused.code))
            raise
        outcome, size_bytes = "cancelled", 0
        try:
            await self._record(tool_entry("tool.called", tool, sender, passage=passage))
            answer = await _run(found, asked, context)
            size_bytes = _check_answer(asked, answer)
            spent, outcome = bound, "ok"  # a call that fails has had no effect, and costs nothing
            return answer
        except AgentFlowError as error:
            outcome = error.code
            raise
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            settling = settle(spent)
            if settling is not None:
                await asyncio.shield(_ended(settling))
            settled = tool_entry("tool.settled", tool, sender, passage=passage, outcome=outcome, size_bytes=size_bytes)
            await asyncio.shield(asyncio.ensure_future(_written(self._record, settled)))

    def _context(self, tool: Tool, asked: Asked) -> CallContext:
        program = tool.program(_call(asked)) if isinstance(tool, ProgramTool) else INSIDE
        profile, _ = compile_profile(
            tool.spec,
            program,
            tenant=TenantRule(id=asked.sender.tenant),
            role=RoleRule(id=asked.caller.role),
            policy=asked.policy,
            is_air_gapped=self._is_air_gapped,
        )
        return CallContext(self._means, profile, asked.sender)

    async def _take_all(self, asked: Asked) -> None:
        for document in asked.rules:
            rule = document.tools.get(asked.tool)
            if rule is None or rule.rate_limit is None:
                continue
            limit, place = rule.rate_limit, f"tool_registry.tools.{asked.tool}.rate_limit of {document.source}"
            wait_us = await self._take(asked.sender.tenant, asked.tool, document.source, limit)
            if wait_us:
                raise Refused(
                    "tool.rate_limited",
                    f"tool {asked.tool!r} may be called {limit.calls:,} times in {limit.per_ms / 1_000:g} s by tenant "
                    f"{asked.sender.tenant!r}, and was; the next call is possible in {wait_us / 1e6:.1f} s. The rule "
                    f"is {place}; raise it to allow more",
                    rule=place,
                )


def rehearsal(tool: Tool) -> Json:
    """What a tool answers that is not called: its `dry_answer` where it has one, else `{"dry_run": true}`."""
    answer: Json = getattr(tool, "dry_answer", None)
    return {"dry_run": True} if answer is None else answer


def _with_role_budgets(asked: Asked) -> Sender:
    """The sender with what its roles may spend a day; a caller without a role pays as the agent's."""
    sender = asked.sender
    for document in asked.rules:
        declared = document.roles or {}
        for role in roles_of(asked.caller, declared) if declared else ():
            limit = declared[role].cost_budget_micros
            if limit is None:
                continue
            place = f"tool_registry.rbac.roles.{role}.cost_budget of {document.source}"
            budget = Budget(scope=(("tenant", EACH), ("role", role)), per="day", usd_micros=limit, set_by=place)
            sender = replace(sender, role=sender.role or role, budgets=(*sender.budgets, budget))
    return sender


def _check_arguments(asked: Asked) -> None:
    try:
        size_bytes = len(encode(asked.arguments))
    except Invalid as error:
        raise Invalid("tool.arguments", f"the arguments of tool {asked.tool!r} are no JSON: {error.message}") from None
    if size_bytes > MAX_BYTES:
        message = f"tool {asked.tool!r} was given {size_bytes:,} bytes of arguments; the limit is {MAX_BYTES:,}"
        raise Invalid("tool.arguments", message)
    for document in asked.rules:
        rule = document.tools.get(asked.tool)
        fault = "" if rule is None or rule.input_schema is None else Schema(rule.input_schema).fault(asked.arguments)
        if fault:
            place = f"tool_registry.tools.{asked.tool}.input_schema of {document.source}"
            raise Invalid("tool.arguments", f"the arguments of tool {asked.tool!r} break {place}: {fault}")


def _call(asked: Asked) -> ToolCall:
    return ToolCall(tool=asked.tool, arguments=asked.arguments, idempotency_key=asked.key)


async def _run(tool: Tool, asked: Asked, context: CallContext) -> Json:
    limits = [document.tools[asked.tool].timeout_ms for document in asked.rules if asked.tool in document.tools]
    timeout_ms = min((limit for limit in limits if limit is not None), default=None)
    try:
        async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000) as bound:
            return await tool.call(_call(asked), context)
    except TimeoutError:
        if not bound.expired() or timeout_ms is None:
            raise
        message = f"tool {asked.tool!r} took over {timeout_ms / 1_000:g} s; raise 'timeout' of the tool"
        raise StepFailure("tool.timeout", message, retryable=True) from None


def _check_answer(asked: Asked, answer: Json) -> int:
    try:
        size_bytes = len(encode(answer))
    except Invalid as error:
        raise StepFailure("tool.output_not_json", f"tool {asked.tool!r} answered: {error.message}") from None
    if size_bytes > MAX_BYTES:
        message = f"tool {asked.tool!r} answered with {size_bytes:,} bytes; the limit is {MAX_BYTES:,}"
        raise StepFailure("tool.output_too_large", message)
    for document in asked.rules:
        rule = document.tools.get(asked.tool)
        fault = "" if rule is None or rule.output_schema is None else Schema(rule.output_schema).fault(answer)
        if fault:
            place = f"tool_registry.tools.{asked.tool}.output_schema of {document.source}"
            raise StepFailure("tool.output_invalid", f"the answer of tool {asked.tool!r} breaks {place}: {fault}")
    return size_bytes


async def _ended(settling: Awaitable[None]) -> None:
    await settling


async def _written(record: Record, settled: AuditEntry) -> None:
    """The last line of a call; the tool has had its effect, and its answer is not taken from whoever asked."""
    try:
        await record(settled)
    except AgentFlowError as error:
        log.error("how tool call %s ended is not in the audit log: %s", settled.passage, error.code)
