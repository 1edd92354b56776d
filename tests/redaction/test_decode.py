"""Values in disguise."""

import base64
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
