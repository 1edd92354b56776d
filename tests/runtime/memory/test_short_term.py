"""Which turns of a session a step is told of."""

import pytest

from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage
from runtime.domain.ids import RunId, StepId
from runtime.domain.memory import Turn
from runtime.memory.short_term import Rules, evidence_of, fitting, hidden, messages_of, name_of, remembered, rules_of

MINUTE_US = 60_000_000
RULES = Rules(ttl_us=10 * MINUTE_US, most=3, tokens=2_000, session="{{ input.session }}")


def turn(number: int, *, words: int = 1) -> Turn:
    """The turn of a minute."""
    said = " ".join([f"q{number}"] * words)
    return Turn(run=RunId(f"r-{number:02}"), step=StepId("s"), at_us=number * MINUTE_US, asked=said, answered="a")


async def words(messages: tuple[ChatMessage, ...]) -> int:
    return sum(len(message.content.split()) for message in messages)


@pytest.mark.parametrize(
    ("memory", "rules"),
    [
        ({}, None),
        ({"short_term": {"enabled": False, "max_items": 4}}, None),
        ({"short_term": {}}, Rules(ttl_us=60 * MINUTE_US, most=20, tokens=2_000, session="{{ input.session }}")),
        (
            {
                "short_term": {
                    "enabled": True,
                    "ttl_minutes": 0.5,
                    "max_items": 4,
                    "cost_budget_tokens": 9,
                    "session": "x",
                }
            },
            Rules(ttl_us=MINUTE_US // 2, most=4, tokens=9, session="x"),
        ),
    ],
)
def test_rules_are_those_of_the_definition(memory: dict[str, Json], rules: Rules | None) -> None:
    assert rules == rules_of(memory)


def test_the_young_and_newest_are_remembered() -> None:
    turns = [turn(number) for number in range(1, 8)]
    assert turns[4:] == remembered(turns, RULES, now_us=8 * MINUTE_US)
    assert turns[5:] == remembered(turns, RULES, now_us=15 * MINUTE_US), "a turn lives ten minutes, and no longer"
    assert [] == remembered(turns, RULES, now_us=17 * MINUTE_US)


def test_what_would_have_been_knows_nothing_of_what_came_after() -> None:
    turns = [turn(number) for number in range(1, 8)]
    assert turns[1:4] == remembered(turns, RULES, now_us=8 * MINUTE_US, before=RunId("r-05"))


@pytest.mark.parametrize(("tokens", "left"), [(0, 0), (10, 0), (11, 1), (32, 2), (33, 3), (76, 6), (77, 7), (1_000, 7)])
async def test_the_oldest_are_cut_off_until_the_rest_fits(tokens: int, left: int) -> None:
    turns = [turn(number, words=10) for number in range(1, 8)]
    rules = Rules(ttl_us=1, most=99, tokens=tokens, session="")
    assert turns[len(turns) - left :] == list(await fitting(turns, rules, words))


async def test_few_words_are_not_counted() -> None:
    """A chat of a few lines costs no look at a tokenizer."""

    async def never(messages: tuple[ChatMessage, ...]) -> int:
        raise AssertionError("counted")

    turns = [turn(number) for number in range(1, 8)]
    assert turns == await fitting(turns, RULES, never)


def test_turns_become_messages_in_order() -> None:
    told = messages_of([turn(1), turn(2)])
    assert [("user", "q1"), ("assistant", "a"), ("user", "q2"), ("assistant", "a")] == [
        (message.role, message.content) for message in told
    ]


def test_evidence_has_no_word_of_what_was_said() -> None:
    kept = evidence_of([turn(1), turn(2)])
    assert 2 == kept["turns"]
    assert "q1" not in repr(kept)
    assert kept != evidence_of([turn(1), turn(3)])


@pytest.mark.parametrize(
    ("said", "is_hidden", "name"),
    [
        ("anna", False, "anna"),
        ("anna", True, hidden("anna")),
        ("x" * 201, False, hidden("x" * 201)),
        ("", False, ""),
        ("  ", True, ""),
        (None, False, ""),
        (7, False, ""),
    ],
)
def test_a_session_is_a_text(said: Json, is_hidden: bool, name: str) -> None:
    assert name == name_of(said, is_hidden=is_hidden)
