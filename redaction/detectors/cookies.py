"""Cookies: which of the pairs of a header identify somebody. `lang=en` may stay."""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding

SCORE = 0.9
_HEADER = re2.compile(rb"(?i)\b(?:set-)?cookie\"?'?: ?\"?'?(?P<v>[^\r\n\"]{4,})", options())
_TELLING = (
    "sess",
    "sid",
    "token",
    "auth",
    "csrf",
    "xsrf",
    "jwt",
    "remember",
    "key",
    "login",
    "user",
    "uid",
    "email",
    "id",
)
_ATTRIBUTES = frozenset(("path", "domain", "expires", "max-age", "samesite", "priority", "version"))
_LONG = 12


class Cookies:
    """Values of cookies in headers within a text. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The values of each header."""
        if "ookie" in text or "OOKIE" in text:
            for match in _HEADER.finditer(latin(text)):
                yield from cookies(text, *match.span(1))


def cookies(text: str, start: int, end: int) -> Iterator[Finding]:
    """The values between two places that identify somebody: by the name of the cookie, or because they were drawn."""
    at = start
    while at < end:
        stop = text.find(";", at, end)
        stop = end if stop < 0 else stop
        name, equals, value = text[at:stop].partition("=")
        first = at + len(name) + 1
        bare = name.strip().lower()
        if not equals:
            if stop - at >= _LONG and _is_drawn(text[at:stop].strip()):
                yield Finding(at, stop, "TOKEN", SCORE, "cookie")
        elif bare not in _ATTRIBUTES and len(value) >= 4:
            is_telling = any(word in bare for word in _TELLING) and len(value) >= 6
            if is_telling or (len(value) >= _LONG and _is_drawn(value)):
                yield Finding(first, stop, "TOKEN", SCORE, "cookie", bare if bare.isidentifier() else "")
        at = stop + 1


def _is_drawn(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value)) and " " not in value
