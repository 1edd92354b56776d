"""What a run will take, before it begins: for each agent and in all, at the median and at the 95th percentile. Pure.

What a run visits comes from the past runs of its definition, and until there are enough from the definition itself.
What a visit puts in is counted where that is known before the run; what it answers is learned from the past prompts
nearest in size.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from runtime.costs.calibration import (
    KNOWN_WAYS_WEIGHT,
    PRIOR_WEIGHT,
    Calibration,
    Points,
    Visits,
    outputs_near,
    quantile,
)
from runtime.costs.prices import Price, cost
from runtime.costs.structure import Pattern, agents_in
from runtime.domain.cost import Estimate
from runtime.domain.event import Usage

LEVELS = 20
"""Each distribution is looked at in so many places, the middle of each twentieth."""
UNKNOWN_ITEMS = 8
"""Declared: items of a list that only the run will tell, until past runs have told."""
_Z = (-1.96, -1.44, -1.15, -0.93, -0.76, -0.6, -0.45, -0.32, -0.19, -0.06)
Z = (*_Z, *(-z for z in reversed(_Z)))
"""How many standard deviations from the mean a sum is at each level."""
UNKNOWN_INPUT = 256
"""Declared: tokens of each part of a prompt that only the run will tell, until past runs have told."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one visit of an agent asks for, as far as it is known before the run."""

    agent: str
    model: str = ""
    """`provider/model`; empty: it asks none."""
    price: Price | None = None
    """None: nobody has said."""
    is_priced: bool = True
    input_tokens: int | None = None
    """Of the prompt as it will be; None: it depends on what the run comes to."""
    is_exact: bool = False
    """Whether the model's own tokenizer has counted them."""
    known_input_tokens: int = 0
    """Of the part of the prompt that is known, where the whole is not."""
    most_output_tokens: int = 0
    call_micros: int = 0
    """What tools and services cost that the agent calls, each once."""
    within: "Within | None" = None
    """Where its work is runs of their own: what these will take."""

    @property
    def bare_model(self) -> str:
        """The model's name as what answers says it."""
        return self.model.partition("/")[2]


class Spread(msgspec.Struct, frozen=True):
    """Half of all cases take less than `p50`, 95 % less than `p95`."""

    p50: int = 0
    p95: int = 0


