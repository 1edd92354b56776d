"""Where a name begins and ends, and what is none, whatever the model says."""

import pytest

from redaction.names.pieces import Piece, may_hold_name
from redaction.names.rules import Span, findings, has_all_names, odd_names, question


def found(text: str, *said: tuple[str, str]) -> set[tuple[str, str]]:
    """What is found in a text of which the model said that these parts are people or places."""
    spans: list[Span] = [(text.index(part), text.index(part) + len(part), entity) for part, entity in said]
    return {(text[each.start : each.end], each.type) for each in findings(Piece(0, text), spans)}


@pytest.mark.parametrize(
    ("text", "said", "name"),
    [
        ("dnes volala Alžběta Sedláčková znovu", "Alžběta Sedláčková", "Alžběta Sedláčková"),
        ("we met Xiulan Zhao's team", "Xiulan Zhao's", "Xiulan Zhao"),
        ("ping Xiulan Zhao 4711", "Xiulan Zhao 4711", "Xiulan Zhao"),
        ("cc Xiulan Zhao <x@y.org>", "Xiulan Zhao <x", "Xiulan Zhao"),
        ("today Dr. Xiulan Zhao was in", "Dr. Xiulan Zhao", "Xiulan Zhao"),
        ("it was Ludwig van Beethoven who", "Ludwig van Beethoven", "Ludwig van Beethoven"),
        ("then Anna-Lena O'Neill came", "Anna-Lena", "Anna-Lena O'Neill"),
        ("Regards Xiulan Zhao", "Regards Xiulan Zhao", "Xiulan Zhao"),
        ("and J. Zhao signed", "J. Zhao", "J. Zhao"),
    ],
)
def test_a_name_is_cut_to_what_it_is(text: str, said: str, name: str) -> None:
    """What stands around it must survive, and nothing of it may stay."""
    assert {(name, "PERSON")} == found(text, (said, "PERSON"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("we run Redis and Kafka here", "Redis"),
        ("use PostgreSQL for it", "PostgreSQL"),
        ("set OPENAI_KEY first", "OPENAI_KEY"),
        ("the Authorization header is", "Authorization"),
        ("it starts on Monday then", "Monday"),
        ("open Settings and then", "Settings"),
        ("error in Main.java at", "Main.java"),
        ("see docs/Retry for it", "Retry"),
        ("user_Name is empty now", "Name"),
        ("SKU Q7-Delta4 is sold", "Delta4"),
        ("Please Confirm Order now", "Please Confirm Order"),
        ("GET /Users/List with it", "List"),
        ("Customer Relations desk is", "Customer Relations"),
        ("retry after SQLSTATE 42P01 came", "SQLSTATE"),
        ("prefers the Galaxy S24 to it", "Galaxy"),
        ("asset PPU-5294-S is lost", "PPU"),
        ("Compare Redis and Kafka now", "Compare Redis"),
        ("um 22:15 Uhr kam er", "Uhr"),
        ("they hung a Foley catheter there", "Foley"),
        ("build with Laravelo 1.10 now", "Laravelo"),
        ("the Bill of materials is", "Bill"),
        ("took Burana 600 mg then", "Burana"),
    ],
)
def test_what_names_nobody_is_left_alone(text: str, said: str) -> None:
    """The model takes products, headings and identifiers for people and places."""
    assert set() == found(text, (said, "PERSON"))
    assert set() == found(text, (said, "LOCATION"))


def test_a_place_is_found_and_a_country_left_alone() -> None:
    """A country identifies nobody, and a question about its law needs it."""
    assert {("New York", "LOCATION")} == found(
        "from New York to Germany", ("New York", "LOCATION"), ("Germany", "LOCATION")
    )
    assert set() == found("in the United States it is", ("the United States", "LOCATION"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my name is Xqwert Zuiop", "Xqwert Zuiop"),
        ("Dear Ms. Xqwert,", "Xqwert"),
        ("Mr. Xqwert called", "Xqwert"),
        ("SMITH, JOHN", "SMITH, JOHN"),
        ("Becker, Tom", "Becker, Tom"),
        ("Maria Xqwert", "Maria Xqwert"),
        ("hi maria becker, how are you", "maria becker"),
        ("PATIENT MARIA BECKER ARRIVED", "MARIA BECKER"),
        ("Thanks,\nXqwert Zuiop\nSenior Handler", "Xqwert Zuiop"),
        ("card of customer 'Xqwert Zuiop' was declined", "Xqwert Zuiop"),
        ("a call with Xqwert Zuiop about it", "Xqwert Zuiop"),
        ("Xqwert Zuiop will ask for the numbers", "Xqwert Zuiop"),
        ("between Maria Becker and Xqwert Zuiop on Monday", "Xqwert Zuiop"),
        ("I'm Rhys ap Gwilym", "Rhys ap Gwilym"),
        ("the witness (D. Xqwert-Becker) left", "D. Xqwert-Becker"),
        ("Xqwert Kowalski", "Xqwert Kowalski"),
        ("login of Xqwert van de Zuiop failed", "Xqwert van de Zuiop"),
    ],
)
def test_a_name_that_is_known_needs_no_model(text: str, name: str) -> None:
    """A field of a form is no sentence, and capitals alone tell a model nothing."""
    assert name in {each for each, _ in found(text)}


