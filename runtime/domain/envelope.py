"""Envelopes, the messages of the bus, version 1: as canonical bytes with their hash, and back. Pure.

The bytes are the RFC 8785 form of one object whose member `hash` is `sha256:` and the SHA-256 of the same form without
it. Members that have nothing to say are left out. An envelope has one spelling: what `read` accepts, `write` gives
back byte for byte. A reader for every version ever written stays here.
"""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from runtime.domain.canonical import MAX_DEPTH, Json, encode, parse
from runtime.domain.event import NO_USAGE, Usage
from runtime.domain.ids import RunId, StepId, TenantId, state_of
from runtime.domain.journal import Row, data_of, rfc3339
from runtime.domain.subject import RESERVED, checked_subject, entry_subject
from runtime.domain.trace import traceparent, traceparent_of_message
from runtime.errors import Invalid

VERSION = 1
MAX_BYTES = 16 * 1_048_576
"""Of an envelope that is read; the largest entry of a journal fits."""
MAX_PAYLOAD_BYTES = 1_048_576
"""Canonical bytes of the payload of a message that somebody publishes. Entries of journals may be larger."""
MAX_METADATA = 64

_NAME = re.compile(r"[!-~]{1,256}", re.ASCII)
_TENANT = re.compile(r"[!-~]{1,128}", re.ASCII)
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,512}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    id: str
    """Equal for every delivery, and for every publication of the same: brokers drop the second. `RUN/SEQ` of an entry
    of a journal."""
    subject: str
    tenant: TenantId
    type: str
    """What kind of message it is: the type of a journal's entry, or whatever who publishes it calls it."""
    at_us: int
    """When it happened, not when it was delivered."""
    traceparent: str
    """W3C trace context, level 1."""
    payload: Json = None
    run: RunId = RunId("")
    """The run that it belongs to; messages of one run are delivered in order. Empty: none."""
    seq: int = 0
    """The entry's sequence number in its run's journal; 0: it is no entry."""
    sender: str = ""
    """Who says it: a step's state, an agent, a person's key; empty: the engine."""
    recipient: str = ""
    """Whom it is for; empty: whoever subscribes."""
    causation: str = ""
    """Id of the message that it follows from."""
    correlation: str = ""
    """What all messages of one conversation share; of a run's its id."""
    reply_to: str = ""
    """Subject that a reply is awaited at."""
    tracestate: str = ""
    metadata: dict[str, str] = {}
    """Short facts that need no reader of the payload; of an entry `entry_hash`, its hash in the journal."""
    cost: Usage = NO_USAGE


