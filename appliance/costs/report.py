"""What was spent and what is left, for people and programs: the document of `af costs --json` and `GET /v1/costs`.

Money is in US dollars, as everywhere in views, and beside it in whole micro-dollars, which can be added up exactly.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec

from appliance.costs.defined import budgets_defined
from appliance.costs.estimates import AccuracyView, accuracy
from runtime.costs.budget import Key, in_words, key_of
from runtime.costs.periods import DAY_US, HOUR_US, micros, period_of
from runtime.domain.cost import EACH, Budget, Period
from runtime.domain.journal import rfc3339
from runtime.domain.units import USD_MICROS
from runtime.errors import Invalid
from runtime.ports import StateStore
from runtime.store.charges import Charges, Spending

By = Literal["tenant", "workflow", "agent", "role", "model", "tool", "memory"]
DIMENSIONS: tuple[str, ...] = get_args(By)
COUNTS_OF_A_BUDGET = 20
"""Names, or runs, of one budget that are told; the dearest."""
COUNTS_OF_A_DEFINITION = 3
"""The same of a budget that a definition sets, of which there may be many."""

_SINCE = re.compile(r"([1-9][0-9]{0,4})(h|d)")


class SpendingView(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent on one name."""

    name: str
    """Empty: what was spent by nobody of that kind, such as a call that no agent made."""
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cost_usd_micros: int


class BudgetView(msgspec.Struct, frozen=True, kw_only=True):
    """What one budget has seen in the period that is now, of one name or run."""

    budget: str
    """In words: `5 USD a day of tenant 'acme'`."""
    scope: dict[str, str]
    """Dimension → name."""
    run: str
    """Of a budget per run; empty otherwise."""
    per: Period
    is_hard: bool
    limit_usd_micros: int | None
    limit_tokens: int | None
    spent_usd_micros: int
    spent_tokens: int
    set_aside_usd_micros: int
    """Of what is spent, for calls that are under way at servers; what they do not take is given back."""
    set_aside_tokens: int
    left_usd_micros: int | None
    left_tokens: int | None
    renews_at: str | None
    """None: each run has its own."""


