"""What only several messages tell together."""

import pytest

from redaction.conversation import answered, message_of, split_over
from runtime.domain.canonical import Json

ANSWERS = [
    ("And what is the password?", "hunter22", "PASSWORD", "hunter22"),
    ("May I have your full name?", "it's Anna Berg", "PERSON", "Anna Berg"),
    ("Your member ID, please?", "yes it's HMO-553-9021", "HEALTH_ID", "HMO-553-9021"),
    ("What is the best phone number?", "0151 2345678", "PHONE", "0151 2345678"),
    ("And the security code?", "123", "PAYMENT_CARD", "123"),
    ("What is your date of birth?", "3 March 1980.", "DATE_OF_BIRTH", "3 March 1980"),
    ("My SSN is", "219099999", "NATIONAL_ID", "219099999"),
]
NO_ANSWERS = [
    ("What is your full name?", "no thanks"),
    ("Did you forget your password?", "yes, I forgot it"),
    ("What is your file name?", "report"),
    ("How many tokens?", "4096"),
    ("Which version do you use?", "3.11.7"),
]


@pytest.mark.parametrize(("before", "text", "entity", "value"), ANSWERS)
def test_an_answer_is_what_was_asked_for(before: str, text: str, entity: str, value: str) -> None:
    """It has no form of its own, or no label."""
    assert [(entity, value)] == [(each.type, text[each.start : each.end]) for each in answered(before, text)]


@pytest.mark.parametrize(("before", "text"), NO_ANSWERS)
def test_what_answers_something_else_stays(before: str, text: str) -> None:
    """Most questions ask for nothing personal."""
    assert [] == list(answered(before, text))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["my card is 4539 5787", "6362 1486 thanks"], ["4539 5787", "6362 1486"]),
        (["4539", "5787", "6362", "1486"], ["4539", "5787", "6362", "1486"]),
        (["it begins 4539 5787", "and then?", "then 6362 1486"], ["4539 5787", "", "6362 1486"]),
        (["my mail is anna.berg", "@example.com"], ["anna.berg", "@example.com"]),
        (["the key is AKIAIOSFOD", "NN7EXAMPLE"], ["AKIAIOSFOD", "NN7EXAMPLE"]),
        (["invoice 60112", "4539 5787 6362 1486"], ["", ""]),
        (["order 88231", "on 2024-03-01"], ["", ""]),
        (["alone"], [""]),
    ],
)
def test_a_value_that_is_cut_is_found_in_each_piece(texts: list[str], expected: list[str]) -> None:
    """Neither piece is one; and what is whole is no piece."""
    found = split_over(texts)
    cut = ["".join(text[each.start : each.end] for each in row[:1]) for text, row in zip(texts, found, strict=True)]
    assert expected == cut


def test_a_message_is_read_in_any_shape() -> None:
    """Chats, content parts and plain lists."""
    messages: list[Json] = ["a", {"content": "b"}, {"text": "c"}, {"n": 1}]
    assert ["a", "b", "c", ""] == [message_of(item) for item in messages]
