"""Tokens as they are told, and what is believed of it."""

import pytest

from models.usage import Spent, spent, spent_on_texts
from runtime.domain.chat import ChatMessage, ChatRequest, ToolCall

ASKED = ChatRequest(model="m", messages=(ChatMessage("user", "how long is a metre?" * 4),), max_tokens=100)
TEXT = "a hundred centimetres, more or less"  # 80 bytes asked, 35 answered


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        ((24, 9), Spent(24, 9, "counted")),
        ((None, None), Spent(20, 9, "estimated")),
        ((24, None), Spent(24, 9, "estimated")),
        ((-5, 9), Spent(20, 9, "corrected")),
        ((10**12, 9), Spent(20, 9, "corrected")),
        ((24, 10**12), Spent(24, 9, "corrected")),
        ((24, -1), Spent(24, 9, "corrected")),
        ((0, 9), Spent(20, 9, "corrected")),
        ((24, 100), Spent(24, 100, "counted")),  # it thought, and did not say so
    ],
)
def test_what_cannot_be_is_replaced(told: tuple[int | None, int | None], believed: Spent) -> None:
    """A budget must not read a lie as nothing, nor as a fortune."""
    assert believed == spent(told, ASKED, TEXT)


def test_a_long_answer_took_some_tokens() -> None:
    assert spent((24, 0), ASKED, "x" * 4_000) == Spent(24, 1_000, "corrected")


def test_tool_calls_count() -> None:
    call = ToolCall(id="1", name="look_up", arguments='{"card": 7}')
    assert spent((24, None), ASKED, "", (call,)).output_tokens == 5


@pytest.mark.parametrize(("told", "believed"), [(5, 5), (None, 3), (-1, 3), (10**9, 3), (0, 3)])
def test_the_same_for_texts_that_are_embedded(told: int | None, believed: int) -> None:
    assert believed == spent_on_texts(told, ("one text", "four"))
