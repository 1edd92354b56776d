"""Tables in text: the first row names the columns, and a column's name says what its cells are.

Comma, semicolon, tab and bar separated, quoted or not, with or without prose around them.
"""

from collections.abc import Iterator, Sequence

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.keys import (
    NAMES,
    PERSONAL,
    ROLES,
    among_people,
    entity_of_key,
    fits_among,
    is_plausible,
    may_be_part,
    words_of,
)
from redaction.wording import is_name

SCORE = 0.8
_DELIMITERS = ("\t", "|", ";", ",", "  ")
_MAX_CELLS = 200
_FEWEST = 2
"""Cells of a row that has lost one: a line without a delimiter is none."""
_CODE = re2.compile(r"^(?:return|yield|import|from|def|for|if|elif|while|assert|del|raise|print|let|var|const)\b|[=;]")
"""What stands in lines of programs, and in no name of a column."""
_LONGEST_HEADER = 40
_PEOPLE = NAMES | {"names"}

_APART = re2.compile(rb"[^\s](?: ?[^\s])*", options())
"""A cell of a column that two blanks or more part from the next."""

Cell = tuple[int, int]
"""Start and end."""


class Tables:
    """Cells of columns that matter. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The cells below telling names."""
        if "\n" not in text and "\r" not in text:
            return
        lines = list(_lines(text))
        number, plain = 0, set[str]()
        while number < len(lines) - 1:
            used = 0
            line = text[lines[number][0] : lines[number][1]]
            for delimiter in _DELIMITERS if line not in plain else "":
                if delimiter in line:
                    found, used = _table(text, lines, number, delimiter)
                    yield from found
                    if used:
                        break
            if not used:
                plain.add(line)
                yield from _pair(text, lines[number])
            number += used or 1
        if number < len(lines):
            yield from _pair(text, lines[number])


def _pair(text: str, line: Cell) -> Iterator[Finding]:
    """A row of two cells of which the first names the second."""
    for delimiter in ("|", "\t", "  "):
        cells = _cells(text, *line, delimiter) if delimiter in text[line[0] : line[1]] else []
        if len(cells) == 2:
            (low, high), (start, end) = cells
            name = text[low:high].strip("*`_ .:")
            entity = entity_of_key(name) if _is_header(name) else ""
            if fits(entity, text[start:end]) and (delimiter != "  " or _is_sure(entity, text[start:end])):
                yield Finding(start, end, entity, SCORE, "row", words_of(name)[-1])


def _is_sure(entity: str, value: str) -> bool:
    """Whether a cell that blanks alone part from its name looks like what the name says."""
    return is_name(value) if entity == "PERSON" else any(map(str.isdigit, value))


def _lines(text: str) -> Iterator[Cell]:
    at = 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if bare.strip():
            yield at, at + len(bare)
        at += len(line)


def _table(text: str, lines: Sequence[Cell], first: int, delimiter: str) -> tuple[list[Finding], int]:
    """The finds of the table that begins at a line, and how many lines it has, 0 when there is none."""
    found = list[Finding]()
    header = _cells(text, *lines[first], delimiter)
    names = [text[low:high].strip(" \"'*_") for low, high in header]
    is_code = delimiter == "," and any(map(_CODE.search, names))
    if is_code or not 2 <= sum(map(bool, names)) <= _MAX_CELLS or not all(map(_is_header, names)):
        return found, 0
    entities = entities_of(names)
    if not any(entities):
        return found, 0
    used = 1
    for low, high in lines[first + 1 :]:
        cells = _cells(text, low, high, delimiter)
        is_off = abs(len(cells) - len(names)) > 1 or used == 1 or len(cells) < _FEWEST
        if len(cells) != len(names) and is_off:
            break
        used += 1
        for (start, end), entity, name in zip(cells, entities, names, strict=False):
            value = text[start:end]
            if fits(entity, value):
                found.append(Finding(start, end, entity.lstrip("?!~"), SCORE, "column", words_of(name)[-1]))
    return found, used if used > 1 else 0


def entities_of(names: Sequence[str]) -> list[str]:
    """What each column holds; with a mark before it when the cell has to look like it: `?` a name, `!` a part of one,
    `~` a town or a street."""
    found = [entity_of_key(name) for name in names]
    is_personal = bool(PERSONAL.intersection(found))
    for place, name in enumerate(names):
        if not found[place]:
            found[place] = _beside(name, is_personal, has_names="PERSON" in found)
    return found


def _beside(name: str, is_personal: bool, *, has_names: bool) -> str:
    words = words_of(name)
    if not words:
        return ""
    if has_names and may_be_part(name):
        return "!PERSON"
    if words[-1] in ROLES or "".join(words) in ROLES or (words[-1] in _PEOPLE and is_personal):
        return "?PERSON"
    among = among_people(name) if is_personal else ""
    return f"~{among}" if among else ""


def fits(entity: str, value: str) -> bool:
    """Whether a cell can be what `entities_of` says of its column."""
    if not entity or not value:
        return False
    match entity[0]:
        case "?":
            return is_name(value, least=2)
        case "!":
            return len(value) <= 40 and value.replace("-", "").replace(" ", "").replace("'", "").isalpha()
        case "~":
            return fits_among(entity[1:], value)
        case _:
            is_one = entity in ("PASSWORD", "TOKEN", "API_KEY") and len(value.split()) > 1
            return not is_one and is_plausible(entity, value)


def _is_header(name: str) -> bool:
    has_letter = any(char.isalpha() for char in name)
    is_short = len(name) <= _LONGEST_HEADER and len(name.split()) <= 5 and name.count(":") == 0
    return (
        is_short and (has_letter or name in ("", "#")) and sum(char.isdigit() for char in name) <= 2 and "@" not in name
    )


def _cells(text: str, low: int, high: int, delimiter: str) -> list[Cell]:
    """The cells of a line without quotes and white space around them; a quoted one may hold the delimiter."""
    if delimiter == "  ":
        return [(low + match.start(), low + match.end()) for match in _APART.finditer(latin(text[low:high]))]
    if delimiter == "|":
        while low < high and text[low] in "| ":
            low += 1
        while high > low and text[high - 1] in "| ":
            high -= 1
    cells, at = list[Cell](), low
    while at <= high and len(cells) <= _MAX_CELLS:
        while at < high and text[at] == " ":
            at += 1
        if text[at : at + 1] == '"' and at < high:
            end = text.find('"', at + 1, high)
            while end >= 0 and text[end + 1 : end + 2] == '"':
                end = text.find('"', end + 2, high)
            if end > at:
                cells.append((at + 1, end))
                following = text.find(delimiter, end, high)
                at = following + 1 if following >= 0 else high + 1
                continue
        end = text.find(delimiter, at, high)
        end = high if end < 0 else end
        stop = end
        while stop > at and text[stop - 1] == " ":
            stop -= 1
        cells.append((at, stop))
        at = end + 1
    return cells
