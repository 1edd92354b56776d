"""One call of a tool, from the rules to the answer: the only way by which agents and operators reach tools.

permission → arguments → profile → rate limit → budget → audit → cache → breaker → run, bounded in time → answer's size
and schema → secrets masked → settle. Each refusal says which rule it is, where that stands, and how to grant the call;
the audit log has a line of it.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace

from runtime.domain.audit import AuditEntry, tool_entry
from runtime.domain.canonical import Json, digest
from runtime.domain.cost import EACH, Budget
from runtime.domain.egress import CostBound, Sender
from runtime.domain.event import ToolUse
from runtime.domain.exec_profile import ExecProfile, Outcome
from runtime.domain.ids import TenantId
from runtime.domain.tool import SECURITY_LEVELS, RateLimit, ToolCall, ToolResult, ToolSpec
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from runtime.policies.permissions import Caller, ToolRules, audit_level_of, check, level_of, roles_of
from runtime.ports import Record, Tool, nothing_recorded
from runtime.resilience import breaker
from runtime.resilience.cache import Cache
from runtime.tools.checks import check_answer, check_arguments
from runtime.tools.context import CallContext, Means
from runtime.tools.profiles import Profiles

Reserve = Callable[[Sender, CostBound], Awaitable[Callable[[CostBound], Awaitable[None] | None]]]
"""Sets aside what a call can cost, or raises Refused; the answer takes what was spent, and gives the rest back."""
Take = Callable[[TenantId, str, str, RateLimit], Awaitable[int]]
"""Takes a call of (tenant, tool) out of a rule's bucket, durably; 0, or the microseconds until there is one."""
AsKept = Callable[[Json], Awaitable[Json]]
"""Something of a run as its journal may have it: minimised where the run is."""

LIMITS = Profiles()
GRACE_MS = 2_000
"""What a sandbox has to end a program that ran out of time before the call itself is given up."""

log = logging.getLogger(__name__)


async def nothing_reserved(sender: Sender, bound: CostBound) -> Callable[[CostBound], None]:
    """Where nobody counts what is spent."""
    return lambda _spent: None


async def nothing_taken(tenant: TenantId, tool: str, rule: str, limit: RateLimit) -> int:
    """Where nobody counts calls."""
    return 0


async def as_it_is(value: Json) -> Json:
    """Of calls within no run, and of runs that are not minimised."""
    return value


def nothing_masked(value: Json) -> Json:
    """Where no secret is known."""
    return value


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
    is_dry: bool = False
    """Whether nothing may have an effect: the rules are looked at, and the tool is not called."""


class _Call(msgspec.Struct, kw_only=True):
    """What is known of a call by now."""

    passage: str
    arguments: str = ""
    """Their hash."""
    context: CallContext | None = None
    outcome: str = "cancelled"
    size_bytes: int = 0
    is_cached: bool = False
    spent_micros: int = 0
    began_us: int = 0


