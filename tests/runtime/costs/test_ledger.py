"""The ledger holds: whatever is set aside and settled, in whatever order, no hard budget is overspent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.costs.budget import Key
from runtime.costs.ledger import Count, Hold, Ledger, falls_under, within
from runtime.domain.cost import Budget
from runtime.domain.egress import CostBound, Sender
from runtime.domain.ids import TenantId
from runtime.errors import Refused

NOON_US = 1_795_608_000_000_000  # 2026-11-25 12:00 UTC
DAILY = Budget(scope=(("tenant", "*"),), per="day", usd_micros=1_000, set_by="budgets in the settings")
BOTH = Budget(scope=(("tenant", "acme"),), per="day", usd_micros=700, tokens=500, set_by="budgets in the settings")
OF_RUN = Budget(scope=(("workflow", "support"),), per="run", usd_micros=400, set_by="policies.cost_budget")
SOFT = Budget(scope=(("tenant", "*"),), per="day", usd_micros=10, is_hard=False, set_by="budgets in the settings")
LIMITS = (DAILY, BOTH, OF_RUN, SOFT)
SENDERS = tuple(
    Sender(tenant=TenantId(tenant), workflow="support", run=run)
    for tenant in ("acme", "shop")
    for run in ("r-1", "r-2")
)

COSTS = st.builds(
    CostBound,
    usd_micros=st.integers(0, 400),
    input_tokens=st.integers(0, 200),
    output_tokens=st.integers(0, 200),
    item=st.just("model:vllm/llama3"),
)
CLAIMS = st.builds(
    CostBound,
    usd_micros=st.integers(-(10**30), 10**30),
    input_tokens=st.integers(-(10**30), 10**30),
    output_tokens=st.integers(-(10**30), 10**30),
)
STEPS = st.lists(st.tuples(st.integers(0, 3), COSTS, CLAIMS, st.integers(0, 5)), max_size=60)


def hold(ledger: Ledger, sender: Sender, bound: CostBound, limits: tuple[Budget, ...] = LIMITS) -> Hold:
    """Set something aside, where nothing was spent before this process."""
    counted = falls_under(limits, sender, bound, NOON_US)
    for key in ledger.missing(key for _, key in counted):
        ledger.open(key, usd_micros=0, tokens=0)
    return ledger.hold(counted, sender, bound, NOON_US)


@given(STEPS)
def test_no_order_of_events_overspends_a_hard_budget(
    steps: list[tuple[int, CostBound, CostBound, int]],
) -> None:
    """Claims of any size included: a server that lies must not reach past what was set aside for it."""
    ledger, open_holds, keys = Ledger(), list[Hold](), set[Key]()
    limits_of: dict[Key, Budget] = {}
    for who, bound, claim, which in steps:
        try:
            held = hold(ledger, SENDERS[who], bound)
        except Refused:
            held = None
        if held is not None:
            open_holds.append(held)
            keys |= set(held.keys)
            for budget, key in falls_under((DAILY, BOTH, OF_RUN), SENDERS[who], bound, NOON_US):
                if key is not None:
                    limits_of.setdefault(key, budget)
        if open_holds and which:
            ledger.settle(open_holds.pop(which % len(open_holds)), claim)
        for key, budget in limits_of.items():
            count = ledger.count(key)
            assert count.usd_micros + count.held_usd_micros <= (budget.usd_micros or 0)
            assert budget.tokens is None or count.tokens + count.held_tokens <= budget.tokens
            assert 0 <= min(count.usd_micros, count.held_usd_micros, count.tokens, count.held_tokens, count.holds)


@given(st.lists(st.tuples(COSTS, COSTS), max_size=30))
def test_settling_gives_the_rest_back(calls: list[tuple[CostBound, CostBound]]) -> None:
    """What is left is the limit less what was spent, whatever was set aside on the way."""
    ledger, wide = Ledger(), (Budget(per="month", usd_micros=10**9, tokens=10**9, set_by="a test"),)
    holds = [(hold(ledger, SENDERS[0], bound, wide), spent) for bound, spent in calls]
    for held, spent in holds:
        ledger.settle(held, spent)
    counted = [within(spent, bound) for bound, spent in calls if bound.usd_micros or bound.input_tokens]
    for key in {key for held, _ in holds for key in held.keys}:
        count = ledger.count(key)
        assert (0, 0, 0) == (count.held_usd_micros, count.held_tokens, count.holds)
        assert sum(spent.usd_micros for spent in counted) == count.usd_micros


def test_two_hundred_at_once_against_room_for_a_hundred_take_exactly_that() -> None:
    """Issue 4's own number; nobody has settled when the last one asks."""
    ledger, taken, refused = Ledger(), 0, 0
    bound = CostBound(usd_micros=10, item="model:openai/gpt-4o")
    for _ in range(200):
        try:
            hold(ledger, SENDERS[1], bound, (DAILY,))
            taken += 1
        except Refused:
            refused += 1
    assert (100, 100) == (taken, refused)


