"""What calls cost, and when budgets renew."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.costs.budget import budgets_of, budgets_of_workflow
from runtime.costs.periods import instant, period_of
from runtime.costs.prices import FREE, Price, cost
from runtime.domain.cost import Period, limit_of
from runtime.domain.ids import DefinitionHash
from runtime.domain.workflow import Workflow

GPT_4O = Price(input_micros=2_500_000, output_micros=10_000_000)
TOKENS = st.integers(0, 10**9)
PRICES = st.builds(
    Price,
    input_micros=st.integers(0, 10**9),
    output_micros=st.integers(0, 10**9),
    call_micros=st.integers(0, 10**6),
    cpu_second_micros=st.integers(0, 10**6),
    tokens_per_cpu_second=st.integers(1, 1_000),
)


@pytest.mark.parametrize(
    ("price", "tokens", "micros"),
    [
        (GPT_4O, (1_000, 1_000), 12_500),  # 0.0025 + 0.01 USD, as the price list says per thousand
        (GPT_4O, (1, 0), 3),  # 2.5 micro-dollars, rounded up
        (GPT_4O, (0, 0), 0),
        (FREE, (10**9, 10**9), 0),
        (Price(call_micros=5), (0, 0), 5),
        (Price(cpu_second_micros=10, tokens_per_cpu_second=20), (20, 10), 15),
        (Price(cpu_second_micros=10, tokens_per_cpu_second=20), (1, 0), 1),
    ],
)
def test_a_call_costs_what_the_list_says(price: Price, tokens: tuple[int, int], micros: int) -> None:
    assert micros == cost(price, input_tokens=tokens[0], output_tokens=tokens[1])


@given(PRICES, TOKENS, TOKENS, st.integers(0, 10**6))
def test_more_never_costs_less(price: Price, input_tokens: int, output_tokens: int, more: int) -> None:
    """The bound of a call is the cost of the most that it can take."""
    least = cost(price, input_tokens=input_tokens, output_tokens=output_tokens)
    most = cost(price, input_tokens=input_tokens + more, output_tokens=output_tokens + more)
    assert 0 <= least <= most


@pytest.mark.parametrize(
    ("per", "at", "begin", "end"),
    [
        ("hour", "2026-11-25 12:34", "2026-11-25 12:00", "2026-11-25 13:00"),
        ("day", "2026-11-25 23:59", "2026-11-25 00:00", "2026-11-26 00:00"),
        ("month", "2026-12-31 23:59", "2026-12-01 00:00", "2027-01-01 00:00"),
        ("month", "2028-02-29 00:00", "2028-02-01 00:00", "2028-03-01 00:00"),
    ],
)
def test_periods_are_of_utc(per: Period, at: str, begin: str, end: str) -> None:
    at_us = int(datetime.fromisoformat(f"{at}+00:00").timestamp()) * 1_000_000
    found = [f"{instant(us):%Y-%m-%d %H:%M}" for us in period_of(per, at_us)]
    assert [begin, end] == found


@given(st.sampled_from(["hour", "day", "month"]), st.integers(0, 4 * 10**15))
def test_every_instant_lies_in_its_period_and_periods_join(per: Period, at_us: int) -> None:
    begin, end = period_of(per, at_us)
    assert begin <= at_us < end
    assert end == period_of(per, end)[0]


def test_policies_of_a_definition_are_budgets() -> None:
    """Money for a day of each tenant, as the source document's comment says, unless they name a period."""
    policies = {"cost_budget": "$0.01", "cost_budget_tokens": 1_000}
    money, tokens = budgets_of(policies, workflow="support", agent="draft")
    assert (10_000, None, "day", True) == (money.usd_micros, money.tokens, money.per, money.is_hard)
    assert (None, 1_000) == (tokens.usd_micros, tokens.tokens)
    assert (("tenant", "*"), ("workflow", "support"), ("agent", "draft")) == money.scope
    assert (("workflow", "support"), ("agent", "draft")) == tokens.scope
    assert "policies.cost_budget of agent 'draft' of workflow 'support'" == money.set_by
    assert () == budgets_of({"residency": ["local"]}, workflow="support")


def test_a_definition_names_the_period_of_its_budget() -> None:
    """And `workflow.cost_budget` is what one run may cost."""
    (of_run,) = budgets_of({"cost_budget": "0.05/run"}, workflow="support")
    assert (50_000, "run", (("workflow", "support"),)) == (of_run.usd_micros, of_run.per, of_run.scope)
    (of_month,) = budgets_of({"cost_budget": "$200/month"}, workflow="support")
    assert (200_000_000, "month") == (of_month.usd_micros, of_month.per)
    workflow = Workflow(name="w", hash=DefinitionHash(""), budget_usd_micros=10_000, policies={"cost_budget": 50.0})
    assert [("run", 10_000), ("day", 50_000_000)] == [
        (each.per, each.usd_micros) for each in budgets_of_workflow(workflow)
    ]
    for wrong in ("5/week", "/day", "5 EUR/day", "1/2/day", "-1/run"):
        with pytest.raises(ValueError, match="expected an amount"):
            limit_of(wrong)
