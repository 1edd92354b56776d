"""Canonical JSON: one value, one spelling, and nothing is lost by reading it back."""

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.domain.canonical import MAX_DEPTH, Json, encode, kept, parse
from runtime.errors import Invalid
from tests.properties.values import VALUES, is_same


@given(VALUES)
@example(1e20)
@example(-(2.0**53))
@example(3.654942028661765e16)
@example([1e16, {"a": 123456789012345680000.0}])
def test_reading_and_writing_again_gives_the_same_bytes(value: Json) -> None:
    """A value that was kept once can be kept again: an output becomes the next step's input."""
    written = encode(value)
    assert written == encode(parse(written))


@given(VALUES)
@example({"a": [1.0, -0.0, 1e300]})
def test_a_kept_value_is_what_a_reader_gets_to_the_kind_of_each_number(value: Json) -> None:
    """A live run and the same run after a restart see one value."""
    live, size = kept(value)
    assert is_same(live, parse(encode(value)))
    assert size == len(encode(value))


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_keys_is_irrelevant_at_every_level(value: Json, random: Random) -> None:
    """Two programs that build one object differently sign one document."""

    def shuffled(value: Json) -> Json:
        if isinstance(value, dict):
            members = [(key, shuffled(item)) for key, item in value.items()]
            random.shuffle(members)
            return dict(members)
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert encode(value) == encode(shuffled(value))


@given(VALUES, st.integers(1, 2 * MAX_DEPTH))
@example(0.5, MAX_DEPTH + 1)
def test_depth_is_bounded_whatever_stands_beside_it(neighbour: Json, depth: int) -> None:
    """The reference encoder knows no limit; a value that needs it must not be a way around ours."""
    value: Json = []
    for _ in range(depth - 1):
        value = [value]
    whole: list[Json] = [1.0, neighbour, value]
    try:
        written = encode(whole)
    except Invalid:
        assert depth + 1 > MAX_DEPTH
    else:
        assert depth + 1 <= MAX_DEPTH
        assert encode(parse(written)) == written


@pytest.mark.parametrize("digits", [308, 309, 4_301, 100_000])
def test_a_number_of_any_length_is_read_or_refused(digits: int) -> None:
    """Python itself refuses to read 4,300 digits, with an error of its own."""
    text = "9" * digits
    if digits <= 308:
        assert parse(text) == int(text)
        return
    with pytest.raises(Invalid, match="number_too_large"):
        parse(text)


def test_an_integer_that_no_double_spells_is_refused_and_not_rounded() -> None:
    """An account number must not become another one."""
    assert parse("9007199254740993") == 2**53 + 1
    with pytest.raises(Invalid, match="safe integer"):
        encode(parse("9007199254740993"))
