"""Several patterns looked for in one pass: which of them a text holds at all. RE2 only: time is linear in the text."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import re2

Text = TypeVar("Text", str, bytes)


class Patterns(Generic[Text]):
    """Compiled patterns of one kind of text, and an index over all of them."""

    def __init__(self, patterns: "Iterable[re2._Regexp[Text]]") -> None:
        """The patterns have the same options, and at least one is given."""
        self._patterns = tuple(patterns)
        self._index = re2.Set.SearchSet(self._patterns[0].options)
        for pattern in self._patterns:
            self._index.Add(pattern.pattern)
        self._index.Compile()

    def __iter__(self) -> "Iterator[re2._Regexp[Text]]":
        return iter(self._patterns)

    def in_text(self, text: Text) -> "Iterator[re2._Regexp[Text]]":
        """The patterns that stand somewhere in a text, in the order in which they were given."""
        yield from (self._patterns[number] for number in sorted(self._index.Match(text) or ()))
