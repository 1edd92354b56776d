"""Reads a Markdown or text document and cuts it into passages and sentences. Pure.

A document may begin with front matter: lines `key: value` between two lines `---`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runtime.errors import Invalid

FORMAT = 1
"""Raised when equal documents would be cut differently, so that they are read anew."""

MAX_WORDS = 200
"""Longest passage; the embedding model reads about this much."""
MAX_CHARACTERS = 1_600
"""Longest passage of a script without spaces, or of what is no prose."""
MIN_WORDS = 15
"""A shorter paragraph, such as the line above a list, is joined with the next."""
_MIN_SENTENCE_WORDS = 3

_FENCE = "---"
_FIELD = re.compile(r"([A-Za-z_][\w-]*):(?:\s+(.*))?")
_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*")
_ITEM = re.compile(r"(?:[-*+]|\d{1,3}[.)])\s+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(.+?)\1")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[A-Za-z]|e\.g|i\.e|etc|approx|vs|No|Mr|Mrs|Ms|Dr|St)\.$")


class Section(NamedTuple):
    """A passage before it has a vector."""

    heading: str
    """The nearest heading above it; empty before the first."""
    text: str
    sentences: tuple[str, ...]


class Reading(NamedTuple):
    """A document as it was read."""

    fields: dict[str, str]
    """The front matter; `title` is the heading that a document begins with when the front matter has none."""
    sections: tuple[Section, ...]


def read(text: str) -> Reading:
    """Cut a document. Raises Invalid for front matter that is not one, and for a document without words."""
    fields, body = _split_front_matter(text.lstrip("\ufeff").replace("\r\n", "\n"))
    parts = [part for part in _under_headings(body) if any(part)]
    if parts and parts[0][0]:
        fields.setdefault("title", parts[0][0])
    sections = [_section(heading, text) for heading, paragraphs in parts for text in _groups(paragraphs)]
    if not sections:
        raise Invalid("ingest.empty", "the document has no text")
    return Reading(fields, tuple(sections))


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, in order; one of fewer than three words goes with the one before it."""
    found: list[str] = []
    for line in text.split("\n"):
        for sentence in _split_sentences(line):
            if found and len(sentence.split()) < _MIN_SENTENCE_WORDS:
                found[-1] = f"{found[-1]} {sentence}"
            else:
                found.append(sentence)
    return tuple(found)


def _split_front_matter(text: str) -> tuple[dict[str, str], str]:
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return {}, text
    fields: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == _FENCE:
            return fields, "\n".join(lines[number:])
        if not line.strip() or line.startswith("#"):
            continue
        field = _FIELD.fullmatch(line.rstrip())
        if field is None:
            raise Invalid("ingest.front_matter", f"line {number} of the front matter is not 'key: value'")
        if field[1] in fields:
            raise Invalid("ingest.front_matter", f"line {number} of the front matter gives {field[1]!r} again")
        fields[field[1]] = (field[2] or "").strip().strip("\"'")
    raise Invalid("ingest.front_matter", f"the front matter has no end; expected a line {_FENCE!r}")


def _under_headings(body: str) -> Iterator[tuple[str, list[str]]]:
    """Each heading with the paragraphs below it."""
    heading, paragraphs = "", list[str]()
    for block in re.split(r"\n\s*\n", body):
        lines = [line.strip() for line in block.strip().split("\n") if line.strip()]
        if lines and (title := _HEADING.fullmatch(lines[0])):
            yield heading, paragraphs
            heading, paragraphs = _plain(title[1]), []
            lines = lines[1:]
        if lines:
            paragraphs.append(_paragraph(lines))
    yield heading, paragraphs


def _paragraph(lines: Sequence[str]) -> str:
    """Lines joined to one, except that each item of a list keeps its own."""
    units: list[str] = []
    for line in lines:
        item = _ITEM.match(line)
        if item is not None:
            units.append(line[item.end() :])
        elif units:
            units[-1] = f"{units[-1]} {line}"
        else:
            units.append(line)
    return "\n".join(_plain(unit) for unit in units)


def _plain(text: str) -> str:
    return " ".join(_EMPHASIS.sub(r"\2", _LINK.sub(r"\1", text)).split())


def _groups(paragraphs: Sequence[str]) -> Iterator[str]:
    """Paragraphs as passages: short ones joined with the next, long ones cut between sentences."""
    held = ""
    for paragraph in paragraphs:
        for piece in _cut(paragraph):
            joined = f"{held}\n{piece}" if held else piece
            if held and _size(joined) > MAX_WORDS:
                yield held
                joined = piece
            held = joined
            if _size(held) >= MIN_WORDS:
                yield held
                held = ""
    if held:
        yield held


def _cut(paragraph: str) -> Iterator[str]:
    if _size(paragraph) <= MAX_WORDS:
        yield paragraph
        return
    held: list[str] = []
    for sentence in sentences(paragraph):
        for piece in _cut_words(sentence):
            if held and sum(map(_size, held)) + _size(piece) > MAX_WORDS:
                yield " ".join(held)
                held = []
            held.append(piece)
    yield " ".join(held)


def _cut_words(sentence: str) -> Iterator[str]:
    words = sentence.split()
    for start in range(0, len(words), MAX_WORDS):
        piece = " ".join(words[start : start + MAX_WORDS])
        for at in range(0, len(piece), MAX_CHARACTERS):
            yield piece[at : at + MAX_CHARACTERS].strip()


def _section(heading: str, text: str) -> Section:
    return Section(heading, text, sentences(text))


def _split_sentences(line: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(line):
        following = line[end.end() : end.end() + 1]
        if following.islower() or _ABBREVIATION.search(line[start : end.start() + 1]):
            continue
        if sentence := line[start : end.end()].strip():
            yield sentence
        start = end.end()
    if sentence := line[start:].strip():
        yield sentence


def _size(text: str) -> int:
    """Words; of what has no spaces, as many as its characters would make."""
    return max(len(text.split()), len(text) * MAX_WORDS // MAX_CHARACTERS)
