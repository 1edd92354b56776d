"""One policy applied to texts: find, decide, act. Fails closed: what cannot be looked at raises, and nothing passes.

Must never log, raise or cache a value that it found: the cache holds offsets alone.
"""

import hmac
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Literal

import msgspec
import re2

from redaction.decode import View, views
from redaction.detectors.patterns import patterns
from redaction.detectors.rules import whole
from redaction.findings import ENTITIES, Detector, Finding, merged
from redaction.names.host import NamesHost
from redaction.placeholders import Pseudonyms
from redaction.presets import Action, RedactionPolicy
from redaction.seen import Seen
from runtime.errors import Refused, Unavailable

MASK = "*"
_SHOWN = 4
_PROSE_RATIO = 0.7
"""Letters and blanks among the characters of what people write."""
_PARTLY_SHOWN = frozenset({"PAYMENT_CARD", "IBAN", "BANK_ACCOUNT", "PHONE"})
_OWN = re2.compile(r"\[(?:" + "|".join(ENTITIES) + r")(?:=[a-p]{16})?\]|\*{3,}[0-9A-Za-z]{0,4}")
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")

Decision = Literal["allow", "block"]


class Acted(msgspec.Struct, frozen=True):
    """A find, and what was done with it. Offsets count characters of the text that came in."""

    type: str
    start: int
    end: int
    score: float
    recogniser: str
    action: Action
    context: str = ""
    path: str = ""
    """Where in a JSON payload, such as `messages.0.content`."""


class Redacted(msgspec.Struct, frozen=True):
    """A text as it may leave."""

    text: str
    """Empty when it may not."""
    findings: tuple[Acted, ...]
    decision: Decision


class Redactor:
    """Applies one policy within one run; the same value gets the same pseudonym throughout."""

    def __init__(
        self,
        policy: RedactionPolicy,
        key: bytes,
        *,
        names: NamesHost | None = None,
        seen: Seen | None = None,
        detectors: Sequence[Detector] | None = None,
    ) -> None:
        """`key`: secret bytes, at least 16, for hashes and the marks of pseudonyms: hashes agree where it is the same.

        `names`: looks for names and places where the policy wants that; a policy that does raises Unavailable without
        (`policy.patterns_only()` does not). `seen`: what other redactors with the same detectors found.
        `detectors`: offsets of patterns; all of them run on every segment.
        """
        if policy.names and names is None:
            raise Unavailable(
                "redaction.unavailable",
                f"policy {policy.name!r} has a language model look for names and places, and none is running here, so "
                "nothing passes. Set names: false in a policy of your own to do without",
                retryable=False,
            )
        self.policy = policy
        self.pseudonyms = Pseudonyms(key)
        self._key = key
        self._names = names if policy.names else None
        self._detectors = (patterns(),) if detectors is None else tuple(detectors)
        self._seen = seen or Seen()

    def redact(self, text: str, destination: str = "", *, around: str = "") -> Redacted:
        """The text as it may go to a destination. Raises Refused for what cannot be looked through.

        `around`: words that stand near it, such as the key of a JSON value.
        """
        return self.act(text, self.find(text, around), destination)

    def look_ahead(self, texts: Iterable[str]) -> None:
        """Have the language model look through many texts at once, so that `find` need not ask about each.

        Raises Unavailable as `find` does; what is refused is left for `find` to refuse. Does nothing where the policy
        does not look for names.
        """
        if self._names is None:
            return
        read = list[str]()
        for text in texts:
            with suppress(Refused):
                read += (view.text for view in _read_by_model(views(text)[0]))
        self._names.find(read)

    def find(self, text: str, around: str = "") -> tuple[Finding, ...]:
        """What is in a text, without overlaps, in order. Looks once at each text and what stands around it."""
        key = self._seen.key(text, around, has_names=self._names is not None)
        found = self._seen.find(key)
        if found is None:
            found = self._look(text, around)
            self._seen.keep(key, found)
        return found

    def act(
        self, text: str, findings: Iterable[Finding], destination: str = "", *, is_number: bool = False
    ) -> Redacted:
        """Do with each find what the policy says. Finds do not overlap and are in order."""
        findings = tuple(findings)
        if not findings:
            return Redacted(text, (), "allow")
        own = [*self.pseudonyms.spans(text), *(match.span() for match in _OWN.finditer(whole(text)))]
        pieces, acted, at = list[str](), list[Acted](), 0
        for found in findings:
            if _is_own(text, found, own) or found.score < self.policy.min_score:
                continue
            action = self.policy.action(found.type, destination)
            pieces.append(text[at : found.start])
            pieces.append(self._replacement(action, found.type, text[found.start : found.end], is_number))
            at = found.end
            acted.append(
                Acted(found.type, found.start, found.end, found.score, found.recogniser, action, found.context)
            )
        if any(each.action == "block" for each in acted):
            return Redacted("", tuple(acted), "block")
        return Redacted("".join([*pieces, text[at:]]), tuple(acted), "allow")

    def act_within(self, text: str, findings: Iterable[Finding], by: int, destination: str = "") -> Redacted:
        """Act on a cutting of a longer text whose finds are `by` characters further on; they are cut to fit."""
        inside = [
            msgspec.structs.replace(each, start=max(0, each.start + by), end=min(len(text), each.end + by))
            for each in findings
        ]
        return self.act(text, [each for each in inside if each.end > each.start], destination)

    def _look(self, text: str, around: str) -> tuple[Finding, ...]:
        readings, findings = views(text)
        for view in readings:
            for detector in self._detectors:
                findings += map(view.original, detector(view.text, around))
        if self._names is not None:
            read = _read_by_model(readings)
            for view, found in zip(read, self._names.find([view.text for view in read]), strict=True):
                findings += map(view.original, found)
        return tuple(merged(_without_shut(findings)))

    def _replacement(self, action: Action, entity: str, value: str, is_number: bool) -> str:
        match action:
            case "allow":
                return value
            case "mask":
                return _masked(entity, value)
            case "hash":
                digest = hmac.digest(self._key, f"{entity}\0{value}".encode("utf-8", "surrogatepass"), "sha256").hex()
                return f"[{entity}={digest[:16].translate(_LETTERS)}]"
            case "pseudonymise":
                return self.pseudonyms.name(entity, value, is_number=is_number)
            case "replace":
                return f"[{entity}]"
            case "drop" | "block":
                return ""


