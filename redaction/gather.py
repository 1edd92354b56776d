"""A JSON payload as segments: every key, text and number, with what stands around it and what its key says it is."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from redaction import keys
from redaction.conversation import TAIL, answered, message_of, split_over
from redaction.detectors.cookies import cookies
from redaction.detectors.finance import card
from redaction.findings import Finding
from redaction.placeholders import json_within
from redaction.wording import is_name
from runtime.domain.canonical import Json
from runtime.errors import Refused

MAX_DEPTH = 200
Path = tuple[str, ...]
_MESSAGE_KEYS = ("content", "text", "message", "body", "msg")
_ROW_KEYS = ("rows", "data", "values", "records", "items", "result", "results")
_COLUMN_KEYS = ("columns", "column_names", "columnnames", "headers", "header", "fields", "cols", "schema")
_IDENTIFIED = {"Patient": "MEDICAL_RECORD", "Person": "MEDICAL_RECORD", "RelatedPerson": "MEDICAL_RECORD",
               "Practitioner": "HEALTH_ID", "Coverage": "HEALTH_ID", "Encounter": "MEDICAL_RECORD"}  # fmt: skip
"""FHIR R4 resources whose identifiers are people's."""
_KEY_PARTS = frozenset(("d", "k", "p", "q", "dp", "dq", "qi"))
"""What of a JSON web key is private (RFC 7518, 6.2.2, 6.3.2, 6.4.1)."""
_ASSISTANTS = ("tool", "function", "assistant", "system", "developer")


class Segment(msgspec.Struct, frozen=True):
    """One text of a payload."""

    path: Path
    text: str
    around: str
    """Words that stand near it: its keys, the message before."""
    kind: Literal["text", "key", "number"]
    extra: tuple[Finding, ...] = ()
    """What is known about it from where it stands."""


class Gathered(msgspec.Struct, frozen=True):
    """All texts of a payload, in order."""

    segments: list[Segment]
    inner: dict[Path, Json]
    """Values of texts that are JSON themselves, by their paths."""


def gather(payload: Json) -> Gathered:
    """The segments of a payload. Raises Refused when it is nested deeper than 200 levels."""
    gathered = Gathered([], {})
    _Gatherer(gathered).value(payload, (), "", "", ())
    return gathered


class _Gatherer:
    def __init__(self, into: Gathered) -> None:
        self._segments = into.segments
        self._inner = into.inner
        self._resource = ""
        """The FHIR resource that is being read, which says whose its identifiers are."""
        self._is_personal = False
        """Whether a mapping further out is about a person, whose home may be within."""

    def value(self, value: Json, path: Path, around: str, entity: str, extra: tuple[Finding, ...]) -> None:
        """`entity`: what the value is by its key; empty when that says nothing."""
        if len(path) > MAX_DEPTH:
            message = (
                f"a payload is nested deeper than {MAX_DEPTH} levels, which is not looked through; send it flatter"
            )
            raise Refused("redaction.too_deep", message)
        match value:
            case dict():
                self._mapping(value, path, around, extra)
            case list():
                self._list(value, path, around, entity)
            case str():
                self._text(value, path, around, entity, extra)
            case bool() | None:
                return
            case int() | float():
                named = tuple(_by_key(str(value), entity, path)) if entity not in ("TOKEN", "API_KEY", "PERSON") else ()
                self._segments.append(Segment(path, str(value), around, "number", (*extra, *named)))

    def _mapping(self, members: dict[str, Json], path: Path, around: str, extra: tuple[Finding, ...]) -> None:
        before = self._resource
        if isinstance(members.get("resourceType"), str):
            self._resource = str(members["resourceType"])
        entities = dict(_entities(members, _nearest(path), is_within=self._is_personal))
        was_personal = self._is_personal
        self._is_personal = was_personal or bool(keys.PERSONAL.intersection(entities.values()))
        if _nearest(path) == "identifier" and "value" in members and self._resource in _IDENTIFIED:
            entities["value"] = _IDENTIFIED[self._resource]
        columns = _columns(members)
        cut = _cut_over(members)
        for key, item in members.items():
            inner = (*path, key)
            is_message = isinstance(item, str) and key in _MESSAGE_KEYS
            words = f"{around if is_message or not path else ''} {' '.join(_words(inner))}"
            self._segments.append(Segment((*path, key, "(key)"), key, "", "key"))
            if columns and key in _ROW_KEYS and isinstance(item, list):
                self._rows(item, inner, columns)
            else:
                piece = (Finding(0, len(str(item)), "PAYMENT_CARD", 0.9, "payment_card_digits"),) if key in cut else ()
                self.value(item, inner, words.strip(), entities.get(key, ""), piece or (extra if is_message else ()))
        self._resource, self._is_personal = before, was_personal

    def _rows(self, rows: list[Json], path: Path, columns: list[str]) -> None:
        for number, row in enumerate(rows):
            if isinstance(row, list):
                for place, cell in enumerate(row):
                    named = columns[place] if place < len(columns) else ""
                    where = (*path, str(number), str(place))
                    self.value(cell, where, " ".join(keys.words_of(named)), _entity_of_cell(named, cell, columns), ())
            else:
                self.value(row, (*path, str(number)), "", "", ())

    def _list(self, items: list[Json], path: Path, around: str, entity: str) -> None:
        header = _header(items)
        if header:
            for place, name in enumerate(header):
                self.value(name, (*path, "0", str(place)), "", "", ())
            self._numbered(items[1:], path, header)
            return
        texts = [message_of(item) for item in items]
        extras = split_over(texts) if len(texts) > 1 else [()] * len(texts)
        digits = _card_of_digits(items)
        for number, item in enumerate(items):
            before = texts[number - 1][-TAIL:] if number and texts[number] else ""
            words = f"{around} {before}" if before else around
            extra = (*extras[number], *answered(before, texts[number]))
            if digits:
                extra = (Finding(0, len(str(item)), "PAYMENT_CARD", 0.9, "payment_card_digits"),)
            self.value(item, (*path, str(number)), words.strip(), entity, extra)

    def _numbered(self, rows: list[Json], path: Path, columns: list[str]) -> None:
        for number, row in enumerate(rows, 1):
            assert isinstance(row, list), "a header has rows of lists below it"
            for place, cell in enumerate(row):
                named = columns[place]
                where = (*path, str(number), str(place))
                self.value(cell, where, " ".join(keys.words_of(named)), _entity_of_cell(named, cell, columns), ())

    def _text(self, text: str, path: Path, around: str, entity: str, extra: tuple[Finding, ...]) -> None:
        inner = json_within(text)
        if inner is not None:
            self._inner[path] = inner
            self.value(inner, (*path, "(json)"), around, entity, ())
            return
        self._segments.append(Segment(path, text, around, "text", (*extra, *_by_key(text, entity, path))))


