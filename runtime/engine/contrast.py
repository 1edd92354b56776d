"""What was different in the runs that succeeded: a failed run's facts beside theirs. Pure.

A fact is told when no run that succeeded had it, and theirs agree enough to mean something: one value, a handful, or a
range that this one is far outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import StepId, state_of
from runtime.domain.run import RunState, StepState

Fact: TypeAlias = bool | int | float | str | None
MAX_DEPTH = 3
MAX_FACTS = 200
MAX_TEXT = 60
"""Longer texts are told apart by their length alone."""
FEW = 3
"""Values that are still worth naming."""
FAR = 1.5
"""Factor by which a number must be outside what is usual."""
LEAST_MS = 100
"""Shorter durations are all alike."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that no run that succeeded had."""

    what: str
    """`input.language`, `length of input.message`, `search: hits`."""
    here: Fact | msgspec.UnsetType = msgspec.UNSET
    """Not set where it has no such thing."""
    there: str
    """What the others had, in words; empty: they had no such thing."""
    weight: int = 0
    """How much it says; the heaviest first."""
    usual: Fact | msgspec.UnsetType = msgspec.UNSET
    """What to suppose in its place: what the newest of the others had; not set where nothing can be supposed."""


def differences(failed: RunState, succeeded: Sequence[RunState], *, until_us: int) -> list[Difference]:
    """What no run that succeeded had, heaviest first; `until_us`: when it first went wrong."""
    if not succeeded:
        return []
    here = facts_of(failed, until_us)
    there = [facts_of(state, state.ended_us) for state in succeeded]
    visited = {name for state in succeeded for name in state.path}
    found = [
        difference
        for what, value in here.items()
        if (difference := _difference(what, value, [facts[what] for facts in there if what in facts], len(there)))
    ]
    found += _missing(here, there)
    order = {what: place for place, what in enumerate(here)}
    found += [
        Difference(what="went through", here=name, there="", weight=3)
        for name in dict.fromkeys(failed.path)
        if name not in visited and _entered_us(failed, name) <= until_us
    ]
    named = {each.what for each in found}
    # a text that is named need not be measured as well
    telling = [each for each in found if each.what.removeprefix("length of ") not in named - {each.what}]
    telling.sort(key=lambda each: order.get(each.what, order.get(f"{_step(each.what)}: attempts", 0)))
    return _once(sorted(telling, key=lambda each: -each.weight))


def _once(found: Sequence[Difference]) -> list[Difference]:
    """Without what a step only handed on: the same value under the same name."""
    known: dict[tuple[object, ...], Difference] = {}
    for each in found:
        measure, _, path = each.what.rpartition(" ")
        known.setdefault((measure, path.rpartition(".")[2], str(each.here), each.there), each)
    return list(known.values())


def facts_of(state: RunState, until_us: int) -> dict[str, Fact]:
    """What is told apart: who asked, the input, and of each step that answered until then what it said and took."""
    facts: dict[str, Fact] = {"asked by": state.actor, "role": state.role or ""}
    facts |= dict(_flat("input", state.input, 0))
    for step in state.steps.values():
        if step.status == "succeeded" and step.ended_us <= until_us and "~" not in step.step:
            facts |= dict(_of_step(step))
    return dict(list(facts.items())[:MAX_FACTS])


def _of_step(step: StepState) -> Iterator[tuple[str, Fact]]:
    name = state_of(step.step)
    yield from _flat(f"{name}.result", step.output, 1)
    yield f"{name}: attempts", step.attempt
    yield f"{name}: took ms", step.duration_ms if step.duration_ms >= LEAST_MS else 0
    yield f"{name}: tokens in", step.usage.input_tokens
    evidence = step.evidence or {}
    for key in ("model", "backend"):
        if isinstance(evidence.get(key), str):
            yield f"{name}: {key}", str(evidence[key])


def _flat(name: str, value: Json, depth: int) -> Iterator[tuple[str, Fact]]:
    if isinstance(value, Mapping):
        if depth < MAX_DEPTH:
            for key, inner in value.items():
                yield from _flat(f"{name}.{key}", inner, depth + 1)
    elif isinstance(value, list):
        yield f"items in {name}", len(value)
    elif isinstance(value, str):
        if len(value) <= MAX_TEXT:
            yield name, value
        yield f"length of {name}", len(value)
    else:
        yield name, value


