"""Spending over time, and what runs were expected to take against what they took."""

from collections.abc import Sequence

import msgspec

from appliance.costs.report import BudgetView, SpendingView
from appliance.runs.views import tokens_error_ratio
from runtime.costs.periods import HOUR_US
from runtime.domain.ids import RunId
from runtime.domain.journal import rfc3339
from runtime.domain.run import RunState
from runtime.domain.units import USD_MICROS
from runtime.store.charges import Spending

ESTIMATED_RUNS = 100
"""Newest runs with an estimate that are compared."""


class HourView(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent in one hour."""

    at: str
    """Its beginning."""
    calls: int
    tokens: int
    cost_usd: float


class EstimatedView(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what it was expected to take, and what it took."""

    run_id: RunId
    workflow: str
    status: str
    started_at: str
    tokens_p50: int
    tokens_p95: int
    tokens: int
    cost_usd_p50: float
    cost_usd_p95: float
    cost_usd: float
    tokens_error_ratio: float | None
    """By how much of what it took `tokens_p50` is off, above 0 where it was too high; null before the end."""


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that needs somebody's eye."""

    level: str
    """`spent`: nothing is left of it; `low`: less than a fifth is."""
    message: str


class SpendingPanelView(msgspec.Struct, frozen=True, kw_only=True):
    """The panel."""

    hours: list[HourView]
    """Every hour of the period, oldest first; those without spending included."""
    by_model: list[SpendingView]
    """The dearest first."""
    total: SpendingView
    budgets: list[BudgetView]
    alerts: list[AlertView]
    estimates: list[EstimatedView]
    """Newest first."""


def hour_views(series: Sequence[tuple[int, Spending]], between_us: tuple[int, int]) -> list[HourView]:
    """A line for each hour of the period; `series`: the beginnings of hours, and what was spent in them."""
    spent = dict(series)
    first_us = between_us[0] - between_us[0] % HOUR_US
    return [_hour(at_us, spent.get(at_us, Spending(""))) for at_us in range(first_us, between_us[1], HOUR_US)]


def estimated_view(state: RunState) -> EstimatedView | None:
    """One run's line; None where nobody asked before."""
    if not state.estimate:
        return None
    expected = state.estimate
    return EstimatedView(
        run_id=state.run,
        workflow=state.workflow,
        status=state.status,
        started_at=rfc3339(state.started_us),
        tokens_p50=expected.tokens_p50,
        tokens_p95=expected.tokens_p95,
        tokens=state.usage.input_tokens + state.usage.output_tokens,
        cost_usd_p50=expected.usd_micros_p50 / USD_MICROS,
        cost_usd_p95=expected.usd_micros_p95 / USD_MICROS,
        cost_usd=state.usage.cost_usd_micros / USD_MICROS,
        tokens_error_ratio=tokens_error_ratio(state),
    )


def alerts_of(budgets: Sequence[BudgetView]) -> list[AlertView]:
    """What is spent or nearly so, the worst first."""
    told = [(share, budget) for budget in budgets if (share := left_ratio(budget)) is not None and share < 0.2]
    return [_alert(share, budget) for share, budget in sorted(told, key=lambda found: found[0])]


def left_ratio(budget: BudgetView) -> float | None:
    """Share of a budget that is left, 0–1, of money or tokens, whichever is less; None where it limits neither."""
    shares = [
        left / limit
        for left, limit in (
            (budget.left_usd_micros, budget.limit_usd_micros),
            (budget.left_tokens, budget.limit_tokens),
        )
        if left is not None and limit
    ]
    return min(shares, default=None)


def _alert(share: float, budget: BudgetView) -> AlertView:
    what = "refuses what has no room" if budget.is_hard else "only warns"
    of = f" (run {budget.run})" if budget.run else ""
    renews = f", renews at {budget.renews_at[:16]}Z" if budget.renews_at else ""
    if share <= 0:
        return AlertView(level="spent", message=f"{budget.budget}{of} is spent and {what}{renews}")
    return AlertView(level="low", message=f"{share:.0%} left of {budget.budget}{of}, which {what}{renews}")


def _hour(at_us: int, spent: Spending) -> HourView:
    return HourView(
        at=rfc3339(at_us),
        calls=spent.calls,
        tokens=spent.input_tokens + spent.output_tokens,
        cost_usd=spent.usd_micros / USD_MICROS,
    )
