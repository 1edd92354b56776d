"""JSON values as they come from people and services, the awkward ones included."""

from typing import cast

from hypothesis import strategies as st

from runtime.domain.canonical import MAX_INTEGER, Json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
"""Any text that UTF-8 can hold."""
NUMBERS = st.integers(-MAX_INTEGER, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)
"""Whole floats, negative zero, tiny and huge ones included: they have another kind behind their canonical spelling."""
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES: st.SearchStrategy[Json] = st.recursive(
    cast("st.SearchStrategy[Json]", SCALARS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def is_same(left: object, right: object) -> bool:
    """Equal, to the kind of every number: 1 and 1.0 decide differently in a condition."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):  # JSON has one kind of list
        return len(left) == len(right) and all(map(is_same, left, right))
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(left[key], right[key]) for key in left)
    return left == right
