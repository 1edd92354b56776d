"""What a run will take, for people and programs: the document of `af plan --json` and `POST /v1/preflight`.

Money is in US dollars, and beside it in whole micro-dollars.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from runtime.costs.budget import budgets_of, budgets_of_memory, budgets_of_workflow, in_words, key_of, names_of
from runtime.costs.preflight import Forecast, Spread, StepForecast
from runtime.domain.cost import EACH, Budget
from runtime.domain.egress import Sender
from runtime.domain.ids import DefinitionHash, TenantId
from runtime.domain.units import USD_MICROS
from runtime.domain.workflow import Workflow
from runtime.store.charges import Charges

Verdict = Literal["fits", "may_not_fit", "does_not_fit", "not_estimated"]


class SpreadView(msgspec.Struct, frozen=True):
    """Half of such runs take less than `p50`, 95 % less than `p95`."""

    p50: int
    p95: int


class MoneyView(msgspec.Struct, frozen=True):
    """The same in dollars."""

    p50: float
    p95: float


class StepPlanView(msgspec.Struct, frozen=True, kw_only=True):
    """One agent: how often it is visited, and what one visit takes."""

    agent: str
    model: str | None
    """`provider/model`; null: it asks none."""
    visits: SpreadView
    expected_visits: float
    input_tokens: SpreadView
    input_is_exact: bool
    """Whether the model's own tokenizer has counted the prompt as it will be."""
    output_tokens: SpreadView
    cost_usd: MoneyView
    learned_from_visits: int
    within: "WithinPlanView | UnsetType" = UNSET
    """Where the agent's work is runs of another workflow."""


