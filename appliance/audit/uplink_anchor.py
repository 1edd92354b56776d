"""Checkpoints of the audit log, kept by the broker at the other end of the uplink: `af audit anchor --to uplink`."""

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from appliance.audit.keys import AuditKeys
from appliance.audit.notes import Note
from appliance.uplink.forwarding import Uplink
from runtime.audit.note import parsed, text_of
from runtime.domain.envelope import read
from runtime.domain.ids import TenantId
from runtime.errors import Conflict, Corrupt, Invalid, Unavailable
from runtime.store.audit import root_at, signed_now

if TYPE_CHECKING:
    from appliance.wiring import Appliance


class AnchorView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a checkpoint is kept now."""

    tenant: TenantId
    records: int
    host: str
    stream: str
    seq: int
    """Its place in the stream."""
    is_new: bool
    """False: the stream had the same checkpoint already."""


class KeptNote(msgspec.Struct, frozen=True):
    """A checkpoint as the stream keeps it."""

    note: str | None


async def anchor_tenant(appliance: "Appliance", tenant: TenantId, *, actor: str) -> AnchorView:
    """Sign where a chain ends now, publish that, and note where it went.

    Raises Conflict where the stream keeps a later checkpoint than the log has records for, NotFound for a tenant
    without a chain, and what the uplink raises.
    """
    if appliance.audit is None:
        raise Unavailable("audit.closed", "the audit log is not open for writing here")
    keys = AuditKeys(appliance.settings)
    note = await appliance.audit.aside(partial(signed_now, tenant=tenant, key=keys.named(tenant), sign=keys.key.sign))
    now = parsed(text_of(note))
    before = await anchored_note(appliance.uplink, tenant)
    if before is not None:
        _require_later(before, note)
        kept = parsed(text_of(before))
        if kept.root != await appliance.audit.aside(partial(root_at, tenant=tenant, size=kept.size)):
            raise _rolled_back(kept.size, now.size)
    taken = await appliance.uplink.anchor(tenant, note, now.size, now.root.hex())
    view = appliance.uplink.view
    told = Note(
        event="audit.anchored",
        subject=f"uplink {view.host} {taken.stream} {taken.seq}",
        tenant=tenant,
        found={"records": now.size},
        marks={"root": now.root.hex()},
    )
    await appliance.record(told.entry(actor))
    return AnchorView(
        tenant=tenant,
        records=now.size,
        host=view.host,
        stream=taken.stream,
        seq=taken.seq,
        is_new=not taken.is_duplicate,
    )


async def anchored_note(uplink: Uplink, tenant: TenantId) -> str | None:
    """The newest checkpoint of a tenant that the stream keeps. Raises Corrupt for one that was changed there."""
    content = await uplink.anchored(tenant)
    if content is None:
        return None
    try:
        payload = read(content).payload
    except Invalid as error:
        raise Corrupt("audit.no_note", f"what the uplink's stream keeps is no checkpoint: {error.message}") from None
    note = payload.get("note") if isinstance(payload, dict) else None
    if not isinstance(note, str):
        raise Corrupt("audit.no_note", "what the uplink's stream keeps is no checkpoint: it has no note")
    return note


def _require_later(before: str, note: str) -> None:
    kept, now = parsed(text_of(before)), parsed(text_of(note))
    if kept.origin != now.origin:
        raise Conflict(
            "audit.other_anchor",
            f"the uplink's stream keeps the checkpoint of {kept.origin!r}; give this appliance a prefix of its own: "
            "uplink.prefix",
        )
    if kept.size > now.size or (kept.size == now.size and kept.root != now.root):
        raise _rolled_back(kept.size, now.size)


async def require_no_anchor(appliance: "Appliance", tenant: TenantId) -> None:
    """Raise Conflict where the stream keeps a checkpoint of a tenant that has no chain here."""
    before = await anchored_note(appliance.uplink, tenant)
    if before is not None:
        raise _rolled_back(parsed(text_of(before)).size, 0)


def _rolled_back(kept: int, found: int) -> Conflict:
    return Conflict(
        "audit.rolled_back",
        f"the uplink's stream keeps a checkpoint over {kept} records, and the log has {found}, or others: "
        "records were taken away or changed. Keep both as they are, and run `af audit verify --anchor uplink`",
    )
