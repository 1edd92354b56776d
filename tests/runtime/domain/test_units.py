"""Quantities as people write them. A wrong factor here is a wrong budget or a wrong deadline everywhere."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.units import BYTES, LONGEST_MS, MILLISECONDS, dollars, milliseconds, size_bytes, usd_micros

Parser = Callable[[object], int]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("500ms", 500),
        ("2s", 2_000),
        ("10m", 600_000),
        ("10min", 600_000),
        ("4h", 14_400_000),
        ("7d", 604_800_000),
        ("1.5 s", 1_500),
        (" 30s ", 30_000),
        (30, 30_000),
        (0.25, 250),
        (0.0001, 1),
        (LONGEST_MS // 1000, LONGEST_MS),
    ],
)
def test_a_duration_is_read_as_milliseconds(written: object, expected: int) -> None:
    """A bare number counts seconds, and nothing above zero becomes zero: that would mean `no limit`."""
    assert expected == milliseconds(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("$0.01", 10_000), ("0.01 USD", 10_000), (50.0, 50_000_000), (0, 0), ("$50", 50_000_000), (0.1, 100_000)],
)
def test_money_is_read_as_micro_dollars(written: object, expected: int) -> None:
    """Binary fractions must not leak into budgets: 0.1 is exactly 100,000."""
    assert expected == usd_micros(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("512MB", 512_000_000), ("64KiB", 65_536), ("1.5KB", 1_500), ("1GiB", 2**30), (4096, 4096)],
)
def test_a_size_is_read_as_bytes(written: object, expected: int) -> None:
    """MB and MiB differ by five percent, enough to refuse a file that was allowed."""
    assert expected == size_bytes(written)


_NEVER: list[object] = [None, True, False, [], {}, "", "soon", "-1s", -1, "5 parsecs", "٣s", float("nan"), float("inf")]


@pytest.mark.parametrize("parse", [milliseconds, usd_micros, size_bytes])
@pytest.mark.parametrize("written", _NEVER, ids=repr)
def test_what_is_no_quantity_is_a_value_error_that_says_what_is(parse: Parser, written: object) -> None:
    """The loader turns ValueError into a problem with a line; any other exception would end the program."""
    with pytest.raises(ValueError, match=r"^expected "):
        parse(written)


@pytest.mark.parametrize(
    ("parse", "written"),
    [
        (milliseconds, 0),
        (milliseconds, "0s"),
        (milliseconds, "3651d"),
        (milliseconds, "9" * 400 + "d"),
        (size_bytes, 0),
        (size_bytes, "0MB"),
        (size_bytes, "0.1B"),
        (usd_micros, 10**10),
    ],
)
def test_quantities_out_of_range_are_refused(parse: Parser, written: object) -> None:
    """Zero and absurd values are slips of the pen, not limits."""
    with pytest.raises(ValueError, match=r"^expected "):
        parse(written)


@given(st.integers(1, 10_000), st.sampled_from(sorted(MILLISECONDS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    """The law behind the table above."""
    exact = number * MILLISECONDS[unit]
    if exact <= LONGEST_MS:
        assert exact == milliseconds(f"{number}{unit}")


@given(st.integers(1, 10_000), st.sampled_from(sorted(BYTES)))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    """The law behind the table above."""
    assert number * BYTES[unit] == size_bytes(f"{number} {unit}")


@given(st.integers(0, 10**15))
def test_dollars_are_read_back_exactly(micros: int) -> None:
    """What a report prints can be pasted into a budget."""
    assert micros == usd_micros(dollars(micros))


@given(st.decimals(0, 1_000_000, places=6))
def test_money_keeps_every_micro_dollar(amount: Decimal) -> None:
    """Six decimals are kept, whatever binary fraction lies nearest."""
    assert int(amount * 1_000_000) == usd_micros(f"{amount:f}")
