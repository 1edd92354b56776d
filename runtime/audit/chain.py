"""Format 1 of the audit log, which is only read: lines whose hash covers the one before.

`hash = SHA-256(canonical JSON of {v, seq, at_us, prev, entry})`, canonical as RFC 8785 says.
`seq` counts from 1 without gaps; `prev` is the hash of the line before in hex, 64 zeros for the first.
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from runtime.domain.canonical import parse

FIRST_PREV = "0" * 64


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it was stored."""

    seq: int
    at_us: int
    hash: str
    body: bytes
    """The canonical JSON that the hash covers."""


def first_break(lines: Iterable[Line], *, prev: str = FIRST_PREV, after_seq: int = 0) -> str:
    """What is wrong with the first line that does not fit behind the one before; empty when all do."""
    for line in lines:
        after_seq += 1
        if line.seq != after_seq:
            return f"line {after_seq} is missing"
        if sha256(line.body).hexdigest() != line.hash:
            return f"line {line.seq} was changed: its hash is another"
        held = parse(line.body)
        if not isinstance(held, dict) or (held.get("seq"), held.get("at_us")) != (line.seq, line.at_us):
            return f"line {line.seq} was changed: its place or time is another"
        if held.get("prev") != prev:
            return f"line {line.seq} does not follow the one before it"
        prev = line.hash
    return ""
