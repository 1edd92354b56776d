"""What is done with what is found, and the laws that hold for every text."""

import pytest
from hypothesis import example, given, settings

from redaction.findings import ENTITIES, Finding, merged
from redaction.presets import ACTIONS, PRESETS, Action, Actions, RedactionPolicy
from redaction.redactor import Redactor
from tests.redaction.samples import texts

KEY = b"0123456789abcdef0123456789abcdef"


def redactor(action: Action, **more: Actions) -> Redactor:
    return Redactor(RedactionPolicy(name="test", actions=Actions(), otherwise=action, destinations=more), KEY)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("allow", "pay 4111 1111 1111 1111 now"),
        ("mask", "pay ***************1111 now"),
        ("replace", "pay [PAYMENT_CARD] now"),
        ("drop", "pay  now"),
        ("block", ""),
    ],
)
def test_each_action_does_what_it_says(action: Action, expected: str) -> None:
    """The word in the policy is the promise."""
    assert expected == redactor(action).redact("pay 4111 1111 1111 1111 now").text


def test_a_hash_is_the_same_for_the_same_key_only() -> None:
    """Rows can be joined by it; without the key nobody can try values."""
    first, second = redactor("hash"), redactor("hash")
    other = Redactor(first.policy, KEY[::-1])
    assert first.redact("bob@example.com").text == second.redact("bob@example.com").text
    assert first.redact("bob@example.com").text != other.redact("bob@example.com").text


def test_a_value_has_one_pseudonym_within_a_run() -> None:
    """The model must see that it is the same person."""
    one = redactor("pseudonymise")
    first, second, third = one.redact("bob@example.com, amy@example.com, bob@example.com").text.split(", ")
    assert first == third != second


def test_the_destination_decides_before_the_rest() -> None:
    """What may be shown to the site's own model may not stand in the log."""
    one = redactor("allow", **{"cloud:*": Actions(entities={"EMAIL": "block"}, groups={"contact": "drop"})})
    assert "allow" == one.redact("bob@example.com", "site").decision
    assert "block" == one.redact("bob@example.com", "cloud:eu").decision


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_lets_no_secret_through(preset: str) -> None:
    """Whatever else they differ in."""
    redacted = Redactor(PRESETS[preset].patterns_only(), KEY).redact("the key is AKIAIOSFODNN7EXAMPLE")
    assert "AKIAIOSFODNN7EXAMPLE" not in redacted.text


def test_every_preset_says_something_about_every_entity() -> None:
    """An entity that is added later is not let through by omission."""
    assert {policy.action(entity) for policy in PRESETS.values() for entity in ENTITIES} <= set(ACTIONS)


def test_a_further_detector_adds_to_what_is_found() -> None:
    """Names and places come from models behind the same seam."""

    def names(text: str, around: str) -> list[Finding]:
        at = text.find("Alice")
        return [Finding(at, at + 5, "PERSON", 0.9, "names")] if at >= 0 else []

    one = Redactor(PRESETS["strict"].patterns_only(), KEY, detectors=(names,))
    assert "[PERSON] was here" == one.redact("Alice was here").text


def test_a_detector_that_fails_lets_nothing_pass() -> None:
    """Fail closed."""

    def broken(text: str, around: str) -> list[Finding]:
        raise RuntimeError("no model")

    with pytest.raises(RuntimeError):
        Redactor(PRESETS["strict"].patterns_only(), KEY, detectors=(broken,)).redact("hello")


def test_overlapping_finds_become_one_that_covers_both() -> None:
    """No character that any recogniser found stays."""
    found = merged([Finding(5, 20, "EMAIL", 1.0, "email"), Finding(0, 9, "TOKEN", 0.8, "token")])
    assert [Finding(0, 20, "TOKEN", 0.8, "token")] == found


@given(texts)
@settings(max_examples=150, deadline=None)
def test_what_is_restored_is_what_was_redacted(text: str) -> None:
    """For every text: pseudonyms lose nothing."""
    one = redactor("pseudonymise")
    assert text == one.pseudonyms.restore(one.redact(text).text)


@pytest.mark.parametrize("action", ["mask", "replace", "hash", "pseudonymise"])
@given(text=texts)
@example(text="password: hunter22! 00000A&a:")
@example(text="password: hunter22! 00000A&a:0")
@settings(max_examples=60, deadline=None)
def test_redacting_twice_changes_nothing_more(action: Action, text: str) -> None:
    """Text passes the guard again and again: every model call sends the history."""
    one = redactor(action)
    once = one.redact(text).text
    assert once == one.redact(once).text


@given(texts)
@settings(max_examples=60, deadline=None)
def test_a_text_seen_before_gets_the_same_answer(text: str) -> None:
    """The cache holds places, and changes nothing."""
    one = redactor("pseudonymise")
    assert one.redact(text) == one.redact(text)
    assert one.find(text) == redactor("pseudonymise").find(text)


def test_what_stands_behind_something_like_a_mark_is_read() -> None:
    """A value that begins with asterisks is a value; so is one behind a mark, where it has a name of its own."""
    for text in (
        "password=***hunter22!x",
        "[EMAIL] password=hunter22!x",
        "[PASSWORD=abcdefghijklmnop] password: hunter22!x",
    ):
        assert "hunter22" not in redactor("hash").redact(text).text, text