class ChargeView(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant's workflow spent on one model, tool or layer of memory."""

    workflow: str
    """Empty: outside workflows."""
    kind: str
    """`model`, `tool` or `memory`."""
    name: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cost_usd_micros: int


class ChargeBackView(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant's bill."""

    tenant: str
    total: SpendingView
    lines: list[ChargeView]


class CostsView(msgspec.Struct, frozen=True, kw_only=True):
    """A report."""

    since: str
    until: str
    """The end of the period, which is not part of it."""
    by: By
    spending: list[SpendingView]
    """The dearest first."""
    total: SpendingView
    whole: SpendingView
    """Models, tools, requests and memory together, whatever the lines are of."""
    budgets: list[BudgetView]
    """Those of the settings; a definition's own are counted for each run."""
    estimates: list[AccuracyView]
    """How near the estimates of the period's runs were, by workflow."""
    charge_back: list[ChargeBackView] | msgspec.UnsetType = msgspec.UNSET
    """The bills, by tenant; where they were asked for."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to add up."""

    by: By = "model"
    since: str = "month"
    until: str = "now"
    has_charge_back: bool = False
    tenant: str = ""
    """Empty: all."""

    def between_us(self, now_us: int) -> tuple[int, int]:
        """The period. Raises Invalid for words that name none."""
        until_us = now_us + 1 if self.until == "now" else instant_of(self.until, now_us)
        return instant_of(self.since, now_us), until_us


async def costs_view(
    charges: Charges, store: StateStore | None, budgets: Sequence[Budget], asked: Asked, *, now_us: int
) -> CostsView:
    """The report; without a `store` without estimates and budgets of definitions.

    Raises Invalid for a period that is none.
    """
    between_us, tenant, by = asked.between_us(now_us), asked.tenant, asked.by
    spending = [_spending_view(line) for line in await charges.spending_by(by, between_us, tenant=tenant)]
    counts = []
    defined = await budgets_defined(store) if store else []
    for budget in (*budgets, *defined):
        most = COUNTS_OF_A_DEFINITION if budget in defined else COUNTS_OF_A_BUDGET
        found = await charges.counts_of(budget, now_us, tenant=tenant, limit=most)
        counts += [_budget_view(budget, key, line, now_us) for key, line in found or _untouched(budget, tenant, now_us)]
    bills = bills_of(await charges.charge_back(between_us, tenant=tenant)) if asked.has_charge_back else msgspec.UNSET
    return CostsView(
        since=rfc3339(between_us[0]),
        until=rfc3339(between_us[1]),
        by=by,
        spending=spending,
        total=_total(spending),
        whole=_total([_spending_view(line) for line in await charges.spending_by("tenant", between_us, tenant=tenant)]),
        budgets=counts,
        estimates=await accuracy(store, between_us, tenant=tenant) if store else [],
        charge_back=bills,
    )


def _untouched(budget: Budget, tenant: str, now_us: int) -> list[tuple[Key, Spending]]:
    """The one count of a budget that nothing was spent of yet; none of one that has a count for each name or run."""
    names = dict(budget.scope)
    is_anothers = bool(tenant) and names.get("tenant", tenant) != tenant
    if budget.per == "run" or EACH in names.values() or is_anothers:
        return []
    key = key_of(budget, {str(dimension): name for dimension, name in names.items()}, "", now_us)
    return [] if key is None else [(key, Spending(""))]


def bills_of(found: Sequence[tuple[str, str, Spending]]) -> list[ChargeBackView]:
    """One bill for each tenant."""
    lines: dict[str, list[ChargeView]] = {}
    for tenant, workflow, spent in found:
        kind, _, name = spent.name.partition(":")
        lines.setdefault(tenant, []).append(
            ChargeView(
                workflow=workflow,
                kind=kind,
                name=name,
                calls=spent.calls,
                input_tokens=spent.input_tokens,
                output_tokens=spent.output_tokens,
                cost_usd=spent.usd_micros / USD_MICROS,
                cost_usd_micros=spent.usd_micros,
            )
        )
    return [ChargeBackView(tenant=tenant, total=_total(bill), lines=bill) for tenant, bill in lines.items()]


def instant_of(since: str, now_us: int) -> int:
    """The instant that a word names: `month`, `today`, `12h`, `7d`, a date, or an instant with its time zone."""
    if since == "month":
        return period_of("month", now_us)[0]
    if since == "today":
        return period_of("day", now_us)[0]
    if found := _SINCE.fullmatch(since):
        return max(0, now_us - int(found[1]) * (HOUR_US if found[2] == "h" else DAY_US))
    try:
        at = datetime.fromisoformat(since)
        return max(0, micros(at if at.tzinfo else at.replace(tzinfo=UTC)))
    except (ValueError, OverflowError):
        raise Invalid(
            "costs.since",
            f"{since[:40]!r} is no beginning of a period; take month, today, 12h, 7d, or a date such as 2026-01-31",
        ) from None


def _spending_view(line: Spending) -> SpendingView:
    return SpendingView(
        name=line.name,
        calls=line.calls,
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        cost_usd=line.usd_micros / USD_MICROS,
        cost_usd_micros=line.usd_micros,
    )


def _total(lines: Sequence[SpendingView] | Sequence[ChargeView]) -> SpendingView:
    total = sum(line.cost_usd_micros for line in lines)
    return SpendingView(
        name="",
        calls=sum(line.calls for line in lines),
        input_tokens=sum(line.input_tokens for line in lines),
        output_tokens=sum(line.output_tokens for line in lines),
        cost_usd=total / USD_MICROS,
        cost_usd_micros=total,
    )


def _budget_view(budget: Budget, key: Key, line: Spending, now_us: int) -> BudgetView:
    spent_tokens = line.input_tokens + line.output_tokens
    return BudgetView(
        budget=in_words(budget, key),
        scope={str(dimension): str(name) for dimension, name in zip(key[2::2], key[3::2], strict=True)},
        run=str(key[1]) if budget.per == "run" else "",
        per=budget.per,
        is_hard=budget.is_hard,
        limit_usd_micros=budget.usd_micros,
        limit_tokens=budget.tokens,
        spent_usd_micros=line.usd_micros,
        spent_tokens=spent_tokens,
        set_aside_usd_micros=line.open_usd_micros,
        set_aside_tokens=line.open_tokens,
        left_usd_micros=None if budget.usd_micros is None else max(0, budget.usd_micros - line.usd_micros),
        left_tokens=None if budget.tokens is None else max(0, budget.tokens - spent_tokens),
        renews_at=None if budget.per == "run" else rfc3339(period_of(budget.per, now_us)[1]),
    )