class WithinPlanView(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of another workflow that one visit has."""

    workflow: str
    runs: SpreadView
    steps: list[StepPlanView]
    """Of one of them, the first where their inputs are known."""


class BudgetPlanView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a budget has room for the run."""

    budget: str
    """In words: `5 USD a day of tenant 'acme'`."""
    set_by: str
    is_hard: bool
    left_usd_micros: int | None
    left_tokens: int | None
    verdict: Verdict
    """`may_not_fit`: the median fits, the 95th percentile does not. `not_estimated`: of tools or of memory, of which
    nobody knows beforehand how often they are used."""


class PlanView(msgspec.Struct, frozen=True, kw_only=True):
    """A preflight."""

    workflow: str
    definition_hash: DefinitionHash
    tokens: SpreadView
    """Input and output together, workflows within included."""
    cost_usd: MoneyView
    cost_usd_micros: SpreadView
    learned_from_runs: int
    """Past runs of this definition; 0: it rests on the definition alone."""
    unpriced_models: list[str]
    """Models that nobody has said the price of; they count as free here."""
    steps: list[StepPlanView]
    budgets: list[BudgetPlanView]
    """Those that limit the tenant or the workflow as a whole, each run, or an agent or a model of it."""


async def plan_view(
    forecast: Forecast,
    workflow: Workflow,
    *,
    budgets: Sequence[Budget],
    charges: Charges,
    tenant: TenantId,
    role: str = "",
    now_us: int,
) -> PlanView:
    """The document of a preflight; `budgets`: those of the settings."""
    sender = Sender(tenant=tenant, workflow=workflow.name, role=role)
    whole = [each for each in (*budgets, *budgets_of_workflow(workflow)) if _is_of(each, names_of(sender, ""))]
    views = [
        await _budget_view(each, names_of(sender, ""), _needs_of(each, forecast), charges, now_us) for each in whole
    ]
    for budget, names, steps in _of_parts(budgets, workflow, forecast, sender):
        views.append(await _budget_view(budget, names, _needs_of_steps(steps), charges, now_us))
    for budget, names in _of_means(budgets, workflow, sender):
        views.append(await _budget_view(budget, names, None, charges, now_us))
    return PlanView(
        workflow=workflow.name,
        definition_hash=workflow.hash,
        tokens=_spread(forecast.tokens),
        cost_usd=_money(forecast.usd_micros),
        cost_usd_micros=_spread(forecast.usd_micros),
        learned_from_runs=forecast.runs,
        unpriced_models=list(forecast.unpriced),
        steps=[_step_view(step) for step in forecast.steps],
        budgets=views,
    )


def _is_of(budget: Budget, names: Mapping[str, str]) -> bool:
    """Whether everything that is asked for under these names counts in the budget."""
    return all(names.get(key) and name in (EACH, names[key]) for key, name in budget.scope)


def _of_parts(
    budgets: Sequence[Budget], workflow: Workflow, forecast: Forecast, sender: Sender
) -> Iterator[tuple[Budget, Mapping[str, str], list[StepForecast]]]:
    """The budgets in which only some of the run's agents count, with these, and with what they are called."""
    of_agents = [
        limit
        for name, spec in workflow.agents.items()
        for limit in budgets_of(spec.policies, workflow=workflow.name, agent=name)
    ]
    for budget in (*budgets, *of_agents):
        dimensions = [dimension for dimension, _ in budget.scope]
        if not {"agent", "model"}.intersection(dimensions):
            continue
        parts: dict[tuple[str, ...], tuple[dict[str, str], list[StepForecast]]] = {}
        for step in forecast.steps:
            names = names_of(msgspec.structs.replace(sender, agent=step.agent), f"model:{step.model}")
            if _is_of(budget, names):
                parts.setdefault(tuple(names[each] for each in dimensions), (names, []))[1].append(step)
        for names, steps in parts.values():
            yield budget, names, steps


def _of_means(
    budgets: Sequence[Budget], workflow: Workflow, sender: Sender
) -> Iterator[tuple[Budget, Mapping[str, str]]]:
    """The budgets in which calls of tools or operations of memory count that agents of the workflow may make."""
    own: list[Budget] = []
    used: list[dict[str, str]] = []
    for name, spec in workflow.agents.items():
        own += budgets_of_memory(spec.memory, workflow=workflow.name, agent=name)
        items = [*(f"tool:{tool}" for tool in spec.tools), *(f"memory:{layer}" for layer in spec.memory)]
        used += [names_of(msgspec.structs.replace(sender, agent=name), item) for item in items]
    for budget in (*budgets, *own):
        dimensions = [dimension for dimension, _ in budget.scope]
        if not {"tool", "memory"}.intersection(dimensions):
            continue
        parts = {tuple(names[each] for each in dimensions): names for names in used if _is_of(budget, names)}
        yield from ((budget, names) for names in parts.values())


def _needs_of(budget: Budget, forecast: Forecast) -> tuple[Spread, Spread]:
    """Money and tokens that a run takes of a budget that all of it counts in."""
    if budget.per == "run" or any(dimension == "workflow" for dimension, _ in budget.scope):
        # what workflows within take is theirs
        return forecast.own_usd_micros, forecast.own_tokens
    return forecast.usd_micros, forecast.tokens


def _needs_of_steps(steps: Sequence[StepForecast]) -> tuple[Spread, Spread]:
    """The same of some agents; their visits are taken to be cheap together or dear together."""
    own = [step for step in steps if step.within is None]
    money = Spread(
        sum(step.visits.p50 * step.usd_micros.p50 for step in own),
        sum(step.visits.p95 * step.usd_micros.p95 for step in own),
    )
    tokens = Spread(
        sum(step.visits.p50 * (step.input_tokens.p50 + step.output_tokens.p50) for step in own),
        sum(step.visits.p95 * (step.input_tokens.p95 + step.output_tokens.p95) for step in own),
    )
    return money, tokens


async def _budget_view(
    budget: Budget, names: Mapping[str, str], needs: tuple[Spread, Spread] | None, charges: Charges, now_us: int
) -> BudgetPlanView:
    """`needs`: None where they are not known."""
    spent_usd = spent_tokens = 0
    key = None
    if budget.per != "run":
        key = key_of(budget, names, "", now_us)
        assert key is not None, "only budgets per run have counts without a key"
        spent_usd, spent_tokens = await charges.spent_under(key)
    left_usd = None if budget.usd_micros is None else max(0, budget.usd_micros - spent_usd)
    left_tokens = None if budget.tokens is None else max(0, budget.tokens - spent_tokens)
    sums = [] if needs is None else zip((left_usd, left_tokens), needs, strict=True)
    return BudgetPlanView(
        budget=in_words(budget, key),
        set_by=budget.set_by,
        is_hard=budget.is_hard,
        left_usd_micros=left_usd,
        left_tokens=left_tokens,
        verdict="not_estimated"
        if needs is None
        else _verdict([(left, spread) for left, spread in sums if left is not None]),
    )


def _verdict(sums: Sequence[tuple[int, Spread]]) -> Verdict:
    if any(spread.p50 > left for left, spread in sums):
        return "does_not_fit"
    return "may_not_fit" if any(spread.p95 > left for left, spread in sums) else "fits"


def _step_view(step: StepForecast) -> StepPlanView:
    return StepPlanView(
        agent=step.agent,
        model=step.model or None,
        visits=_spread(step.visits),
        expected_visits=round(step.expected_visits, 3),
        input_tokens=_spread(step.input_tokens),
        input_is_exact=step.is_exact,
        output_tokens=_spread(step.output_tokens),
        cost_usd=_money(step.usd_micros),
        learned_from_visits=step.learned_from,
        within=_within_view(step),
    )


def _within_view(step: StepForecast) -> WithinPlanView | UnsetType:
    if step.within is None:
        return UNSET
    steps = [_step_view(each) for each in step.within.forecasts[0].steps]
    return WithinPlanView(workflow=step.within.workflow, runs=_spread(step.runs), steps=steps)


def _spread(spread: Spread) -> SpreadView:
    return SpreadView(spread.p50, spread.p95)


def _money(spread: Spread) -> MoneyView:
    return MoneyView(spread.p50 / USD_MICROS, spread.p95 / USD_MICROS)
