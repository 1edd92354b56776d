"""Values behind a label in running text: `MRN: 00123`, `last_name=Smith`, `<dob>…</dob>`, `'email' => '…'`.

The label is judged by the table of keys (redaction/keys.py), so that texts and JSON agree about what a name means.
"""

from collections.abc import Iterator

import re2

from redaction.detectors.identity import DATE
from redaction.detectors.rules import latin, options
from redaction.detectors.secrets import chosen, entropy, is_camel_case
from redaction.findings import ENTITIES, Finding
from redaction.keys import (
    NAMES,
    PERSONAL,
    ROLES,
    among_people,
    entity_of_key,
    fits_among,
    is_plausible,
    may_be_part,
    may_name,
    words_of,
)
from redaction.wording import is_name, name_end

SCORE = 0.8
_LONGEST = 400
_LETTER = r"A-Za-z\xc0-\xff"
_LABEL = re2.compile(
    (
        rf"(?P<key>[{_LETTER}][{_LETTER}0-9_.\-]{{0,40}}(?: [{_LETTER}'][{_LETTER}'\-]{{0,20}}){{0,3}}[0-9]?)"
        r"(?P<close>\\?[\"'`\])*]{0,3}(?: \([A-Za-z ]{1,16}\))?)"
        r"(?P<sep>[ \t]{0,24}(?:=>|:=|[:=#])[ \t]{0,3}|[ \t]+(?:is|was|ist|est|es|\xe8|\xe9"
        r"|\xe4r|er|je|jest"
        r"|lautet|era):? )(?P<open>\*{0,2}[\\]?(?:[brfu@]?[\"'`])?)"
    ).encode("latin-1"),
    options(ignores_case=False),
)
_TAG = re2.compile(
    rb"<(?P<key>[A-Za-z_][A-Za-z0-9_:.\-]{0,40})(?: [^<>]{0,200})?>(?P<v>[^<>]{2,300})</", options(ignores_case=False)
)
_ATTRIBUTE = re2.compile(
    rb"<(?P<key>[A-Za-z_][A-Za-z0-9_:.\-]{0,40}) (?:value|extension)=\"(?P<v>[^\"<>]{2,200})\"",
    options(ignores_case=False),
)
_PAIR = re2.compile(
    rb"\b(?:key|name|property|id)=[\"'](?P<key>[A-Za-z0-9_.:\- ]{2,60})[\"'] {1,3}value="
    rb"[\"'](?P<v>[^\"'<>]{2,300})[\"']",
    options(),
)
_PART = re2.compile(
    rb"(?i)content-disposition: form-data; name=\"?(?P<key>[A-Za-z0-9_.\-\[\]]{1,60})\"?[^\r\n]{0,200}\r?\n"
    rb"(?:[a-z\-]+:[^\r\n]{0,200}\r?\n){0,4}\r?\n(?P<v>[^\r\n]{2,400})",
    options(ignores_case=False),
)
_FLAG = re2.compile(
    rb"(?:^|\s)--?(?P<key>[A-Za-z][A-Za-z\-]{2,30})[ =](?:\"(?P<v>[^\"\r\n]{2,200})\"|'(?P<w>[^'\r\n]{2,200})'"
    rb"|(?P<x>[^\s\"'\-][^\s\"']{7,200}))",
    options(),
)
_NAMED = re2.compile(
    rb"<(?:name|key)>(?P<key>[A-Za-z][A-Za-z0-9_.: \-]{1,60})</(?:name|key)>\s{0,40}<(?:value"
    rb"|string)>(?P<v>[^<>]{2,400})</",
    options(),
)
_SET = re2.compile(
    rb"\b(?P<key>[A-Za-z][A-Za-z0-9_.\-]{2,60}) (?:(?:is|was) set )?to [\"'`]?(?P<v>[^\s\"'`]{8,400})", options()
)
_COMPACT = re2.compile(rb"[^&\s;,\"'<>)\]}|`]{2,300}", options(ignores_case=False))
_NUMBER = re2.compile(
    rb"[A-Za-z]{0,5}[ \-]?[0-9][A-Za-z0-9]{0,24}(?:[\-./][A-Za-z0-9]{1,12}){0,6}(?: (?:[0-9]{2,6}"
    rb"|[A-D])\b){0,6}|[A-Z]{2}(?: [0-9]{2}){3} [A-D]",
    options(ignores_case=False),
)
_SINGLE = re2.compile(
    rb"[A-Za-z]{0,5}[ \-]?[0-9][A-Za-z0-9]{0,24}(?:[\-./][A-Za-z0-9]{1,12}){0,6}", options(ignores_case=False)
)
_DIALLED = re2.compile(rb"[+(]{0,2}[0-9][0-9 ().\-/]{4,24}[0-9]", options(ignores_case=False))
_TOKEN = re2.compile(rb"[^\s\"'`,;<>&)}]{8,512}", options(ignores_case=False))
_DAY = re2.compile(DATE.encode("latin-1"), options())
_NEXT_LABEL = re2.compile(
    rb"[,;.]? ?\b[A-Za-z][A-Za-z _\-]{1,24}[:=]|[;|<\n\r\t\"]|\. [A-Z]|\\n", options(ignores_case=False)
)
_MARKS = (":", "=", "<", "#", " -", " is ", "set ", " ist ", " est ", " es ", " lautet ", " jest ", " je ", " er ")
"""One of them stands behind every label."""
_SECRETS = frozenset(("API_KEY", "TOKEN", "PASSWORD"))
_GROUPED = frozenset(("NATIONAL_ID", "BANK_ACCOUNT", "PAYMENT_CARD", "IBAN", "TAX_ID"))
_BARE = NAMES - {"title", "displayname"} | {"names", "contact"}