def _entities(members: dict[str, Json], parent: str, *, is_within: bool) -> Iterator[tuple[str, str]]:
    """What each value of a mapping is, by its key, the keys beside it, and the one above.

    `is_within`: whether it is a part of what is known about a person.
    """
    named = {key: keys.entity_of_key(key, parent) for key in members}
    if "kty" in members:
        named |= {key: "API_KEY" for key in _KEY_PARTS.intersection(members)}
    label = next((item for key, item in members.items() if key.lower() in keys.HOLDERS and isinstance(item, str)), "")
    is_personal = bool(keys.PERSONAL.intersection(named.values())) or _is_role(parent)
    for key, item in members.items():
        if not named[key] and label and key.lower() in keys.HELD:
            named[key] = keys.entity_of_key(label) or _asked(label, item)
        if not named[key] and key.lower() in ("number", "no") and (kind := _kind(members)):
            named[key] = keys.entity_of_key(kind)
        if not named[key] and isinstance(item, str):
            named[key] = _person_by_key(key, item, members, is_personal)
        if (
            not named[key]
            and (is_personal or is_within)
            and isinstance(item, str)
            and keys.fits_among(keys.among_people(key), item)
        ):
            named[key] = f"~{keys.among_people(key)}" if keys.among_people(key) else ""
        if named[key]:
            yield key, named[key]


def _asked(question: str, answer: Json) -> str:
    """What a question of a form asks for: a person, or a number at which one is reached."""
    words = question.lower().replace("?", " ").split()
    if not isinstance(answer, str) or not question.rstrip().endswith("?"):
        return ""
    if {"who", "whom", "whose"}.intersection(words) and is_name(answer):
        return "PERSON"
    is_dialled = {"reach", "call", "ring", "text", "contact"}.intersection(words) and keys.is_plausible("PHONE", answer)
    return "PHONE" if is_dialled else ""


def _kind(members: dict[str, Json]) -> str:
    """What says what a number among these is a number of; empty when nothing does."""
    return next((item for key, item in members.items() if key.lower() in keys.NUMBERED and isinstance(item, str)), "")


