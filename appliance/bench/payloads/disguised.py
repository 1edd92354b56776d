"""Values in disguise: by look, by encoding, by spelling, in pieces, in other cases, deep in JSON."""

import base64
import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from urllib.parse import quote

from appliance.bench.payloads.hostile import CARD, KEY, MAIL, NAME, SSN, Hostile, b64
from runtime.domain.canonical import Json


def disguised() -> list[Hostile]:
    """Cases of the kinds `unicode`, `encoding`, `obfuscation`, `split`, `case` and `json`."""
    return [
        *(Hostile("unicode", name, text, hidden) for name, text, hidden in _unicode()),
        *(Hostile("encoding", name, payload, (hidden,)) for name, payload, hidden in _encoding()),
        *(Hostile("obfuscation", name, text, (hidden,)) for name, text, hidden in _obfuscation()),
        *(Hostile("split", name, payload, hidden) for name, payload, hidden in _split()),
        *(Hostile("case", name, payload, hidden) for name, payload, hidden in _case()),
        *_json(),
    ]


def _unicode() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    digits = CARD.replace(" ", "")
    card = (digits,)
    yield "zero-width spaces", f"pay with {chr(0x200B).join(digits)} today", card
    yield "zero-width joiner in mail", "write to anna\u200d.berg@exam\u2060ple.com", (MAIL,)
    yield "soft hyphens", "write to an\u00adna.berg@example.c\u00adom", (MAIL,)
    yield "fullwidth", "card " + "".join(chr(0xFF10 + int(char)) for char in digits), card
    yield "arabic-indic", "card " + "".join(chr(0x660 + int(char)) for char in digits), card
    yield "devanagari", "card " + "".join(chr(0x966 + int(char)) for char in digits), card
    yield "mathematical bold", "card " + "".join(chr(0x1D7CE + int(char)) for char in digits), card
    yield "superscripts", "SSN " + SSN.translate(str.maketrans("0129", "⁰¹²⁹")), (SSN,)
    yield "circled", "card " + "".join("⓪①②③④⑤⑥⑦⑧⑨"[int(char)] for char in digits), card
    yield "cyrillic mail", "аnnа.bеrg@ехаmple.com wants it", (MAIL,)
    yield "greek mail", "annα.berg@exαmple.cοm wants it", (MAIL,)
    yield "combining marks", "card " + "\u0301".join(digits), card
    yield "no-break spaces", "card " + CARD.replace(" ", "\u00a0"), card
    yield "thin spaces", "card " + CARD.replace(" ", "\u2009"), card
    yield "line breaks", "card " + CARD.replace(" ", "\n"), card
    yield "dots", "card " + CARD.replace(" ", "."), card
    yield "slashes", "card " + CARD.replace(" ", "/"), card
    yield "en dashes", "SSN 219\u201309\u20139999", (SSN,)
    yield "override", f"card \u202e{digits}\u202c now", card
    yield "tag characters", "card " + "".join(char + chr(0xE0041) for char in digits), card
    yield "fullwidth at", "anna.berg＠example．com", (MAIL,)
    yield "ideographic stop", "anna.berg@example。com", (MAIL,)


