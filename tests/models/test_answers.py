"""What can be asked at all, and when an answer keeps its schema."""

from typing import Literal

import pytest
from msgspec.structs import replace

from models.answers import MAX_PROMPT_BYTES, check_reply, check_request, fingerprint
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest
from runtime.errors import Invalid, StepFailure

SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"label": {"enum": ["cards", "cash"]}},
    "required": ["label"],
    "additionalProperties": False,
}
REQUEST = ChatRequest(model="m", messages=(ChatMessage("user", "Hello"),), schema=SCHEMA)


def reply(text: str, finish_reason: Literal["stop", "length"] = "stop") -> ChatReply:
    return ChatReply(
        text=text,
        finish_reason=finish_reason,
        input_tokens=1,
        output_tokens=1,
        backend="model.test",
        model="m",
        fingerprint="f",
    )


def test_an_ordinary_request_passes() -> None:
    check_request(REQUEST)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (replace(REQUEST, messages=()), "model.no_messages"),
        (replace(REQUEST, max_tokens=0), "model.bad_max_tokens"),
        (replace(REQUEST, temperature=-0.1), "model.bad_temperature"),
        (replace(REQUEST, temperature=float("nan")), "model.bad_temperature"),
        (replace(REQUEST, seed=-1), "model.bad_seed"),
        (replace(REQUEST, seed=2**32 - 1), "model.bad_seed"),
        (replace(REQUEST, messages=(ChatMessage("user", "a\ud800b"),)), "model.bad_text"),
        (replace(REQUEST, messages=(ChatMessage("user", "x" * (MAX_PROMPT_BYTES + 1)),)), "model.prompt_too_long"),
        (replace(REQUEST, schema={"type": "objekt"}), "schema.invalid"),
        (replace(REQUEST, schema={"$ref": "file:///etc/passwd"}), "schema.invalid"),
    ],
)
def test_what_cannot_be_asked_is_invalid(request_: ChatRequest, code: str) -> None:
    """Seed 2^32 - 1 means "choose one" to the engine, and NaN passes naive bounds."""
    with pytest.raises(Invalid) as invalid:
        check_request(request_)
    assert invalid.value.code == code


def test_a_refusal_never_quotes_the_text() -> None:
    """Messages of errors end up in journals and logs."""
    with pytest.raises(Invalid) as invalid:
        check_request(replace(REQUEST, messages=(ChatMessage("user", "my pin is 4711 \udfff"),)))
    assert "4711" not in str(invalid.value)
    assert "character 15" in str(invalid.value)


def test_an_answer_that_keeps_the_schema_passes() -> None:
    kept = reply('{"label": "cash"}')
    assert check_reply(kept, REQUEST) is kept


@pytest.mark.parametrize(
    ("text", "finish_reason", "code"),
    [
        ('{"label": "ca', "length", "model.answer_cut"),
        ('{"label": "cash"}', "length", "model.answer_cut"),
        ("Sure! Here it is:", "stop", "model.answer_invalid"),
        ('{"label": "loans"}', "stop", "model.answer_invalid"),
        ('{"label": "cash", "label": "cards"}', "stop", "model.answer_invalid"),
    ],
)
def test_an_answer_that_breaks_the_schema_is_a_failure(
    text: str, finish_reason: Literal["stop", "length"], code: str
) -> None:
    """Never retryable: the engine is deterministic, and would say the same again."""
    with pytest.raises(StepFailure) as failure:
        check_reply(reply(text, finish_reason), REQUEST)
    assert failure.value.code == code
    assert not failure.value.retryable


def test_without_a_schema_any_text_passes() -> None:
    free = reply("Once upon a", "length")
    assert check_reply(free, replace(REQUEST, schema=None)) is free


def test_a_fingerprint_changes_with_anything_that_decides_bytes() -> None:
    identity = {"engine": "e 1", "weights": "ab" * 32, "context_tokens": "4096"}
    first = fingerprint(identity, temperature=0.0, seed=0)
    others = {
        fingerprint({**identity, "context_tokens": "2048"}, temperature=0.0, seed=0),
        fingerprint(identity, temperature=0.7, seed=0),
        fingerprint(identity, temperature=0.0, seed=1),
    }
    assert first == fingerprint(dict(reversed(identity.items())), temperature=0.0, seed=0)
    assert len(others - {first}) == 3
