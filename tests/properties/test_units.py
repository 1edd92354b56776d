"""Quantities: what is written is read as the same number, and nothing else is read at all."""

import contextlib
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.units import (
    BYTES,
    LONGEST_MS,
    MILLISECONDS,
    dollars,
    milliseconds,
    size_bytes,
    usd_micros,
)

MICROS = st.integers(0, 10**15)
SPACES = st.sampled_from(["", " ", "  "])


@given(MICROS)
def test_an_amount_that_was_written_is_read_as_itself(micros: int) -> None:
    """Budgets are compared to the micro-dollar."""
    text = dollars(micros)
    assert [micros] * 3 == [usd_micros(text), usd_micros(f"${text}"), usd_micros(f"{text} USD")]


@given(st.integers(1, LONGEST_MS), st.sampled_from(sorted(MILLISECONDS)), SPACES)
def test_a_duration_is_the_same_in_every_unit(ms: int, unit: str, space: str) -> None:
    """Ten years to the millisecond, as fractions of days too."""
    amount = Decimal(ms) / MILLISECONDS[unit]
    if amount * MILLISECONDS[unit] == ms:  # a third of a day has no end
        assert ms == milliseconds(f"{amount:f}{space}{unit}")


@given(st.integers(1, 10**15), st.sampled_from(sorted(BYTES)), SPACES)
def test_a_size_is_its_number_times_its_unit(number: int, unit: str, space: str) -> None:
    """Powers of ten and of two are told apart."""
    assert number * BYTES[unit] == size_bytes(f"{number}{space}{unit}")


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2))
def test_anything_else_is_a_value_error_and_nothing_worse(value: object) -> None:
    """What parses is in range; the loader turns the error into a problem with its line."""
    with contextlib.suppress(ValueError):
        assert 1 <= milliseconds(value) <= LONGEST_MS
    with contextlib.suppress(ValueError):
        assert 0 <= usd_micros(value) <= 10**15
    with contextlib.suppress(ValueError):
        assert size_bytes(value) > 0
