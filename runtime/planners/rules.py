"""A decision table: ordered rules, each with a condition, and a hit policy that says which of those that hold count.

Pure: equal data gives equal rules.
"""

from collections.abc import Mapping, Sequence

from runtime.domain.canonical import Json, kind_in_words
from runtime.domain.event import ErrorInfo
from runtime.domain.rules import Aggregate, HitPolicy, Rule
from runtime.errors import StepFailure
from runtime.planners.conditions import compile_condition


class Table:
    """The rules with their conditions compiled."""

    def __init__(self, rules: Sequence[Rule], policy: HitPolicy) -> None:
        """Raises Invalid for a condition that is none."""
        self._rows = [(rule, compile_condition(rule.when)) for rule in rules]
        self._policy = policy

    def fired(self, data: Mapping[str, Json]) -> list[Rule]:
        """The rules that hold, in order; under `first` the first alone.

        Raises StepFailure where one cannot be decided, or where under `unique` several hold.
        """
        found: list[Rule] = []
        for rule, condition in self._rows:
            verdict = condition.holds(data)
            if isinstance(verdict, ErrorInfo):
                raise StepFailure(verdict.code, f"rule {rule.name!r}: {verdict.message}")
            if not verdict:
                continue
            found.append(rule)
            if self._policy == "first":
                break
        if self._policy == "unique" and len(found) > 1:
            named = ", ".join(repr(rule.name) for rule in found)
            raise StepFailure(
                "rules.not_unique",
                f"the hit policy is 'unique', and {len(found)} rules hold: {named}; "
                "narrow their conditions, or choose another hit_policy",
            )
        return found

    def counting(self, fired: Sequence[Rule]) -> list[Rule]:
        """Of the rules that hold, those whose decision and calls count."""
        if self._policy == "collect":
            return list(fired)
        if self._policy == "priority":
            return sorted(fired, key=lambda rule: -rule.priority)[:1]
        return list(fired[:1])


def aggregated(values: Sequence[Json], how: Aggregate) -> Json:
    """What the decisions come to under `collect`. Raises StepFailure where one is no number, or there is none."""
    if how == "count":
        return len(values)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) != len(values):
        wrong = next(value for value in values if isinstance(value, bool) or not isinstance(value, int | float))
        found = kind_in_words(wrong)
        raise StepFailure("rules.not_a_number", f"'aggregate: {how}' needs decisions that are numbers, found {found}")
    if how == "sum":
        return sum(numbers)
    return min(numbers) if how == "min" else max(numbers)
