"""Budgets and prices as the settings spell them."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from models.prices import check_prices
from runtime.costs.budget import in_words
from runtime.domain.cost import Budget, Dimension, Period
from runtime.domain.units import usd_micros

SET_BY = "budgets in the settings"
Tokens = Annotated[int, Meta(ge=0, le=10**15)]


class BudgetLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One budget of the settings."""

    scope: dict[Dimension, str] = {}
    """Whose spending counts; `*` stands for each name. Empty: everybody's, together."""
    per: Period
    usd: str | int | float | None = None
    """Dollars; None: any amount."""
    tokens: Tokens | None = None
    """Input and output tokens together; None: any number."""
    hard: bool = True
    """Whether it refuses what it has no room for; else it warns."""


def budgets(value: object) -> list[dict[str, object]]:
    """The setting `budgets`; the environment gives it as JSON. Raises ValueError, saying what it takes."""
    try:
        found = msgspec.convert(json.loads(value) if isinstance(value, str) else value, list[BudgetLine])
        seen: set[str] = set()
        for number, line in enumerate(found):
            words = in_words(_checked(line, number))
            if words in seen:
                raise ValueError(f"two budgets of {words}; keep one")
            seen.add(words)
    except ValueError as error:
        example = '[{"scope": {"tenant": "*"}, "per": "day", "usd": "5.00"}]'
        raise ValueError(f"a list of budgets such as {example} ({error})") from None
    listed: list[dict[str, object]] = msgspec.to_builtins(found)
    return listed


def prices(value: object) -> dict[str, dict[str, object]]:
    """The setting `prices`; the environment gives it as JSON. Raises ValueError, saying what it takes."""
    try:
        return check_prices(json.loads(value) if isinstance(value, str) else value)
    except ValueError as error:
        example = '{"vllm/llama3": {"input_per_1k": "0.0001", "output_per_1k": "0.0002"}}'
        raise ValueError(f"a mapping from models to prices such as {example} ({error})") from None


def budgets_of(lines: Sequence[BudgetLine]) -> tuple[Budget, ...]:
    """The budgets of the settings, checked."""
    return tuple(map(_budget, lines))


def _checked(line: BudgetLine, number: int) -> Budget:
    try:
        return _budget(line)
    except ValueError as error:
        raise ValueError(f"budgets[{number}]: {error}") from None


def _budget(line: BudgetLine) -> Budget:
    if line.usd is None and line.tokens is None:
        raise ValueError("a budget needs usd, tokens or both")
    if not all(line.scope.values()):
        raise ValueError("a name, or *, for everything in scope")
    return Budget(
        scope=_ordered(line.scope),
        per=line.per,
        usd_micros=None if line.usd is None else usd_micros(line.usd),
        tokens=line.tokens,
        is_hard=line.hard,
        set_by=SET_BY,
    )


def _ordered(scope: Mapping[Dimension, str]) -> tuple[tuple[Dimension, str], ...]:
    """The widest first, so that they are told the same way however they are written."""
    order: tuple[Dimension, ...] = ("tenant", "workflow", "agent", "role", "tool", "model", "memory")
    return tuple((dimension, scope[dimension]) for dimension in order if dimension in scope)