class _Read(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The members of version 1, by their names in the bytes."""

    v: int
    hash: str
    id: str
    subject: str
    tenant: str
    type: str
    at: str
    traceparent: str
    payload: Json = None
    run: str = ""
    seq: int = 0
    sender: str = msgspec.field(name="from", default="")
    recipient: str = msgspec.field(name="to", default="")
    causation: str = ""
    correlation: str = ""
    reply_to: str = ""
    tracestate: str = ""
    metadata: dict[str, str] = {}
    cost: Usage = NO_USAGE


def checked(envelope: Envelope) -> Envelope:
    """An envelope that may be published. Raises Invalid for any member that is not as it must be, or is too large."""
    checked_subject(envelope.subject)
    if envelope.reply_to:
        checked_subject(envelope.reply_to)
    _require(_NAME.fullmatch(envelope.id), "id", "1 to 256 visible ASCII characters")
    _require(_TENANT.fullmatch(envelope.tenant), "tenant", "the name of a tenant")
    _require(_NAME.fullmatch(envelope.type), "type", "1 to 256 visible ASCII characters")
    _require(_TRACEPARENT.fullmatch(envelope.traceparent), "traceparent", "a W3C traceparent, 00-TRACE-SPAN-FLAGS")
    for name in ("run", "sender", "recipient", "causation", "correlation", "tracestate"):
        _require(_TEXT.fullmatch(getattr(envelope, name)), name, "at most 512 characters, no control characters")
    _require(0 <= envelope.seq < 2**53, "seq", "a whole number from 0")
    _require(0 <= envelope.at_us < 253_402_300_800_000_000, "at", "an instant from 1970 to 9999")
    _require(len(envelope.metadata) <= MAX_METADATA, "metadata", f"at most {MAX_METADATA} members")
    for key, value in envelope.metadata.items():
        _require(_TEXT.fullmatch(key) and _TEXT.fullmatch(value), "metadata", "short texts without control characters")
    return envelope


def require_publishable(envelope: Envelope) -> None:
    """Raise Invalid for what nobody but the engine may publish, or what is too large for a message."""
    checked(envelope)
    if envelope.subject.partition(".")[0] in RESERVED:
        raise Invalid(
            "bus.reserved_subject",
            f"{envelope.subject!r} is what the journal says, and nobody else: publish under another first token than "
            f"{' and '.join(sorted(RESERVED))}",
        )
    size = len(encode(envelope.payload))
    if size > MAX_PAYLOAD_BYTES:
        raise Invalid(
            "envelope.payload_too_large",
            f"the payload of {envelope.id!r} for {envelope.subject!r} has {size:,} bytes; at most "
            f"{MAX_PAYLOAD_BYTES:,} are carried. Keep it elsewhere, and send where it is",
        )


def write(envelope: Envelope) -> bytes:
    """The canonical bytes, hash included. Raises Invalid for a payload that has no canonical form."""
    return _spelled(envelope, hash_of(envelope))


def hash_of(envelope: Envelope) -> str:
    """`sha256:` and 64 hex digits over the canonical bytes without the hash."""
    return "sha256:" + sha256(_spelled(envelope)).hexdigest()


def read(content: bytes) -> Envelope:
    """Decode the bytes of any version, checking their hash. Raises Invalid, naming what is wrong."""
    if len(content) > MAX_BYTES:
        raise Invalid("envelope.too_large", f"an envelope of {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    members = parse(content, max_depth=MAX_DEPTH + 1)  # a payload may be as deep as any value
    if not isinstance(members, dict):
        raise Invalid("envelope.unreadable", "an envelope is a JSON object")
    version = members.get("v")
    if version != VERSION or isinstance(version, bool):
        raise Invalid(
            "envelope.unknown_version",
            f"the envelope says version {version!r}; this program reads up to {VERSION}. Update it, or have the sender "
            "publish an older version",
        )
    return _read_v1(members, content)


def of_entry(row: Row, *, tenant: TenantId, workflow: str, is_what_if: bool = False, context: str = "") -> Envelope:
    """The envelope of a journal's entry: the same row has the same one, byte for byte.

    `context`: the traceparent that its run was asked for in.
    """
    data = data_of(row)
    step = data.get("step")
    state = _told(state_of(StepId(step))) if isinstance(step, str) else ""
    ended = row.type in ("step.succeeded", "step.failed")
    agent, actor = _told(data.get("agent")), _told(data.get("actor"))
    usage = data.get("usage")
    return Envelope(
        id=f"{row.run}/{row.seq}",
        subject=entry_subject(workflow, row.run, row.type, is_what_if=is_what_if),
        tenant=tenant,
        type=row.type,
        at_us=row.at_us,
        traceparent=traceparent(row.run, step if isinstance(step, str) else "", context)
        or traceparent_of_message(row.run),
        payload=data,
        run=row.run,
        seq=row.seq,
        sender=state if ended else actor,
        recipient="" if ended else agent or state,
        correlation=row.run,
        metadata={"entry_hash": row.hash.hex()},
        cost=msgspec.convert(usage, Usage) if usage else NO_USAGE,
    )


def message(
    subject: str,
    payload: Json,
    *,
    id: str,
    at_us: int,
    tenant: TenantId,
    type: str = "message",
    sender: str = "",
    recipient: str = "",
    run: RunId = RunId(""),  # noqa: B008  # a NewType is a str
    correlation: str = "",
    reply_to: str = "",
    context: str = "",
    metadata: dict[str, str] | None = None,
) -> Envelope:
    """A message of somebody's own. `context`: the traceparent that it belongs to; empty: it begins a trace.

    Raises Invalid, for a payload of more than MAX_PAYLOAD_BYTES too.
    """
    made = Envelope(
        id=id,
        subject=subject,
        tenant=tenant,
        type=type,
        at_us=at_us,
        traceparent=context or traceparent_of_message(id),
        payload=payload,
        run=run,
        sender=sender,
        recipient=recipient,
        correlation=correlation,
        reply_to=reply_to,
        metadata=metadata or {},
    )
    require_publishable(made)
    return made


def reply(to: Envelope, payload: Json, *, id: str, at_us: int, sender: str = "") -> Envelope:
    """The answer to a request, of its conversation and its trace. Raises Invalid where none is awaited."""
    if not to.reply_to:
        raise Invalid("bus.no_reply_wanted", f"nobody awaits a reply to {to.id!r} under {to.subject!r}")
    answer = message(
        to.reply_to,
        payload,
        id=id,
        at_us=at_us,
        tenant=to.tenant,
        type="reply",
        sender=sender,
        recipient=to.sender,
        run=to.run,
        correlation=to.correlation or to.id,
        context=to.traceparent,
    )
    return msgspec.structs.replace(answer, causation=to.id)


def _read_v1(members: dict[str, Json], content: bytes) -> Envelope:
    try:
        found = msgspec.convert(members, _Read)
    except msgspec.ValidationError as error:
        raise Invalid("envelope.unreadable", f"no envelope of version {VERSION}: {error}") from None
    envelope = checked(
        Envelope(
            id=found.id,
            subject=found.subject,
            tenant=TenantId(found.tenant),
            type=found.type,
            at_us=_instant(found.at),
            traceparent=found.traceparent,
            payload=found.payload,
            run=RunId(found.run),
            seq=found.seq,
            sender=found.sender,
            recipient=found.recipient,
            causation=found.causation,
            correlation=found.correlation,
            reply_to=found.reply_to,
            tracestate=found.tracestate,
            metadata=found.metadata,
            cost=found.cost,
        )
    )
    expected = hash_of(envelope)
    if found.hash != expected:
        raise Invalid(
            "envelope.hash_mismatch",
            f"the envelope {found.id!r} does not match its hash: it says {found.hash[:80]!r}, its content has "
            f"{expected!r}. It was changed on its way, or its sender does not hash its RFC 8785 form",
        )
    if _spelled(envelope, expected) != content:
        raise Invalid("envelope.not_canonical", f"the envelope {found.id!r} is not spelled as RFC 8785 does")
    return envelope


def _spelled(envelope: Envelope, digest: str = "") -> bytes:
    """The canonical bytes; without the hash where there is none yet.

    The payload is spelled apart, since it may be as deep as any value is.
    """
    before: dict[str, Json] = {
        "at": rfc3339(envelope.at_us),
        "causation": envelope.causation,
        "correlation": envelope.correlation,
        "cost": {} if envelope.cost == NO_USAGE else msgspec.to_builtins(envelope.cost),
        "from": envelope.sender,
        "hash": digest,
        "id": envelope.id,
        "metadata": dict(envelope.metadata),
    }
    behind: dict[str, Json] = {
        "reply_to": envelope.reply_to,
        "run": envelope.run,
        "seq": envelope.seq,
        "subject": envelope.subject,
        "tenant": envelope.tenant,
        "to": envelope.recipient,
        "traceparent": envelope.traceparent,
        "tracestate": envelope.tracestate,
        "type": envelope.type,
        "v": VERSION,
    }
    payload = b"" if envelope.payload is None else b'"payload":' + encode(envelope.payload) + b","
    head, tail = (encode({name: value for name, value in part.items() if value}) for part in (before, behind))
    return head[:-1] + b"," + payload + tail[1:]


def _told(name: Json) -> str:
    """A name as an envelope may hold it; nothing where it may not: the payload still has it."""
    return name if isinstance(name, str) and _TEXT.fullmatch(name) else ""


def _instant(text: str) -> int:
    try:
        if not _INSTANT.fullmatch(text):
            raise ValueError
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        raise Invalid(
            "envelope.bad_member", f"at must be an instant such as 2026-01-31T12:00:00.000000Z, not {text[:40]!r}"
        ) from None
    return since // timedelta(microseconds=1)


def _require(is_good: object, member: str, expected: str) -> None:
    if not is_good:
        raise Invalid("envelope.bad_member", f"the member {member!r} of an envelope must be {expected}")
