"""How well the pattern pass does on payloads that were made up, so that a change for the worse fails."""

import json
from collections import Counter

import pytest

from appliance.bench.payloads.adversarial import KINDS, adversarial
from appliance.bench.payloads.generate import TEMPLATES, examples
from appliance.bench.redaction_quality import alarms, attacked, quality
from redaction.presets import PRESETS, Actions, RedactionPolicy
from redaction.redactor import Redactor
from redaction.segments import redact_payload

KEY = b"0123456789abcdef0123456789abcdef"
ALL = RedactionPolicy(name="all", actions=Actions(), otherwise="pseudonymise")


def make() -> Redactor:
    return Redactor(PRESETS["default"].patterns_only(), KEY)


def test_payloads_are_the_same_for_the_same_seed() -> None:
    """Two measurements can be compared."""
    assert list(examples(20, seed=3)) == list(examples(20, seed=3))
    assert list(examples(20, seed=3)) != list(examples(20, seed=4))


def test_little_leaks_and_little_is_destroyed() -> None:
    """Looser than what `af bench redaction` promises with names: this is the pattern pass alone."""
    found = quality(make, count=200, seed=11)
    others = found.leaked.total() - found.leaked["PERSON"]
    assert found.sensitive.total() > 500
    assert 0.08 >= found.leaked_ratio
    assert 0.03 >= others / (found.sensitive.total() - found.sensitive["PERSON"])
    assert 0.02 >= found.leaked_secrets_ratio
    assert 0.03 >= found.destroyed_ratio


def test_most_disguises_are_seen_through() -> None:
    """Of each kind, and there are enough of them."""
    handled, total, missed = attacked(make)
    assert Counter(case.kind for case in adversarial()).keys() == set(KINDS)
    assert 120 <= total.total()
    assert 0.95 * total.total() <= handled.total(), [(case.kind, case.name) for case in missed]


def test_code_without_secrets_stays_as_it_is() -> None:
    """A guard that breaks programs is switched off."""
    assert [] == alarms(make)


@pytest.mark.parametrize("number", range(0, len(TEMPLATES), 5))
def test_what_is_redacted_is_restored_and_found_clean(number: int) -> None:
    """Restoring gives what came; redacting again finds nothing new; JSON stays JSON."""
    payload = list(examples(number + 1, seed=7))[-1].payload
    redactor = Redactor(ALL, KEY)
    out = redact_payload(redactor, payload).payload
    assert payload == redactor.pseudonyms.restore_payload(json.loads(json.dumps(out)))
    again = redact_payload(redactor, out)
    assert [] == [(each.type, each.recogniser, each.path) for each in again.findings]
