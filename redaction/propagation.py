"""A value that was found once is found everywhere: in any case, in file names, handles, e-mail addresses, other fields.

Knows values for as long as its owner lives, in memory only, and never writes them. Looking up is by words: a text that
holds none of the first words of what is known costs one pass over it.
"""

import string
import unicodedata
from collections.abc import Iterable, Iterator

from redaction.findings import ENTITIES, Finding
from redaction.wording import MAY_BE_BOTH, NO_NAMES, PARTICLES, TITLES

SCORE = 0.75
MAX_VALUE = 200
"""Characters of the longest value that is looked for again."""
_MANY = 16
"""Values with the same first word that are looked for one by one."""
_SHORTEST_PART = 3
_SHORTEST_HANDLE = 5
_SHORTEST_NUMBER = 6
_MARKS = "".join(chr(code) for code in range(128) if not chr(code).isalnum()) + "“”‘’„«»–—·…\u00a0"
_TO_WORDS = str.maketrans(dict.fromkeys(_MARKS, " "))
_TO_LETTERS = str.maketrans(dict.fromkeys(_MARKS + "0123456789", " "))
_TO_DIGITS = str.maketrans(dict.fromkeys(_MARKS + string.ascii_lowercase, " "))
_PLAIN = str.maketrans(
    {"ø": "o", "Ø": "O", "ß": "ss", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "Ae", "đ": "d", "ı": "i", "œ": "oe"}
)
_NO_SPREAD = frozenset(("BINARY", "PRIVATE_KEY"))


