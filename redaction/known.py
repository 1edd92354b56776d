"""Values that are known to be secret, held in memory, and what is done where one turns up. Writes nothing anywhere.

A value is looked for as it is, and as JSON, a URL, base64 or hex would spell it, also inside a longer text in base64,
such as the header of `user:password`.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

import re2

from runtime.domain.canonical import Json
from runtime.domain.secret import MIN_CHARACTERS

WHOLE_WORD_BELOW = 8
"""Characters of a value that is looked for between other signs than letters and digits, else it is in many words."""
_AT_ONCE = 500
"""Spellings of one automaton."""
_AUTOMATON_BYTES = 2**27
_MIN_CORE = 8
"""Characters of base64 that tell a value from chance."""


class KnownSecrets:
    """The registry of one process. Adding and masking may happen in any thread."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """Every spelling → the name of its secret."""
        self._values: frozenset[tuple[str, str]] = frozenset()
        self._patterns: tuple[re2.Pattern[str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self._values)

    def add(self, name: str, value: str) -> None:
        """Mask a value from now on. `name`: what stands in its place, `[SECRET:NAME]`; never the value."""
        self.add_all([(name, value)])

    def add_all(self, named: Iterable[tuple[str, str]]) -> None:
        """The same for many."""
        values = self._values | {(name, value) for name, value in named if len(value) >= MIN_CHARACTERS}
        if values == self._values:
            return
        self._values = values
        self._names = {spelling: name for name, value in sorted(self._values) for spelling in _spellings(value)}
        ordered = sorted(self._names, key=len, reverse=True)  # the longest first: it hides all of a value
        self._patterns = tuple(
            re2.compile("|".join(map(_expression, ordered[first : first + _AT_ONCE])), _options())
            for first in range(0, len(ordered), _AT_ONCE)
        )

    def mask_text(self, text: str) -> str:
        """The text with a mark in the place of every value."""
        if not self._patterns:
            return text
        for pattern in self._patterns:
            try:
                found = pattern.search(text)
            except UnicodeEncodeError:  # a lone surrogate, which the automaton can't read
                text = text.encode("utf-8", "replace").decode()
                found = pattern.search(text)
            if found is not None:
                text = pattern.sub(self._mark, text)
        return text

    def mask(self, value: Json) -> Json:
        """The same for every text in a JSON value, keys too; the value itself where nothing is in it."""
        return self._masked(value) if self._patterns else value

    def _masked(self, value: Json) -> Json:
        match value:
            case str():
                return self.mask_text(value)
            case dict():
                found = {self.mask_text(key): self._masked(inner) for key, inner in value.items()}
                return found if found != value else value
            case list() | tuple():
                masked = [self._masked(inner) for inner in value]
                return masked if masked != list(value) else value
            case int() if len(str(value)) >= MIN_CHARACTERS and self.mask_text(str(value)) != str(value):
                return self.mask_text(str(value))
            case _:
                return value

    def _mark(self, found: "re2.Match[str]") -> str:
        return f"[SECRET:{self._names.get(found.group(), '')}]"


def _options() -> "re2.Options":
    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES
    options.log_errors = False  # it would print the pattern
    return options


def _expression(spelling: str) -> str:
    escaped = re2.escape(spelling)
    if len(spelling) >= WHOLE_WORD_BELOW:
        return str(escaped)
    starts = r"\b" if _is_word(spelling[0]) else ""
    ends = r"\b" if _is_word(spelling[-1]) else ""
    return f"{starts}{escaped}{ends}"


def _is_word(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())


def _spellings(value: str) -> Iterator[str]:
    """The value as it may be written somewhere."""
    yield value
    for spelled in (
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
        repr(value)[1:-1],
    ):
        if spelled != value:
            yield spelled
    content = value.encode("utf-8", "replace")
    yield content.hex()
    yield content.hex().upper()
    for offset in range(3):
        yield from _in_base64(content, offset)


def _in_base64(content: bytes, offset: int) -> Iterator[str]:
    """What base64 makes of it whatever stands around it, that many bytes behind a multiple of three."""
    whole = base64.b64encode(b"\0" * offset + content).decode()
    first = {0: 0, 1: 2, 2: 3}[offset]  # signs that the bytes before decide too
    core = whole[first:].rstrip("=")
    if (offset + len(content)) % 3:
        core = core[:-1]  # its last bits depend on what comes behind
    if len(core) >= _MIN_CORE:
        yield core
        url = core.replace("+", "-").replace("/", "_")
        if url != core:
            yield url
