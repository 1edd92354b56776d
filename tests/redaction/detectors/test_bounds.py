"""What a hostile text costs, and that none breaks a detector."""

import time

import pytest

from redaction.detectors.patterns import patterns
from redaction.detectors.sql import Sql
from redaction.findings import merged
from redaction.presets import PRESETS
from redaction.redactor import Redactor

REPEATED = {
    "secrets": ("", "kind: Secret\ndata:\n a: bbbbbbbbb1B\n"),
    "inserts": ("create table t(email text); ", "insert into t values a "),
    "copies": ("", "copy t (email) from stdin\na@b.example\n"),
    "tables": ("insert into t values (1) ", "create table t(a "),
}


def _found(text: str) -> tuple[list[str], float]:
    began = time.process_time()
    found = [text[each.start : each.end] for each in patterns()(text)]
    return found, time.process_time() - began


@pytest.mark.parametrize(("start", "repeated"), REPEATED.values(), ids=REPEATED)
def test_statements_and_manifests_cost_what_they_are_long(start: str, repeated: str) -> None:
    """Each was read again for every other: seconds, and a find for every pair."""
    _found(start + repeated)
    few, short = min((_found(start + repeated * 200) for _ in range(2)), key=lambda each: each[1])
    many, long = min((_found(start + repeated * 800) for _ in range(2)), key=lambda each: each[1])
    assert len(many) <= 4 * len(few) + 8
    assert long < 10 * short + 0.2, "four times the text, and less than ten times the time"


@pytest.mark.parametrize(
    "text",
    [
        "DE89 3704 0044 0532 013Š 00",
        "DE89İ70400440532013000",
        "codice fiscale RŠSMRA85T10A562S",
        "numéro 2 55 08 14 168 025 3８",
        "PİD|1||00123456^^^MRN||DOE^JOHN||19800312|M|",
        "VALUES (1)\ud800",
        "to gb\ud80082west12345698765432",
        "<lastName>Ber\ud800</lastName>",
        "ID    NAME\ud800             PHONE\nC4    Jani Blatnik\udfff     01 7350 034",
    ],
)
def test_no_letter_breaks_a_detector(text: str) -> None:
    """A text that stops the pass is one that nobody can send."""
    assert all(0 <= each.start < each.end <= len(text) for each in patterns()(text))


def test_a_find_beside_half_a_character_is_replaced() -> None:
    """JSON can hold one; what is sent on holds no less and no more than before."""
    redactor = Redactor(PRESETS["default"].patterns_only(), b"a key for tests, 32 bytes long..")
    text = "\ud800 a@b.example"
    redacted = redactor.act(text, redactor.find(text)).text
    assert redacted.startswith("\ud800 <EMAIL_")


@pytest.mark.parametrize("apart", ["---\n", ""])
def test_only_the_data_of_a_secret_is_secret(apart: str) -> None:
    """A map of settings beside it is read for what it holds."""
    items = (
        "- kind: Secret\n  metadata:\n    name: a\n  data:\n    key: bbbbbbbbb1B\n"
        "- kind: ConfigMap\n  data:\n    LOG_LEVEL: information\n",
        "kind: Secret\nmetadata:\n  ownerReferences:\n  - kind: ExternalSecret\ndata:\n  key: bbbbbbbbb1B\n"
        "---\nkind: ConfigMap\ndata:\n  LOG_LEVEL: information\n",
        "- data:\n    key: bbbbbbbbb1B\n  kind: Secret\n- data:\n    LOG_LEVEL: information\n  kind: ConfigMap\n",
        "kind: Secret\n  data:\n    key: bbbbbbbbb1B\n",
    )
    for item in items:
        text = apart + item
        assert ["bbbbbbbbb1B"] == [text[each.start : each.end] for each in merged(patterns()(text))], text


def test_rows_end_where_the_next_statement_begins() -> None:
    """With their own columns each, and without the line that should end them."""
    text = "COPY a (email, n) FROM stdin;\nx@y.example\t1\nCOPY b (n, surname) FROM stdin;\n2\tWesoła\n"
    assert {"x@y.example", "Wesoła"} == {text[each.start : each.end] for each in Sql()(text)}