def _encoding() -> Iterator[tuple[str, Json, str]]:
    said = f"card {CARD}"
    yield "base64", f"data {b64(said)}", CARD
    yield "base64 twice", f"data {b64(b64(said))}", CARD
    yield "base64 url-safe", base64.urlsafe_b64encode(f"{said}???>>>".encode()).decode(), CARD
    yield "base64 over lines", "\n".join(_chunks(b64(f"Please charge the {said} of {MAIL} for the order"), 20)), MAIL
    yield "base64 without padding", b64(said).rstrip("="), CARD
    yield "base32", base64.b32encode(said.encode()).decode(), CARD
    yield "hex", said.encode().hex(), CARD
    yield "hex in capitals", MAIL.encode().hex().upper(), MAIL
    yield "hex escapes", "".join(f"\\x{ord(char):02x}" for char in MAIL), MAIL
    yield "spaced hex", " ".join(f"{ord(char):02x}" for char in MAIL), MAIL
    yield "percent", quote(MAIL, safe="").replace(".", "%2E"), MAIL
    yield "double percent", quote(quote(MAIL, safe=""), safe=""), MAIL
    yield "all percent", "".join(f"%{ord(char):02X}" for char in CARD), CARD
    yield "entities", "".join(f"&#{ord(char)};" for char in MAIL), MAIL
    yield "hex entities", MAIL.replace("@", "&#x40;").replace(".", "&period;"), MAIL
    yield "unicode escapes", "".join(f"\\u{ord(char):04x}" for char in MAIL), MAIL
    yield "quoted-printable", MAIL.replace("@", "=40").replace(".", "=2E"), MAIL
    yield "quoted-printable, soft breaks", "card 4539 5787=\n 6362 1486", CARD
    yield "gzip", b64(gzip.compress(said.encode(), mtime=0)), CARD
    yield "zip", b64(_zipped(f"{said} of {MAIL}")), CARD
    yield "utf-16", b64(said.encode("utf-16")), CARD
    yield "utf-16, big-endian", b64(said.encode("utf-16-be")), CARD
    yield "data URI", f"data:text/plain;base64,{b64(said)}", CARD
    yield (
        "picture",
        f"data:image/png;base64,{b64(bytes.fromhex('89504e470d0a1a0a') + bytes(range(200)))}",
        b64(bytes(range(9, 90))),
    )
    yield (
        "opaque bytes",
        {"attachment": b64(bytes((at * 197 + 31) % 256 for at in range(400)))},
        b64(bytes((at * 197 + 31) % 256 for at in range(60))),
    )
    yield "basic authorization", f"Authorization: Basic {b64('anna:S3cret!pass')}", b64("anna:S3cret!pass")
    yield "rot13", codecs.encode(f"my mail is {MAIL} and my password is Hunter22!", "rot13"), MAIL
    yield "reversed", f"my card is {CARD}"[::-1], CARD
    yield "MIME words", f"Subject: =?utf-8?B?{b64('Invoice for ' + MAIL)}?=", MAIL
    yield "MIME words, quoted", "To: =?utf-8?Q?anna.berg=40example.com?=", MAIL
    yield "JSON in base64", b64(json.dumps({"customer": {"email": MAIL, "card": CARD}})), MAIL
    yield "decimal codes", " ".join(str(ord(char)) for char in MAIL), MAIL


def _obfuscation() -> Iterator[tuple[str, str, str]]:
    yield (
        "spelt digits",
        "my card is four five three nine five seven eight seven six three six two one four eight six",
        CARD,
    )
    yield (
        "spelt with double",
        "call me at oh two oh, seven nine four six, oh nine five eight",
        "oh two oh, seven nine four six",
    )
    yield "at and dot", "write to anna dot berg at example dot com please", "anna dot berg at example"
    yield "brackets", "anna[dot]berg[at]example[dot]com", "anna[dot]berg[at]example"
    yield "parentheses", "anna.berg (at) example (dot) com", "anna.berg (at) example"
    yield "spaced letters", " ".join(MAIL), MAIL
    yield "spaced digits", "card " + " ".join(CARD.replace(" ", "")), CARD
    yield "words between", "card: 4539 then 5787 then 6362 and finally 1486", "4539 then 5787 then 6362"
    yield "dashed letters", "-".join("4539578763621486"), CARD
    yield "underscores", "4539_5787_6362_1486", CARD
    yield "commas", "4539, 5787, 6362, 1486 is the card", CARD
    yield "brackets around groups", "card (4539) (5787) (6362) (1486)", CARD


def _split() -> Iterator[tuple[str, Json, tuple[str, ...]]]:
    yield "card over two", _said("my card is 4539 5787", "6362 1486 thanks"), ("6362 1486",)
    yield "card over four", _said("4539", "5787", "6362", "1486"), ("5787", "6362")
    yield (
        "card with an answer between",
        [
            {"role": "user", "content": "it begins 4539 5787"},
            {"role": "assistant", "content": "and then?"},
            {"role": "user", "content": "then 6362 1486"},
        ],
        ("6362 1486",),
    )
    yield "mail over two", _said("my mail is anna.berg", "@example.com"), (MAIL, "anna.berg")
    yield "label then value", _said("My social security number is", "219099999"), ("219099999",)
    yield (
        "question then name",
        [{"role": "assistant", "content": "May I have your full name?"}, {"role": "user", "content": "Anna Bergström"}],
        ("Bergström",),
    )
    yield "given and family apart", {"given_name": "Anna", "family_name": "Bergström"}, ("Bergström",)
    yield (
        "content parts",
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "my card 4539 5787"}, {"type": "text", "text": "6362 1486"}],
            }
        ],
        ("6362 1486",),
    )
    yield (
        "surname later in lower case",
        _said("This is Mrs Anna Bergström.", "as bergström said, it works"),
        ("bergström",),
    )
    yield "key over two", _said("the key is AKIAIOSFOD", "NN7EXAMPLE"), (KEY, "AKIAIOSFOD")
    yield "label and value in cells", [["field", "value"], ["SSN", "219099999"]], ("219099999",)
    yield "key and value", [{"key": "password", "value": "hunter22"}], ("hunter22",)
    yield (
        "password asked for",
        [{"role": "assistant", "content": "And what is the password?"}, {"role": "user", "content": "hunter22"}],
        ("hunter22",),
    )


