"""Envelopes as others send them: golden ones of every version are read for ever, bad ones are refused by name."""

import json
from pathlib import Path

import msgspec
import pytest

from runtime.domain import envelope as envelopes
from runtime.domain.canonical import MAX_DEPTH, Json
from runtime.domain.envelope import MAX_PAYLOAD_BYTES, Envelope, hash_of, message, of_entry, read, reply, write
from runtime.domain.event import Usage
from runtime.domain.ids import DEFAULT_TENANT, RunId
from runtime.domain.journal import write as write_entry
from runtime.domain.subject import checked_filter, checked_subject, token
from runtime.errors import Invalid
from tests.runtime.store.samples import NOON_US, beginning, run_id, step

GOLDEN = Path(__file__).with_name("envelopes_v1.jsonl")


def _samples() -> list[Envelope]:
    """What the golden file was written from; it is never written again."""
    asked = message(
        "prices.ask",
        {"item": "Fräse ½", "count": 1.0, "tags": [True, None, 1e21, -0.0]},
        id="m-1",
        at_us=NOON_US,
        tenant=DEFAULT_TENANT,
        sender="shop",
        reply_to="_inbox.m-1",
        context="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        metadata={"priority": "high"},
    )
    return [
        message("orders.created", None, id="m-0", at_us=0, tenant=DEFAULT_TENANT),
        asked,
        reply(asked, {"price": 0.1}, id="m-2", at_us=NOON_US + 7, sender="desk"),
        msgspec.structs.replace(asked, cost=Usage(10, 20, 30), tracestate="a=1", seq=5, run=run_id(9)),
        *(
            of_entry(write_entry(run_id(1), entry), tenant=DEFAULT_TENANT, workflow="my desk.v2")
            for entry in [*beginning(input={"message": "hello"}), *step(2, output=[1e20])]
        ),
    ]


def test_golden_envelopes_are_read_and_written_the_same() -> None:
    """A consumer that was down for a year finds what was written then."""
    lines = GOLDEN.read_bytes().splitlines()
    assert lines == [write(read(line)) for line in lines]
    assert lines == [write(sample) for sample in _samples()]


def test_the_hash_is_over_everything_but_itself() -> None:
    """So that anybody can compute it with a JSON library and sha256sum."""
    for line in GOLDEN.read_bytes().splitlines():
        said = json.loads(line).pop("hash")
        assert said == hash_of(read(line))


def _spoiled(**members: Json) -> bytes:
    """A good envelope with some members in place of its own, hashed and spelled as it must be otherwise."""
    good = {**json.loads(write(_samples()[1])), **members}
    return json.dumps(good, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (_spoiled(hash="sha256:" + "0" * 64), "envelope.hash_mismatch"),
        (_spoiled(payload={"item": "other"}), "envelope.hash_mismatch"),
        (_spoiled(v=2), "envelope.unknown_version"),
        (_spoiled(v=True), "envelope.unknown_version"),
        (_spoiled(v="1"), "envelope.unknown_version"),
        (_spoiled(more=1), "envelope.unreadable"),
        (_spoiled(id=7), "envelope.unreadable"),
        (_spoiled(id="a b"), "envelope.bad_member"),
        (_spoiled(at="yesterday"), "envelope.bad_member"),
        (_spoiled(at="2026-02-30T12:00:00.000000Z"), "envelope.bad_member"),
        (_spoiled(traceparent="00-" + "0" * 32 + "-b7ad6b7169203331-01"), "envelope.bad_member"),
        (_spoiled(seq=-1), "envelope.bad_member"),
        (_spoiled(**{"from": "a\nb"}), "envelope.bad_member"),
        (_spoiled(subject="a b"), "bus.bad_subject"),
        (_spoiled(subject="orders.*"), "bus.bad_subject"),
        (_spoiled(subject="orders..new"), "bus.bad_subject"),
        (_spoiled(reply_to="x."), "bus.bad_subject"),
        (b"[1]", "envelope.unreadable"),
        (b"{", "json.malformed"),
        (b"\xff", "json.not_utf8"),
        (b'{"v":1,"v":1}', "json.duplicate_key"),
        (b"[" * 5_000, "json.too_deep"),
        (b" " * (envelopes.MAX_BYTES + 1), "envelope.too_large"),
    ],
)
def test_what_is_no_envelope_is_refused(content: bytes, code: str) -> None:
    """They come from other machines."""
    with pytest.raises(Invalid) as refused:
        read(content)
    assert code == refused.value.code
    assert len(refused.value.message) < 500


