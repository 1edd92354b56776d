"""Values in disguise."""

import base64
import codecs
import gzip

import pytest

from redaction.decode import MAX_DECODED, normalised
from redaction.presets import PRESETS
from redaction.redactor import Redactor
from runtime.errors import Refused

KEY = b"0123456789abcdef0123456789abcdef"
CARD = "card 4111 1111 1111 1111"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


DISGUISED = {
    "fullwidth": ("４１１１ １１１１ １１１１ １１１１", "PAYMENT_CARD"),
    "arabic-indic": ("".join(chr(0x660 + int(c)) for c in "4111111111111111"), "PAYMENT_CARD"),
    "zero-width": ("4111\u200b1111\u200b1111\u200b1111", "PAYMENT_CARD"),
    "soft hyphen": ("bo\u00adb@exam\u00adple.com", "EMAIL"),
    "no-break space": ("4111\u00a01111\u00a01111\u00a01111", "PAYMENT_CARD"),
    "en dash": ("123–45–6789", "NATIONAL_ID"),
    "cyrillic": ("bоb@exаmple.com", "EMAIL"),
    "percent": ("q=bob%40example.com", "EMAIL"),
    "double percent": ("q=bob%2540example.com", "EMAIL"),
    "entity": ("bob&#64;example.com", "EMAIL"),
    "escape": ("\\u0062ob\\u0040example.com", "EMAIL"),
    "quoted-printable": ("bob=40example.com", "EMAIL"),
    "base64": (_b64(CARD), "PAYMENT_CARD"),
    "base64 twice": (_b64(_b64(CARD)), "PAYMENT_CARD"),
    "base64 thrice": (_b64(_b64(_b64(CARD))), "PAYMENT_CARD"),
    "url-safe": (base64.urlsafe_b64encode(f"{CARD}??>>".encode()).decode(), "PAYMENT_CARD"),
    "hex": (CARD.encode().hex(), "PAYMENT_CARD"),
    "base32": (base64.b32encode(CARD.encode()).decode(), "PAYMENT_CARD"),
    "utf-16": (base64.b64encode(CARD.encode("utf-16")).decode(), "PAYMENT_CARD"),
    "gzip": (base64.b64encode(gzip.compress(CARD.encode(), mtime=0)).decode(), "PAYMENT_CARD"),
    "control characters": ("bob\x00@exam\x07ple.com", "EMAIL"),
    "soft line break": ("4111 1111=\n 1111 1111", "PAYMENT_CARD"),
    "big-endian": (base64.b64encode(CARD.encode("utf-16-be")).decode(), "PAYMENT_CARD"),
    "spelt": ("four one one one " + "one " * 11 + "one", "PAYMENT_CARD"),
    "spaced letters": (" ".join("bob@example.com"), "EMAIL"),
    "words between": ("4111 then 1111 and 1111 finally 1111", "PAYMENT_CARD"),
    "spaced hex": (" ".join(f"{ord(char):02x}" for char in "bob@example.com"), "EMAIL"),
    "file name": ("report_123-45-6789_final.pdf", "NATIONAL_ID"),
}


@pytest.mark.parametrize("disguise", DISGUISED)
def test_a_disguised_value_is_found_and_restored(disguise: str) -> None:
    """Offsets are those of the original, so what stands around it stays."""
    text, entity = DISGUISED[disguise]
    redactor = Redactor(PRESETS["default"].patterns_only(), KEY)
    redacted = redactor.redact(f"see {text} there")
    assert [entity] == [each.type for each in redacted.findings]
    assert redacted.text.startswith("see ")
    assert redacted.text.endswith(" there")
    assert f"see {text} there" == redactor.pseudonyms.restore(redacted.text)


def test_plain_text_is_not_copied() -> None:
    """Nearly all text is plain; its offsets are its own."""
    assert normalised("hello").starts is None


def test_an_archive_is_blocked() -> None:
    """Nobody looked into it."""
    data = base64.b64encode(b"PK\x03\x04" + bytes(range(60))).decode()
    redactor = Redactor(PRESETS["default"].patterns_only(), KEY)
    assert "block" == redactor.redact(f"data:application/zip;base64,{data}").decision


def test_a_bomb_is_refused_not_unpacked() -> None:
    """What was not looked through does not pass."""
    bomb = base64.b64encode(gzip.compress(b"a" * (MAX_DECODED + 10))).decode()
    with pytest.raises(Refused, match=r"redaction\.too_large"):
        Redactor(PRESETS["default"].patterns_only(), KEY).redact(bomb)


@pytest.mark.parametrize("name", ["password", "rot13", "reversed"])
def test_a_text_that_is_turned_is_read(name: str) -> None:
    """By words that are common in it."""
    text = "my password is Hunter22!"
    turned = {"password": text, "rot13": codecs.encode(text, "rot13"), "reversed": text[::-1]}[name]
    redacted = Redactor(PRESETS["default"].patterns_only(), KEY).redact(turned)
    assert ["PASSWORD"] == [each.type for each in redacted.findings]


@pytest.mark.parametrize(
    ("data", "decision"),
    [(b"\x89PNG\r\n" + bytes(range(100)), "block"), (bytes((n * 197 + 31) % 256 for n in range(400)), "block"),
     (bytes(range(64)), "allow")],
)  # fmt: skip
def test_bytes_that_are_no_text_are_blocked(data: bytes, decision: str) -> None:
    """Pictures, and what is longer than a signature; nobody looked into them."""
    text = f"x {base64.b64encode(data).decode()}"
    assert decision == Redactor(PRESETS["default"].patterns_only(), KEY).redact(text).decision


def test_a_certificate_may_pass() -> None:
    """Everybody may read it."""
    body = base64.b64encode(bytes((n * 197 + 31) % 256 for n in range(600))).decode()
    text = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
    assert text == Redactor(PRESETS["default"].patterns_only(), KEY).redact(text).text