def _difference(what: str, value: Fact, others: Sequence[Fact], runs: int) -> Difference | None:
    if not others:  # no run that succeeded has said such a thing
        return Difference(what=what, here=value, there="", weight=1) if what.startswith("input") else None
    if value in others:
        return None
    usual = others[0] if _can_be_supposed(what) else msgspec.UNSET
    known = list(dict.fromkeys(others))
    if _kind(value) not in {_kind(other) for other in others}:
        return Difference(what=what, here=value, there=_range(known), weight=5 if runs > 1 else 3, usual=usual)
    numbers = [other for other in others if _is_number(other)]
    if _is_number(value) and len(numbers) == len(others):
        found = _out_of_range(what, value, numbers)  # type: ignore[arg-type]  # it is one
        return None if found is None else msgspec.structs.replace(found, usual=usual)
    if len(known) > FEW or (len(known) == len(others) > 1):  # of free texts each one is its own
        return None
    weight = 4 if len(known) == 1 and runs > 1 else 2
    return Difference(what=what, here=value, there=_listed(known), weight=weight, usual=usual)


def _out_of_range(what: str, value: float, others: Sequence[Fact]) -> Difference | None:
    low, high = min(others), max(others)  # type: ignore[type-var]  # numbers
    assert isinstance(low, int | float), "numbers"
    assert isinstance(high, int | float), "numbers"
    is_time = what.endswith(": took ms")  # machines are busy at times, and what is quicker is no worse
    is_far = value > high * FAR * (2 if is_time else 1) + 1 or (value < low / FAR - 1 and not is_time)
    if low == high and not is_far:
        return Difference(what=what, here=value, there=f"{low:g}", weight=2) if what.startswith("items") else None
    if not is_far:
        return None
    times = (value + 1) / (high + 1) if value > high else (low + 1) / (max(value, 0) + 1)
    usual = f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"
    return Difference(what=what, here=value, there=usual, weight=3 if times >= 2 * FAR else 2)


def _missing(here: Mapping[str, Fact], there: Sequence[Mapping[str, Fact]]) -> Iterator[Difference]:
    """What every run that succeeded was given, or had in a step's answer, and this one had not."""
    if len(here) == MAX_FACTS:  # what is not among them may be there all the same
        return
    common = set(there[0]).intersection(*there[1:])
    for what in sorted(common - here.keys()):
        path = what.removeprefix("items in ")
        if not _can_be_supposed(path) or f"length of {path}" in here:
            continue
        is_given = path.startswith("input")
        if not is_given and f"{_step(path)}: attempts" not in here:
            continue
        weight = 5 if is_given or len(there) > 1 else 3
        if path != what:
            yield Difference(what=path, here=here.get(path, msgspec.UNSET), there="a list", weight=weight)
        elif f"items in {path}" not in here:
            known = list(dict.fromkeys(facts[what] for facts in there))
            yield Difference(what=what, there=_range(known), weight=weight, usual=there[0][what])


def _can_be_supposed(what: str) -> bool:
    """Whether it is a place in the input or an answer, and not something measured."""
    return " " not in what and (what.startswith("input") or ".result" in what)


def _step(what: str) -> str:
    """The step that a fact is of."""
    return what.rpartition(" in ")[2].rpartition(" of ")[2].partition(".result")[0].partition(":")[0]


def _entered_us(state: RunState, name: str) -> int:
    step = state.steps.get(StepId(name))
    return state.started_us if step is None else step.scheduled_us


def _range(known: Sequence[Fact]) -> str:
    """What there is, in words, however many there are."""
    if len(known) <= FEW:
        return _listed(known)
    numbers = [value for value in known if isinstance(value, int | float) and not isinstance(value, bool)]
    return f"{min(numbers):,g} to {max(numbers):,g}" if len(numbers) == len(known) else f"{len(known)} values"


def _listed(values: Sequence[Fact]) -> str:
    return ", ".join(_spelt(value) for value in values)


def _spelt(value: Fact) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:,g}" if isinstance(value, int | float) else f"'{value}'"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Fact) -> str:
    return "number" if _is_number(value) else type(value).__name__
