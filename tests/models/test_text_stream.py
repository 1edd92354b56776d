"""Streamed text: whole characters, exact stop texts, nothing shown that is taken back later."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.text_stream import TextStream


def pieces(data: bytes, cuts: list[int], stop: tuple[str, ...] = ()) -> tuple[list[str], TextStream]:
    stream = TextStream(stop)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    shown = [stream.add(data[start:end]) for start, end in pairwise(places)]
    return [*shown, stream.close()], stream


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_characters_survive_any_cut(text: str, cuts: list[int]) -> None:
    """Tokens end in the middle of characters; a reader must never see half of one."""
    shown, stream = pieces(text.encode(), cuts)
    assert "".join(shown) == text
    assert stream.text == text


@given(st.text("ab<|>", max_size=40), st.lists(st.integers(0, 100)), st.sampled_from(["<|", "ab", "a<a", "|>|>"]))
def test_a_stop_text_ends_the_text_wherever_tokens_are_cut(text: str, cuts: list[int], stop: str) -> None:
    """What is shown is what stands before the stop text, never a part of it."""
    shown, stream = pieces(text.encode(), cuts, (stop,))
    assert "".join(shown) == text.split(stop)[0]
    assert stream.is_stopped == (stop in text)


def test_the_earliest_of_several_stop_texts_counts() -> None:
    shown, _ = pieces(b"one two three", [], ("three", "two"))
    assert "".join(shown) == "one "


def test_an_unfinished_character_becomes_the_replacement_character() -> None:
    """max_tokens may cut an answer inside a character."""
    shown, _ = pieces("é".encode()[:1], [])
    assert shown == ["", "\ufffd"]