def _said(*turns: str) -> Json:
    return [{"role": "user", "content": turn} for turn in turns]


def _case() -> Iterator[tuple[str, Json, tuple[str, ...]]]:
    known: dict[str, Json] = {"customer_name": NAME}
    yield "lower", {**known, "note": "anna bergström called again"}, ("anna bergström",)
    yield "upper", {**known, "note": "ANNA BERGSTRÖM CALLED AGAIN"}, ("BERGSTRÖM",)
    yield "last, first", "Attendees: BERGSTRÖM, Anna and two others", ("BERGSTRÖM",)
    yield "snake", {"user": {"full_name": "Anna Berg"}, "file": "anna_berg_cv.pdf"}, ("anna_berg",)
    yield "camel", {"user": {"full_name": "Anna Berghof"}, "branch": "feature/AnnaBerghofFix"}, ("AnnaBerghof",)
    yield "possessive", {**known, "note": "Anna Bergström's invoice"}, ("Bergström",)
    yield "handle", {"full_name": "Anna Berghof", "handle": "@aberghof"}, ("aberghof",)
    yield "handle in prose", "Ping Anna Berghof (anna.berghof@example.com), her login is annaberghof", ("annaberghof",)
    yield "shouted mail", MAIL.upper(), (MAIL,)
    yield "mixed mail", "aNNa.Berg@eXample.COM", (MAIL,)


def _json() -> Iterator[Hostile]:
    def case(name: str, payload: Json, *hidden: str, kept: tuple[str, ...] = ()) -> Hostile:
        return Hostile("json", name, payload, hidden, kept)

    deep: Json = {"card": CARD}
    for _ in range(190):
        deep = {"a": deep}
    too_deep: Json = MAIL
    for _ in range(400):
        too_deep = [too_deep]
    yield case("value as a key", {MAIL: {"visits": 3}}, MAIL)
    yield case("card as a number", {"n": 4539578763621486}, CARD)
    yield case("SSN as a number", {"ssn": 219099999}, "219099999")
    yield case("phone as a fraction", {"phone": 442079460958.0}, "442079460958")
    yield case("digits as a list", {"card": [int(char) for char in "4539578763621486"]}, "4539578763621486")
    yield case("JSON in a text", {"arguments": json.dumps({"mail": MAIL})}, MAIL)
    yield case(
        "JSON in a text in a text in a text", {"a": json.dumps({"b": json.dumps({"c": json.dumps({"d": MAIL})})})}, MAIL
    )
    yield case("190 levels", deep, CARD)
    yield case("400 levels", too_deep, MAIL)
    yield case("list of texts", ["one", "two", MAIL, CARD], MAIL, CARD)
    yield case("short names", {"first_name": "Bo", "last_name": "Li"}, '"Bo', "Bo\nlast_name\nLi")
    yield case(
        "limits stay", {"max_tokens": 4096, "email": MAIL, "token_count": 31}, MAIL, kept=("4096", "31", "max_tokens")
    )
    yield case("columns and rows", {"columns": ["id", "ssn"], "rows": [[1, "219099999"]]}, "219099999")
    yield case("cut off", '{"user": {"email": "anna.berg@example.com", "password": "hunter22', MAIL, "hunter22")
    yield case("single quotes", "{'first_name': 'Anna', 'password': 'hunter22'}", "hunter22")


def _zipped(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", text)
    return out.getvalue()


def _chunks(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
