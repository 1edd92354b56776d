"""The circuit breaker: a pure machine, so every promise is a sum over times."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.resilience.breaker import (
    CLOSED,
    Breaker,
    BreakerRule,
    abandoned,
    allows,
    began,
    failed,
    rest_s,
    state,
    succeeded,
)

RULE = BreakerRule(failures=3, window_s=10.0, rest_s=5.0, longest_rest_s=18.0)


def opened(at_s: float = 0.0) -> Breaker:
    breaker = CLOSED
    for _ in range(RULE.failures):
        breaker = failed(breaker, at_s, RULE)
    return breaker


def test_it_opens_at_so_many_failures_and_not_before() -> None:
    twice = failed(failed(CLOSED, 0, RULE), 1, RULE)
    assert state(twice, 1, RULE) == "closed"
    assert state(failed(twice, 2, RULE), 2, RULE) == "open"


def test_failures_far_apart_do_not_add_up() -> None:
    """A server that fails once an hour is no broken one."""
    breaker = CLOSED
    for hour in range(10):
        breaker = failed(breaker, hour * 3_600, RULE)
    assert state(breaker, 36_000, RULE) == "closed"


def test_a_success_between_them_forgets_them() -> None:
    breaker = failed(failed(CLOSED, 0, RULE), 1, RULE)
    assert state(failed(succeeded(breaker), 2, RULE), 2, RULE) == "closed"


def test_an_open_one_lets_nothing_through_until_it_has_rested() -> None:
    breaker = opened(at_s=100)
    assert not allows(breaker, 104.9, RULE)
    assert rest_s(breaker, 101, RULE) == 4
    assert allows(breaker, 105, RULE)
    assert state(breaker, 105, RULE) == "half_open"


def test_one_trial_at_a_time() -> None:
    """Thirty-two clients must not all try out whether a server is back."""
    breaker = began(opened(), 5)
    assert not allows(breaker, 6, RULE)
    assert allows(abandoned(breaker), 6, RULE)


def test_a_trial_of_which_nothing_is_heard_does_not_block_for_ever() -> None:
    assert allows(began(opened(), 5), 10, RULE)


def test_a_trial_that_succeeds_closes_it() -> None:
    assert succeeded(began(opened(), 5)) == CLOSED


def test_each_trial_that_fails_doubles_the_rest_up_to_the_longest() -> None:
    breaker, now_s, rests = opened(), 0.0, []
    for _ in range(4):
        rest = rest_s(breaker, now_s, RULE)
        rests.append(rest)
        now_s += rest
        breaker = failed(began(breaker, now_s), now_s, RULE)
    assert rests == [5, 10, 18, 18]


def test_late_failures_of_earlier_calls_do_not_prolong_the_rest() -> None:
    assert failed(opened(), 3, RULE) == opened()


@given(
    st.lists(st.tuples(st.sampled_from(["began", "failed", "succeeded", "abandoned"]), st.floats(0, 20)), max_size=60)
)
def test_whatever_happens_it_lets_something_through_in_the_end(steps: list[tuple[str, float]]) -> None:
    """A breaker that stays open for ever has lost a server for good."""
    breaker, now_s = CLOSED, 0.0
    for what, later_s in steps:
        now_s += later_s
        match what:
            case "began" if allows(breaker, now_s, RULE):
                breaker = began(breaker, now_s)
            case "failed":
                breaker = failed(breaker, now_s, RULE)
            case "succeeded":
                breaker = succeeded(breaker)
            case "abandoned":
                breaker = abandoned(breaker)
        assert 0 <= rest_s(breaker, now_s, RULE) <= RULE.longest_rest_s
    assert allows(breaker, now_s + RULE.longest_rest_s, RULE)
