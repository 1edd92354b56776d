"""What a run will take, before it begins: for each agent and in all, at the median and at the 95th percentile. Pure.

What a run visits comes from the past runs of its definition, and until there are enough from the definition itself.
What a visit puts in is counted where that is known before the run; what it answers is learned from the past prompts
nearest in size.
"""

from collections.abc import Mapping, Sequence

import msgspec

from runtime.costs.calibration import PRIOR_WEIGHT, Calibration, Points, Visits, outputs_near, quantile
from runtime.costs.prices import Price, cost
from runtime.costs.structure import Pattern, agents_in
from runtime.domain.cost import Estimate
from runtime.domain.event import Usage

LEVELS = 20
"""Each distribution is looked at in so many places, the middle of each twentieth."""
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

    @property
    def bare_model(self) -> str:
        """The model's name as what answers says it."""
        return self.model.partition("/")[2]


class Spread(msgspec.Struct, frozen=True):
    """Half of all cases take less than `p50`, 95 % less than `p95`."""

    p50: int = 0
    p95: int = 0


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


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """A preflight."""

    steps: tuple[StepForecast, ...]
    tokens: Spread
    usd_micros: Spread
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


class _Visit(msgspec.Struct, frozen=True):
    """One visit at each level, from the cheapest to the dearest."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    usd_micros: tuple[int, ...]
    learned_from: int


def preflight(asks: Sequence[Ask], structure: Sequence[Pattern], calibration: Calibration) -> Forecast:
    """Forecast a run. `structure`: the visits that the definition alone lets expect."""
    patterns = expected_patterns(structure, calibration)
    by_agent = agents_in(patterns)
    named = {ask.agent for ask in asks}
    # what acted in past runs and no definition lists, such as the planner itself, is known from those runs alone
    asks = [*asks, *(Ask(agent=agent) for agent in by_agent if agent not in named)]
    visits = {ask.agent: _visit(ask, calibration) for ask in asks}
    tokens, usd_micros = _whole_runs(patterns, visits)
    steps = [_step(ask, by_agent[ask.agent], visits[ask.agent]) for ask in asks if ask.agent in by_agent]
    return Forecast(
        steps=tuple(steps),
        tokens=_spread(tokens),
        usd_micros=_spread(usd_micros),
        runs=calibration.runs,
        unpriced=tuple(sorted({ask.model for ask in asks if not ask.is_priced})),
    )


def expected_patterns(structure: Sequence[Pattern], calibration: Calibration) -> list[Pattern]:
    """What runs of the definition visited, and with the weight of two runs what the definition lets expect."""
    seen: dict[Visits, float] = {}
    for pattern in calibration.patterns():
        seen[pattern] = seen.get(pattern, 0.0) + 1.0
    for pattern, share in structure:
        seen[pattern] = seen.get(pattern, 0.0) + PRIOR_WEIGHT * share
    return list(seen.items())


def _whole_runs(patterns: Sequence[Pattern], visits: Mapping[str, _Visit]) -> tuple[Points, Points]:
    """Tokens and money of whole runs; in one run all steps are taken at the same level, which makes `p95` careful."""
    tokens, usd_micros = [], []
    for pattern, weight in patterns:
        known = [(visits[agent], count) for agent, count in pattern if agent in visits]
        for level in range(LEVELS):
            tokens.append((sum(count * (v.inputs[level] + v.outputs[level]) for v, count in known), weight))
            usd_micros.append((sum(count * v.usd_micros[level] for v, count in known), weight))
    return tokens, usd_micros


def _visit(ask: Ask, calibration: Calibration) -> _Visit:
    seen = calibration.visits(ask.agent, ask.bare_model)
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
    return _Visit(inputs, outputs, usd_micros, len(seen))


def _learned(ask: Ask, seen: Sequence[Usage]) -> _Visit:
    """A visit of an agent that asks no model of its own: tools, services, other workflows."""
    money = [(usage.cost_usd_micros, 1.0) for usage in seen]
    is_paid = any(value for value, _ in money)
    return _Visit(
        _levels([(usage.input_tokens, 1.0) for usage in seen]),
        _levels([(usage.output_tokens, 1.0) for usage in seen]),
        _levels(money) if is_paid else (ask.call_micros,) * LEVELS,
        len(seen),
    )


def _step(ask: Ask, visits: Points, visit: _Visit) -> StepForecast:
    weight = sum(part for _, part in visits)
    return StepForecast(
        agent=ask.agent,
        model=ask.model,
        visits=_spread(visits),
        expected_visits=sum(count * part for count, part in visits) / weight,
        input_tokens=_of_levels(visit.inputs),
        is_exact=ask.is_exact,
        output_tokens=_of_levels(visit.outputs),
        usd_micros=_of_levels(visit.usd_micros),
        learned_from=visit.learned_from,
    )


def _levels(points: Points) -> tuple[int, ...]:
    return tuple(quantile(points, (level + 0.5) / LEVELS) for level in range(LEVELS))


def _spread(points: Points) -> Spread:
    return Spread(quantile(points, 0.5), quantile(points, 0.95))


def _of_levels(levels: tuple[int, ...]) -> Spread:
    return _spread([(value, 1.0) for value in levels])
