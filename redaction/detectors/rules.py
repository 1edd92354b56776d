"""A rule, and the engine that looks for all rules at once. RE2 only: time is linear in the text, whatever it holds.

A text is scanned as Latin-1 bytes, one byte a character, so that offsets stay those of the text; characters beyond
become `?`. Normalising (redaction/decode.py) has made those that matter ASCII before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import re2

from redaction.findings import Finding
from redaction.tongues import plain_letters

BEFORE = 64
AFTER = 24
_RIGHT_BEFORE = 20
"""How far context words may stand before and after a value, in characters."""
_LONGEST_RETRIED = 64
_UNSPACED = "\u2e80"
"""From here on are scripts that put no blanks between words."""
_LONGEST_HASH = 128
_HASH = re2.compile(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{20,128}")
_OWN = re2.compile(r"[<\[][A-Z_ ]{2,30}(?:[_ ][0-9]{1,9}[_ ][A-Z2-7]{4}|=[a-p]{16})?[>\]]")

Check = Callable[[str], int]
"""How many characters from the start of a match are the value; 0 when it is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of one entity."""

    name: str
    entity: str
    pattern: str
    """RE2 syntax over Latin-1; the group `v`, or else the whole match, is the value."""
    score: float
    check: Check | None = None
    """Check digits and the like."""
    context: tuple[str, ...] = ()
    """Words nearby, in lower case, that make a find likelier."""
    needs_context: bool = False
    """Whether it is no find without one of the words."""
    ignores_case: bool = False
    is_apart: bool = False
    """Whether it is no find right behind a mark that makes it part of a name: `ORD-4231398`, `call_33352554`."""
    unless: tuple[str, ...] = ()
    """Words right before it, or in its key, that say it is something else."""


class RuleSet:
    """Rules compiled once. Calling it finds them in one text: it is a Detector."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [(rule, *_compiled(rule)) for rule in rules]
        self._index = re2.Set.SearchSet(options(ignores_case=False))
        for rule in rules:
            self._index.Add(_source(rule))
        self._index.Compile()
        words = sorted({word for rule in rules if rule.needs_context for word in rule.context})
        numbers = {word: number for number, word in enumerate(words)}
        self._words = re2.Set.SearchSet()
        for word in words or ["never"]:
            self._words.Add(re2.escape(word))
        self._words.Compile()
        self._needed = [
            frozenset(numbers[word] for word in rule.context) if rule.needs_context else None for rule in rules
        ]

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The finds of every rule; they may overlap."""
        data = latin(text)
        hits = self._index.Match(data)
        if not hits:
            return
        lowered = _context_of(text)
        words = around.lower()
        said: frozenset[int] | None = None
        for number in sorted(hits):
            rule, pattern, group = self._rules[number]
            needed = self._needed[number]
            if needed is not None:
                said = self._said(f"{words} {lowered}") if said is None else said
                if needed.isdisjoint(said):
                    continue
            for start, end in _values(rule, text, data, pattern, group):
                found = None if is_part_of_hash(text, start, end) else _in_context(rule, lowered, words, start, end)
                if found is not None:
                    yield found

    def _said(self, text: str) -> frozenset[int]:
        """Which of the words that rules need stand somewhere in a text, by one look at it."""
        return frozenset(self._words.Match(text.encode("utf-8", "replace")) or ())


def _values(rule: Rule, text: str, data: bytes, pattern: "re2._Regexp[bytes]", group: int) -> Iterator[tuple[int, int]]:
    """Where the values of a rule stand that pass its check.

    What a match took too much of, or the rest of one that fails, is looked at again from its next word on.
    """
    if rule.check is None:
        yield from (match.span(group) for match in pattern.finditer(data))
        return
    at = 0
    while (match := pattern.search(data, at)) is not None:
        start, end = match.span(group)
        taken = rule.check(text[start:end])
        if taken:
            yield start, start + taken
            at = max(match.start() + 1, start + taken)
        else:
            is_short = end - start <= _LONGEST_RETRIED
            first_word = next((place for place in range(start, end) if is_short and not text[place].isalnum()), end)
            at = max(match.start() + 1, first_word)


def is_part_of_hash(text: str, start: int, end: int) -> bool:
    """Whether a value is cut out of a UUID, or out of the hash of a commit or a file."""
    if not (_is_joined(text[start - 1 : start]) or _is_joined(text[end : end + 1])):
        return False
    low = max(0, start - _LONGEST_HASH)
    return any(
        low + match.start() <= start and end <= low + match.end() and not match.group().isdigit()
        for match in _HASH.finditer(text[low : end + _LONGEST_HASH])
    )


def _is_joined(char: str) -> bool:
    return char.isalnum() or char == "-"


def _in_context(rule: Rule, lowered: str, around: str, start: int, end: int) -> Finding | None:
    if rule.is_apart and _is_part_of_name(lowered[max(0, start - 2) : start]):
        return None
    if rule.unless:
        before = f"{around} {lowered[max(0, start - _RIGHT_BEFORE) : start]} "
        if any(_stands_in(before, word) for word in rule.unless):
            return None
    if not rule.context:
        return Finding(start, end, rule.entity, rule.score, rule.name)
    nearby = f"{around} {lowered[max(0, start - BEFORE) : start]} {lowered[end : end + AFTER]}"
    word = next((each for each in rule.context if _stands_in(nearby, each)), "")
    if rule.needs_context and not word:
        return None
    raised = min(1.0, rule.score + 0.3) if word and not rule.needs_context else rule.score
    return Finding(start, end, rule.entity, round(raised, 2), rule.name, word)


def _is_part_of_name(before: str) -> bool:
    return before[-1:] in ("#", "_", "+") or (before[-1:] == "-" and before[:1].isalnum() and len(before) > 1)


def _context_of(text: str) -> str:
    """The text in lower case, without what redaction itself has put there: `[PHONE]` makes no number a phone's."""
    if "[" in text or "<" in text:
        text = _OWN.sub(lambda match: " " * len(match.group()), text)
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)  # `İ` becomes two


