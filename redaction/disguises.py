"""Readings of a text whose writer spelt things so that a machine would not see them: `four one one`, `a n n a`, rot13.

Each is looked for by a mark that plain texts do not have, so that those are not read twice.
"""

import base64
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
    "zéro": "0", "un": "1", "une": "1", "deux": "2", "trois": "3", "quatre": "4", "cinq": "5", "sept": "7", "huit": "8",
    "neuf": "9", "due": "2", "tre": "3", "quattro": "4", "cinque": "5", "sei": "6", "sette": "7", "otto": "8",
    "nove": "9", "nul": "0", "een": "1", "één": "1", "twee": "2", "drie": "3", "vijf": "5", "zes": "6", "zeven": "7",
    "negen": "9", "um": "1", "dois": "2", "três": "3", "quatro": "4", "sete": "7", "oito": "8", "jeden": "1",
    "dwa": "2", "trzy": "3", "cztery": "4", "pięć": "5", "sześć": "6", "siedem": "7", "osiem": "8", "dziewięć": "9",
    "ett": "1", "två": "2", "fyra": "4", "fem": "5", "sju": "7", "åtta": "8", "nio": "9", "noll": "0", "zwo": "2",
}  # fmt: skip
_TIMES = {"double": 2, "triple": 3, "doppel": 2, "doble": 2, "doppio": 2, "dubbel": 2}
_NAMES = "|".join(sorted([*_DIGITS, *_TIMES], key=len, reverse=True))
_SPELT = re2.compile(
    rf"(?i)\b(?:(?:{_NAMES})[ ,.\-\n]{{1,3}})(?:(?:{_NAMES}|[0-9]{{1,5}})[ ,.\-\n]{{1,3}}){{4,}}(?:{_NAMES}"
    rf"|[0-9]{{1,5}})\b"
)
_SPELT_WORD = re2.compile(rf"(?i)(?:{_NAMES}|[0-9]+)")
_TYPED = re2.compile(r"\b[0-9OoIlSZB]{13,19}\b")
_AS_TYPED = str.maketrans("OoIlSZB", "0011528")
_FEWEST_DIGITS = 9
_BYTES = re2.compile(r"\b0x[0-9A-Fa-f]{2}(?:[ ,]{1,2}0x[0-9A-Fa-f]{2}){5,}\b")
_QUARTERS = re2.compile(r"(?:^|[^A-Za-z0-9+/])((?:[A-Za-z0-9+/]{4} ){4,}[A-Za-z0-9+/]{2,4}={0,2})(?:[^A-Za-z0-9+/]|$)")
_PASTED = re2.compile(
    r"[A-Za-z0-9+/_\-]{6}[\"'`][ \t]{0,2}(?:[+&.]|\.\.)?[ \t]{0,2}\\?\r?\n?[ \t]{0,12}[\"'`][A-Za-z0-9+/_\-]{6}"
)
"""A text that a program puts together: `"abc" + "def"`."""
_RICH = re2.compile(r"\\[a-z]{1,24}(?:-?[0-9]{1,6})? ?|[{}]")
_RTF = re2.compile(r"\{\\rtf")
_ASCII85 = re2.compile(r"<~[!-uz\s]+~>")
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
_TELLING = re2.compile(r"[0-9][0-9 \-]{7,}[0-9]|@")
"""What makes one such word enough."""
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
    enough = 1 if _TELLING.search(text) else _ENOUGH
    if sum(1 for _ in _REVERSED.finditer(text)) < enough:
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
            out += _DIGITS.get(word, word) * times
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


def _typed(run: str) -> str:
    """Digits for the letters that look like them, where most are digits."""
    return run.translate(_AS_TYPED) if sum(map(str.isdigit, run)) >= _FEWEST_DIGITS else run


def _of_bytes(run: str) -> str:
    return "".join(chr(int(byte, 16)) for byte in run.replace(",", " ").split())


def _unquartered(run: str) -> str:
    """Base64 in groups of four; words of four letters stay, also one before it or behind it."""
    groups = run.split(" ")
    for first, last in ((0, len(groups)), (0, len(groups) - 1), (1, len(groups)), (1, len(groups) - 1)):
        try:
            plain = base64.b64decode("".join(groups[first:last]), validate=True).decode()
        except ValueError:
            continue
        if plain.isprintable():
            return " ".join([*groups[:first], plain, *groups[last:]])
    return run


def _unpasted(run: str) -> str:
    return "".join(char for char in run if char.isalnum() or char in "/_-")


def _plainly(run: str) -> str:
    """Nothing for a command of rich text, but a new line for those that end one."""
    return "\n" if run.startswith(("\\par", "\\line", "\\cell", "\\row")) else ""


def _of_ascii85(run: str) -> str:
    try:
        plain = base64.a85decode(run, adobe=True).decode()
    except ValueError:
        return run
    return plain if plain.isprintable() else run


def _unformatted(text: str) -> Reading | None:
    return _replaced(text, _RICH, _plainly) if "{\\rtf" in text else None


_READERS: "dict[re2._Regexp[str], Callable[[str], Reading | None]]" = {
    _SPELT: partial(_replaced, pattern=_SPELT, plain=_digits_of),
    _SPACED: partial(_replaced, pattern=_SPACED, plain=_closed),
    _BETWEEN: partial(_replaced, pattern=_BETWEEN, plain=_joined),
    _HEXED: partial(_replaced, pattern=_HEXED, plain=_unhexed),
    _CODES: partial(_replaced, pattern=_CODES, plain=_of_codes),
    _TYPED: partial(_replaced, pattern=_TYPED, plain=_typed),
    _BYTES: partial(_replaced, pattern=_BYTES, plain=_of_bytes),
    _QUARTERS: partial(_replaced, pattern=_QUARTERS, plain=_unquartered),
    _PASTED: partial(_replaced, pattern=_PASTED, plain=_unpasted),
    _ASCII85: partial(_replaced, pattern=_ASCII85, plain=_of_ascii85),
    _RTF: _unformatted,
    _ROT13: _turned,
    _REVERSED: _reversed,
}
_MARKS = Patterns(_READERS)
