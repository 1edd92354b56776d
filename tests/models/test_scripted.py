"""Scripted answers: what tests, simulation and dry runs rely on."""

import pytest

from models.scripted import Answers, ScriptedBackend
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from tests.models.cleared import cleared


def question(text: str, model: str = "script", **more: Json) -> ChatRequest:
    return ChatRequest(model=model, messages=(ChatMessage("user", text),), options=dict(more))


async def answers(backend: ScriptedBackend, *questions: ChatRequest) -> list[str]:
    return [(await backend.complete(cleared(each))).text for each in questions]


async def test_a_list_is_played_in_order_and_its_last_answer_stays() -> None:
    backend = ScriptedBackend(["one", "two"])
    assert await answers(backend, *[question("?")] * 4) == ["one", "two", "two", "two"]


async def test_the_request_brings_its_own_answers() -> None:
    """`answers:` under an agent's model reaches the backend with the request."""
    backend = ScriptedBackend(["unused"])
    assert await answers(backend, question("?", answers=["mine"])) == ["mine"]


async def test_answers_go_by_model_name_then_by_the_last_message() -> None:
    script: Answers = {"triage": "by name", "(?i)refund": ["first refund", "second refund"], ".*": "the rest"}
    backend = ScriptedBackend(script)
    asked = [question("refund", "triage"), question("a Refund"), question("hello"), question("refund")]
    assert await answers(backend, *asked) == ["by name", "first refund", "the rest", "second refund"]


async def test_what_says_most_of_a_message_answers_in_whatever_order_it_stands() -> None:
    """A definition keeps its keys by their letters, where `.*` stands in front."""
    script: Answers = {".*": "the rest", "no": "no", "refund": "a refund", "refund of a card": "a card's"}
    asked = [question("a refund of a card"), question("a refund"), question("no"), question("hello")]
    assert ["a card's", "a refund", "no", "the rest"] == await answers(ScriptedBackend(script), *asked)


async def test_json_is_played_as_text() -> None:
    assert await answers(ScriptedBackend([{"json": {"label": "cash"}}]), question("?")) == ['{"label": "cash"}']


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ("broken", StepFailure, False),
        ({"kind": "Unavailable", "code": "model.worker_died"}, Unavailable, True),
        ({"kind": "Refused", "retryable": True}, Refused, True),
    ],
)
async def test_errors_are_raised_as_written(error: Json, kind: type[AgentFlowError], retryable: bool) -> None:
    """A retry policy is tested with a script that fails once and then answers."""
    backend = ScriptedBackend([{"error": error}, "second time"])
    with pytest.raises(kind) as raised:
        await answers(backend, question("?"))
    assert raised.value.retryable is retryable
    assert await answers(backend, question("?")) == ["second time"]


async def test_a_delay_is_slept_by_the_given_clock() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    backend = ScriptedBackend([{"text": "late", "delay_ms": 250}], sleep=sleep)
    assert await answers(backend, question("?")) == ["late"]
    assert slept == [0.25]


async def test_no_answer_is_a_failure_that_says_what_to_add() -> None:
    with pytest.raises(StepFailure, match="add one under 'answers'"):
        await answers(ScriptedBackend({"refund": "yes"}), question("hello"))
    with pytest.raises(StepFailure):
        await answers(ScriptedBackend(), question("hello"))


@pytest.mark.parametrize("answer", [{"txt": "typo"}, {"text": "x", "delay": 1}])
async def test_a_misspelt_key_is_invalid(answer: Json) -> None:
    with pytest.raises(Invalid, match=r"model\.bad_script"):
        await answers(ScriptedBackend([answer]), question("?"))


async def test_a_bad_expression_is_invalid() -> None:
    with pytest.raises(Invalid, match="not a regular expression"):
        await answers(ScriptedBackend({"(": "x"}), question("?"))


async def test_stopping_starts_lists_over() -> None:
    backend = ScriptedBackend(["one", "two"])
    await answers(backend, question("?"))
    await backend.stop()
    assert await answers(backend, question("?")) == ["one"]
