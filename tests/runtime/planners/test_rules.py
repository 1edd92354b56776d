"""Which rules of a table count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.rules import HIT_POLICIES, HitPolicy, Rule
from runtime.errors import StepFailure
from runtime.planners.rules import Table, aggregated

LEVELS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-3, 3)), min_size=1, max_size=8)
"""Rules by the number from which each holds, and its priority."""


def table(levels: list[tuple[int, int]], policy: HitPolicy) -> Table:
    rules = [Rule(name=f"r{n}", when=f"x >= {level}", priority=p) for n, (level, p) in enumerate(levels)]
    return Table(rules, policy)


def holding(levels: list[tuple[int, int]], x: int) -> list[str]:
    return [f"r{n}" for n, (level, _) in enumerate(levels) if x >= level]


def names(rules: list[Rule]) -> list[str]:
    return [rule.name for rule in rules]


@given(LEVELS, st.integers(-6, 6))
def test_first_takes_the_first_that_holds(levels: list[tuple[int, int]], x: int) -> None:
    assert holding(levels, x)[:1] == names(table(levels, "first").fired({"x": x}))


@given(LEVELS, st.integers(-6, 6))
def test_unique_fails_when_and_only_when_several_hold(levels: list[tuple[int, int]], x: int) -> None:
    """A conflict is an error in the table; no order hides it."""
    expected = holding(levels, x)
    if len(expected) > 1:
        with pytest.raises(StepFailure, match="unique") as caught:
            table(levels, "unique").fired({"x": x})
        assert "rules.not_unique" == caught.value.code
        assert all(repr(name) in caught.value.message for name in expected)
    else:
        assert expected == names(table(levels, "unique").fired({"x": x}))


@given(LEVELS, st.integers(-6, 6))
def test_collect_takes_all_in_their_order(levels: list[tuple[int, int]], x: int) -> None:
    found = table(levels, "collect")
    assert holding(levels, x) == names(found.counting(found.fired({"x": x})))


@given(LEVELS, st.integers(-6, 6))
def test_priority_takes_the_highest_and_of_equals_the_first(levels: list[tuple[int, int]], x: int) -> None:
    found = table(levels, "priority")
    fired = found.fired({"x": x})
    assert holding(levels, x) == names(fired)
    best = max((rule.priority for rule in fired), default=0)
    assert [rule.name for rule in fired if rule.priority == best][:1] == names(found.counting(fired))


@given(LEVELS, st.integers(-6, 6), st.sampled_from(HIT_POLICIES))
def test_equal_data_give_equal_rules(levels: list[tuple[int, int]], x: int, policy: HitPolicy) -> None:
    """Another table, compiled anew, says the same, or fails the same."""

    def outcome() -> list[str] | str:
        try:
            found = table(levels, policy)
            return names(found.counting(found.fired({"x": x})))
        except StepFailure as error:
            return str(error)

    assert outcome() == outcome()


@given(st.permutations(range(5)), st.integers(-6, 6))
def test_what_holds_does_not_depend_on_the_order(order: list[int], x: int) -> None:
    """The order of the rules decides which counts, never which hold."""
    levels = [(n - 2, 0) for n in range(5)]
    shuffled = names(table([levels[n] for n in order], "collect").fired({"x": x}))
    assert sorted(holding(levels, x)) == sorted(f"r{order[int(name[1:])]}" for name in shuffled)


def test_a_rule_that_cannot_be_decided_is_named() -> None:
    """A condition that errs is not false: a missing value must not let a payment through."""
    with pytest.raises(StepFailure, match="rule 'r0'") as caught:
        table([(1, 0)], "first").fired({"x": "text"})
    assert "condition.error" == caught.value.code


def test_a_rule_behind_the_first_hit_is_not_asked() -> None:
    rules = [Rule(name="a", when="x > 0"), Rule(name="b", when="y > 0")]
    assert ["a"] == names(Table(rules, "first").fired({"x": 1}))


def test_collected_decisions_come_to_a_number() -> None:
    assert (6, 1, 3, 3) == tuple(aggregated([1, 2, 3], how) for how in ("sum", "min", "max", "count"))
    assert 2 == aggregated(["a", None], "count")
    with pytest.raises(StepFailure, match="found true or false"):
        aggregated([1, True], "sum")
