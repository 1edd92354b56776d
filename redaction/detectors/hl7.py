"""HL7 version 2 messages: which field of which segment holds whom (HL7 v2.5.1, chapters 3 and 6)."""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding

SCORE = 0.9
_SEGMENT = re2.compile(
    rb"(?:^|[\r\n\"'`\x0b ]|\\r|\\n)(?P<v>(?:PID|NK1|PV1|PD1|GT1|IN1|IN2|MRG|ORC|OBR|ROL|PRD|DG1)\|[^\r\n\"]+)",
    options(),
)
_FIELDS: dict[str, dict[int, str]] = {
    "PID": {2: "MEDICAL_RECORD", 3: "MEDICAL_RECORD", 4: "MEDICAL_RECORD", 5: "PERSON", 6: "PERSON", 7: "DATE_OF_BIRTH",
            9: "PERSON", 11: "ADDRESS", 13: "PHONE", 14: "PHONE", 18: "MEDICAL_RECORD", 19: "NATIONAL_ID",
            20: "NATIONAL_ID", 21: "MEDICAL_RECORD"},
    "NK1": {2: "PERSON", 4: "ADDRESS", 5: "PHONE", 6: "PHONE", 16: "DATE_OF_BIRTH", 30: "PERSON", 31: "PHONE",
            37: "NATIONAL_ID"},
    "PV1": {7: "PERSON", 8: "PERSON", 9: "PERSON", 17: "PERSON", 19: "MEDICAL_RECORD"},
    "PD1": {4: "PERSON"},
    "GT1": {2: "MEDICAL_RECORD", 3: "PERSON", 4: "PERSON", 5: "ADDRESS", 6: "PHONE", 7: "PHONE", 8: "DATE_OF_BIRTH",
            12: "NATIONAL_ID"},
    "IN1": {2: "HEALTH_ID", 8: "HEALTH_ID", 16: "PERSON", 18: "DATE_OF_BIRTH", 19: "ADDRESS", 36: "HEALTH_ID",
            49: "HEALTH_ID"},
    "IN2": {2: "NATIONAL_ID", 6: "HEALTH_ID", 8: "HEALTH_ID", 61: "HEALTH_ID"},
    "MRG": {1: "MEDICAL_RECORD", 7: "PERSON"},
    "ORC": {10: "PERSON", 12: "PERSON"},
    "OBR": {10: "PERSON", 16: "PERSON", 28: "PERSON"},
    "ROL": {4: "PERSON"},
    "PRD": {2: "PERSON", 3: "ADDRESS"},
    "DG1": {16: "PERSON"},
}  # fmt: skip
_LONGEST_ID = 24


class Hl7:
    """Fields of segments about people. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The components that hold values."""
        if "|" not in text:
            return
        for match in _SEGMENT.finditer(latin(text)):
            start, end = match.span(1)
            kind = text[start : start + 3]
            for number, (low, high) in enumerate(_cut(text, start, end, "|")):
                entity = _FIELDS.get(kind, {}).get(number)
                if entity:
                    yield from _field(text, low, high, entity)


def _field(text: str, low: int, high: int, entity: str) -> Iterator[Finding]:
    """The values of one field, which may repeat."""
    for first, last in _cut(text, low, high, "~"):
        components = list(_cut(text, first, last, "^"))
        if entity == "PERSON":
            names = [(a, b) for a, b in components if any(map(str.isalpha, text[a:b]))][:3]
            if names and any(len(text[a:b]) > 1 for a, b in names):
                yield Finding(names[0][0], names[-1][1], entity, SCORE, "hl7_field")
            for a, b in names:
                if b - a > 2:
                    yield Finding(a, b, entity, SCORE, "hl7_field")
            continue
        if entity == "ADDRESS":
            parts = [(a, b) for a, b in components[:5] if b > a]
            if parts:
                yield Finding(parts[0][0], parts[-1][1], entity, SCORE, "hl7_field")
            continue
        for a, b in components if entity == "PHONE" else components[:1]:
            digits = sum(map(str.isdigit, text[a:b]))
            enough = 6 if entity in ("PHONE", "DATE_OF_BIRTH", "NATIONAL_ID") else 3
            if digits >= enough and b - a <= _LONGEST_ID:
                yield Finding(a, b, entity, SCORE, "hl7_field")


def _cut(text: str, low: int, high: int, mark: str) -> Iterator[tuple[int, int]]:
    while low <= high:
        end = text.find(mark, low, high)
        end = high if end < 0 else end
        yield low, end
        low = end + 1
