"""What can be found in a text, and a find. Pure."""

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

import msgspec

Group = Literal["person", "contact", "financial", "national_id", "health", "network", "secret", "opaque"]

ENTITIES: dict[str, Group] = {
    "PERSON": "person",
    "DATE_OF_BIRTH": "person",
    "LOCATION": "person",
    "EMAIL": "contact",
    "PHONE": "contact",
    "ADDRESS": "contact",
    "PAYMENT_CARD": "financial",
    "IBAN": "financial",
    "BANK_ACCOUNT": "financial",
    "NATIONAL_ID": "national_id",
    "PASSPORT": "national_id",
    "TAX_ID": "national_id",
    "MEDICAL_RECORD": "health",
    "HEALTH_ID": "health",
    "IP_ADDRESS": "network",
    "MAC_ADDRESS": "network",
    "PASSWORD": "secret",
    "API_KEY": "secret",
    "TOKEN": "secret",
    "PRIVATE_KEY": "secret",
    "CONNECTION_STRING": "secret",
    "BINARY": "opaque",
}
"""Every entity, and its group. BINARY is an archive, which nobody looked into."""

_RANK: dict[Group, int] = {
    "opaque": 0,
    "secret": 1,
    "financial": 2,
    "national_id": 3,
    "health": 4,
    "contact": 5,
    "network": 6,
    "person": 7,
}


class Finding(msgspec.Struct, frozen=True, order=True):
    """A value that may be sensitive; offsets count characters of the original text."""

    start: int
    end: int
    type: str
    """A key of ENTITIES."""
    score: float
    """How sure, 0 to 1."""
    recogniser: str
    """Which rule fired, such as `iban`."""
    context: str = ""
    """The word nearby that raised the score, or the path of the key that named the value."""


Detector: TypeAlias = Callable[[str, str], Iterable[Finding]]
"""Finds values in a normalised text, given the words that stand around it (keys, the message before).

Offsets are those of that text. A detector sees one segment at a time, keeps no state, and raises rather than skip.
"""


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Findings without overlaps, in order: where some overlap, the union goes to the most serious one.

    A union may only grow: what one recogniser found is never left uncovered because another found more of it.
    """
    kept: list[Finding] = []
    for finding in sorted(findings):
        if kept and finding.start < kept[-1].end:
            kept[-1] = _union(kept[-1], finding)
        else:
            kept.append(finding)
    return kept


def _union(first: Finding, second: Finding) -> Finding:
    chief = min(first, second, key=_seriousness)
    return msgspec.structs.replace(chief, start=min(first.start, second.start), end=max(first.end, second.end))


def _seriousness(finding: Finding) -> tuple[int, float, int]:
    return _RANK[ENTITIES[finding.type]], -finding.score, finding.start - finding.end
