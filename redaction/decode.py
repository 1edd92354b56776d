"""A text as its reader would see it: look-alikes folded, invisible characters gone, encodings undone.

Every view remembers where each of its characters came from, so that a find in it is a find in the original. Work is
bounded: three levels of encoding, and a budget of characters; what is beyond the budget raises, for nothing that was
not looked at may pass.
"""

import base64
import binascii
import html
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import re2

from redaction.disguises import disguises
from redaction.findings import Finding
from runtime.errors import Refused

MAX_DEPTH = 3
MAX_DECODED = 4_000_000
"""Characters that all views of one text may have together."""

_LOOKALIKES = {
    ord(char): plain
    for plain, chars in (
        *zip("aeopcyxijsdhgl", "аеорсухіјѕԁһɡӏ", strict=True),  # Cyrillic
        *zip("ABEKMHOPCTXIJS", "АВЕКМНОРСТХІЈЅ", strict=True),
        *zip("ABEZHIKMNOPTYXoav", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαν", strict=True),  # Greek
        *zip("onusg", "օոսѕց", strict=True),  # Armenian
        *zip("abcdefghijklmnopqrstuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", strict=True),  # small capitals
        ("-", "‐‑‒–—―−﹘﹣－⁃"),
        (".", "․。"),
        ("/", "∕⁄⧸"),
        (":", "：∶"),
        ("'", "‘’ʼ"),
        ('"', "“”"),
    )
    for char in chars
}
_ESCAPES = re2.compile(
    r"(?:%[0-9A-Fa-f]{2})+|&(?:#[0-9]{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z]{2,8};)"
    r"|(?:\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f]{1,6}\}|\\U[0-9A-Fa-f]{8}|\\00[0-9A-Fa-f]{4}|\\[nrt/\"])+"
    r"|(?:\\[01][0-7]{2}){3,}|<!--[^>]{0,80}-->"
    r"|(?:=(?:20|2[DE]|3[AD]|40|5F)|=[C-F][0-9A-F](?:=[89AB][0-9A-F]){1,3})+|(?:=[2-7][0-9A-F]){4,}|(?:=\r?\n)+"
)
_SLASHED = re2.compile(
    r"\\u\{(?P<a>[0-9A-Fa-f]{1,6})\}|\\U(?P<b>[0-9A-Fa-f]{8})|\\u(?P<c>[0-9A-Fa-f]{4})|\\x(?P<d>[0-9A-Fa-f]{2})"
    r"|\\(?P<e>00[0-9A-Fa-f]{4})|\\(?P<f>[01][0-7]{2})|\\(?P<g>.)"
)
_LAST_CODE = 0x10FFFF
_RUNS = re2.compile(r"[A-Za-z0-9+/_\-]{12,}(?:\r?\n[A-Za-z0-9+/_\-]{4,})*={0,8}")
_SHORTEST_RUN = 12
_KEY_CHARS = 20
"""Characters of the shortest key in Base64 whose `=` at the end of its line is no soft line break."""
_UNDERSCORED = re2.compile(r"[0-9]_|_[0-9]")
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters that are drawn as nothing."""
_FIRST_PICTURE = "\u2190"
"""From here on, what is drawn and no letter parts words as a blank does."""
_INVISIBLE = frozenset(map(chr, (*range(9), 11, 12, *range(14, 32), 127)))
_CONTROLS = re2.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_OPAQUE = 300
"""Characters of Base64 that are more than a signature, and are let out only as text."""
_MEDIA = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"\xd0\xcf\x11\xe0", b"\x7fELF", b"RIFF", b"OggS", b"ID3",
    b"MZ\x90", b"II*\0", b"MM\0*", b"SQLite format",
)  # fmt: skip
_NOT_OPAQUE = ("CERTIFICATE", "PUBLIC KEY", "ssh-rsa", "ssh-ed25519", "signature", "sha512", "embedding")
"""What stands before a long run of Base64 that everybody may read."""
_ARCHIVES = (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text."""

    text: str
    starts: tuple[int, ...] | None = None
    """Where each character begins in the original; None: the text is the original."""
    ends: tuple[int, ...] = ()
    is_enclosed: bool = False
    """Whether it stands inside a run (Base64) that can only be replaced whole."""

    def original(self, finding: Finding) -> Finding:
        """The find with offsets of the original text."""
        if self.starts is None:
            return finding
        return Finding(
            min(self.starts[finding.start], self.starts[finding.end - 1]),
            max(self.ends[finding.start], self.ends[finding.end - 1]),
            finding.type,
            finding.score,
            finding.recogniser,
            finding.context,
        )

    def place(self, index: int) -> tuple[int, int]:
        """Start and end in the original of one character."""
        return (index, index + 1) if self.starts is None else (self.starts[index], self.ends[index])


def views(text: str) -> tuple[list[View], list[Finding]]:
    """Every reading of a text, and the archives in it that cannot be read.

    Raises Refused when its decoded forms go beyond MAX_DECODED.
    """
    first = normalised(text)
    found, opaque, level = [first], list[Finding](), [first]
    if first.starts is not None:
        found.append(View(text))  # what folding would hide, such as a name in its own script, is looked at as it stands
    if _UNDERSCORED.search(first.text):  # in a file name it parts words, in RE2 it is a letter
        found.append(View(_without_underscores(first.text), first.starts, first.ends))
    for reading, starts, ends in disguises(first.text):
        found.append(View(reading, *_places(first, starts, ends)))
    size = len(text)
    for _ in range(MAX_DEPTH):
        level = [each for view in level for each in _decoded(view, opaque)]
        size += sum(len(view.text) for view in level)
        if size > MAX_DECODED:
            message = f"a text decodes to more than {MAX_DECODED:,} characters, which are not looked through; send less"
            raise Refused("redaction.too_large", message)
        found += level
    return found, opaque


def _places(view: View, starts: list[int], ends: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of a reading of a view as places of the original."""
    if view.starts is None:
        return tuple(starts), tuple(ends)
    return tuple(view.starts[at] for at in starts), tuple(view.ends[at - 1] for at in ends)


def _without_underscores(text: str) -> str:
    """Between digits a blank, `4111 1111`; elsewhere what a label has behind it, `mrn:123456`."""
    chars = list(text)
    for place, char in enumerate(chars):
        if char == "_":
            is_inside = text[place - 1 : place].isdigit() and text[place + 1 : place + 2].isdigit()
            is_beside = text[place - 1 : place].isdigit() or text[place + 1 : place + 2].isdigit()
            chars[place] = " " if is_inside else ":" if is_beside else "_"
    return "".join(chars)


def normalised(text: str) -> View:
    """The text in plain characters: widths, digits of every script, look-alikes; nothing that cannot be seen."""
    if text.isascii() and not _CONTROLS.search(text):
        return View(text)
    chars, starts = list[str](), list[int]()
    for index, char in enumerate(text):
        plain = _plain(char)
        chars.append(plain)
        starts += [index] * len(plain)
    folded = "".join(chars)
    return View(text) if folded == text else View(folded, tuple(starts), tuple(start + 1 for start in starts))


def _plain(char: str) -> str:
    if char < "\x80":
        return "" if char in _INVISIBLE else char
    category = unicodedata.category(char)
    if category in ("Cf", "Mn", "Me", "Cc"):
        return ""
    if category in ("Nd", "No") and (digit := unicodedata.digit(char, None)) is not None:
        return str(digit)
    if char in _BLANKS:
        return ""
    if category == "So" and char >= _FIRST_PICTURE:
        return " " if len(folded := unicodedata.normalize("NFKC", char)) > 1 or not folded.isalnum() else folded
    if category == "Cs":
        return "?"
    if category in ("Zs", "Zl", "Zp"):
        return " "
    folded = unicodedata.normalize("NFKC", char).translate(_LOOKALIKES)
    return folded if len(folded) <= 4 else char


def _decoded(view: View, opaque: list[Finding]) -> Iterator[View]:
    """What one more level of decoding gives; nothing when nothing is encoded."""
    unescaped = _unescaped(view)
    if unescaped is not None:
        yield unescaped
    for match in _RUNS.finditer(view.text):
        start, end = match.span()
        low, high = view.place(start)[0], view.place(end - 1)[1]
        is_public = end - start < _OPAQUE or any(
            mark in view.text[max(0, start - 96) : start + 32] for mark in _NOT_OPAQUE
        )
        run = match.group()
        forms = list(_plain_forms(run, may_be_opaque=is_public))
        if not forms and "/" in run and (last := run.rpartition("/")[2]) and len(last) >= _SHORTEST_RUN:
            forms = list(_plain_forms(last, may_be_opaque=True))  # the last step of a path
        for plain in forms:
            if plain is None:
                opaque.append(Finding(low, high, "BINARY", 0.9, "archive"))
            else:
                inner = normalised(plain).text
                yield View(inner, (low,) * len(inner), (high,) * len(inner), True)


def _unescaped(view: View) -> View | None:
    text = view.text
    if not any(mark in text for mark in ("%", "&", "\\", "=", "<!--")):
        return None
    pieces, starts, ends, at = list[str](), list[int](), list[int](), 0
    is_changed = False
    for match in _ESCAPES.finditer(text):
        start, end = match.span()
        plain = _unescape(match.group())
        if plain is None or (not plain and text[start] == "=" and _is_padding(text, start)):
            continue
        is_changed = True
        for index in range(at, start):
            low, high = view.place(index)
            starts.append(low)
            ends.append(high)
        low, high = view.place(start)[0], view.place(end - 1)[1]
        step = (end - start) / max(1, len(plain))
        for index in range(len(plain)):
            starts.append(view.place(start + int(index * step))[0] if end - start == 3 * len(plain) else low)
            ends.append(view.place(start + int((index + 1) * step) - 1)[1] if end - start == 3 * len(plain) else high)
        pieces += (text[at:start], plain)
        at = end
    if not is_changed:
        return None
    for index in range(at, len(text)):
        low, high = view.place(index)
        starts.append(low)
        ends.append(high)
    pieces.append(text[at:])
    return View("".join(pieces), tuple(starts), tuple(ends), view.is_enclosed)


def _is_padding(text: str, at: int) -> bool:
    """Whether the `=` at the end of a line is that of Base64, not of quoted-printable."""
    first = at
    while first > 0 and (text[first - 1].isalnum() or text[first - 1] in "+/") and at - first < 4 * _KEY_CHARS:
        first -= 1
    return at - first >= _KEY_CHARS and (at - first) % 4 in (2, 3)


def _unescape(escape: str) -> str | None:
    """The characters that an escape stands for; None when it stands for itself."""
    if escape[0] == "%":
        plain = unquote_to_bytes(escape).decode("utf-8", "replace")
    elif escape[0] == "&":
        plain = html.unescape(escape)
    elif escape[:2] in ("=\n", "=\r", "<!"):
        return ""
    elif escape[0] == "=":
        plain = bytes.fromhex(escape.replace("=", "")).decode("utf-8", "replace")
    else:
        plain = _unslashed(escape)
    plain = "".join(map(_plain, plain))
    return plain if plain and plain != escape else None


def _unslashed(escape: str) -> str:
    out = list[str]()
    for match in _SLASHED.finditer(escape):
        kind = str(match.lastgroup)
        digits = match.group(kind)
        if kind == "g":
            out.append({"n": "\n", "r": "\r", "t": "\t"}.get(digits, digits))
        else:
            code = int(digits, 8 if kind == "f" else 16)
            out.append(chr(code) if code <= _LAST_CODE else "?")
    pair = "".join(out)
    return pair.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain_forms(run: str, *, may_be_opaque: bool) -> Iterator[str | None]:
    """The texts that a run may encode in Base64, hex or Base32; None for an archive, a picture and the like."""
    compact = "".join(run.split())
    is_read = may_be_opaque
    for data in _bytes_of(compact):
        if data.startswith((b"\x1f\x8b", b"\x78\x9c", b"\x78\xda", b"\x78\x01")):
            data = _inflated(data) or data
        if data.startswith(_ARCHIVES) or (data.startswith(_MEDIA) and len(data) > 64):
            yield None
            is_read = True
        elif (text := _text_of(data)) is not None:
            yield text
            is_read = True
    if not is_read and not _is_made_of(compact.rstrip("="), "0123456789abcdefABCDEF") and _is_drawn(compact):
        yield None


def _is_drawn(run: str) -> bool:
    """Whether a run is of all kinds of characters, as encoded bytes are, and not one word repeated."""
    kinds = (any(map(str.isdigit, run)), any(map(str.islower, run)), any(map(str.isupper, run)))
    return all(kinds) and len(set(run[:512])) > 40


def _bytes_of(run: str) -> Iterator[bytes]:
    stripped = run.rstrip("=")
    if len(stripped) % 2 == 0 and _is_made_of(stripped, "0123456789abcdefABCDEF"):
        yield bytes.fromhex(stripped)
        return
    if len(stripped) >= 16 and (_is_made_of(stripped, _BASE32) or _is_made_of(stripped, _BASE32.lower())):
        with suppress(binascii.Error):
            yield base64.b32decode(stripped.upper() + "=" * (-len(stripped) % 8))
    is_a_word = len(stripped) < 24 and "=" not in run and (stripped.isalpha() or stripped.isdigit())
    if len(stripped) % 4 != 1 and not is_a_word:
        with suppress(binascii.Error):
            plain = stripped.translate(str.maketrans("-_", "+/"))
            yield base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _is_made_of(text: str, alphabet: str) -> bool:
    return not text.strip(alphabet)


def _inflated(data: bytes) -> bytes | None:
    """What a gzip or zlib stream holds; up to the budget, so that a bomb is refused as too large, not unpacked."""
    try:
        return zlib.decompressobj(47).decompress(data, MAX_DECODED + 1)
    except zlib.error:
        return None


def _text_of(data: bytes) -> str | None:
    """The text of bytes that are one; None for numbers, keys and pictures."""
    is_marked = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    wide = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be" if data[:1] == b"\0" else "utf-8"
    encoding = "utf-16" if is_marked else wide
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    readable = sum(char.isprintable() or char in "\r\n\t" for char in text)
    return text if len(text) >= 6 and readable >= 0.95 * len(text) else None
