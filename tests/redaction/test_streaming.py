"""A stream on its way out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redaction.presets import PRESETS
from redaction.redactor import Redactor
from redaction.streaming import StreamRedactor
from runtime.errors import Refused
from tests.redaction.samples import VALUES, pieces, words

KEY = b"0123456789abcdef0123456789abcdef"


def streamed(text: str, cuts: list[int]) -> str:
    stream = StreamRedactor(Redactor(PRESETS["default"].patterns_only(), KEY))
    return "".join(stream.feed(piece) for piece in pieces(text, cuts)) + stream.end()


@given(st.lists(words, max_size=200).map(" ".join), st.lists(st.integers(0, 10_000), max_size=60))
@settings(max_examples=150, deadline=None)
def test_cuts_do_not_matter(text: str, cuts: list[int]) -> None:
    """What leaves is decided by the text, not by how the network cut it."""
    assert streamed(text, []) == streamed(text, cuts)


@pytest.mark.parametrize("padding", range(0, 1_600, 97))
def test_no_value_leaves_at_any_place(padding: int) -> None:
    """Also where it crosses the window."""
    for value in ("bob@example.com", "4111 1111 1111 1111", "AKIAIOSFODNN7EXAMPLE", "postgres://u:p4ss@h/x"):
        out = streamed(f"{'word ' * (padding // 5)}{value}{' word' * 300}", list(range(0, 4_000, 3)))
        assert value not in out
        assert out.endswith("word word")


def test_a_short_text_is_redacted_as_a_whole_one_is() -> None:
    """Most answers are."""
    text = " ".join(VALUES[:6])
    assert Redactor(PRESETS["default"].patterns_only(), KEY).redact(text).text == streamed(text, [5, 9, 40])


def test_a_key_without_an_end_is_held_back() -> None:
    """It is known at its first line, and longer than any window."""
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 100
    assert "here: [PRIVATE_KEY]" == streamed(f"here: {key}", list(range(0, 4_000, 50)))


def test_a_blocked_value_ends_the_stream() -> None:
    """With the code and the entity, without the value."""
    stream = StreamRedactor(Redactor(PRESETS["strict"].patterns_only(), KEY))
    stream.feed("the key is AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(Refused, match=r"redaction\.blocked.*API_KEY"):
        stream.end()
