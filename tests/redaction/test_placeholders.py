"""Values come back in the answer, however the model spells and the stream cuts them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redaction.placeholders import Pseudonyms, Restorer
from tests.redaction.samples import pieces, texts

KEY = b"0123456789abcdef0123456789abcdef"


def _spellings(name: str) -> list[str]:
    inner = name[1:-1]
    return [
        name,
        name.lower(),
        f"&lt;{inner}&gt;",
        f"\\u003c{inner}\\u003e",
        f"[{inner}]",
        f"{{{inner}}}",
        inner.replace("_", "\\_").join("<>"),
        inner.replace("_", " ").join("<>"),
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_placeholder_is_known_in_each_spelling(number: int) -> None:
    """Models and templates rewrite brackets, case and underscores."""
    pseudonyms = Pseudonyms(KEY)
    spelling = _spellings(pseudonyms.name("PAYMENT_CARD", "4111 1111 1111 1111"))[number]
    assert "pay 4111 1111 1111 1111." == pseudonyms.restore(f"pay {spelling}.")


def test_a_guessed_placeholder_stays_as_it_is() -> None:
    """A text from outside must not print another's value."""
    pseudonyms = Pseudonyms(KEY)
    pseudonyms.name("EMAIL", "bob@example.com")
    assert "<EMAIL_1_AAAA> <EMAIL_1>" == pseudonyms.restore("<EMAIL_1_AAAA> <EMAIL_1>")


def test_in_json_a_value_is_escaped() -> None:
    """The arguments of a tool call must stay JSON."""
    pseudonyms = Pseudonyms(KEY)
    name = pseudonyms.name("PERSON", 'Conan "Doc" O\\Brien\n')
    restored = pseudonyms.restore(json.dumps({"name": name}), in_json=True)
    assert {"name": 'Conan "Doc" O\\Brien\n'} == json.loads(restored)


def test_in_a_url_a_value_is_percent_encoded() -> None:
    """Else a value with & would become two."""
    pseudonyms = Pseudonyms(KEY)
    name = pseudonyms.name("EMAIL", "a&b@example.com").strip("<>")
    assert "?q=a%26b%40example.com" == pseudonyms.restore(f"?q=%3C{name}%3E")


@given(texts, st.lists(st.sampled_from(range(8)), max_size=4), st.lists(st.integers(0, 10_000), max_size=30))
@settings(max_examples=300, deadline=None)
def test_a_stream_is_restored_as_the_whole_is(text: str, which: list[int], cuts: list[int]) -> None:
    """Wherever it is cut."""
    pseudonyms = Pseudonyms(KEY)
    spellings = _spellings(pseudonyms.name("EMAIL", 'b"ob@example.com'))
    whole = text + "".join(f"<{spellings[each]} \\" for each in which)
    for in_json in (False, True):
        restorer = Restorer(pseudonyms, in_json=in_json)
        out = "".join(restorer.feed(piece) for piece in pieces(whole, cuts)) + restorer.end()
        assert pseudonyms.restore(whole, in_json=in_json) == out
