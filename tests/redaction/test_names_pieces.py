"""What a model gets to read: sentences that may hold a name, and nothing else."""

import pytest
from hypothesis import given, settings

from redaction.names.pieces import MAX_PIECE, Piece, pieces, titled
from tests.redaction.samples import texts


@pytest.mark.parametrize(
    "text",
    [
        "please send the report on Monday",
        "The invoice was paid. Thank you for your patience!",
        "max_tokens=4096, temperature=0.7",
        "2026-03-04T05:06:07Z INFO worker started",
        "HTTP/1.1 404 Not Found",
        "Redis and Kafka run on Kubernetes",
        "ERROR: CONNECTION REFUSED",
        "what is the vat rate in Germany?",
        "I don't know. It's fine.",
        "",
        "12345 67890",
    ],
)
def test_what_can_hold_no_name_is_not_read(text: str) -> None:
    """Most of what agents send is of this kind, and costs nothing."""
    assert [] == list(pieces(text))


@pytest.mark.parametrize(
    "text",
    ["Xiulan is here", "ask o'Brien and O'Brien", "call maria today", "CALL MARIA TODAY", "we moved to Leeds", "Zhao"],
)
def test_what_may_hold_a_name_is_read(text: str) -> None:
    """A capital that begins no everyday word, or a name that is known in any case."""
    assert [text] == [piece.text for piece in pieces(text)]


def test_only_the_sentences_that_may_hold_a_name_are_read() -> None:
    """Reading costs ten times as much as everything else."""
    text = "The order was late. Rajesh Patel sent it. It has arrived now."
    assert ["Rajesh Patel sent it. "] == [piece.text for piece in pieces(text)]


def test_a_title_or_an_initial_ends_no_sentence() -> None:
    """A name cut in two is two names that nobody knows."""
    assert ["Dr. J. Fischer was here."] == [piece.text for piece in pieces("Dr. J. Fischer was here.")]


def test_a_line_that_is_wrapped_goes_on_in_the_next() -> None:
    """Mail programs break lines between given name and surname."""
    text = "The desk has looked into the order and will be calling Maria\nGonzalez about it."
    assert [text] == [piece.text for piece in pieces(text)]


@given(texts)
@settings(max_examples=150, deadline=None)
def test_a_piece_stands_where_it_says(text: str) -> None:
    """Offsets of finds are built on it."""
    for piece in pieces(text):
        assert text[piece.start : piece.start + len(piece.text)] == piece.text
        assert len(piece.text) <= MAX_PIECE


def test_no_character_of_a_long_text_is_left_unread() -> None:
    """A name at a border, with or without white space, is whole in one piece."""
    for filler in ("x", "ab "):
        text = filler * 3_000 + " Rajesh Patel " + filler * 3_000
        assert any("Rajesh Patel" in piece.text for piece in pieces(text))


def test_a_text_that_repeats_itself_is_read_once() -> None:
    """Whatever a broken sender repeats, the model reads a few pieces of it."""
    for unit in ("1 Main St, ", "my name is Xq ", "Smith, John; ", "(Xq) ", "Xq,\n", "Xulan Zao is here. "):
        read = {piece.text for piece in pieces(unit * (16_384 // len(unit)))}
        assert sum(map(len, read)) < 4_000, unit


@given(texts)
@settings(max_examples=100, deadline=None)
def test_a_title_cased_copy_has_the_same_length(text: str) -> None:
    """What is found in the copy is cut out of the original."""
    assert len(text) == len(titled(text))


@pytest.mark.parametrize(
    "text",
    [
        "def total(items: list[Item]) -> int:",
        "SELECT name FROM users WHERE id = 5;",
        '{"a": {"b": [1, 2]}, "c": "$x"}',
        "kubectl get pods --namespace=Prod",
        "<div class='Card'><b>Total</b></div>",
    ],
)
def test_source_text_is_known_as_such(text: str) -> None:
    """The model takes identifiers for people."""
    assert Piece(0, text).is_code


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("INSERT INTO notes VALUES (5, 'Called Xqwert Zuiop about it');", "Called Xqwert Zuiop about it"),
        ("<patient><name>Xqwert Zuiop</name><id>5</id></patient>", "Xqwert Zuiop"),
        ('user.fullName = "Xqwert Zuiop";', "Xqwert Zuiop"),
    ],
)
def test_what_is_said_in_source_text_is_read_by_itself(code: str, said: str) -> None:
    """Statements, documents and programs carry the names of people in quotes and between tags."""
    assert said in {piece.text for piece in pieces(code) if not piece.is_code}


def test_prose_is_no_source_text() -> None:
    """Brackets and a percent sign are things people write."""
    assert not Piece(0, "Maria (the manager) said that 5% of R&D [see above] is gone.").is_code