class ToolCalls:
    """Makes calls."""

    def __init__(
        self,
        *,
        reserve: Reserve = nothing_reserved,
        record: Record = nothing_recorded,
        take: Take = nothing_taken,
        means: Means = Means(),  # noqa: B008  # frozen
        profiles: Profiles = LIMITS,
        mask: Callable[[Json], Json] = nothing_masked,
    ) -> None:
        """`means`: what the tools may reach, each call as far as its profile goes. `mask`: takes secrets out of
        answers."""
        self._reserve = reserve
        self._record = record
        self._take = take
        self._means = means
        self.profiles = profiles
        self._mask = mask
        self._cache = Cache()
        self._breakers: dict[tuple[str, str], breaker.Breaker] = {}

    async def make_ready(self, profile: ExecProfile, content: bytes, *, sender: Sender) -> None:
        """Have what an agent's own program needs: its module compiled, its sandbox tried. Raises Unavailable."""
        await CallContext(self._means, profile, sender).prepare(content)

    async def run_own(self, profile: ExecProfile, content: bytes, *, stdin: bytes, sender: Sender) -> Outcome:
        """Run an agent's own program, under a profile of `Profiles.of_own`."""
        return await CallContext(self._means, profile, sender).run(content, stdin=stdin)

    async def call(
        self,
        asked: Asked,
        find: Callable[[str], Tool],
        *,
        note: Callable[[ToolUse], None] = lambda _use: None,
        as_kept: AsKept = as_it_is,
    ) -> ToolResult:
        """Make the call. Raises Refused, Invalid (arguments), StepFailure, Unavailable, or what the tool raises.

        `find`: the tool by name; raises Refused where there is none. `note` is told how it went.
        """
        known = _Call(passage=secrets.token_hex(8), began_us=self._means.clock.now_us())
        try:
            return await self._allowed(asked, find, known, as_kept)
        except AgentFlowError as error:
            known.outcome = error.code
            raise
        except Exception as error:
            known.outcome = type(error).__name__
            raise
        finally:
            note(_use_of(asked, known, self._means.clock.now_us()))

    async def _allowed(self, asked: Asked, find: Callable[[str], Tool], known: _Call, as_kept: AsKept) -> ToolResult:
        tool, sender = asked.tool, asked.sender
        bound = CostBound(usd_micros=asked.price_micros, item=f"tool:{tool}")
        try:
            check(tool, asked.caller, asked.rules)
            found = find(tool)
            if SECURITY_LEVELS.index(found.spec.security_level) > SECURITY_LEVELS.index(level_of(tool, asked.rules)):
                check(tool, asked.caller, asked.rules, level=found.spec.security_level)
            known.arguments = await _hash_of(asked, as_kept)
            check_arguments(found.spec, asked.rules, asked.arguments)
            profile = self.profiles.of(found, _call(asked), sender, role=asked.caller.role, rules=asked.rules)
            known.context = context = CallContext(self._means, profile, sender)
            if asked.is_dry:
                known.outcome = "not_called"
                return ToolResult(output=rehearsal(found), profile_id=profile.profile_id)
            await self._take_all(asked, found.spec)
            settle = await self._reserve(_with_role_budgets(asked), bound)
        except (Refused, Invalid) as refused:
            await self._record(_refusal(asked, known, refused.code))
            raise
        try:
            await self._record(_beginning(asked, known))
            answer = await self._answer(found, asked, context, known)
            known.spent_micros = 0 if known.is_cached else asked.price_micros
            known.outcome = "ok"
            return ToolResult(
                output=answer,
                profile_id=profile.profile_id,
                driver=context.driver,
                used=context.used,
                is_cached=known.is_cached,
                cost_usd_micros=known.spent_micros,
                wall_ms=(self._means.clock.now_us() - known.began_us) // 1_000,
            )
        except AgentFlowError as error:
            known.outcome = error.code
            raise
        except Exception as error:
            known.outcome = type(error).__name__
            raise
        finally:  # a call that fails has had no effect, and costs nothing
            settling = settle(bound if known.outcome == "ok" and not known.is_cached else CostBound())
            if settling is not None:
                await asyncio.shield(_ended(settling))
            await asyncio.shield(asyncio.ensure_future(_written(self._record, _end(asked, known))))

    async def _answer(self, tool: Tool, asked: Asked, context: CallContext, known: _Call) -> Json:
        """What is kept of an equal call, else what the tool answers now."""
        spec, key = tool.spec, ""
        if spec.is_idempotent and spec.cache_ms:
            key = digest([msgspec.to_builtins(spec), context.profile.profile_id, asked.sender.tenant, asked.arguments])
            if kept := self._cache.find(key, self._means.clock.now_us()):
                known.is_cached = True
                return kept[0]
        answer = await self._through_breaker(tool, asked, context)
        known.size_bytes = check_answer(spec, asked.rules, answer)
        answer = self._mask(answer)
        if key:
            until_us = self._means.clock.now_us() + spec.cache_ms * 1_000
            self._cache.keep(key, answer, size_bytes=known.size_bytes, until_us=until_us)
        return answer

    async def _through_breaker(self, tool: Tool, asked: Asked, context: CallContext) -> Json:
        """Leave a tool alone that fails again and again; what is wrong with the arguments is no failure of the tool."""
        place, now_s = (tool.spec.set_by, tool.spec.id), self._means.clock.now_us() / 1e6
        state = self._breakers.get(place, breaker.CLOSED)
        if not breaker.allows(state, now_s):
            wait_s = max(breaker.rest_s(state, now_s), 1.0)
            raise Unavailable(
                "tool.resting",
                f"tool {tool.spec.id!r} has failed again and again and is left alone; it is tried again in "
                f"{wait_s:.0f} s",
                retry_after_s=wait_s,
            )
        self._breakers[place] = breaker.began(state, now_s)
        try:
            answer = await _run(tool, asked, context)
        except (Unavailable, StepFailure) as error:
            state, now_s = self._breakers[place], self._means.clock.now_us() / 1e6
            is_fault = isinstance(error, Unavailable) or error.retryable
            self._breakers[place] = breaker.failed(state, now_s) if is_fault else breaker.succeeded(state)
            raise
        except BaseException:
            self._breakers[place] = breaker.abandoned(self._breakers[place])
            raise
        self._breakers[place] = breaker.succeeded(self._breakers[place])
        return answer

    async def _take_all(self, asked: Asked, spec: ToolSpec) -> None:
        """Take the call out of the bucket of every rule, the tool's own too where no document says it again."""
        places = {
            f"tool_registry.tools.{asked.tool} of {document.source}": rule.rate_limit
            for document in asked.rules
            if (rule := document.tools.get(asked.tool)) is not None
        }
        if spec.rate_limit is not None and spec.set_by not in places:
            places[spec.set_by] = spec.rate_limit
        for place, limit in places.items():
            if limit is None:
                continue
            wait_us = await self._take(asked.sender.tenant, asked.tool, place, limit)
            if wait_us:
                raise Refused(
                    "tool.rate_limited",
                    f"tool {asked.tool!r} may be called {limit.calls:,} times in {limit.per_ms / 1_000:g} s by tenant "
                    f"{asked.sender.tenant!r}, and was; the next call is possible in {wait_us / 1e6:.1f} s. The rule "
                    f"is rate_limit of {place}; raise it to allow more",
                    rule=place,
                )


