"""JSON payloads."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redaction.presets import PRESETS, Action, Actions, RedactionPolicy
from redaction.redactor import Redactor
from redaction.segments import entity_of_key, redact_payload, redact_text
from runtime.domain.canonical import Json
from runtime.errors import Refused
from tests.redaction.samples import texts, words

KEY = b"0123456789abcdef0123456789abcdef"


def redacted(payload: Json, preset: str = "default") -> Json:
    return redact_payload(Redactor(PRESETS[preset].patterns_only(), KEY), payload).payload


def test_keys_texts_and_numbers_come_back() -> None:
    """What a tool gets is what the user gave."""
    redactor = Redactor(RedactionPolicy(name="all", actions=Actions(), otherwise="pseudonymise"), KEY)
    payload: Json = {"bob@example.com": {"card": 4111111111111111, "dob": "1990-02-03", "n": [1, True, None, "x"]}}
    out = redact_payload(redactor, payload)
    written = json.dumps(out.payload)
    assert not any(value in written for value in ("bob@", "4111", "1990"))
    assert payload == redactor.pseudonyms.restore_payload(out.payload)


def payloads() -> st.SearchStrategy[Json]:
    """JSON values of any shape, with telling keys among others."""
    leaves = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts | st.just(4111111111111111)
    keys = words | st.sampled_from(["email", "password", "ssn", "dob", "content", "max_tokens"])
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
    )


@given(payloads())
@settings(max_examples=100, deadline=None)
def test_what_is_restored_is_the_payload_that_came(payload: Json) -> None:
    """For every payload, numbers as numbers."""
    redactor = Redactor(RedactionPolicy(name="all", actions=Actions(), otherwise="pseudonymise"), KEY)
    assert payload == redactor.pseudonyms.restore_payload(redact_payload(redactor, payload).payload)


def test_json_in_a_text_is_restored_as_json() -> None:
    """A quote in a value must not end the text that it stands in."""
    redactor = Redactor(RedactionPolicy(name="all", actions=Actions(), otherwise="pseudonymise"), KEY)
    arguments: Json = {"name": {"first_name": 'Conan "Doc"'}, "card": 4111111111111111}
    out = redact_payload(redactor, {"arguments": json.dumps(arguments)}).payload
    assert "Conan" not in json.dumps(out)
    restored = redactor.pseudonyms.restore_payload(out)
    assert isinstance(restored, dict)
    assert arguments == json.loads(str(restored["arguments"]))


def test_what_is_harmless_stays_as_it_is() -> None:
    """A call whose limits were masked fails."""
    payload: Json = {
        "model": "local/small",
        "max_tokens": 4096,
        "usage": {"total_tokens": 123456789, "prompt_tokens": 1700000000},
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "created": 1700000000000,
        "temperature": 0.7123456789,
        "schema": {"properties": {"email": {"type": "string"}, "token": {"type": "string"}}, "required": ["email"]},
    }
    assert payload == redacted(payload, "strict")


def test_json_in_a_text_stays_json() -> None:
    """The arguments of a tool call are a text that holds JSON."""
    out = redacted({"arguments": json.dumps({"to": "bob@example.com", "password": 'O"Brien1'})}, "default")
    assert isinstance(out, dict)
    inner = json.loads(str(out["arguments"]))
    assert "[PASSWORD]" == inner["password"]
    assert inner["to"].startswith("<EMAIL_1_")


def test_a_key_says_what_its_value_is() -> None:
    """A name or a password has no form of its own."""
    assert {"user": {"firstName": "[PERSON]", "last_name": "[PERSON]"}} == redacted(
        {"user": {"firstName": "Alice", "last_name": "Jones"}}, "strict"
    )


@pytest.mark.parametrize("value", ["<hunter22", "*hunter22", "[hunter22"])
def test_a_password_may_begin_with_a_bracket(value: str) -> None:
    """Only a whole placeholder is left as it is."""
    assert {"password": "[PASSWORD]"} == redacted({"password": value})


@pytest.mark.parametrize(
    ("key", "entity"),
    [
        ("password", "PASSWORD"),
        ("DB_PASSWORD", "PASSWORD"),
        ("patientDOB", "DATE_OF_BIRTH"),
        ("X-Api-Key", "TOKEN"),
        ("max_tokens", ""),
        ("token_count", ""),
        ("key", ""),
        ("name", ""),
    ],
)
def test_keys_are_read_in_any_spelling(key: str, entity: str) -> None:
    """Snake, camel, kebab, and an owner before it."""
    assert entity == entity_of_key(key)


def test_a_card_over_two_messages_is_found() -> None:
    """Neither half is a card."""
    payload: Json = [
        {"role": "user", "content": "my card is 4111 1111"},
        {"role": "assistant", "content": "go on"},
        {"role": "user", "content": "1111 1111, thanks"},
    ]
    assert "1111" not in json.dumps(redacted(payload, "strict"))


def test_a_label_in_the_message_before_counts() -> None:
    """`What is your date of birth?` makes a date one."""
    payload: Json = [{"content": "What is your date of birth?"}, {"content": "12/03/1980"}]
    assert [{"content": "What is your date of birth?"}, {"content": "[DATE_OF_BIRTH]"}] == redacted(payload, "strict")


def test_the_answer_to_a_question_for_a_password_is_one() -> None:
    """It has no form of its own."""
    out = redacted([{"content": "And your password?"}, {"content": "hunter22"}], "default")
    assert [{"content": "And your password?"}, {"content": "[PASSWORD]"}] == out


@pytest.mark.parametrize(("action", "expected"), [("drop", {"a": 1}), ("block", None)])
def test_dropped_and_blocked(action: Action, expected: Json) -> None:
    """A dropped value takes its key along; a blocked one everything."""
    policy = RedactionPolicy(name="test", actions=Actions(), otherwise=action)
    found = redact_payload(Redactor(policy, KEY), {"a": 1, "email": "bob@example.com"})
    assert expected == found.payload
    assert ("block" if action == "block" else "allow") == found.decision


def test_a_payload_too_deep_to_look_through_is_refused() -> None:
    """Refused, not skipped."""
    payload: Json = "bob@example.com"
    for _ in range(300):
        payload = [payload]
    with pytest.raises(Refused, match=r"redaction\.too_deep"):
        redacted(payload)


def test_a_text_alone_is_a_payload_too() -> None:
    """A surname that was told is known from then on; offsets are those of the text, also where it is JSON."""
    told = "Patient: Margaret Whitfield, DOB 12/03/1961.\nwhitfield was seen; margaret_whitfield.pdf is attached."
    patterns = Redactor(PRESETS["default"].patterns_only(), KEY)
    assert "whitfield" not in redact_text(patterns, told).text.lower()
    for text in (told, '{"mail": "ada@example.com"}'):
        for each in redact_text(patterns, text).findings:
            assert text[each.start : each.end].strip(' "{}') == text[each.start : each.end]
