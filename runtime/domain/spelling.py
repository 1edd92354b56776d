"""The known word that a misspelt one was probably meant to be."""

from collections.abc import Collection
from difflib import get_close_matches
from heapq import nsmallest

_MAX_COMPARED = 100
"""Known words that a misspelt one is compared with; those of a similar length first."""


def nearest(word: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """The known word closest to `word`; empty when none is at least `cutoff` alike (a ratio, 0–1)."""
    likely = nsmallest(_MAX_COMPARED, known, key=lambda each: (abs(len(each) - len(word)), each))
    matches = get_close_matches(word, likely, 1, cutoff)
    return matches[0] if matches else ""


def did_you_mean(match: str) -> str:
    """A hint that names what `nearest` found; nothing when it found nothing."""
    return f"did you mean {match!r}?" if match else ""


def unknown_word(what: str, word: object, known: Collection[str]) -> str:
    """That a word is none of those known, and which was probably meant."""
    near = did_you_mean(nearest(str(word), known))
    return f"{word!r} is no {what}; known: {', '.join(known)}{f' ({near})' if near else ''}"
