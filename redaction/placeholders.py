"""Pseudonyms: placeholders that stand for values on the way out, and are exchanged back in the answer.

A placeholder is `<EMAIL_1_K3F9>`: entity, number, and a mark that only the run's key can make. A text that merely
looks like one is never exchanged, so nobody can print another's value by guessing a number.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import quote

from redaction.propagation import Known
from runtime.domain.canonical import Json, parse
from runtime.domain.minimise import Pseudonym

MAX_LENGTH = 64
"""Characters of the longest spelling of a placeholder that is recognised in an answer."""

_CORE = r"([A-Za-z]{2,20}(?:\\?[_ ][A-Za-z]{2,20}){0,2})\\?[_ ]([0-9]{1,9})\\?[_ ]([A-Za-z2-7]{4})"
_SPELLINGS = (
    ("<", ">"),
    ("&lt;", "&gt;"),
    (r"\\u003[cC]", r"\\u003[eE]"),
    (r"\[", r"\]"),
    (r"\{", r"\}"),
    ("%3[cC]", "%3[eE]"),
)
# Not RE2: every repetition is bounded and ends at another character, so little is tried twice, and an answer of nothing
# but placeholders takes 10 µs for each in place of 100.
_PLACEHOLDER = re.compile("|".join(f"{start} ?{_CORE} ?{end}" for start, end in _SPELLINGS))
_PERCENT_GROUP = 3 * (len(_SPELLINGS) - 1) + 1
_BEGUN = re.compile(
    r"(?:<|&(?:l(?:t;?)?)?|\\(?:u(?:0(?:0(?:3[cC]?)?)?)?)?|\[|\{|%(?:3[cC]?)?)"
    r"[A-Za-z0-9_ \\]*(?:&(?:g(?:t)?)?|\\?u?0?0?3?|%3?)?"
)
_OPENERS = "<&\\[{%"


class Pseudonyms:
    """The placeholders of one run. Lives as long as the run; holds values in memory, and never writes them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._values: dict[str, str] = {}
        self._numbers: set[str] = set()
        self._names: dict[tuple[str, str, bool], str] = {}
        self._counts: dict[str, int] = {}
        self.known = Known(parts=False)
        """Whole values that the run has named before, to be found again in any form."""

    def name(self, entity: str, value: str, *, is_number: bool = False) -> str:
        """The placeholder of a value, the same one each time; a number of a JSON payload has one of its own."""
        known = self._names.get((entity, value, is_number))
        if known is None:
            number = self._counts[entity] = self._counts.get(entity, 0) + 1
            core = f"{entity}_{number}_{self._mark(entity, number)}"
            known = self._names[entity, value, is_number] = f"<{core}>"
            self._values[core] = value
            self.known.add(entity, value)
            if is_number:
                self._numbers.add(known)
        return known

    def take_up(self, known: Iterable[Pseudonym], spent: Mapping[str, int]) -> None:
        """Go on from what was given before, in the order in which it was.

        `spent`: entity → a number up to which none is given again.
        """
        for each in known:
            text = f"<{each.core}>"
            self._names[each.entity, each.value, each.is_number] = text
            self._values[each.core] = each.value
            self.known.add(each.entity, each.value)
            self._counts[each.entity] = max(self._counts.get(each.entity, 0), each.number)
            if each.is_number:
                self._numbers.add(text)
        for entity, number in spent.items():
            self._counts[entity] = max(self._counts.get(entity, 0), number)

    def given(self, *, after: int = 0) -> Sequence[Pseudonym]:
        """What was given behind the first `after`, in order."""
        found = []
        for core, value in islice(self._values.items(), after, None):
            entity, number, _ = core.rsplit("_", 2)
            found.append(Pseudonym(entity, int(number), core, value, f"<{core}>" in self._numbers))
        return found

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where placeholders of this run stand."""
        for match in _PLACEHOLDER.finditer(text) if self._values else ():
            if self._value(match) is not None:
                yield match.span()

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """The text with its placeholders exchanged for what they stand for.

        `in_json`: the text is JSON, or a part of it, and values are escaped as the inside of a JSON text is.
        """
        if not _opens(text):
            return text
        pieces, at = list[str](), 0
        for match in _PLACEHOLDER.finditer(text):
            value = self._value(match)
            if value is not None:
                if match.group(_PERCENT_GROUP):
                    value = quote(value, safe="")
                elif in_json:
                    value = json.dumps(value, ensure_ascii=False)[1:-1]
                pieces += (text[at : match.start()], value)
                at = match.end()
        return "".join([*pieces, text[at:]]) if at else text

    def restore_payload(self, value: Json) -> Json:
        """The same for every key and text of a JSON value; what was a number is one again.

        A text that is JSON itself stays JSON, whatever the values hold; its white space may differ.
        """
        match value:
            case str() if value in self._numbers:
                return parse(self.restore(value))
            case str():
                inner = json_within(value) if self.restore(value) != value else None
                if inner is None:
                    return self.restore(value)
                return json.dumps(self.restore_payload(inner), ensure_ascii=False)
            case list():
                return [self.restore_payload(item) for item in value]
            case dict():
                return {self.restore(key): self.restore_payload(item) for key, item in value.items()}
            case _:
                return value

    def _value(self, match: re.Match[str]) -> str | None:
        entity, number, mark = (group for group in match.groups() if group)
        core = f"{entity}_{number}_{mark}".upper().replace("\\", "").replace(" ", "_")
        return self._values.get(core)

    def _mark(self, entity: str, number: int) -> str:
        sum_ = hmac.digest(self._key, f"{entity}_{number}".encode(), "sha256")
        return base64.b32encode(sum_)[:4].decode()


class Restorer:
    """Exchanges placeholders in an answer that comes in pieces, cut anywhere."""

    def __init__(self, pseudonyms: Pseudonyms, *, in_json: bool = False) -> None:
        self._pseudonyms = pseudonyms
        self._in_json = in_json
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be told apart by now; the tail that may still become a placeholder is held back."""
        text = self._held + piece
        if not _opens(text):  # as nearly every piece of a stream, and looking closer takes ten times as long
            self._held = ""
            return text
        cut = _begun_at(text)
        self._held = text[cut:]
        return self._pseudonyms.restore(text[:cut], in_json=self._in_json)

    def end(self) -> str:
        """What was held back."""
        rest, self._held = self._held, ""
        return self._pseudonyms.restore(rest, in_json=self._in_json)


def json_within(text: str) -> Json:
    """The list or mapping that a text is the JSON of; None when it is none, or names a member twice."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] not in ("{}", "[]") or len(stripped) < 4:
        return None
    try:
        return read_json(stripped)
    except (ValueError, RecursionError):
        return None


def read_json(text: str) -> Json:
    """The value that a text is the JSON of. Raises ValueError and RecursionError.

    So does an object that names a member twice: whoever is sent the text may read the one that is not seen here.
    """
    found: Json = json.loads(text, object_pairs_hook=_members)
    return found


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is named twice")
    return members


def _opens(text: str) -> bool:
    """Whether a placeholder may begin in a text."""
    return any(opener in text for opener in _OPENERS)


def _begun_at(text: str) -> int:
    """Where a placeholder may have begun whose end has not come; the length of the text when none has."""
    for at in range(max(0, len(text) - MAX_LENGTH), len(text)):
        if text[at] in _OPENERS and _BEGUN.fullmatch(text[at:]):
            return at
    return len(text)