def _without_shut(findings: list[Finding]) -> list[Finding]:
    """The finds without bytes that are the body of a private key, which is found as what it is."""
    keys = [each for each in findings if each.type == "PRIVATE_KEY"]
    if not keys:
        return findings
    return [
        each
        for each in findings
        if each.type != "BINARY" or not any(key.start <= each.start and each.end <= key.end for key in keys)
    ]


def _read_by_model(readings: Sequence[View]) -> list[View]:
    """The text in plain characters, and what of its other readings is prose."""
    first, *others = readings
    return [first, *(view for view in others if _is_prose(view.text))]


def _is_prose(text: str) -> bool:
    return " " in text.strip() and sum(char.isalpha() or char == " " for char in text) > _PROSE_RATIO * len(text)


def _masked(entity: str, value: str) -> str:
    """Stars of the same length; the last four of a long number stay, for a person to know it by."""
    shown = _SHOWN if entity in _PARTLY_SHOWN and len(value) >= 3 * _SHOWN and value[-_SHOWN:].isdigit() else 0
    return MASK * max(3, len(value) - shown) + value[len(value) - shown :]


def _is_own(text: str, found: Finding, own: Sequence[tuple[int, int]]) -> bool:
    """Whether a find is what stands for a value already, but for marks beside it, or was led to by the words of one.

    What asterisks stand for may be the beginning of a value that somebody chose.
    """
    if any(start < found.start < end and text[start] != "*" for start, end in own):
        return True
    within = sorted((max(start, found.start), min(end, found.end)) for start, end in own)
    within = [(start, end) for start, end in within if start < end]
    at, beside = found.start, ""
    for start, end in within:
        beside += text[at:start]
        at = max(at, end)
    beside += text[at : found.end]
    return bool(within) and not any(letter.isalnum() for letter in beside)