class Labels:
    """Labels and what stands behind them. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The values that labels name; they may overlap."""
        if not any(mark in text for mark in _MARKS):
            return
        data = latin(text)
        found: list[Finding] = []
        names: list[tuple[int, int]] = []
        parts: list[tuple[int, int]] = []
        places: list[tuple[int, int, str]] = []
        for key, start, end, is_fixed in (*_labelled(text, data), *_enclosed(text, data), *_flags(text, data)):
            if key.lower().endswith("cookie"):
                continue
            entity = entity_of_key(key)
            if entity:
                found += _value(entity, key, text, data, start, end, is_fixed)
            elif may_be_part(key) and is_fixed and text[start:end].replace("+", "").replace("-", "").isalpha():
                parts.append((start, end))
            elif among := among_people(key):
                end = end if is_fixed else _line_end(text, start)
                if fits_among(among, text[start:end]):
                    places.append((start, end, among))
            elif (words := words_of(key)) and (words[-1] in ROLES or words[-1] in _BARE):
                names += _name(text, start, end, is_fixed=is_fixed)
        yield from found
        is_personal = any(each.type in PERSONAL for each in found)
        if is_personal:
            yield from (Finding(low, high, among, SCORE, "label_place", "address") for low, high, among in places)
        if is_personal or len(parts) > 1:
            yield from (Finding(low, high, "PERSON", SCORE, "label_part", "name") for low, high in parts)
        is_personal = is_personal or "@" in text
        yield from (
            Finding(low, high, "PERSON", SCORE, "label_name", "name")
            for low, high in names
            if is_personal or "," in text[low:high]
        )


def _labelled(text: str, data: bytes) -> Iterator[tuple[str, int, int, bool]]:
    """Each label, and where its value begins and, when something shuts it, ends."""
    judged: dict[str, bool] = {}
    for match in _LABEL.finditer(data):
        first, last = match.span(1)
        key = text[first:last]
        if key in ENTITIES and text[first - 1 : first] in ("[", "<"):
            continue  # what redaction itself has put there
        is_telling = judged.get(key)
        if is_telling is None:
            is_telling = judged[key] = may_name(key)
        if not is_telling:
            continue
        at, start = match.span(4)
        opening = text[at:start].lstrip("*brfu@")
        is_compact = text[at - 1] == "=" and text[at - 2 : at - 1] not in (":", " ", "=")
        if opening:
            end = text.find(opening, start, start + _LONGEST)
            if end > start and "\n" not in text[start:end]:
                yield key, start, end, True
                continue
        shut = _COMPACT.match(data, start, start + _LONGEST) if is_compact and not opening else None
        if shut:
            yield key, start, shut.end(), text[shut.end() : shut.end() + 1] in ("&", "")
        else:
            yield key, start, -1, False


def _enclosed(text: str, data: bytes) -> Iterator[tuple[str, int, int, bool]]:
    """The same of tags of XML, their attributes `value`, and parts of a form."""
    if "</" in text:
        for match in _TAG.finditer(data):
            yield text[match.start(1) : match.end(1)].rpartition(":")[2], *match.span(2), True
    if "<" in text:
        for match in _ATTRIBUTE.finditer(data):
            yield text[match.start(1) : match.end(1)].rpartition(":")[2], *match.span(2), True
        for match in _NAMED.finditer(data):
            yield text[match.start(1) : match.end(1)], *match.span(2), True
    if "value=" in text:
        for match in _PAIR.finditer(data):
            yield text[match.start(1) : match.end(1)], *match.span(2), True
    if "form-data" in text:
        for match in _PART.finditer(data):
            yield text[match.start(1) : match.end(1)], *match.span(2), True


