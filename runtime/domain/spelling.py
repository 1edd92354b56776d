"""The known word that a misspelt one was probably meant to be."""

from collections.abc import Collection
from difflib import get_close_matches

_MAX_COMPARED = 200
"""Known words that a misspelt one is compared with; those of a similar length first."""


def nearest(word: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """The known word closest to `word`; empty when none is at least `cutoff` alike (a ratio, 0–1)."""
    by_length = sorted(known, key=lambda each: (abs(len(each) - len(word)), each))
    matches = get_close_matches(word, by_length[:_MAX_COMPARED], 1, cutoff)
    return matches[0] if matches else ""


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A hint, or nothing."""
    match = nearest(word, known)
    return f"did you mean {match!r}?" if match else ""
