"""Documents are cut where a reader would cut them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Invalid
from runtime.memory.passages import MAX_CHARACTERS, MAX_WORDS, read, sentences

LONG = "This paragraph is long enough to stand by itself, because it has at least fifteen words in it."


def test_front_matter_is_read_and_left_out() -> None:
    reading = read(f"\ufeff---\r\nid: kb-1\r\n# a note\r\ntitle: 'Fees: all of them'\nempty:\n---\n\n{LONG}\n")
    assert reading.fields == {"id": "kb-1", "title": "Fees: all of them", "empty": ""}
    assert [section.text for section in reading.sections] == [LONG]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("---\nid: kb-1\n", "no end"),
        ("---\nid: kb-1\n- a list\n---\nText.", "line 3"),
        ("---\nid: 1\nid: 2\n---\nText.", "line 3"),
    ],
)
def test_front_matter_that_is_not_one_is_refused(text: str, place: str) -> None:
    with pytest.raises(Invalid, match=place):
        read(text)


@pytest.mark.parametrize("text", ["", " \n\n\t\n", "---\nid: kb-1\n---\n", "# Only a heading"])
def test_a_document_without_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"ingest\.empty"):
        read(text)


def test_headings_name_what_is_below_them() -> None:
    reading = read(f"# Cards\n\n{LONG}\n\n## Lost cards ##\n{LONG}\n")
    assert [(section.heading, section.text) for section in reading.sections] == [("Cards", LONG), ("Lost cards", LONG)]
    assert reading.fields == {"title": "Cards"}


def test_text_above_the_first_heading_takes_no_title_from_below() -> None:
    assert read(f"{LONG}\n\n# Cards\n\n{LONG}").fields == {}


def test_wrapped_lines_are_joined_and_list_items_are_not() -> None:
    (section,) = read(
        "To freeze a card in the app,\ndo this:\n\n- Open **Cards**.\n- Tap `Freeze`, as the\n  [guide](x) says."
    )[1]
    assert section.text == "To freeze a card in the app, do this:\nOpen Cards.\nTap Freeze, as the guide says."
    assert section.sentences == ("To freeze a card in the app, do this: Open Cards.", "Tap Freeze, as the guide says.")


def test_a_short_paragraph_goes_with_the_next() -> None:
    assert [section.text for section in read(f"Note:\n\n{LONG}\n\n{LONG}").sections] == [f"Note:\n{LONG}", LONG]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    sentence = "Eight words are what this sentence has exactly."
    pieces = [section.text for section in read(" ".join([sentence] * 60)).sections]
    assert [len(piece.split()) for piece in pieces] == [200, 200, 80]
    assert all(piece.endswith("exactly.") for piece in pieces)


@pytest.mark.parametrize("text", ["銀行卡被自動櫃員機吞了。" * 500, "A" * 5_000, f"{'b' * 900} " * 9])
def test_text_without_spaces_is_cut_too(text: str) -> None:
    pieces = [section.text for section in read(text).sections]
    assert max(map(len, pieces)) <= MAX_CHARACTERS
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(st.text(alphabet="ab. \n#-*1)", max_size=3_000))
def test_no_passage_is_too_long_and_no_word_is_lost(body: str) -> None:
    text = f"Start here.\n\n{body}"
    sections = read(text).sections
    assert all(0 < len(section.text.split()) <= MAX_WORDS for section in sections)
    assert all(" ".join(section.sentences).split() == section.text.split() for section in sections)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One thing first. Another thing then! Is it so?", ("One thing first.", "Another thing then!", "Is it so?")),
        ("It costs £2.50 a day. Ask us.", ("It costs £2.50 a day. Ask us.",)),
        ("See e.g. the app. It shows all fees.", ("See e.g. the app.", "It shows all fees.")),
        ("Ask Mr. Smith at No. 5. He knows it.", ("Ask Mr. Smith at No. 5.", "He knows it.")),
        ('She said "stop it now." Then she left.', ('She said "stop it now."', "Then she left.")),
        ("Freeze the card now … and order one.", ("Freeze the card now … and order one.",)),
        ("", ()),
    ],
)
def test_sentences(text: str, expected: tuple[str, ...]) -> None:
    assert sentences(text) == expected
