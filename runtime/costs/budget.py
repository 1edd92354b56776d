"""Which budgets something falls under, and what they are called. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from runtime.costs.periods import instant, period_of
from runtime.domain.cost import EACH, Budget, Dimension, limit_of
from runtime.domain.egress import CostBound, Sender
from runtime.domain.units import dollars, usd_micros
from runtime.domain.workflow import Workflow

Key: TypeAlias = tuple[str | int, ...]
"""What one count is kept under: period, its begin or the run, then dimension and name in turn."""

_AN = {"run": "a run", "hour": "an hour", "day": "a day", "month": "a month"}


def budgets_of(policies: Mapping[str, object], *, workflow: str, agent: str = "") -> tuple[Budget, ...]:
    """The budgets that the checked `policies` of a workflow, or of one of its agents, set; hard.

    Money is for a day unless it says for what, and each tenant has it for itself; tokens are for a run.
    """
    whose = f"workflow {workflow!r}"
    scope: tuple[tuple[Dimension, str], ...] = (("workflow", workflow),)
    if agent:
        whose, scope = f"agent {agent!r} of {whose}", (*scope, ("agent", agent))
    found = []
    if (money := policies.get("cost_budget")) is not None:
        usd, per = limit_of(money)
        whom = scope if per == "run" else (("tenant", EACH), *scope)
        found.append(Budget(scope=whom, per=per, usd_micros=usd, set_by=f"policies.cost_budget of {whose}"))
    if isinstance(tokens := policies.get("cost_budget_tokens"), int):
        set_by = f"policies.cost_budget_tokens of {whose}"
        found.append(Budget(scope=scope, per="run", tokens=tokens, set_by=set_by))
    return tuple(found)


def budgets_of_workflow(workflow: Workflow, name: str = "") -> tuple[Budget, ...]:
    """The budgets that a definition sets for its runs as a whole; `name`: what it is called in what is said of it."""
    name = name or workflow.name
    own = budgets_of(workflow.policies, workflow=name)
    if workflow.budget_usd_micros is None:
        return own
    set_by = f"workflow.cost_budget of workflow {name!r}"
    of_run = Budget(scope=(("workflow", name),), per="run", usd_micros=workflow.budget_usd_micros, set_by=set_by)
    return (of_run, *own)


def budgets_of_memory(memory: Mapping[str, object], *, workflow: str, agent: str) -> tuple[Budget, ...]:
    """The budgets that the checked `memory` of an agent sets for a run, by layer; hard."""
    found = []
    for layer, options in memory.items():
        money = options.get("cost_budget_dollars") if isinstance(options, dict) else None
        if money is not None:
            scope: tuple[tuple[Dimension, str], ...] = (("workflow", workflow), ("agent", agent), ("memory", layer))
            set_by = f"memory.{layer}.cost_budget_dollars of agent {agent!r} of workflow {workflow!r}"
            found.append(Budget(scope=scope, per="run", usd_micros=usd_micros(money), set_by=set_by))
    return tuple(found)


def names_of(sender: Sender, item: str) -> dict[str, str]:
    """Dimension → name of something that a sender pays for; `item` as `CostBound` has it."""
    kind, _, name = item.partition(":")
    return {
        "tenant": sender.tenant,
        "workflow": sender.workflow,
        "agent": sender.agent,
        "role": sender.role,
        kind: name,
    }


def falling(
    budgets: Iterable[Budget], sender: Sender, bound: CostBound, now_us: int
) -> Iterator[tuple[Budget, Key | None]]:
    """The budgets that must have room for `bound`, with the key of the count of each; None: it counts alone."""
    names = names_of(sender, bound.item)
    for budget in budgets:
        if _limits(budget, bound) and all(_fits(name, names.get(key, "")) for key, name in budget.scope):
            yield budget, key_of(budget, names, sender.run, now_us)


def key_of(budget: Budget, names: Mapping[str, str], run: str, now_us: int) -> Key | None:
    """The key of a budget's count for these names; None for a run that has no name, whose calls count alone."""
    if budget.per == "run":
        if not run:
            return None
        begin: str | int = run
    else:
        begin = period_of(budget.per, now_us)[0]
    return (budget.per, begin, *(part for key, _ in budget.scope for part in (key, names[key])))


def _limits(budget: Budget, bound: CostBound) -> bool:
    if budget.usd_micros is not None and (bound.usd_micros or not bound.has_price):
        return True
    return budget.tokens is not None and bool(bound.input_tokens or bound.output_tokens)


def _fits(pattern: str, name: str) -> bool:
    return bool(name) and pattern in (EACH, name)


def in_words(budget: Budget, key: Key | None = None) -> str:
    """A budget as it stands in messages: `5 USD a day of tenant 'acme'`."""
    names = scope_in_words(budget, key)
    return f"{limits_in_words(budget)} {_AN[budget.per]} of {names}"


def limits_in_words(budget: Budget) -> str:
    """`5 USD`, `1,000 tokens`, or both."""
    money = "" if budget.usd_micros is None else f"{dollars(budget.usd_micros)} USD"
    tokens = "" if budget.tokens is None else f"{budget.tokens:,} tokens"
    return " and ".join(part for part in (money, tokens) if part)


def scope_in_words(budget: Budget, key: Key | None = None) -> str:
    """`agent 'draft' of workflow 'support'`; with a key, `*` gives way to the name that it stands for."""
    names = dict(zip(key[2::2], key[3::2], strict=True)) if key else dict(budget.scope)
    parts = [
        f"each {dimension}" if names[dimension] == EACH else f"{dimension} {names[dimension]!r}"
        for dimension, _ in reversed(budget.scope)
    ]
    return " of ".join(parts) or "the appliance"


def renewal_in_words(budget: Budget, now_us: int) -> str:
    """What there is to do but raise it: `, or wait until 2026-11-26 00:00 UTC, when it renews`."""
    if budget.per == "run":
        return "; each run has its own"
    return f", or wait until {instant(period_of(budget.per, now_us)[1]):%Y-%m-%d %H:%M} UTC, when it renews"
