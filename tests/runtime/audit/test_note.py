"""Signed notes, held to published ones and to changed ones."""

import json

import pytest

from runtime.audit.note import Checkpoint, checkpoint_in, key_of, opened, parsed, signed
from runtime.errors import Invalid
from runtime.store.signing import SigningKey, verify_ed25519
from tests.shared import shared

CHECKPOINT = Checkpoint("agentflow.local/audit/test/default", 3, bytes(range(32)))


def key() -> SigningKey:
    return SigningKey(bytes(range(32)))


def note() -> str:
    return signed(CHECKPOINT, key().named(CHECKPOINT.origin), key().sign)


@pytest.mark.parametrize("number", [0, 1])
def test_published_notes_open(number: int) -> None:
    """One of the C2SP page, one of Go's golang.org/x/mod."""
    published = json.loads(shared("conformance/merkle/rfc6962_vectors.json").read_text())["signed_notes"][number]
    key = key_of(published["vkey"])
    assert published["vkey"] == key.vkey
    text = opened(published["note"], key, verify_ed25519)
    assert published["note"].startswith(text)
    for changed in (
        published["note"].replace(text[:1], "X", 1),
        published["note"].replace("\n\n", "\n", 1),
        published["note"].replace("\n", "\r\n"),
        published["note"].rstrip("\n"),
        published["note"][:-4] + "AA==\n",
    ):
        with pytest.raises(Invalid):
            opened(changed, key, verify_ed25519)


def test_our_checkpoints_read_back() -> None:
    named = key_of(key().named(CHECKPOINT.origin).vkey)
    assert CHECKPOINT == checkpoint_in(note(), named, verify_ed25519)


def test_a_signature_of_somebody_else_beside_ours_is_no_matter() -> None:
    """Witnesses add theirs."""
    named = key().named(CHECKPOINT.origin)
    assert CHECKPOINT == checkpoint_in(f"{note()}— witness.example/w AAAAAAAA\n", named, verify_ed25519)


def test_every_flipped_character_is_noticed() -> None:
    """Whatever of a note is changed, it no longer opens with what it said."""
    named, whole = key().named(CHECKPOINT.origin), note()
    for place, char in enumerate(whole):
        flipped = whole[:place] + ("B" if char != "B" else "C") + whole[place + 1 :]
        with pytest.raises(Invalid):
            checkpoint_in(flipped, named, verify_ed25519)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Invalid, match="not signed by"):
        checkpoint_in(note(), SigningKey(bytes(32)).named(CHECKPOINT.origin), verify_ed25519)


@pytest.mark.parametrize(
    "vkey", ["", "a+b", "a b+00000000+AQ==", "x+00000000+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"]
)
def test_what_is_no_key_is_refused(vkey: str) -> None:
    with pytest.raises(Invalid, match="af audit key"):
        key_of(vkey)


@pytest.mark.parametrize("text", ["", "o\n01\nAAAA\n", "o\n1\nAAAA\n", "\n1\nAAAA\n", "o\n-1\nAAAA\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no origin, size and root"):
        parsed(text)