def _flags(text: str, data: bytes) -> Iterator[tuple[str, int, int, bool]]:
    """The same of the options of a command; what is not quoted is one word, and counts where it is a secret."""
    for match in _FLAG.finditer(data) if " -" in text else ():
        key = text[match.start(1) : match.end(1)]
        group = next(number for number in (2, 3, 4) if match.start(number) >= 0)
        if group < 4 or entity_of_key(key) in _SECRETS:
            yield key, *match.span(group), True
    for match in _SET.finditer(data) if "set " in text else ():
        key = text[match.start(1) : match.end(1)]
        if entity_of_key(key) in _SECRETS:
            yield key, *match.span(2), True


def _value(entity: str, key: str, text: str, data: bytes, start: int, end: int, is_fixed: bool) -> Iterator[Finding]:
    """What of the text behind a label is the value, if anything."""
    if end < 0 or (not is_fixed and entity in ("PERSON", "ADDRESS")):
        end = _open_end(entity, text, data, start)
    value = text[start:end]
    if end > start and is_plausible(entity, value) and _is_value(entity, value, is_fixed):
        yield Finding(start, end, entity, SCORE, "label", words_of(key)[-1])


def _open_end(entity: str, text: str, data: bytes, start: int) -> int:
    """Where a value ends that nothing shuts."""
    if entity == "PERSON":
        end = name_end(text, start)
        return end if end > start else _lowered_name(text, start)
    if entity == "ADDRESS":
        return _address_end(text, data, start)
    if entity == "PHONE":
        match = _DIALLED.match(data, start)
    elif entity in ("API_KEY", "TOKEN"):
        match = _TOKEN.match(data, start)
    elif entity == "DATE_OF_BIRTH":
        match = _DAY.match(data, start)
    elif entity in ("EMAIL", "IP_ADDRESS", "MAC_ADDRESS", "LOCATION", "PASSWORD"):
        return start  # these have rules of their own, which know their forms
    else:
        match = (_NUMBER if entity in _GROUPED else _SINGLE).match(data, start)
    return match.end() if match else start


def _line_end(text: str, start: int) -> int:
    line = text[start : start + 80].split("\n", 1)[0].split("\r", 1)[0].split(";", 1)[0].split(",", 1)[0]
    return start + len(line.rstrip(" .\"'<"))


def _lowered_name(text: str, start: int) -> int:
    """A name in lower case: two or three words up to the end of the line."""
    line = text[start : start + 60].split("\n", 1)[0].split(",", 1)[0].rstrip(". ")
    is_like = 2 <= len(line.split()) <= 3 and all(word.isalpha() for word in line.split())
    return start + len(line) if is_like and name_end(text, start, ignores_case=True) >= start + len(line) else start


def _address_end(text: str, data: bytes, start: int) -> int:
    stop = min(len(text), start + 160)
    at = start
    while (match := _NEXT_LABEL.search(data, at, stop)) is not None:
        before = text[start : match.start()].rsplit(" ", 1)[-1].rstrip(".")
        if text[match.start()] == "." and match.group()[:2] == b". " and len(before) <= 4 and before[:1].isupper():
            at = match.start() + 2  # `12 Main St. Springfield`
            continue
        stop = match.start()
        break
    value = text[start:stop].rstrip(" .,")
    if not (value[:1].isupper() or value[:1].isdigit()) and value[:1] not in "#\"'":
        return start
    return start + len(value) if any(char.isdigit() for char in value) else start


def _is_value(entity: str, value: str, is_fixed: bool) -> bool:
    if entity in ("API_KEY", "TOKEN"):
        return _is_key(value)
    if entity == "ADDRESS" and not is_fixed:
        return len(value) >= 4
    if entity == "PASSWORD":
        return chosen(value) == len(value)
    if entity == "PERSON":
        return value[0].isalpha() and "." not in value.strip(".").replace(". ", " ") and "_" not in value
    return True


def _is_key(value: str) -> bool:
    """Whether it is no number, no call and no address; without digits only what nobody writes by hand."""
    has_digit = any(char.isdigit() for char in value)
    is_drawn = (
        len(value) >= 14
        and not is_camel_case(value)
        and value.lower() != value
        and value.upper() != value
        and entropy(value) >= 3.5
    )
    is_other = "(" in value or "://" in value or value.isdigit() or " " in value.strip()
    return (has_digit or (is_drawn and value.isalnum())) and not is_other


def _name(text: str, start: int, end: int, *, is_fixed: bool) -> Iterator[tuple[int, int]]:
    """A name behind a label that names a person by the part they play, or is `name` alone."""
    if not is_fixed:
        line = text[start : start + 60].split("\n", 1)[0].split("\r", 1)[0].rstrip(" .;")
        is_listed = line.count(",") == 1 and is_name(line)
        end = start + len(line) if is_listed else name_end(text, start)
    if end > start and is_name(text[start:end]):
        yield start, end
