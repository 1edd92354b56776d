"""Readings of a text whose writer spelt things so that a machine would not see them: `four one one`, `a n n a`, rot13.

Each is looked for by a mark that plain texts do not have, so that those are not read twice.
"""

import codecs
from collections.abc import Callable, Iterator
from functools import partial

import re2

from redaction.search import Patterns

_DIGITS = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "null": "0", "eins": "1", "zwei": "2", "drei": "3", "vier": "4", "fünf": "5",
    "sechs": "6", "sieben": "7", "acht": "8", "neun": "9", "uno": "1",
    "dos": "2", "tres": "3", "cuatro": "4", "cinco": "5",
    "seis": "6", "siete": "7", "ocho": "8", "nueve": "9", "cero": "0",
}  # fmt: skip
_TIMES = {"double": 2, "triple": 3, "doppel": 2, "doble": 2}
_NAMES = "|".join(sorted([*_DIGITS, *_TIMES], key=len, reverse=True))
_SPELT = re2.compile(rf"(?i)\b(?:(?:{_NAMES})[ ,.\-\n]{{1,3}}){{5,}}(?:{_NAMES})\b")
_SPELT_WORD = re2.compile(rf"(?i)(?:{_NAMES})")
_SPACED = re2.compile(r"(?:^|[^A-Za-z0-9])((?:[^\s] ){5,}[^\s])(?:[^A-Za-z0-9]|$)")
_BETWEEN = re2.compile(
    r"(?i)[0-9]{2,}(?:[ ,]{1,2}(?:(?:and|then|next|finally|followed by|dash|hyphen|space|und|dann|y|luego)"
    r"[ ,:]{1,2}){1,3}[0-9]{2,})+"
)
_ROT13 = re2.compile(
    r"(?i)\b(?:cnffjbeq|frperg|gbxra|rznvy|cubar|pneq|anzr|nqqerff|cngvrag|zl|gur|naq|vf|lbhe"
    r"|sbe|jvgu|ahzore|ff a|nppbhag)\b"
)
_REVERSED = re2.compile(
    r"(?i)\b(?:drac|drowssap|terces|nekot|liame|enohp|eman|sserdda|tneitap|ym|eht|dna|si|ruoy|rof"
    r"|htiw|rebmun|tnuocca|nss|moc)\b"
)
_ENOUGH = 2
_HEXED = re2.compile(r"\b[0-9A-Fa-f]{2}(?:[ :][0-9A-Fa-f]{2}){7,}\b")
_CODES = re2.compile(r"\b(?:1[01][0-9]|12[0-6]|[3-9][0-9])(?:[ ,]{1,2}(?:1[01][0-9]|12[0-6]|[3-9][0-9])){9,}\b")

Reading = tuple[str, list[int], list[int]]
"""The text, and where each of its characters begins and ends in what was given."""


def disguises(text: str) -> Iterator[Reading]:
    """The readings of a text besides the plain one; mostly none."""
    for pattern in _MARKS.in_text(text):
        reading = _READERS[pattern](text)
        if reading is not None:
            yield reading


def _turned(text: str) -> Reading | None:
    """Rot13 undone."""
    if sum(1 for _ in _ROT13.finditer(text)) < _ENOUGH:
        return None
    return codecs.encode(text, "rot13"), list(range(len(text))), list(range(1, len(text) + 1))


def _reversed(text: str) -> Reading | None:
    if sum(1 for _ in _REVERSED.finditer(text)) < _ENOUGH:
        return None
    return text[::-1], list(range(len(text) - 1, -1, -1)), list(range(len(text), 0, -1))


def _replaced(text: str, pattern: "re2._Regexp[str]", plain: Callable[[str], str]) -> Reading | None:
    pieces, starts, ends, at = list[str](), list[int](), list[int](), 0
    is_changed = False
    for match in pattern.finditer(text):
        low, high = match.span(1 if pattern.groups else 0)
        new = plain(text[low:high])
        is_changed = is_changed or new != text[low:high]
        pieces += (text[at:low], new)
        starts += (*range(at, low), *([low] * len(new)))
        ends += (*range(at + 1, low + 1), *([high] * len(new)))
        at = high
    if not at or not is_changed:
        return None
    starts += range(at, len(text))
    ends += range(at + 1, len(text) + 1)
    return "".join([*pieces, text[at:]]), starts, ends


def _digits_of(run: str) -> str:
    out, times = "", 1
    for match in _SPELT_WORD.finditer(run):
        word = match.group().lower()
        if word in _TIMES:
            times = _TIMES[word]
        else:
            out += _DIGITS[word] * times
            times = 1
    return out


def _closed(run: str) -> str:
    """`a n n a` as one word."""
    return run.replace(" ", "")


def _joined(run: str) -> str:
    digits = "".join(char if char.isdigit() else " " for char in run)
    return " ".join(digits.split())


def _unhexed(run: str) -> str:
    plain = bytes.fromhex(run.replace(" ", "").replace(":", "")).decode("latin-1")
    return plain if plain.isprintable() else run


def _of_codes(run: str) -> str:
    return "".join(chr(int(code)) for code in run.replace(",", " ").split())


_READERS: "dict[re2._Regexp[str], Callable[[str], Reading | None]]" = {
    _SPELT: partial(_replaced, pattern=_SPELT, plain=_digits_of),
    _SPACED: partial(_replaced, pattern=_SPACED, plain=_closed),
    _BETWEEN: partial(_replaced, pattern=_BETWEEN, plain=_joined),
    _HEXED: partial(_replaced, pattern=_HEXED, plain=_unhexed),
    _CODES: partial(_replaced, pattern=_CODES, plain=_of_codes),
    _ROT13: _turned,
    _REVERSED: _reversed,
}
_MARKS = Patterns(_READERS)