class Read:
    """A text that several `Known` look through: what each of them asks of it is made once."""

    __slots__ = ("_words", "lowered", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.lowered = text.lower()
        self._words: frozenset[str] | None = None

    @property
    def words(self) -> frozenset[str]:
        """In lower case, with and without the digits in them."""
        if self._words is None:
            letters = self.lowered.translate(_TO_LETTERS).split()
            self._words = frozenset(self.lowered.translate(_TO_WORDS).split()).union(letters)
        return self._words


class Known:
    """Values and the parts of names, by their first word."""

    def __init__(self, *, parts: bool = True) -> None:
        """`parts`: whether the words of a name count alone; otherwise only whole values are found again."""
        self._parts = parts
        self._seen: set[tuple[str, str]] = set()
        self._by_first: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        """First word → all words, entity, and the spelling that is required, if one is."""
        self._numbers: dict[str, str] = {}
        """Digits → entity: found glued to letters too."""

    def learn(self, text: str, findings: Iterable[Finding]) -> None:
        """Remember what was found in a text."""
        for each in findings:
            if each.recogniser != "known":
                self.add(each.type, text[each.start : each.end])

    def add(self, entity: str, value: str) -> None:
        """Remember one value."""
        if entity in _NO_SPREAD or len(value) > MAX_VALUE or (entity, value) in self._seen:
            return
        self._seen.add((entity, value))
        words = tuple(value.lower().translate(_TO_WORDS).split())
        if not words:
            return
        if entity == "PERSON":
            self._add_person(value, words)
            folded = _folded(value)
            if folded != value:
                self._add_person(folded, tuple(folded.lower().translate(_TO_WORDS).split()))
        elif entity == "LOCATION" and not any(char.isdigit() for char in value):
            if len(value) >= 4 and not MAY_BE_BOTH.intersection(words):
                self._put(words, entity)
        elif _is_telling(entity, value, words):
            self._put(words, entity)
            if value.isdigit() and len(value) >= _SHORTEST_NUMBER:
                self._numbers[value] = entity
            if entity == "DATE_OF_BIRTH":
                self._add_date(words)
            if entity == "EMAIL":
                self._add_mailbox(value)

    def spans(self, text: "str | Read") -> Iterator[Finding]:
        """Where known values stand in a text; they may overlap."""
        if not self._by_first:
            return
        read = text if isinstance(text, Read) else Read(text)
        text, lowered = read.text, read.lowered
        if len(lowered) != len(text):
            return
        present = read.words & self._by_first.keys()
        if self._parts and not (text.islower() or text.isupper()):  # `feature/AnnaBerghof`
            present = present.union(first for first in self._by_first if first in lowered)
        for first in present:
            entries = self._by_first[first]
            if len(entries) > _MANY:
                yield from _places_of_many(text, lowered, first, entries)
            else:
                for words, entity, spelling in entries:
                    yield from _places(text, lowered, words, entity, spelling)
        runs = set(lowered.translate(_TO_DIGITS).split()) if self._numbers else set[str]()
        for number in runs & self._numbers.keys():
            entity = self._numbers[number]
            at = lowered.find(number)
            while at >= 0:
                end = at + len(number)
                if not (lowered[at - 1 : at].isdigit() or lowered[end : end + 1].isdigit()):
                    yield Finding(at, end, entity, SCORE, "known")
                at = lowered.find(number, end)

    def _add_person(self, value: str, words: tuple[str, ...]) -> None:
        names = [word for word in words if word not in TITLES and word.isalpha()]
        if len(names) >= 2:
            self._put(tuple(names), "PERSON")
            self._put((names[-1], *names[:-1]), "PERSON")
        if not self._parts:
            return
        spelt = {word.lower(): word for word in value.translate(_TO_WORDS).split()}
        for name in names:
            if len(name) >= _SHORTEST_PART and name not in PARTICLES and name not in NO_NAMES:
                self._put((name,), "PERSON", spelt.get(name, "") if name in MAY_BE_BOTH else "")
        if len(names) >= 2:
            first, last = names[0], names[-1]
            for handle in (first + last, last + first, first[0] + last, first + last[0], last + first[0]):
                if len(handle) >= _SHORTEST_HANDLE:
                    self._put((handle,), "PERSON")

    def _add_mailbox(self, value: str) -> None:
        """The name that an address holds: `anna.berg@…`."""
        parts = value.partition("@")[0].lower().translate(_TO_LETTERS).split()
        is_name = len(parts) == 2 and all(len(part) >= _SHORTEST_PART and part not in MAY_BE_BOTH for part in parts)
        if is_name and self._parts:
            self._add_person(" ".join(parts), tuple(parts))

    def _add_date(self, words: tuple[str, ...]) -> None:
        """The same day in the other orders of digits."""
        if len(words) == 3 and all(word.isdigit() for word in words):
            year = next((word for word in words if len(word) == 4), "")
            if year:
                first, second = [word.zfill(2) for word in words if word is not year][:2]
                for order in (
                    (year, first, second),
                    (year, second, first),
                    (first, second, year),
                    (second, first, year),
                ):
                    self._put(order, "DATE_OF_BIRTH")
                if words[0] == year:
                    self._put((year + first + second,), "DATE_OF_BIRTH")

    def _put(self, words: tuple[str, ...], entity: str, spelling: str = "") -> None:
        entries = self._by_first.setdefault(words[0], [])
        if not any(known == words and spelt in ("", spelling) for known, _, spelt in entries):
            entries.append((words, entity, spelling))


def _folded(value: str) -> str:
    """The name in plain letters, as handles and addresses have it."""
    plain = unicodedata.normalize("NFKD", value.translate(_PLAIN))
    return "".join(char for char in plain if not unicodedata.combining(char))


def _is_telling(entity: str, value: str, words: tuple[str, ...]) -> bool:
    """Whether a value is so much its own that it is nothing else elsewhere."""
    size = sum(map(len, words))
    has_digit = any(char.isdigit() for char in value)
    if ENTITIES[entity] == "secret":
        return size >= 8 and (has_digit or not value.isalpha() or (not value.islower() and not value.istitle()))
    if value.isdigit():
        return size >= _SHORTEST_NUMBER
    return size >= 5 and (has_digit or "@" in value or (entity == "ADDRESS" and len(words) >= 2))


def _places(text: str, lowered: str, words: tuple[str, ...], entity: str, spelling: str) -> Iterator[Finding]:
    first = words[0]
    at = lowered.find(first)
    while at >= 0:
        end = _match_end(text, lowered, at, words)
        if end and (not spelling or text[at:end] == spelling):
            yield Finding(at, end, entity, SCORE, "known")
        at = lowered.find(first, end or at + 1)


def _places_of_many(
    text: str, lowered: str, first: str, entries: list[tuple[tuple[str, ...], str, str]]
) -> Iterator[Finding]:
    """The same for many values that begin alike: each place is looked at once, by the words that stand there."""
    by_words = {words: (entity, spelling) for words, entity, spelling in entries}
    lengths = sorted({len(words) for words in by_words})
    at = lowered.find(first)
    while at >= 0:
        window = lowered[at : at + MAX_VALUE].translate(_TO_WORDS).split()
        for length in lengths:
            words = tuple(window[:length])
            entity, spelling = by_words.get(words, ("", ""))
            end = _match_end(text, lowered, at, words) if entity else 0
            if end and (not spelling or text[at:end] == spelling):
                yield Finding(at, end, entity, SCORE, "known")
        at = lowered.find(first, at + len(first))


def _match_end(text: str, lowered: str, at: int, words: tuple[str, ...]) -> int:
    """The end of the words that begin at a place, each as a word of its own with up to three marks between; 0: none."""
    if _is_joined(text[at - 1 : at], text[at]):
        return 0
    end = at + len(words[0])
    for word in words[1:]:
        if _is_joined(text[end - 1], text[end : end + 1]):
            return 0
        begin = end
        while begin < len(lowered) and begin - end < 3 and not lowered[begin].isalnum():
            begin += 1
        if not lowered.startswith(word, begin):
            return 0
        end = begin + len(word)
    return 0 if _is_joined(text[end - 1], text[end : end + 1]) else end


def _is_joined(one: str, other: str) -> bool:
    """Whether two neighbours belong to one word: letters do, and digits; a small letter and a capital do not."""
    is_word = one.isalpha() and other.isalpha() and not (one.islower() and other.isupper())
    return is_word or (one.isdigit() and other.isdigit())