def test_a_refusal_names_the_budget_what_is_left_and_when_it_renews() -> None:
    """It is read by whoever has to decide whether to raise it."""
    ledger = Ledger()
    sender = Sender(purpose="agent 'draft' of workflow 'support'", tenant=TenantId("acme"))
    hold(ledger, sender, CostBound(usd_micros=900, item="model:openai/gpt-4o"), (DAILY,))
    with pytest.raises(Refused) as refused:
        hold(ledger, sender, CostBound(usd_micros=200, item="model:openai/gpt-4o"), (DAILY,))
    assert (
        "budget.exceeded: agent 'draft' of workflow 'support' asks for model 'openai/gpt-4o', which can take up to "
        "0.0002 USD; of the 0.001 USD a day of tenant 'acme', 0.0001 USD is left (0.0009 USD set aside for calls under "
        "way). The rule is budgets in the settings; raise it, or wait until 2026-11-26 00:00 UTC, when it renews"
    ) == str(refused.value)
    assert refused.value.retryable, "when those calls are settled there may be room"


def test_a_budget_of_tokens_counts_input_and_output() -> None:
    """As `cost_budget_tokens` says."""
    ledger = Ledger()
    limit = Budget(scope=(("workflow", "support"),), per="run", tokens=100, set_by="policies.cost_budget_tokens")
    ledger.settle(
        hold(ledger, SENDERS[0], CostBound(input_tokens=40, output_tokens=50), (limit,)),
        CostBound(input_tokens=40, output_tokens=30),
    )
    with pytest.raises(
        Refused, match=r"100 tokens a run of workflow 'support', 30 tokens are left\. The rule is"
    ) as no:
        hold(ledger, SENDERS[0], CostBound(input_tokens=20, output_tokens=11), (limit,))
    assert not no.value.retryable
    hold(ledger, SENDERS[1], CostBound(input_tokens=60, output_tokens=40), (limit,))  # another run has its own


def test_a_call_without_a_run_counts_alone() -> None:
    """A request that names no conversation is its own run."""
    ledger, sender = Ledger(), Sender(workflow="support")
    for _ in range(3):
        hold(ledger, sender, CostBound(usd_micros=400), (OF_RUN,))
    with pytest.raises(Refused, match=r"^budget\.exceeded"):
        hold(ledger, sender, CostBound(usd_micros=401), (OF_RUN,))


def test_a_soft_budget_warns_once_and_lets_pass() -> None:
    """A warning for each call would hide the first one."""
    ledger = Ledger()
    holds = [hold(ledger, SENDERS[0], CostBound(usd_micros=6), (SOFT,)) for _ in range(4)]
    assert [(), ("0.00001 USD a day of tenant 'acme'",), (), ()] == [held.over for held in holds]


def test_a_hard_budget_refuses_first_so_that_no_warning_is_lost() -> None:
    """The soft one must still warn when the call is allowed later."""
    ledger, sender = Ledger(), SENDERS[0]
    tight = Budget(scope=(("workflow", "support"),), per="run", usd_micros=5, set_by="a test")
    with pytest.raises(Refused):
        hold(ledger, sender, CostBound(usd_micros=20), (SOFT, tight))
    assert hold(ledger, sender, CostBound(usd_micros=20), (SOFT,)).over


def test_what_nobody_has_priced_fits_no_hard_budget_of_money() -> None:
    """Otherwise the budget would be passed by choosing a model that the table lacks."""
    unpriced = CostBound(item="model:openai/new", has_price=False, input_tokens=5)
    with pytest.raises(Refused, match=r"^budget\.no_price") as refused:
        hold(Ledger(), SENDERS[0], unpriced, (DAILY,))
    assert "prices in the settings" in refused.value.message
    tokens = Budget(per="day", tokens=5, set_by="a test")
    hold(Ledger(), SENDERS[0], unpriced, (tokens,))


def test_what_is_free_passes_a_budget_of_money_that_is_used_up() -> None:
    """Local models go on when the cloud's budget is empty."""
    used_up = Budget(per="day", usd_micros=0, set_by="a test")
    hold(Ledger(), SENDERS[0], CostBound(input_tokens=1_000), (used_up,))


def test_names_and_periods_have_counts_of_their_own() -> None:
    """`*` is each, not all together."""
    ledger = Ledger()
    for sender in (SENDERS[0], SENDERS[2]):
        hold(ledger, sender, CostBound(usd_micros=1_000), (DAILY,))
    tomorrow = falls_under((DAILY,), SENDERS[0], CostBound(usd_micros=1), NOON_US + 86_400_000_000)
    assert 1 == len(ledger.missing(key for _, key in tomorrow))
    assert [] == falls_under((OF_RUN,), Sender(workflow="other", run="r-1"), CostBound(usd_micros=1), NOON_US)


def test_counts_that_nothing_is_set_aside_in_are_forgotten_after_ten_thousand() -> None:
    """A count per run would otherwise grow for ever; one with a hold is never lost."""
    ledger = Ledger()
    first = hold(ledger, SENDERS[0], CostBound(usd_micros=400), (OF_RUN,))
    for number in range(10_050):
        ledger.open(("run", f"r-{number}", "workflow", "x"), usd_micros=0, tokens=0)
    assert Count(held_usd_micros=400, holds=1) == ledger.count(first.keys[0])
    assert ledger.missing([("run", "r-0", "workflow", "x")]), "forgotten"
