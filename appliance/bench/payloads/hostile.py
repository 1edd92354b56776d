"""Values that somebody or something has disguised: by kind, each with what may not be readable afterwards."""

import base64
import codecs
import re
from collections.abc import Iterator

import msgspec

from appliance.bench.payloads.generate import text_of
from redaction.decode import views
from runtime.domain.canonical import Json
from runtime.errors import Refused

CARD = "4539 5787 6362 1486"
MAIL = "anna.berg@example.com"
SSN = "219-09-9999"
NAME = "Anna Bergström"
KEY = "AKIAIOSFODNN7EXAMPLE"
PHONE = "+44 20 7946 0958"


class Hostile(msgspec.Struct, frozen=True):
    """A payload that hides a value."""

    kind: str
    name: str
    payload: Json
    hidden: tuple[str, ...]
    """None of these may be readable in what goes out, whatever stands between their letters."""
    kept: tuple[str, ...] = ()
    """These must still be there."""


_NO_LETTER = re.compile(r"[\W_]+")


def is_handled(case: Hostile, decision: str, out: Json) -> bool:
    """Whether nothing leaves, or nothing of what was hidden, in any reading, and what must stay stays."""
    if decision == "block":
        return not case.kept
    text = text_of(out)
    readings = {_bare(reading) for reading in _readings(text)}
    is_hidden = not any(_bare(value) in reading for value in case.hidden for reading in readings)
    return is_hidden and all(value in text for value in case.kept)


def _readings(text: str) -> Iterator[str]:
    for base in (text, text.replace("\n", "")):
        yield base
        try:
            yield from (view.text for view in views(base)[0])
        except Refused:
            continue
    yield codecs.encode(text, "rot13")
    yield text[::-1]


def _bare(text: str) -> str:
    return _NO_LETTER.sub("", text.casefold())


def b64(text: str | bytes) -> str:
    """Base64."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
