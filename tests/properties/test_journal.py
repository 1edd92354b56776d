"""The journal's format: what is read is what was written, and nothing can be changed unnoticed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.ids import RunId
from runtime.domain.journal import Entry, Row, read, write
from runtime.errors import Corrupt
from tests.properties.bodies import BODIES
from tests.properties.values import is_same

RUN = RunId("r-01kafx8m7q0000000000000001")
LAST_US = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
ENTRIES = st.builds(Entry, st.integers(1, 2**40), st.integers(0, LAST_US), BODIES)


@given(ENTRIES)
def test_an_entry_that_was_read_is_written_as_the_same_row(entry: Entry) -> None:
    """And a second reading gives the same entry, to the kind of each number."""
    row = write(RUN, entry)
    once = read(row)
    assert row == write(RUN, once)
    assert is_same(msgspec.to_builtins(once), msgspec.to_builtins(read(write(RUN, once))))


@given(ENTRIES, st.data())
def test_any_flipped_bit_of_a_row_is_found(entry: Entry, data: st.DataObject) -> None:
    """Whichever column it is in, data and hash included."""
    row = write(RUN, entry)
    field = data.draw(st.sampled_from(row.__struct_fields__))
    with pytest.raises(Corrupt):
        read(msgspec.structs.replace(row, **{field: data.draw(_flipped(getattr(row, field)))}))


@given(ENTRIES, ENTRIES)
def test_no_part_of_one_row_fits_another(left: Entry, right: Entry) -> None:
    """Rows that were exchanged, or moved to another run, are found as well."""
    first, second = write(RUN, left), write(RUN, right)
    for field in Row.__struct_fields__:
        if getattr(first, field) != getattr(second, field):
            with pytest.raises(Corrupt):
                read(msgspec.structs.replace(first, **{field: getattr(second, field)}))


def _flipped(value: int | str | bytes) -> st.SearchStrategy[int | str | bytes]:
    """The value with one bit turned over."""
    if isinstance(value, int):
        return st.integers(0, 62).map(lambda bit: value ^ 1 << bit)
    if isinstance(value, bytes):
        return st.integers(0, 8 * len(value) - 1).map(lambda place: _with_bit(value, place))
    # an ASCII text whose flipped byte is still ASCII, as the database gives it back
    places = [place for place in range(8 * len(value)) if place % 8 != 7]
    return st.sampled_from(places).map(lambda place: _with_bit(value.encode(), place).decode())


def _with_bit(value: bytes, place: int) -> bytes:
    flipped = bytearray(value)
    flipped[place // 8] ^= 1 << place % 8
    return bytes(flipped)
