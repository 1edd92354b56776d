"""Envelopes: what is read is what was written, nothing can be changed unnoticed, and one message has one spelling."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.domain.envelope import Envelope, of_entry, read, write
from runtime.domain.event import Usage
from runtime.domain.ids import RunId, TenantId
from runtime.domain.journal import Entry
from runtime.domain.journal import write as write_entry
from runtime.domain.subject import checked_filter, checked_subject, entry_subject, matches, token
from runtime.errors import Invalid
from tests.properties.bodies import BODIES
from tests.properties.values import VALUES, is_same

RUN = RunId("r-01kafx8m7q0000000000000001")
LAST_US = 253_402_300_799_999_999
WORDS = st.text("abcZ09-_%:", min_size=1, max_size=6)
SUBJECTS = st.lists(WORDS, min_size=1, max_size=5).map(".".join)
FILTERS = st.tuples(st.lists(WORDS | st.just("*"), max_size=4), st.sampled_from(["", ">", "*", "end"])).map(
    lambda parts: ".".join([*parts[0], *([parts[1]] if parts[1] else [])]) or ">"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
HEX = "0123456789abcdef"
PARENTS = st.tuples(st.text(HEX, min_size=31, max_size=31), st.text(HEX, min_size=15, max_size=15)).map(
    lambda ids: f"00-{ids[0]}1-{ids[1]}2-01"
)
ENVELOPES = st.builds(
    Envelope,
    id=WORDS,
    subject=SUBJECTS,
    tenant=WORDS.map(TenantId),
    type=WORDS,
    at_us=st.integers(0, LAST_US),
    traceparent=PARENTS,
    payload=VALUES,
    run=st.sampled_from([RunId(""), RUN]),
    seq=st.integers(0, 2**53 - 1),
    sender=TEXTS,
    recipient=TEXTS,
    causation=TEXTS,
    correlation=TEXTS,
    reply_to=st.just("") | SUBJECTS,
    tracestate=TEXTS,
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=3),
    cost=st.builds(Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
)


@given(ENVELOPES)
def test_an_envelope_that_was_read_is_written_as_the_same_bytes(envelope: Envelope) -> None:
    """And says the same, to the kind of each number once it has been written."""
    content = write(envelope)
    once = read(content)
    assert content == write(once)
    assert is_same(msgspec.to_builtins(once), msgspec.to_builtins(read(write(once))))


@given(ENVELOPES, st.data())
def test_no_changed_byte_goes_unnoticed(envelope: Envelope, data: st.DataObject) -> None:
    """Wherever it stands, the hash included."""
    content = bytearray(write(envelope))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Invalid):
        read(bytes(content))


@settings(max_examples=50)
@given(ENVELOPES, ENVELOPES, st.data())
def test_no_member_of_one_envelope_fits_another(left: Envelope, right: Envelope, data: st.DataObject) -> None:
    """A payload cannot be moved into another message."""
    first, second = json.loads(write(left)), json.loads(write(right))
    name = data.draw(st.sampled_from(sorted(first.keys() | second.keys())))
    if first.get(name) == second.get(name):
        return
    first.pop(name, None)
    if name in second:
        first[name] = second[name]
    with pytest.raises(Invalid):
        read(json.dumps(first, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode())


@settings(max_examples=40)
@given(st.integers(1, 2**40), st.integers(0, LAST_US), BODIES, TEXTS)
def test_every_entry_of_a_journal_is_an_envelope(seq: int, at_us: int, body: object, workflow: str) -> None:
    """Whatever models and strangers' programs put into it; equal rows make equal bytes."""
    row = write_entry(RUN, Entry(seq, at_us, body))  # type: ignore[arg-type]  # it is a body
    made = of_entry(row, tenant=TenantId("acme"), workflow=workflow)
    content = write(made)
    assert content == write(of_entry(row, tenant=TenantId("acme"), workflow=workflow))
    assert content == write(read(content))
    assert (f"{RUN}/{seq}", row.hash.hex()) == (made.id, made.metadata["entry_hash"])
    assert matches(f"runs.*.{RUN}.>", made.subject)


@given(SUBJECTS, FILTERS)
def test_filters_mean_what_they_mean_to_nats(subject: str, wanted: str) -> None:
    """`*` is one token, `>` one or more at the end, and everything else itself."""
    assert _matches_slowly(checked_filter(wanted).split("."), checked_subject(subject).split(".")) == matches(
        wanted, subject
    )
    assert matches(subject, subject)
    assert matches(">", subject)
    assert matches(f"{subject.split('.')[0]}.>", subject) == ("." in subject)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_a_token_of_its_own(left: str, right: str) -> None:
    """Two workflows never share a subject, whatever they are called."""
    assert checked_subject(entry_subject(left, RUN, "run.started"))
    assert (token(left) == token(right)) == (left == right)


def _matches_slowly(wanted: list[str], tokens: list[str]) -> bool:
    if not wanted or not tokens:
        return wanted == tokens == []
    if wanted == [">"]:
        return True
    return wanted[0] in ("*", tokens[0]) and _matches_slowly(wanted[1:], tokens[1:])
