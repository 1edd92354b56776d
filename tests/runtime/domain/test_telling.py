"""What a command wants, in words for a line of a screen."""

import pytest

from runtime.domain.command import KeepTree
from runtime.domain.telling import decided
from runtime.domain.tree import TreeMemory


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ("rrsfi", "2 running, 1 succeeded, 1 failed of 5 nodes"),
        ("iis", "1 succeeded of 3 nodes"),
        ("ii", "none under way of 2 nodes"),
    ],
)
def test_a_trees_memory_is_told_by_numbers(statuses: str, told: str) -> None:
    """A row of letters says nothing to whoever reads it at night."""
    assert told == decided(KeepTree(memory=TreeMemory(statuses=statuses)))
