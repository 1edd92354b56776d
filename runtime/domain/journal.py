"""The journal's format, version 1: how an entry becomes canonical bytes and a hash, and back.

An entry's envelope is the RFC 8785 form of

    {"at": "2026-01-31T12:00:00.000000Z", "data": {…}, "run": "r-…", "seq": 3, "type": "step.succeeded", "v": 1}

and its hash is SHA-256 over these bytes. `data` holds the fields of the event or command of that type.
`seq` counts a run's entries from 1 without gaps. A reader for every version ever written stays here.
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

import msgspec

from runtime.domain.canonical import MAX_DEPTH, Json, encode, parse
from runtime.domain.command import COMMANDS, Command
from runtime.domain.event import EVENTS, Event
from runtime.domain.ids import RunId
from runtime.errors import Corrupt, Invalid

VERSION = 1

Body: TypeAlias = Event | Command

_BODIES_V1: dict[str, type[Body]] = {body.TYPE: body for body in (*EVENTS, *COMMANDS)}
_READERS_V1 = {name: msgspec.json.Decoder(body) for name, body in _BODIES_V1.items()}
_fields = msgspec.json.Decoder(dict[str, Json])
_LONG_INTEGER = re.compile(rb"(?<![0-9.])[0-9]{16,}(?![0-9.eE])")
_DIGITS = b"0" * 16
_AS_DIGITS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_EPOCH = datetime(1970, 1, 1)


class Entry(msgspec.Struct, frozen=True):
    """One line of a run's journal."""

    seq: int
    """From 1, without gaps within the run."""
    at_us: int
    """Microseconds since 1970-01-01 UTC; equal within one append, never decreasing within a run."""
    body: Body


class Row(msgspec.Struct, frozen=True):
    """An entry as it is stored."""

    run: RunId
    seq: int
    at_us: int
    type: str
    data: bytes
    """RFC 8785 bytes of the body's fields."""
    hash: bytes
    """32 bytes: SHA-256 of the envelope."""
    v: int = VERSION


def write(run: RunId, entry: Entry) -> Row:
    """Encode an entry. Raises Invalid when its data has no canonical form (NaN, huge integers, lone surrogates)."""
    data = encode(msgspec.to_builtins(entry.body))
    kind = entry.body.TYPE
    envelope = _envelope(run, entry.seq, entry.at_us, kind, data)
    return Row(run, entry.seq, entry.at_us, kind, data, sha256(envelope).digest())


def read(row: Row) -> Entry:
    """Decode a row of any version, checking its hash. Raises Corrupt when its bytes are not what was written."""
    if row.v != VERSION:
        raise Corrupt(
            "journal.unknown_version",
            f"entry {row.seq} of run {row.run!r} has journal version {row.v}; this program reads up to {VERSION}",
        )
    require_whole(row)
    try:
        return Entry(row.seq, row.at_us, _body_v1(row.type, row.data))
    except (KeyError, msgspec.MsgspecError, Invalid) as error:
        raise Corrupt(
            "journal.unreadable", f"entry {row.seq} of run {row.run!r} cannot be read as {row.type!r}: {error}"
        ) from None


def require_whole(row: Row) -> None:
    """Raise Corrupt where a row does not match its hash."""
    if not _is_whole(row):
        raise Corrupt(
            "journal.hash_mismatch",
            f"entry {row.seq} of run {row.run!r} does not match its hash; restore the journal from a backup",
            run=row.run,
            seq=row.seq,
        )


def data_of(row: Row) -> dict[str, Json]:
    """The fields of an entry as plain JSON, to the kind of each number; what they mean is the reader's business."""
    if _may_hold_long_integer(row.data):
        return parse(row.data, max_depth=2 * MAX_DEPTH)  # type: ignore[return-value]  # a body is an object
    return _fields.decode(row.data)


def envelope_of(row: Row) -> bytes:
    """The bytes that a row's hash covers."""
    return _envelope(row.run, row.seq, row.at_us, row.type, row.data)


def rfc3339(at_us: int) -> str:
    """Write an instant with six decimals: `2026-01-31T12:00:00.000000Z`."""
    seconds, micros = divmod(at_us, 1_000_000)
    return f"{_to_the_second(seconds)}.{micros:06d}Z"


def _may_hold_long_integer(data: bytes) -> bool:
    # looking for a run of digits first takes 1 µs, where the expression takes 12 for an entry of 250 bytes
    return _DIGITS in data.translate(_AS_DIGITS) and _LONG_INTEGER.search(data) is not None


def _is_whole(row: Row) -> bool:
    try:
        return sha256(envelope_of(row)).digest() == row.hash
    except (OverflowError, UnicodeEncodeError):  # an instant or a name that nothing was ever written with
        return False


def _body_v1(kind: str, data: bytes) -> Body:
    if _may_hold_long_integer(
        data
    ):  # perhaps 1e20, which canonical JSON spells as an integer, and which stays a double
        return msgspec.convert(parse(data, max_depth=2 * MAX_DEPTH), _BODIES_V1[kind])
    return _READERS_V1[kind].decode(data)


@lru_cache(maxsize=8)  # entries come in clusters of one instant; this is 2 µs of their 8
def _to_the_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def _envelope(run: RunId, seq: int, at_us: int, kind: str, data: bytes) -> bytes:
    # members in key order; ids and types are plain ASCII, so this is the canonical spelling
    head = f'{{"at":"{rfc3339(at_us)}","data":'.encode()
    return head + data + f',"run":"{run}","seq":{seq},"type":"{kind}","v":{VERSION}}}'.encode()
