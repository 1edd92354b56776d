"""Signatures of failures: what stays the same when the same thing goes wrong again. Pure.

A signature is made of the error without what is of one run alone, of where it happened, and of the definition.
"""

import re
from hashlib import sha256

from runtime.domain.event import ErrorInfo
from runtime.domain.ids import DefinitionHash

LONGEST_MESSAGE = 300
"""Characters of a message that count."""
DIGITS = 12
"""Hexadecimal digits by which a signature is called."""

_OF_ONE_RUN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"<([A-Z_]+)_[0-9]+_[A-Z0-9]{4}>"), r"<\1>"),  # pseudonyms
    (re.compile(r"\br-[0-9a-z]{26}\b"), "RUN"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "ID"),
    (re.compile(r"\bsha256:[0-9a-f]{8,64}"), "HASH"),
    (re.compile(r"\b0x[0-9a-fA-F]+"), "HEX"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\b"), "HEX"),
    (re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9:]+)?"), "TIME"),
    (re.compile(r"(?<=\w)~[0-9]+\b"), ""),  # which visit of a state
    (re.compile(r"'(?![\w.-]+')[^']*'|\"(?![\w.-]+\")[^\"]*\""), "'…'"),  # quoted, and no name
    (re.compile(r"(?<![\w#])[+-]?[0-9]+(?:[.,:][0-9]+)*"), "#"),
    (re.compile(r"\s+"), " "),
)


def normalised(message: str) -> str:
    """An error's message without ids, numbers, times, visits and quoted data."""
    for pattern, replacement in _OF_ONE_RUN:
        message = pattern.sub(replacement, message)
    return message.strip()[:LONGEST_MESSAGE]


def signature_of(error: ErrorInfo, place: str, definition: DefinitionHash) -> str:
    """What equal failures of one definition have in common, as 12 hexadecimal digits."""
    parts = (error.code, normalised(error.message), place, definition)
    return sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:DIGITS]
