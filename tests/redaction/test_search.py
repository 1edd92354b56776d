"""The index over several patterns says what each of them would say by itself, whatever the text."""

import re2
from hypothesis import given
from hypothesis import strategies as st

from redaction.detectors.patterns import RULES
from redaction.detectors.rules import _source, options
from redaction.search import Patterns

_RULES: Patterns[bytes] = Patterns(re2.compile(_source(rule), options()) for rule in RULES)
_PIECES = (
    "4111 1111 1111 1111", "221B Baker Street ", "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOi.", "sk-", "anna@example.org ",
    "DE89 3704 0044 0532 0130 00", "password=hunter2 ", "-----BEGIN RSA PRIVATE KEY-----", "192.168.0.17 ",
    "+49 170 1234567 ", "MRN: 123456 ", "78-05-1120 ", "\n", "a1b2c3d4-", "12/03/1971 ",
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(_PIECES), st.text("0123456789ABCabc -./:@_=", max_size=40)), max_size=200))
def test_what_the_index_names_is_what_each_pattern_finds(pieces: list[str]) -> None:
    data = "".join(pieces).encode("latin-1", "replace")
    assert [pattern for pattern in _RULES if pattern.search(data)] == list(_RULES.in_text(data))
