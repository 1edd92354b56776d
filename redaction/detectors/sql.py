"""SQL: the columns of an INSERT name what its values are."""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.detectors.tables import entities_of, fits
from redaction.findings import Finding

SCORE = 0.85
_QUOTES = ' `"[]\r\n\t'
_INSERT = re2.compile(
    rb"(?i)\b(?:insert(?: ignore)? into|replace into|copy)\s+[^\s(]{1,80}\s*\((?P<v>[^()]{2,900})\)\s*(?:values)\s*",
    options(),
)
_BARE_INSERT = re2.compile(
    rb"(?i)\b(?:insert(?: ignore)? into|replace into)\s+[`\"\[]?(?P<v>[a-z0-9_.]{1,64})[`\"\]]?\s+values\s*", options()
)
_TABLE = re2.compile(
    rb"(?i)\bcreate table(?: if not exists)?\s+[`\"\[]?(?P<v>[a-z0-9_.]{1,64})[`\"\]]?\s*\(", options()
)
_STATEMENT = re2.compile(rb"(?i)\b(?:values|stdin)\b", options())
_COPY = re2.compile(rb"(?i)\bcopy\s+[^\s(]{1,80}\s*\((?P<v>[^()]{2,900})\)\s*from\s+stdin[^\r\n]*\r?\n", options())
_LONGEST_TABLE = 4_000
"""Characters of a definition that is read."""
_VALUE = re2.compile(
    rb"\s*[(,]\s*(?:[NE]?'(?P<v>(?:[^'\\]|''|\\.)*)'|(?P<w>[^\s,()']{1,200}))\s*(?P<end>\)(?:\s*,)?)?", options()
)


class Sql:
    """Values of statements. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The values of telling columns."""
        if "(" not in text:
            return
        data = latin(text)
        if not _STATEMENT.search(data):
            return
        for match in _INSERT.finditer(data):
            columns = text[match.start(1) : match.end(1)].split(",")
            entities = entities_of([column.strip(_QUOTES) for column in columns])
            if any(entities):
                yield from _rows(text, data, match.end(), entities)
        yield from _copied(text, data)
        tables: dict[str, list[str]] | None = None
        for match in _BARE_INSERT.finditer(data):
            tables = _created(text, data) if tables is None else tables
            entities = tables.get(text[match.start(1) : match.end(1)].lower(), [])
            if any(entities):
                yield from _rows(text, data, match.end(), entities)


def _copied(text: str, data: bytes) -> Iterator[Finding]:
    """The rows of a dump of PostgreSQL: cells between tabs, up to a line with `\\.`."""
    for match, stop in _parted(_COPY, data):
        columns = text[match.start(1) : match.end(1)].split(",")
        entities, at = entities_of([column.strip(_QUOTES) for column in columns]), match.end()
        while at < stop and any(entities) and not text.startswith("\\.", at):
            behind = text.find("\n", at, stop) + 1 or stop
            start = at
            for cell, entity in zip(text[at:behind].rstrip("\r\n").split("\t"), entities, strict=False):
                if fits(entity, cell):
                    yield Finding(start, start + len(cell), entity.lstrip("?!~"), SCORE, "sql_column")
                start += len(cell) + 1
            at = behind


def _parted(pattern: "re2._Regexp[bytes]", data: bytes) -> Iterator[tuple["re2._Match[bytes]", int]]:
    """Every match, and where the next one begins: what belongs to a statement ends there at the latest."""
    before: re2._Match[bytes] | None = None
    for match in pattern.finditer(data):
        if before is not None:
            yield before, match.start()
        before = match
    if before is not None:
        yield before, len(data)


def _created(text: str, data: bytes) -> dict[str, list[str]]:
    """What the columns hold of each table that the text creates, by its name."""
    found = dict[str, list[str]]()
    for match, stop in _parted(_TABLE, data):
        columns, depth = [""], 0
        for char in text[match.end() : min(stop, match.end() + _LONGEST_TABLE)]:
            depth += (char == "(") - (char == ")")
            if depth < 0:
                break
            if char == "," and not depth:
                columns.append("")
            else:
                columns[-1] += char
        names = [next(iter(column.split()), "").strip(_QUOTES) for column in columns]
        found[text[match.start(1) : match.end(1)].lower()] = entities_of(names)
    return found


def _rows(text: str, data: bytes, at: int, entities: list[str]) -> Iterator[Finding]:
    place = 0
    while (match := _VALUE.match(data, at)) is not None and match.end() > at:
        group = 1 if match.start(1) >= 0 else 2
        start, end = match.span(group)
        entity = entities[place] if place < len(entities) else ""
        if fits(entity, text[start:end]):
            yield Finding(start, end, entity.lstrip("?!~"), SCORE, "sql_column")
        is_last = match.start(3) >= 0
        if is_last and not text[match.start(3) : match.end(3)].endswith(","):
            return
        place = 0 if is_last else place + 1
        at = match.end()
