"""What only several messages tell together: values cut in two, and answers to a question for a value."""

from collections.abc import Iterator, Sequence

import re2

from redaction.detectors.finance import card
from redaction.detectors.patterns import patterns
from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.keys import entity_of_key, is_plausible
from redaction.wording import NO_NAMES
from runtime.domain.canonical import Json

MESSAGE_KEYS = ("content", "text", "message", "body", "value", "utterance", "say", "msg")
TAIL = 96
"""Characters of the message before that are context of the next."""
_REACH = 4
"""Messages that one value may be cut over."""
_DIGITS = re2.compile(rb"[0-9](?:[ \-.]?[0-9])*", options())
_LAST_WORD = re2.compile(r"[^\s,;]{3,64}$")
_FIRST_WORD = re2.compile(r"^[^\s,;]{2,64}")
_ASKED = re2.compile(
    r"(?i)(?:\b(?:your|the|my|his|her|their|patient's|customer's|whose|what|which|enter|give|provide"
    r"|confirm|share|and|is)\b.{0,40}?|^)"
    r"(?P<key>[a-z'\-]+(?: [a-z'\-]+){0,4})(?: is| please| number)?[ ?:=.…]*$"
)
_LEAD = re2.compile(
    r"(?i)^\s*(?:(?:yes|sure|ok|okay|well|hi|hello|of course|certainly)[,.!]? )?(?:it'?s|it is|that'?s|that is|this is"
    r"|my [a-z ]{2,30} is|i am|i'm|here(?: it is|'s|:)?)?[ :,]*"
)
_WHOSE = (
    "your",
    "full",
    "first",
    "last",
    "whose",
    "patient",
    "customer",
    "the",
    "family",
    "given",
    "complete",
    "legal",
)
_STRONG = frozenset(
    ("PAYMENT_CARD", "IBAN", "NATIONAL_ID", "EMAIL", "API_KEY", "TOKEN", "PRIVATE_KEY", "CONNECTION_STRING",
     "HEALTH_ID", "PHONE", "IP_ADDRESS")
)  # fmt: skip


def message_of(item: Json) -> str:
    """The text of a message, whatever its shape; empty when it has none."""
    if isinstance(item, dict):
        item = next((item[key] for key in MESSAGE_KEYS if isinstance(item.get(key), str)), "")
    return item if isinstance(item, str) else ""


def answered(before: str, text: str) -> Iterator[Finding]:
    """A short message behind one that ends by asking for a value, or by naming it."""
    last = before.replace("?", " ? ").replace(",", " ").rstrip(" ?:.=…").rsplit("\n", 1)[-1].rsplit(". ", 1)[-1]
    asked = _ASKED.search(" ".join(last.split()))
    if asked is None or not 0 < len(text.strip()) <= 120:
        return
    entity = _asked_for(asked.group("key"))
    lead = _LEAD.match(text)
    start = lead.end() if lead else 0
    value = text[start:].strip()
    start = text.find(value, start)
    value = value.rstrip(".!,;")
    if entity and value and _is_answer(entity, value):
        yield Finding(
            start, start + len(value), entity, 0.8, "asked_before", asked.group("key").rsplit(" ", 1)[-1].lower()
        )


def _asked_for(key: str) -> str:
    """What a question asks for, by its last words; `please` and the like may follow."""
    asked = key.lower().split()
    for dropped in range(min(3, len(asked))):
        rest = asked[: len(asked) - dropped]
        for count in range(1, min(4, len(rest)) + 1):
            entity = entity_of_key(" ".join(rest[-count:]))
            if entity:
                return entity
        if rest[-1:] == ["name"] and (len(rest) == 1 or rest[-2] in _WHOSE):
            return "PERSON"
    return ""


def _is_answer(entity: str, value: str) -> bool:
    count = len(value.split())
    if entity == "PERSON":
        words = value.split()
        return count <= 4 and all(word.strip(".,'-").isalpha() and word.lower() not in NO_NAMES for word in words)
    if entity == "ADDRESS":
        return count <= 14 and is_plausible(entity, value) and any(char.isdigit() for char in value)
    if entity in ("PASSWORD", "API_KEY", "TOKEN"):
        is_code = "(" in value or value.startswith("$")
        return count == 1 and is_plausible(entity, value) and value.lower() not in NO_NAMES and not is_code
    return count <= 6 and is_plausible(entity, value)


def split_over(texts: Sequence[str]) -> list[tuple[Finding, ...]]:
    """Values of which one message holds the beginning, and the ones after it the rest."""
    found: list[list[Finding]] = [[] for _ in texts]
    if sum(map(bool, texts)) < 2:
        return [()] * len(texts)
    _cards_over(texts, found)
    for first in range(len(texts)):
        for second in range(first + 1, min(first + 3, len(texts))):
            if texts[first] and texts[second]:
                _tokens_over(texts, first, second, found)
    return [tuple(each) for each in found]


def _cards_over(texts: Sequence[str], found: list[list[Finding]]) -> None:
    runs = [[match.span() for match in _DIGITS.finditer(latin(text))] for text in texts]
    for first in range(len(texts)):
        if not runs[first]:
            continue
        pieces = [(first, *runs[first][-1])]
        if _has_card(texts[first], runs[first]):
            continue
        for second in range(first + 1, min(first + 2 * _REACH, len(texts))):
            if not runs[second]:
                continue
            if _has_card(texts[second], runs[second]):
                break
            pieces.append((second, *runs[second][0]))
            joined = " ".join(texts[index][low:high] for index, low, high in pieces)
            if len(joined) > 40 or len(pieces) > _REACH + 1:
                break
            start, end = card(joined) if min(high - low for _, low, high in pieces) >= 3 else (0, 0)
            if start == 0 and end > len(joined) - (pieces[-1][2] - pieces[-1][1]):
                for index, low, high in pieces:
                    found[index].append(Finding(low, high, "PAYMENT_CARD", 0.9, "payment_card_split"))
                break
            if len(runs[second]) > 1:
                break


def _has_card(text: str, runs: Sequence[tuple[int, int]]) -> bool:
    """Whether one of the runs of digits of a message holds a whole card, which is then no half of another."""
    return any(card(text[low:high]) != (0, 0) for low, high in runs)


def _tokens_over(texts: Sequence[str], first: int, second: int, found: list[list[Finding]]) -> None:
    """A key, an account or an address of which the last word of one and the first of another are the halves."""
    left, right = _LAST_WORD.search(texts[first][-64:]), _FIRST_WORD.search(texts[second][:64].lstrip())
    if left is None or right is None:
        return
    begin, rest = left.group(), right.group()
    is_likely = any(char.isdigit() for char in begin + rest) or "@" in begin + rest
    if not is_likely or (begin[-1] in ".?!:" and "@" not in begin + rest):
        return
    around = f"{texts[first][-TAIL:]} {texts[second][:TAIL]}".lower()
    low, skipped = len(texts[first]) - len(begin), texts[second].find(rest)
    if any(each.type in _STRONG for half in (begin, rest) for each in patterns()(half, around)):
        return
    for each in patterns()(begin + rest, around):
        if each.type in _STRONG and each.start < len(begin) - 1 and each.end > len(begin) + 1:
            name = f"{each.recogniser}_split"
            found[first].append(Finding(low + each.start, len(texts[first]), each.type, 0.8, name))
            found[second].append(Finding(skipped, skipped + each.end - len(begin), each.type, 0.8, name))