class Within(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that a step has of its own, one or one for each item of a list."""

    workflow: str
    forecasts: tuple["Forecast", ...]
    """Of each run, or of some of them that stand for all; at least one."""
    count: int | None = 1
    """How many runs; None: only the run will tell."""


class StepForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What one visit of an agent takes, and how often it is visited."""

    agent: str
    model: str
    visits: Spread
    expected_visits: float
    input_tokens: Spread
    is_exact: bool
    """Whether the input was counted by the model's own tokenizer."""
    output_tokens: Spread
    usd_micros: Spread
    learned_from: int
    """Past visits; 0: what is declared."""
    within: Within | None = None
    runs: Spread = Spread()
    """How many runs of their own a visit has."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """A preflight."""

    steps: tuple[StepForecast, ...]
    tokens: Spread
    """With the workflows within."""
    usd_micros: Spread
    levels: "Levels"
    """The same at each level."""
    own_tokens: Spread
    """Without the workflows within, which have budgets of their own."""
    own_usd_micros: Spread
    runs: int
    """Past runs of the definition that it was learned from."""
    unpriced: tuple[str, ...] = ()

    def estimate(self) -> Estimate:
        """As it is kept with the run."""
        return Estimate(
            tokens_p50=self.tokens.p50,
            tokens_p95=self.tokens.p95,
            usd_micros_p50=self.usd_micros.p50,
            usd_micros_p95=self.usd_micros.p95,
            runs=self.runs,
            unpriced=self.unpriced,
        )


class Levels(msgspec.Struct, frozen=True):
    """What something takes at each level, from the cheapest to the dearest."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    usd_micros: tuple[int, ...]


NOTHING = Levels((0,) * LEVELS, (0,) * LEVELS, (0,) * LEVELS)


class _Visit(msgspec.Struct, frozen=True):
    """One visit."""

    levels: Levels
    learned_from: int
    runs: Spread = Spread()


def preflight(asks: Sequence[Ask], structure: Sequence[Pattern], calibration: Calibration) -> Forecast:
    """Forecast a run. `structure`: the visits that the definition alone lets expect."""
    patterns = expected_patterns(structure, calibration)
    by_agent = agents_in(patterns)
    named = {ask.agent for ask in asks}
    # what acted in past runs and no definition lists, such as the planner itself, is known from those runs alone
    asks = [*asks, *(Ask(agent=agent) for agent in by_agent if agent not in named)]
    visits = {ask.agent: _visit(ask, calibration) for ask in asks}
    levels = {agent: visit.levels for agent, visit in visits.items()}
    whole = _whole_runs(patterns, levels)
    own = whole
    within = {ask.agent: NOTHING for ask in asks if ask.within is not None}
    steps = [_step(ask, by_agent[ask.agent], visits[ask.agent]) for ask in asks if ask.agent in by_agent]
    unpriced = {ask.model for ask in asks if not ask.is_priced}
    unpriced.update(name for ask in asks if ask.within for each in ask.within.forecasts for name in each.unpriced)
    if within:
        own = _whole_runs(patterns, {**levels, **within})
    return Forecast(
        steps=tuple(steps),
        tokens=_spread(whole.tokens),
        usd_micros=_spread(whole.usd_micros),
        levels=whole.levels(),
        own_tokens=_spread(own.tokens),
        own_usd_micros=_spread(own.usd_micros),
        runs=calibration.runs,
        unpriced=tuple(sorted(unpriced)),
    )


def expected_patterns(structure: Sequence[Pattern], calibration: Calibration) -> list[Pattern]:
    """What runs of the definition visited, and beside them what the definition lets expect."""
    seen: dict[Visits, float] = {}
    for pattern in calibration.patterns():
        seen[pattern] = seen.get(pattern, 0.0) + 1.0
    known = {pattern for pattern, _ in structure}
    share = sum(count for pattern, count in seen.items() if pattern in known) / max(1.0, sum(seen.values()))
    weight = PRIOR_WEIGHT + (KNOWN_WAYS_WEIGHT - PRIOR_WEIGHT) * share
    for pattern, part in structure:
        seen[pattern] = seen.get(pattern, 0.0) + weight * part
    return list(seen.items())


class _Whole(NamedTuple):
    """What whole runs take."""

    tokens: Points
    outputs: Points
    usd_micros: Points

    def levels(self) -> Levels:
        """The same at each level."""
        tokens, answers = _levels(self.tokens), _levels(self.outputs)
        inputs = tuple(max(0, whole - answered) for whole, answered in zip(tokens, answers, strict=True))
        answers = tuple(whole - given for whole, given in zip(tokens, inputs, strict=True))
        return Levels(inputs, answers, _levels(self.usd_micros))


def _whole_runs(patterns: Sequence[Pattern], visits: Mapping[str, Levels]) -> _Whole:
    """Whole runs; in one run all steps are taken at the same level, which makes `p95` careful."""
    tokens, outputs, usd_micros = [], [], []
    for pattern, weight in patterns:
        known = [(visits[agent], count) for agent, count in pattern if agent in visits]
        for level in range(LEVELS):
            answered = sum(count * each.outputs[level] for each, count in known)
            tokens.append((answered + sum(count * each.inputs[level] for each, count in known), weight))
            outputs.append((answered, weight))
            usd_micros.append((sum(count * each.usd_micros[level] for each, count in known), weight))
    return _Whole(tokens, outputs, usd_micros)


def _visit(ask: Ask, calibration: Calibration) -> _Visit:
    seen = calibration.visits(ask.agent, ask.bare_model)
    if ask.within is not None:
        return _of_runs(ask.within, [visit.runs for visit in seen])
    if not ask.model:
        return _learned(ask, [visit.usage for visit in seen])
    if ask.input_tokens is not None:
        inputs = (ask.input_tokens,) * LEVELS
    else:
        declared = ask.known_input_tokens + UNKNOWN_INPUT
        weight = PRIOR_WEIGHT / max(1, len(seen))
        inputs = _levels([*((visit.usage.input_tokens, 1.0) for visit in seen), (declared, weight)])
    outputs = _levels(outputs_near(seen, ask.input_tokens, ask.most_output_tokens))
    price = ask.price or Price()
    usd_micros = tuple(
        ask.call_micros + cost(price, input_tokens=given, output_tokens=answered)
        for given, answered in zip(inputs, outputs, strict=True)
    )
    return _Visit(Levels(inputs, outputs, usd_micros), len(seen))


def _of_runs(within: Within, seen: Sequence[int]) -> _Visit:
    """A visit that has runs of its own; of many, dear ones and cheap ones make up for each other."""
    counts: list[tuple[int, float]] = [(number, 1.0) for number in seen if number]
    if within.count is not None:
        counts = [(within.count, 1.0)]
    elif len(counts) < PRIOR_WEIGHT:
        counts.append((UNKNOWN_ITEMS, PRIOR_WEIGHT / 2))
    number = _levels(counts)

    def summed(each: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        values = [value for levels in each for value in levels]
        mean = sum(values) / len(values)
        deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        return tuple(
            each[0][level] if n == 1 else max(0, round(n * mean + Z[level] * deviation * n**0.5))
            for level, n in enumerate(number)
        )

    of_each = [forecast.levels for forecast in within.forecasts]
    levels = Levels(
        summed([each.inputs for each in of_each]),
        summed([each.outputs for each in of_each]),
        summed([each.usd_micros for each in of_each]),
    )
    return _Visit(levels, len(seen), spread_of(number))


def _learned(ask: Ask, seen: Sequence[Usage]) -> _Visit:
    """A visit of an agent that asks no model of its own: tools and services."""
    money = [(usage.cost_usd_micros, 1.0) for usage in seen]
    is_paid = any(value for value, _ in money)
    levels = Levels(
        _levels([(usage.input_tokens, 1.0) for usage in seen]),
        _levels([(usage.output_tokens, 1.0) for usage in seen]),
        _levels(money) if is_paid else (ask.call_micros,) * LEVELS,
    )
    return _Visit(levels, len(seen))


def _step(ask: Ask, visits: Points, visit: _Visit) -> StepForecast:
    weight = sum(part for _, part in visits)
    return StepForecast(
        agent=ask.agent,
        model=ask.model,
        visits=_spread(visits),
        expected_visits=sum(count * part for count, part in visits) / weight,
        input_tokens=spread_of(visit.levels.inputs),
        is_exact=ask.is_exact,
        output_tokens=spread_of(visit.levels.outputs),
        usd_micros=spread_of(visit.levels.usd_micros),
        learned_from=visit.learned_from,
        within=ask.within,
        runs=visit.runs,
    )


def _levels(points: Points) -> tuple[int, ...]:
    return tuple(quantile(points, (level + 0.5) / LEVELS) for level in range(LEVELS))


def _spread(points: Points) -> Spread:
    return Spread(quantile(points, 0.5), quantile(points, 0.95))


def spread_of(levels: Sequence[int]) -> Spread:
    """The middle and the 95th percentile."""
    return _spread([(value, 1.0) for value in levels])
