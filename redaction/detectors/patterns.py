"""All rules, compiled once: the pattern pass."""

from collections.abc import Iterator
from functools import cache

import re2

from redaction.detectors import commands, contact, finance, health, identity, nations, secrets
from redaction.detectors.codes import Codes
from redaction.detectors.cookies import Cookies
from redaction.detectors.documents import Documents
from redaction.detectors.finance import card, cards
from redaction.detectors.hl7 import Hl7
from redaction.detectors.labels import Labels
from redaction.detectors.people import People
from redaction.detectors.rules import RuleSet, is_part_of_hash, latin, options, whole
from redaction.detectors.scripts import Scripts
from redaction.detectors.sql import Sql
from redaction.detectors.streets import Streets
from redaction.detectors.tables import Tables
from redaction.findings import Finding

RULES = (
    *finance.RULES,
    *identity.RULES,
    *nations.RULES,
    *contact.RULES,
    *health.RULES,
    *secrets.RULES,
    *commands.RULES,
)

_TEST_CARDS = ("411111", "424242", "400000", "555555", "520082", "510510", "378282", "371449", "601111", "305693")
"""Issuer numbers of the cards that payment processors publish for tests. Found all the same, with a name of its own."""

_DIGITS_OF_GROUP = 4
_CARD_WORDS = ("card", "visa", "mastercard", "maestro", "credit", "debit", "karte", "carte", "tarjeta", "pan")


@cache
def patterns() -> "Patterns":
    """The pattern pass; compiling takes about a tenth of a second."""
    return Patterns()


class Patterns:
    """Every rule of the table, and payment cards. A Detector."""

    def __init__(self) -> None:
        self._rules = RuleSet(RULES)
        self._readers = (
            Labels(),
            Tables(),
            Hl7(),
            People(),
            Streets(),
            Cookies(),
            Sql(),
            Documents(),
            Scripts(),
            Codes(),
        )
        self._groups = re2.compile(rb"\b[0-9]{4,8}(?:[^0-9A-Za-z]{1,8}[0-9]{4,8}){1,3}\b", options())
        self._runs = re2.compile(rb"[0-9](?:[ \-./]{0,2}[0-9]){11,}", options())

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The finds of every rule; they may overlap."""
        text = whole(text)
        yield from self._rules(text, around)
        data = latin(text)
        yield from self._cards(text, data)
        yield from self._grouped_cards(text, data)
        for reader in self._readers:
            yield from reader(text, around)

    def _grouped_cards(self, text: str, data: bytes) -> Iterator[Finding]:
        """Four groups of four with odd marks between, near a word about cards."""
        for run in self._groups.finditer(data):
            nearby = text[max(0, run.start() - 64) : run.end() + 32].lower()
            start, end = card("".join(filter(str.isdigit, text[run.start() : run.end()])))
            if end - start == 16 and any(word in nearby for word in _CARD_WORDS):
                yield Finding(run.start(), run.end(), "PAYMENT_CARD", 0.8, "payment_card_grouped")

    def _cards(self, text: str, data: bytes) -> Iterator[Finding]:
        for run in self._runs.finditer(data):
            if _is_inside_a_token(text, run.start(), run.end()):
                continue
            at = run.start()
            for start, end in cards(text[at : run.end()]):
                digits = "".join(filter(str.isdigit, text[at + start : at + end]))
                name = "payment_card_test" if digits.startswith(_TEST_CARDS) else "payment_card"
                yield Finding(at + start, at + end, "PAYMENT_CARD", 0.95, name)


def _is_inside_a_token(text: str, start: int, end: int) -> bool:
    """Whether the digits are the end of a decimal fraction, or a part of a hash or a UUID."""
    is_fraction = text[start - 1 : start] == "." and text[start - 2 : start - 1].isdigit()
    whole_part, dot, rest = text[start:end].partition(".")
    is_decimal = dot and rest.isdigit() and len(whole_part) < _DIGITS_OF_GROUP  # `2.718281828459045`
    return is_fraction or bool(is_decimal) or is_part_of_hash(text, start, end)