def _stands_in(nearby: str, word: str) -> bool:
    """Whether the word begins somewhere as a word of its own; `id` is not in `paid`, but `card` is in `cards`."""
    at = nearby.find(word)
    while at >= 0:
        stop = at + len(word)
        is_begun = at == 0 or word[0] >= _UNSPACED or not nearby[at - 1].isalpha()
        if is_begun and (len(word) > 4 or word[0] >= _UNSPACED or stop == len(nearby) or not nearby[stop].isalpha()):
            return True
        at = nearby.find(word, at + 1)
    return False


def _compiled(rule: Rule) -> tuple["re2._Regexp", int]:
    pattern = re2.compile(_source(rule), options(ignores_case=False))
    return pattern, pattern.groupindex.get(b"v", pattern.groupindex.get("v", 0))


def _source(rule: Rule) -> bytes:
    return (("(?i)" if rule.ignores_case else "") + rule.pattern).encode("latin-1")


def latin(text: str) -> bytes:
    """One byte a character, so that offsets stay those of the text; letters beyond Latin-1 lose their marks."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.translate(_TO_LATIN).encode("latin-1", "replace")


def whole(text: str) -> str:
    """The text with `?` for each half of a character that stands alone: such cannot be encoded for a pattern."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("?" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _latin_letters() -> dict[int, str]:
    """Latin letters beyond Latin-1 → those without a mark; other letters that have a case → one of Latin-1's."""
    found = dict[int, str]()
    for code in (*range(0x100, 0x250), *range(0x370, 0x530), *range(0x1E00, 0x1F00)):
        char = chr(code)
        plain = plain_letters(char)
        if char.isalpha() and char.lower() != char.upper():
            letter = plain[0] if len(plain) >= 1 and plain[0].isascii() else "\xfe"
            found[code] = letter.upper() if char.isupper() else letter
    return found


_TO_LATIN = _latin_letters()


def options(*, ignores_case: bool = False) -> "re2.Options":
    """How patterns over such bytes are compiled."""
    found = re2.Options()
    found.encoding = re2.Options.Encoding.LATIN1
    found.log_errors = False
    found.case_sensitive = not ignores_case
    found.max_mem = 64 << 20  # the index of all rules does not fit in the default 8 MiB
    return found