@pytest.mark.parametrize(
    "text",
    [
        "grace period", "Mark it as done", "please bill the customer", "Will it work in May?", "Rose Gold",
        "price, April", "we will chase the amount", "Jack of all trades", "const Maria = 5;", "Order, Please",
        "Acme Industries signed it", "Blue Widget Pro", "Dear Hiring Manager", "Premium Plan, Gold Tier",
    ],
)  # fmt: skip
def test_an_everyday_word_is_no_name(text: str) -> None:
    """Many given names are words."""
    assert set() == found(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("sent from Bordeaux today", "Bordeaux"),
        ("she lives in Xqwertfurt now", "Xqwertfurt"),
        ("to New York", "New York"),
        ("our branch in Xqwert-sur-Mer is shut", "Xqwert-sur-Mer"),
        ("we moved to Malmo", "Malmo"),
    ],
)
def test_a_place_that_is_known_needs_no_model(text: str, place: str) -> None:
    """Small towns are in no model."""
    assert {(place, "LOCATION")} == found(text)


def test_odd_names_in_prose_are_asked_about_alone() -> None:
    """In a sentence the model takes a foreign name for an organisation; headings and products are no prose."""
    assert ["Xqwert Zuiop"] == [each.text for each in odd_names(Piece(0, "we owe Xqwert Zuiop an apology"))]
    assert [] == list(odd_names(Piece(0, "Xqwert Zuiop, Asdfg Hjkl, Yxcvb Nmqwe")))
    assert [] == list(odd_names(Piece(0, "we owe Maria Becker an apology")))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("we met Xqwert Zuiop there", "we met Xqwert Zuiop there"),
        ("call maria becker today", "Call Maria Becker Today"),
        ("Xqwert Zuiop", "Name: Xqwert Zuiop"),
        ("Adaptive Xqwert", None),
        ("Premium Xqwert", None),
        ("Xqwert", None),
        ("if (Xqwert == Zuiop) { return Maria; }", None),
    ],
)
def test_the_model_is_asked_where_it_can_know(text: str, asked: str | None) -> None:
    """Of a word alone it makes what it likes; a whole value may be a name that no list knows."""
    found = question(Piece(0, text))
    assert asked == (found and found[0])


@pytest.mark.parametrize(
    ("text", "is_settled"),
    [
        ("Frank Wright wrote to Mr Robert Smith.", True),
        ("Please call Robert Smith back.", True),
        ("Frank Wright wrote to Robert Smith in Xqwert.", False),
        ("Frank Wright lives near Long Beach.", False),
        ("Frank Wright owes Xqwert Zuiop.", False),
        ("Nobody called.", False),
    ],
)
def test_where_lists_know_every_name_the_model_is_not_asked(text: str, is_settled: bool) -> None:
    """It costs most of the time, and could add nothing; a capital that no list explains is its business."""
    piece = Piece(7, text)
    assert is_settled == has_all_names(piece, findings(piece, ()))


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("Everything depends on the weather.", False),
        ("Stone called about the weather.", True),
        ("Torvik called about the weather.", True),
        ("Everything depends on Torvik.", True),
        ("everything depends on maria.", True),
    ],
)
def test_an_everyday_word_that_begins_a_sentence_says_nothing(text: str, may: bool) -> None:
    """Its capital is the sentence's; a word that is a surname, too, is none of them."""
    assert may == may_hold_name(Piece(0, text))


def test_offsets_count_from_the_start_of_the_text() -> None:
    """A piece is a part of it."""
    [each] = findings(Piece(100, "Maria Becker"), ())
    assert (100, 112) == (each.start, each.end)


@pytest.mark.parametrize("name", ["Zora Kopecká", "Oskari Vartiainen", "Tülay Karaosmanoğlu", "Dorota Malinowska"])
def test_a_family_name_is_known_by_its_ending(name: str) -> None:
    """The model reads English, and says nothing of a sentence in another language."""
    assert {(name, "PERSON")} == found(f"dnes tu {name} neni")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("we gave Maria 500 mg of it", "Maria"),
        ("what is Becker's number now", "Becker"),
        ("said Mark of the sales team", "Mark"),
        ("we met Jack Daniels again", "Jack Daniels"),
    ],
)
def test_who_stands_beside_a_number_or_a_thing_is_still_somebody(text: str, name: str) -> None:
    """A brand, a dose and a version hide nobody whose name is known."""
    assert {(name, "PERSON")} == found(text, (name, "PERSON"))
