"""JSON payloads on their way out: gathered, looked through, and written again with what the policy says done.

A text that is JSON itself is written back as JSON. What is found anywhere in a payload is found everywhere in it.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from redaction.findings import Finding, merged
from redaction.gather import Gathered, Path, Segment, gather
from redaction.keys import entity_of_key
from redaction.placeholders import json_within
from redaction.propagation import Known, Read
from redaction.redactor import Acted, Decision, Redacted, Redactor
from runtime.domain.canonical import Json
from runtime.errors import Refused

__all__ = ["RedactedPayload", "entity_of_key", "look_ahead", "redact_payload", "redact_text"]

_SHORTEST_NUMBER = 4
"""Digits of the shortest number that is looked at without a key that names it."""


class RedactedPayload(msgspec.Struct, frozen=True):
    """A JSON value as it may leave."""

    payload: Json
    """None when it may not."""
    findings: tuple[Acted, ...]
    decision: Decision


class _Dropped:
    """Stands for a value that is left out."""


_DROPPED = _Dropped()


def redact_payload(redactor: Redactor, payload: Json, destination: str = "") -> RedactedPayload:
    """Any JSON value as it may go to a destination.

    Raises Refused for one that is nested deeper than 200 levels, or that decodes to more than is looked through.
    """
    gathered = gather(payload)
    writer = _Writer(redactor, destination, gathered, _look(redactor, gathered.segments))
    found = writer.value(payload, ())
    if any(each.action == "block" for each in writer.findings):
        return RedactedPayload(None, tuple(writer.findings), "block")
    return RedactedPayload(None if isinstance(found, _Dropped) else found, tuple(writer.findings), "allow")


def redact_text(redactor: Redactor, text: str, destination: str = "") -> Redacted:
    """One text as it may go to a destination: what is found anywhere in it is found everywhere in it.

    A text that is JSON is redacted as the text it is, so that offsets are those of its characters.
    """
    if json_within(text) is not None:
        return redactor.redact(text, destination)
    found = redact_payload(redactor, text, destination)
    return Redacted(found.payload if isinstance(found.payload, str) else "", found.findings, found.decision)


def look_ahead(redactor: Redactor, payloads: Iterable[Json]) -> None:
    """Have the language model look through many payloads at once, so that each need not ask for itself.

    What cannot be looked through is left for `redact_payload` to refuse.
    """
    texts: list[str] = []
    for payload in payloads:
        with suppress(Refused):
            texts += (each.text for each in gather(payload).segments if each.kind != "number")
    redactor.look_ahead(texts)


def _look(redactor: Redactor, segments: list[Segment]) -> dict[Path, list[Finding]]:
    """What is in each segment: found there, named by its key, or known from another."""
    redactor.look_ahead(each.text for each in segments if each.kind != "number")
    found = {each.path: _found(redactor, each) for each in segments}
    known = Known()
    for segment in segments:
        if found[segment.path]:
            known.learn(segment.text, (each for each in found[segment.path] if each.score >= redactor.policy.min_score))
    for segment in segments:
        read = Read(segment.text)
        again = [*known.spans(read), *redactor.pseudonyms.known.spans(read)]
        fresh = [each for each in again if not _is_covered(each, found[segment.path])]
        if fresh:
            found[segment.path] = merged([*found[segment.path], *fresh])
    return found


def _is_covered(finding: Finding, others: list[Finding]) -> bool:
    """Whether one of the finds, which are in order and do not overlap, holds all of it."""
    place = bisect_right(others, finding.start, key=lambda each: each.start) - 1
    return place >= 0 and finding.end <= others[place].end


def _found(redactor: Redactor, segment: Segment) -> list[Finding]:
    if segment.kind == "number" and len(segment.text) < _SHORTEST_NUMBER:
        return list(segment.extra)
    return merged([*redactor.find(segment.text, segment.around), *segment.extra])


class _Writer:
    """Writes one payload again."""

    def __init__(
        self, redactor: Redactor, destination: str, gathered: Gathered, found: dict[Path, list[Finding]]
    ) -> None:
        self._redactor = redactor
        self._destination = destination
        self._inner = gathered.inner
        self._found = found
        self.findings: list[Acted] = []

    def value(self, value: Json, path: Path) -> "Json | _Dropped":
        match value:
            case dict():
                return self._mapping(value, path)
            case list():
                items = [self.value(item, (*path, str(number))) for number, item in enumerate(value)]
                return [item for item in items if not isinstance(item, _Dropped)]
            case str():
                return self._text(value, path)
            case bool() | None:
                return value
            case int() | float():
                return self._number(value, path)

    def _mapping(self, members: dict[str, Json], path: Path) -> Json:
        kept: dict[str, Json] = {}
        for key, item in members.items():
            found = self.value(item, (*path, key))
            if not isinstance(found, _Dropped):
                name = self._act(key, (*path, key, "(key)")).text
                while name in kept and name != key:
                    name += "_"
                kept[name] = found
        return kept

    def _text(self, text: str, path: Path) -> "Json | _Dropped":
        if path in self._inner:
            count = len(self.findings)
            found = self.value(self._inner[path], (*path, "(json)"))
            changed = any(each.action != "allow" for each in self.findings[count:])
            return json.dumps(None if isinstance(found, _Dropped) else found, ensure_ascii=False) if changed else text
        redacted = self._act(text, path)
        is_dropped = not redacted.text and any(each.action == "drop" for each in redacted.findings)
        return _DROPPED if is_dropped else redacted.text

    def _number(self, number: float, path: Path) -> "Json | _Dropped":
        text = str(number)
        self._found[path] = [
            msgspec.structs.replace(each, start=0, end=len(text)) for each in self._found.get(path, [])[:1]
        ]
        redacted = self._act(text, path, is_number=True)
        if any(each.action == "drop" for each in redacted.findings):
            return _DROPPED
        return number if redacted.text == text else redacted.text

    def _act(self, text: str, path: Path, *, is_number: bool = False) -> Redacted:
        redacted = self._redactor.act(text, self._found.get(path, []), self._destination, is_number=is_number)
        place = ".".join(step for step in path)
        self.findings += (msgspec.structs.replace(each, path=place) for each in redacted.findings)
        return redacted