def rehearsal(tool: Tool) -> Json:
    """What a tool answers that is not called: its `dry_answer` where it has one, else `{"dry_run": true}`."""
    answer: Json = getattr(tool, "dry_answer", None)
    return {"dry_run": True} if answer is None else answer


def _call(asked: Asked) -> ToolCall:
    return ToolCall(tool=asked.tool, arguments=asked.arguments, idempotency_key=asked.key)


async def _hash_of(asked: Asked, as_kept: AsKept) -> str:
    try:
        return digest(await as_kept(asked.arguments))
    except Invalid:  # no JSON; the check that follows says so
        return ""


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


async def _run(tool: Tool, asked: Asked, context: CallContext) -> Json:
    limit_ms = context.profile.timeout_ms
    grace_ms = 0 if context.profile.runtime == "inside" else GRACE_MS
    await context.prepare()
    try:
        async with asyncio.timeout((limit_ms + grace_ms) / 1_000) as bound:
            return await tool.call(_call(asked), context)
    except TimeoutError:
        if not bound.expired():
            raise
        message = f"tool {asked.tool!r} took over {limit_ms / 1_000:g} s; raise 'timeout' of the tool"
        raise StepFailure("tool.timeout", message, retryable=True) from None


def _refusal(asked: Asked, known: _Call, code: str) -> AuditEntry:
    return tool_entry(
        "tool.refused",
        asked.tool,
        asked.sender,
        passage=known.passage,
        profile=_profile_of(known),
        outcome=code,
        arguments=known.arguments,
        wanted=audit_level_of(asked.tool, asked.rules),
    )


def _beginning(asked: Asked, known: _Call) -> AuditEntry:
    profile = _profile_of(known)
    return tool_entry(
        "tool.called",
        asked.tool,
        asked.sender,
        passage=known.passage,
        profile=profile,
        arguments=known.arguments,
        wanted=audit_level_of(asked.tool, asked.rules),
    )


def _end(asked: Asked, known: _Call) -> AuditEntry:
    return tool_entry(
        "tool.settled",
        asked.tool,
        asked.sender,
        passage=known.passage,
        profile=_profile_of(known),
        outcome=known.outcome,
        size_bytes=known.size_bytes,
        usd_micros=known.spent_micros,
        driver=known.context.driver if known.context else "",
        used=known.context.used if known.context else None,
        is_cached=known.is_cached,
        wanted=audit_level_of(asked.tool, asked.rules),
    )


def _use_of(asked: Asked, known: _Call, now_us: int) -> ToolUse:
    return ToolUse(
        tool=asked.tool,
        outcome=known.outcome,
        arguments=known.arguments,
        profile=_profile_of(known),
        driver=known.context.driver if known.context else "",
        used=known.context.used if known.context else None,
        is_cached=known.is_cached,
        cost_usd_micros=known.spent_micros,
        wall_ms=(now_us - known.began_us) // 1_000,
    )


def _profile_of(known: _Call) -> str:
    return known.context.profile.profile_id if known.context else ""


async def _ended(settling: Awaitable[None]) -> None:
    await settling


async def _written(record: Record, settled: AuditEntry) -> None:
    """The last line of a call; the tool has had its effect, and its answer is not taken from whoever asked."""
    try:
        await record(settled)
    except AgentFlowError as error:
        log.error("how tool call %s ended is not in the audit log: %s", settled.passage, error.code)