def test_an_envelope_has_one_spelling() -> None:
    """Else two hashes of the same bytes on two machines could both be right."""
    content = write(_samples()[0])
    with pytest.raises(Invalid, match="not_canonical"):
        read(content.replace(b":", b": ", 1))
    with pytest.raises(Invalid, match="not_canonical"):
        read(content.replace(b'"subject"', b'"run":"","subject"'))


def test_a_payload_has_its_limit() -> None:
    """Ten megabytes do not go over a bus."""
    message("big.one", "x" * (MAX_PAYLOAD_BYTES - 2), id="m", at_us=0, tenant=DEFAULT_TENANT)
    with pytest.raises(Invalid, match=r"has 10,000,002 bytes; at most 1,048,576 are carried"):
        message("big.one", "x" * 10_000_000, id="m", at_us=0, tenant=DEFAULT_TENANT)


def test_a_payload_may_be_as_deep_as_any_value() -> None:
    """What the journal took, the bus takes."""
    deep: Json = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    made = message("deep", deep, id="m", at_us=0, tenant=DEFAULT_TENANT)
    assert made == read(write(made))
    with pytest.raises(Invalid, match="nested deeper"):
        message("deep", [deep], id="m", at_us=0, tenant=DEFAULT_TENANT)


def test_an_entry_says_whose_it_is() -> None:
    """From a step to whoever listens; the step's span is the context of what follows."""
    started, begun, ended, _ = _samples()[4:]
    assert ("runs.my%20desk%2Ev2." + run_id(1) + ".run.started") == started.subject
    assert ("", "step2") == (begun.sender, begun.recipient)
    assert ("step2", "") == (ended.sender, ended.recipient)
    assert run_id(1) == ended.correlation
    assert started.traceparent.split("-")[1] == ended.traceparent.split("-")[1]
    assert begun.traceparent == ended.traceparent != started.traceparent


def test_a_reply_belongs_to_its_request() -> None:
    """And to its trace."""
    _, asked, answered = _samples()[:3]
    assert (asked.reply_to, asked.id, asked.id) == (answered.subject, answered.causation, answered.correlation)
    assert asked.traceparent == answered.traceparent
    with pytest.raises(Invalid, match="nobody awaits a reply"):
        reply(answered, None, id="m-3", at_us=0)


def test_an_agent_with_an_unspeakable_name_is_carried() -> None:
    """The payload has it still."""
    row = write_entry(RunId("r-1"), beginning()[0])
    odd = msgspec.structs.replace(row, data=row.data.replace(b'"input":null', b'"actor":"a\\u0000b","input":null'))
    made = of_entry(odd, tenant=DEFAULT_TENANT, workflow="")
    assert "" == made.sender
    assert "runs.%.r-1.run.started" == made.subject
    assert made == read(write(made))


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "ü", "$SYS.a", "a\n", "x" * 513])
def test_these_are_no_subjects(text: str) -> None:
    """A broker would read them as something else."""
    with pytest.raises(Invalid, match="bad_subject"):
        checked_subject(text)


@pytest.mark.parametrize("text", ["", ".", "a.", ">.a", "a.>.b", "a*", "*.a>", "a b", "ü", "x" * 513])
def test_these_are_no_filters(text: str) -> None:
    """They would silently choose nothing."""
    with pytest.raises(Invalid, match="bad_filter"):
        checked_filter(text)


def test_long_names_are_cut_and_stay_apart() -> None:
    """Two workflows whose names begin alike."""
    first, second = token("ü" * 100), token("ü" * 101)
    assert first != second
    assert max(len(first), len(second)) <= 120
