"""Points of a run, and what is different between two values."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.canonical import Json
from runtime.domain.event import RunStarted, TimerFired
from runtime.domain.history import Change, changes, seq_at
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.journal import Entry
from runtime.errors import Invalid

RUN = RunId("r-01kafx8m7q0000000000000001")
NOON_US = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z
ENTRIES = [
    Entry(1, NOON_US, RunStarted(workflow="w", definition=DefinitionHash("d"), input={})),
    Entry(2, NOON_US, TimerFired(timer="a")),
    Entry(3, NOON_US + 1_500_000, TimerFired(timer="b")),
]
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("at", "seq"),
    [
        ("", 3),
        ("1", 1),
        ("3", 3),
        ("2026-01-31T12:00:00Z", 2),
        ("2026-01-31T13:00:01.499999+01:00", 2),
        ("2026-01-31T12:00:01.5Z", 3),
        ("2030-01-01T00:00:00Z", 3),
    ],
)
def test_a_point_is_a_number_or_an_instant(at: str, seq: int) -> None:
    """An instant means the last entry until then, all of one append."""
    assert seq == seq_at(RUN, ENTRIES, at)


@pytest.mark.parametrize(
    "at", ["0", "4", "-1", "x", "9" * 40, "٣", "2026-01-31T11:59:59Z", "2026-01-31T12:00:00", "1.5"]
)
def test_a_point_that_is_none_is_refused(at: str) -> None:
    """Never the nearest one: whoever looks at the wrong point draws the wrong conclusion."""
    with pytest.raises(Invalid, match=r"run\.no_such_point"):
        seq_at(RUN, ENTRIES, at)


@given(JSON, JSON)
def test_changes_lead_from_one_value_to_the_other(before: Json, after: Json) -> None:
    """Nothing is left out, and nothing is named that is equal."""
    found = changes(before, after)
    assert (before == after) is (found == [])
    value = before
    for change in found:
        value = _changed(value, change)
    assert value == after


def _changed(value: Json, change: Change) -> Json:
    if not change.path:
        return change.after  # type: ignore[return-value]  # a value was there before and after
    assert isinstance(value, dict)
    (key, *rest) = change.path
    if rest:
        return {**value, key: _changed(value[key], msgspec.structs.replace(change, path=tuple(rest)))}
    if change.after is msgspec.UNSET:
        return {name: each for name, each in value.items() if name != key}
    return {**value, key: change.after}
