"""Budgets and prices as the settings spell them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, get_args

import msgspec
from msgspec import Meta

from models.prices import check_prices
from runtime.costs.budget import in_words
from runtime.domain.cost import Budget, Dimension, Period
from runtime.domain.spelling import unknown_word
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
        given = json.loads(value) if isinstance(value, str) else value
        lines = given if isinstance(given, list) else []
        if faults := [fault for number, line in enumerate(lines) for fault in _faults(line, number)]:
            raise ValueError("; ".join(faults))
        found = msgspec.convert(given, list[BudgetLine])
        seen: set[str] = set()
        for words in (in_words(_budget(line)) for line in found):
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


def _faults(given: object, number: int) -> Iterator[str]:
    """Everything that is wrong with one budget, each with its place."""
    here = f"budgets[{number}]"
    if not isinstance(given, dict):
        yield f"{here}: a mapping with scope, per, usd or tokens, and hard"
        return
    scope = given.get("scope")
    words = [
        *((here, "key of a budget", each, BudgetLine.__struct_fields__) for each in given),
        *((f"{here}.scope", "scope", each, get_args(Dimension)) for each in (scope if isinstance(scope, dict) else ())),
        *((f"{here}.per", "period", each, get_args(Period)) for each in (given.get("per"),) if each is not None),
    ]
    unknown = [f"{place}: {unknown_word(what, word, known)}" for place, what, word, known in words if word not in known]
    yield from unknown
    if not unknown:
        try:
            _budget(msgspec.convert(given, BudgetLine))
        except ValueError as error:
            yield f"{here}: {error}"


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