def _person_by_key(key: str, value: str, members: dict[str, Json], is_personal: bool) -> str:
    """PERSON for a name under a key that names a person in one way or another; else empty."""
    words = keys.words_of(key)
    plain = "".join(words)
    if _is_role(key) and is_name(value):
        return "PERSON"
    if plain in keys.NAMES and is_personal and is_name(value, least=2):
        return "PERSON"
    is_part = keys.may_be_part(key) and value.replace("-", "").replace(" ", "").isalpha()
    if is_part and (is_personal or sum(map(keys.may_be_part, members)) > 1):
        return "PERSON"
    if plain == "name" and members.get("role") not in (None, *_ASSISTANTS) and value.replace("_", "").isalpha():
        return "PERSON"
    return "PERSON" if plain in keys.HANDLES and _is_handle(value) else ""


def _is_role(key: str) -> bool:
    words = keys.words_of(key)
    return bool(words) and (words[-1] in keys.ROLES or "".join(words) in keys.ROLES)


def _is_handle(value: str) -> bool:
    """Whether a login holds a name: `anna.berg`, `Berg_Anna`; not `svc-billing`."""
    parts = value.lower().replace("_", ".").replace("-", ".").split(".")
    services = {
        "svc",
        "app",
        "api",
        "admin",
        "test",
        "bot",
        "service",
        "deploy",
        "system",
        "root",
        "user",
        "team",
        "dev",
        "prod",
    }
    from redaction.wording import MAY_BE_BOTH

    return len(parts) == 2 and all(
        part.isalpha() and len(part) >= 3 and part not in services | MAY_BE_BOTH for part in parts
    )


def _by_key(text: str, entity: str, path: Path) -> Iterator[Finding]:
    """The whole value, where its key says what it is."""
    if _nearest(path).lower() in ("cookie", "set-cookie", "cookies"):
        yield from cookies(text, 0, len(text))
    elif entity and (entity[0] == "~" or keys.is_plausible(entity, text)):
        key = _nearest(path)
        yield Finding(0, len(text), entity.lstrip("~"), 0.85, "key", key if key.isidentifier() else "")


def _nearest(path: Path) -> str:
    return next((step for step in reversed(path) if not step.isdigit() and not step.startswith("(")), "")


def _words(path: Path) -> Iterator[str]:
    """The words of the last two keys: `patientDOB` gives `patient dob`."""
    for step in [step for step in path if not step.isdigit()][-2:]:
        yield from keys.words_of(step)


def _columns(members: dict[str, Json]) -> list[str]:
    """The names of columns, where rows stand beside them."""
    for key, item in members.items():
        if key.lower() in _COLUMN_KEYS and isinstance(item, list) and item:
            names = [each.get("name") if isinstance(each, dict) else each for each in item]
            if all(isinstance(name, str) for name in names):
                return [str(name) for name in names]
    return []


def _header(items: list[Json]) -> list[str]:
    """The first of several rows of one length, where it names a column that matters."""
    first = items[0] if len(items) > 1 else None
    if not isinstance(first, list) or not all(isinstance(name, str) for name in first):
        return []
    is_table = all(isinstance(row, list) and len(row) == len(first) for row in items)
    names = [str(name) for name in first]
    return names if is_table and len(names) > 1 and any(map(keys.entity_of_key, names)) else []


def _entity_of_cell(column: str, cell: Json, columns: list[str]) -> str:
    entity = keys.entity_of_key(column)
    if not entity and isinstance(cell, str) and is_name(cell):
        is_personal = any(keys.entity_of_key(name) in keys.PERSONAL for name in columns)
        words = keys.words_of(column)
        if _is_role(column) or (is_personal and words[-1:] == ("name",)):
            return "PERSON"
    return entity


def _cut_over(members: dict[str, Json]) -> frozenset[str]:
    """The keys of a mapping whose values are a card, a few digits at a time: `part1`, `part2`.

    Such differ in their number alone; an id, an amount and a year beside each other are no card.
    """
    pieces = dict[str, list[str]]()
    for key, item in members.items():
        stem = key.rstrip("0123456789")
        if stem != key and isinstance(item, (int, str)) and str(item).isdigit():
            pieces.setdefault(stem, []).append(key)
    cut = [each for each in pieces.values() if len(each) > 2 and _card_of_digits([members[key] for key in each])]
    return frozenset(key for each in cut for key in each)


def _card_of_digits(items: list[Json]) -> bool:
    """Whether a list is a card, a few digits at a time."""
    pieces = [str(item) for item in items if isinstance(item, (int, str)) and not isinstance(item, bool)]
    joined = "".join(pieces)
    is_short = len(pieces) == len(items) and 3 <= len(pieces) <= 19 and max(map(len, pieces)) <= 6
    return is_short and joined.isdigit() and 13 <= len(joined) <= 19 and card(joined) == (0, len(joined))
