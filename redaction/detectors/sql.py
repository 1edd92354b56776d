"""SQL: the columns of an INSERT name what its values are."""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.keys import entity_of_key, is_plausible

SCORE = 0.85
_INSERT = re2.compile(
    rb"(?i)\b(?:insert(?: ignore)? into|replace into|copy)\s+[^\s(]{1,80}\s*\((?P<v>[^()]{2,900})\)\s*(?:values)\s*",
    options(),
)
_VALUE = re2.compile(
    rb"[(,]?\s*(?:[NE]?'(?P<v>(?:[^'\\]|''|\\.)*)'|(?P<w>[^\s,()']{1,200}))\s*(?P<end>\)(?:\s*,)?)?", options()
)


class Sql:
    """Values of statements. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The values of telling columns."""
        if "(" not in text or "values" not in text.lower():
            return
        data = latin(text)
        for match in _INSERT.finditer(data):
            columns = text[match.start(1) : match.end(1)].split(",")
            entities = [entity_of_key(column.strip(' `"[]\n')) for column in columns]
            if any(entities):
                yield from _rows(text, data, match.end(), entities)


def _rows(text: str, data: bytes, at: int, entities: list[str]) -> Iterator[Finding]:
    place = 0
    while (match := _VALUE.match(data, at)) is not None and match.end() > at:
        group = 1 if match.start(1) >= 0 else 2
        start, end = match.span(group)
        entity = entities[place] if place < len(entities) else ""
        if entity and is_plausible(entity, text[start:end]):
            yield Finding(start, end, entity, SCORE, "sql_column")
        is_last = match.start(3) >= 0
        if is_last and not text[match.start(3) : match.end(3)].endswith(","):
            return
        place = 0 if is_last else place + 1
        at = match.end()
