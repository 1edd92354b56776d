"""The records of an audit chain, format 2: what the tree's leaves are made of, and the details beside them.

A record is the RFC 8785 form of

    {"action": "run.started", "at": "2026-01-31T12:00:00.000000Z", "data_hash": "…", "prev": "…", "run": "r-…",
     "seq": 7, "v": 2}

`prev` is SHA-256 over the bytes of the record before in hex, 64 zeros for the first; `data_hash` is SHA-256 over the
bytes of the detail. The detail is the RFC 8785 form of `{"entry": {…}, "nonce": "…"}`: the nonce keeps anybody who
has the record alone from guessing what the detail says. So a record never holds a name, and leaves may be published.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

import msgspec

from runtime.audit.tree import Growing, leaf_hash
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json, encode
from runtime.domain.journal import rfc3339
from runtime.errors import Corrupt

VERSION = 2
ERASED = b""
"""The detail of a record that was erased."""
ERASURE = "data.erased"
"""The action of the record that says so; its mark `lines` names the others."""
FIRST_PREV = "0" * 64
MAX_RECORD_BYTES = 65_535
"""What tlog-tiles have room for; a record has about 350."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a record says."""

    action: str
    at: str
    data_hash: str
    prev: str
    run: str
    seq: int
    v: int


class AuditRow(NamedTuple):
    """A record as it is stored."""

    seq: int
    """From 1, without gaps; the tree's leaf of it is `seq - 1`."""
    record: bytes
    leaf: bytes
    """Its hash in the tree."""
    detail: bytes

    @property
    def at_us(self) -> int:
        """When it was written, in microseconds since 1970-01-01 UTC. Raises Corrupt."""
        try:
            return (datetime.fromisoformat(_records.decode(self.record).at) - _EPOCH) // timedelta(microseconds=1)
        except (msgspec.MsgspecError, ValueError):
            raise unreadable(self.seq) from None


class _Detail(msgspec.Struct, frozen=True):
    entry: AuditEntry


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_records = msgspec.json.Decoder(Record)
_details = msgspec.json.Decoder(_Detail)


def detail_of(entry: AuditEntry, nonce: str) -> bytes:
    """The bytes of a detail. Raises Invalid for what has no canonical form."""
    held: Json = msgspec.to_builtins(entry)
    return encode({"entry": held, "nonce": nonce})


def entry_in(detail: bytes) -> AuditEntry:
    """What a detail tells of, in format 1 as well. Raises msgspec.MsgspecError or ValueError."""
    return _details.decode(detail).entry


def entry_of(row: AuditRow) -> AuditEntry:
    """What a row tells of; of one whose detail was erased what its record says. Raises Corrupt."""
    try:
        if row.detail == ERASED:
            return _without_detail(record_in(row.record))
        return entry_in(row.detail)
    except (msgspec.MsgspecError, ValueError):
        raise unreadable(row.seq) from None


def _without_detail(record: Record) -> AuditEntry:
    return msgspec.convert({"event": record.action, "outcome": "erased", "sender": {"run": record.run}}, AuditEntry)


def spans_of(seqs: Iterable[int]) -> str:
    """Numbers of records in short: `3,7-9`."""
    spans: list[list[int]] = []
    for seq in sorted(set(seqs)):
        if spans and seq == spans[-1][1] + 1:
            spans[-1][1] = seq
        else:
            spans.append([seq, seq])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def seqs_in(spans: str, most: int) -> set[int]:
    """The numbers again, up to `most`. Raises ValueError."""
    found: set[int] = set()
    for span in filter(None, spans.split(",")):
        first, _, last = span.partition("-")
        found.update(range(int(first), min(int(last or first), most) + 1))
    return found


def unreadable(seq: int) -> Corrupt:
    """The error for a line that does not say anything any more."""
    return Corrupt("audit.unreadable", f"line {seq} of the audit log was changed; run `af audit verify`")


def record_in(record: bytes) -> Record:
    """What a record says. Raises msgspec.MsgspecError or ValueError."""
    return _records.decode(record)


def row_of(action: str, run: str, detail: bytes, *, seq: int, at_us: int, prev: str) -> AuditRow:
    """The record behind `prev`."""
    record = encode(
        {
            "action": action,
            "at": rfc3339(at_us),
            "data_hash": sha256(detail).hexdigest(),
            "prev": prev,
            "run": run,
            "seq": seq,
            "v": VERSION,
        }
    )
    return AuditRow(seq, record, leaf_hash(record), detail)


def digest(record: bytes) -> str:
    """The `prev` of the record behind this one."""
    return sha256(record).hexdigest()


class Checking:
    """Goes along a chain from its first record, and names the first thing that is wrong."""

    def __init__(self) -> None:
        self.tree = Growing()
        self.prev = FIRST_PREV
        self._erased: set[int] = set()

    def fault(self, row: AuditRow) -> str:
        """Take the next record; what is wrong with it, empty when it fits. After a fault nothing more fits."""
        seq, record, leaf, detail = row
        expected = self.tree.size + 1
        if seq != expected:
            return f"record {expected} is missing" if seq > expected else f"record {seq} is there twice"
        try:
            held = _records.decode(record)
        except (msgspec.MsgspecError, ValueError):  # ValueError: bytes that are no UTF-8
            return f"record {seq} was changed: it is no record"
        if held.prev != self.prev:
            return f"record {seq} does not follow the one before it: one of the two was changed"
        if held.seq != seq or held.v != VERSION:
            return f"record {seq} was changed: its place or version is another"
        if sha256(b"\x00" + record).digest() != leaf:
            return f"record {seq} was changed: its leaf is another"
        if detail == ERASED:
            self._erased.add(seq)
        elif sha256(detail).hexdigest() != held.data_hash:
            return f"record {seq}: its detail was changed"
        elif held.action == ERASURE:
            self._erased -= _named_by(detail, seq)
        self.tree.append(leaf)
        self.prev = sha256(record).hexdigest()
        return ""

    def taken(self) -> str:
        """What is wrong when the end is reached: a detail that is gone without a word; empty: nothing."""
        if not self._erased:
            return ""
        return f"record {min(self._erased)}: its detail was taken away, and no line behind it says that it was erased"


def _named_by(detail: bytes, seq: int) -> set[int]:
    """The records before this one that its detail calls erased."""
    try:
        return seqs_in(entry_in(detail).marks.get("lines", ""), seq)
    except (msgspec.MsgspecError, ValueError):
        return set()
