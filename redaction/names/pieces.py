"""A text in pieces that a model can read: sentences and lines, and only those that may hold a name. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import re2

from redaction.names.everyday import EVERYDAY
from redaction.names.given import AMBIGUOUS, GIVEN
from redaction.names.things import STOP
from redaction.names.words import COUNTRIES, PLACES, plain, words_of

LONG_PIECE = 300
"""Characters after which a sentence is cut before a word in lower case, which is seldom inside a name."""
MAX_PIECE = 600
"""Characters after which it is cut anywhere. A text that repeats itself gives pieces that do, and are read once."""
_OVERLAP = 60
"""Characters that two pieces cut anywhere have in common, more than most names have."""

_BORDER = re2.compile(r"[.!?][\"')\]”’]*\s+|\s*\n\s*\n\s*|[;:.!?>\]})]\s*\n\s*|\n\s*[-*•#|>]\s*|\n\s+|\n")
WRAPPED = 60
"""A line of so many characters without a mark at its end goes on in the next."""
_BEFORE_NAME = words_of("mr mrs ms dr prof st sr jr rev hon sgt capt lt col gen messrs mme mlle vs no")
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
"""A word; linear, and by Python's own engine, which is three times as fast at short matches."""
_LOWER = re.compile(r" (?!(?:d[aeiou]|del|des|dos|l[ae]|van|von|der|den|te[rn]?|al|el|bin|ibn|ap|zu|y|e)\b)[a-z]")
_CODE = re2.compile(r"[{}<>=$\\|`~^]|;\s*$|\w\(|\(\)|::|->|//|\w\[|[a-z0-9]_[a-z0-9]")
_SAID_IN_CODE = re2.compile(r"\"([^\"\n<>]{5,300})\"|'([^'\n<>]{5,300})'|>([^<>\n]{5,300})<|(?:#|//|--) (.{5,300})")
_CODE_RATIO = 0.05
_CODE_WORD = re2.compile(
    r"^\s*(?:def|class|import|from \S+ import|return|const|let|var|func|function|public|private|static|SELECT|INSERT|"
    r"UPDATE|DELETE|CREATE|ALTER|curl|sudo|docker|kubectl|git|pip|npm|FROM|RUN|COPY|ENV|#include|if|elif|for|while)\b"
    r".*[(){}\[\]=;:*/\-]"
)
_KNOWN_ALONE = GIVEN - AMBIGUOUS
_KNOWN_IN_ANY_CASE = _KNOWN_ALONE | PLACES


@dataclass(frozen=True)
class Piece:
    """A part of a text that is looked at by itself; what it looks like is asked several times, and found out once."""

    start: int
    text: str

    @cached_property
    def has_mixed_case(self) -> bool:
        """Whether case says something: in a text that is all upper or all lower it does not."""
        return not (self.text.islower() or self.text.isupper())

    @cached_property
    def is_code(self) -> bool:
        """Whether it looks like source text, markup or a command rather than what people say."""
        marks = sum(1 for _ in _CODE.finditer(self.text))
        return (marks >= 2 and marks > _CODE_RATIO * len(self.text)) or _CODE_WORD.search(self.text) is not None


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a text that may hold a name, in order."""
    for start, end in _cut(text):
        piece = Piece(start, text[start:end])
        if may_hold_name(piece):
            yield piece
            if piece.is_code:
                yield from _prose_in_code(piece)


def _prose_in_code(code: Piece) -> Iterator[Piece]:
    """What stands in quotes, between tags or behind a comment sign, and is no code itself."""
    for match in _SAID_IN_CODE.finditer(code.text):
        said = Piece(code.start + match.start(match.lastindex or 0), match.group(match.lastindex or 0))
        if may_hold_name(said) and not said.is_code:
            yield said


def may_hold_name(piece: Piece) -> bool:
    """Whether a name can be in it: a capital that begins no everyday word, or a name that is known in any case."""
    words = WORD.findall(piece.text)
    lowers = set(map(plain, words))
    if piece.has_mixed_case:
        begins_everyday = bool(words) and words[0].lower() in EVERYDAY
        if any(map(is_capitalised_name, words[1:] if begins_everyday else words)):
            return True
    return not lowers.isdisjoint(_KNOWN_IN_ANY_CASE)


def is_capitalised_name(word: str) -> bool:
    """Whether a word is written as a name is, and not one of those that never are."""
    if not word[0].isupper() or len(word) == 1:
        return False
    lower = plain(word)
    return lower in _KNOWN_ALONE or not (lower in STOP or lower in COUNTRIES or is_contraction(lower))


def is_contraction(lower: str) -> bool:
    """`I'm`, `it's`, `don't`, and the like."""
    stem, mark, _ = lower.replace("’", "'").partition("'")
    return bool(mark) and (lower.endswith("t") or (stem in STOP and len(stem) > 1) or stem == "i")


def titled(text: str) -> str:
    """The text with the case of a title, each character at its place."""
    out, is_inside = list[str](), False
    for char in text:
        changed = char.lower() if is_inside else char.upper()
        out.append(changed if len(changed) == 1 else char)
        is_inside = char.isalpha()
    return "".join(out)


def _cut(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for border in _BORDER.finditer(text):
        if not _is_inside_sentence(text, at, border.start(), border.group()):
            yield from _short(text, at, border.end())
            at = border.end()
    yield from _short(text, at, len(text))


def _is_inside_sentence(text: str, at: int, end: int, border: str) -> bool:
    """Whether a border is none: the dot of `Dr.` or of an initial, or the line break of wrapped prose."""
    if border.strip() == "." and "\n" not in border:
        word = text[max(at, end - 8) : end].rpartition(" ")[2].lstrip("([\"'“‘")
        return len(word) == 1 or word.lower() in _BEFORE_NAME
    if border[:1] == "\n" and text[max(at, end - 1) : end] == ",":  # `Regards,` above a name
        return True
    is_wrap = border == "\n" and end - (text.rfind("\n", 0, end) + 1) >= WRAPPED
    return is_wrap and end + 1 < len(text) and text[end + 1].isalpha()


def _short(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > MAX_PIECE:
        gentle = _LOWER.search(text, start + LONG_PIECE, start + MAX_PIECE)
        if gentle is not None:
            cut = following = gentle.start() + 1
        else:
            cut = text.rfind(" ", start + MAX_PIECE - _OVERLAP, start + MAX_PIECE) + 1 or start + MAX_PIECE
            following = text.rfind(" ", start + LONG_PIECE, cut - _OVERLAP) + 1 or cut - _OVERLAP
        yield start, cut
        start = following
    if end > start:
        yield start, end
