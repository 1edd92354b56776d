"""Texts with and without sensitive values, for laws."""

import string
from itertools import pairwise

from hypothesis import strategies as st

VALUES = (
    "bob@example.com", "4111 1111 1111 1111", "5105105105105100", "GB82 WEST 1234 5698 7654 32", "123-45-6789",
    "+44 20 7946 0958", "password: hunter22!", "AKIAIOSFODNN7EXAMPLE", "postgres://u:p4ss@h/x", "MRN: 00123456",
    "203.0.113.9", "DOB 12/03/1980", "bob%40example.com", "bоb@exаmple.com", "NHS number 943 476 5919",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "<EMAIL_1_AAAA>", "[EMAIL]", 'O"Brien@example.org',
)  # fmt: skip
FILLER = (
    "hello",
    "the order",
    "max_tokens=4096",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "<b>",
    "a_b(c)",
    "%",
    "&",
    "é",
)

words = st.one_of(
    st.sampled_from(VALUES), st.sampled_from(FILLER), st.text(string.printable + "éß٤а\u200b<>[]{}%&", max_size=12)
)
texts = st.lists(words, max_size=12).map(" ".join)
"""Values and fillers in any order, with odd characters between them."""


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text cut at the given places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[low:high] for low, high in pairwise(places)]
