"""What `af audit verify` finds: every chain, and the journal beside them."""

from functools import partial
from pathlib import Path

import msgspec

from appliance.audit.anchors import UPLINK, Anchor
from appliance.audit.keys import AuditKeys
from appliance.cli.audit_log import open_log
from appliance.cli.context import Af
from runtime.audit.note import NoteKey, key_of, parsed, text_of
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Corrupt, NotFound
from runtime.store.audit import AuditLog, no_chain, overdue_s
from runtime.store.audit_check import ChainReport, check, lost, tenants
from runtime.store.signing import verify_ed25519
from runtime.store.verification import verify_rows

_WITH_KEY = "Put it back, or name its public half with --key, as `af audit key` printed it"
_ANCHORED = "there is no audit log here, and a checkpoint of one is kept outside"


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: one document of `--json`."""

    is_whole: bool
    chains: list[ChainReport]
    entries: int
    """Entries of the journal whose hashes fit."""
    journal: str | None
    """What is wrong with the journal; None: nothing."""
    notes: list[str]
    """What was not looked at, and how it can be."""


async def check_log(af: Af, *, anchor: Path | None, vkey: str | None, tenant: str | None) -> AuditReport:
    """Check the chains of a data folder, or one of them, and then the journal. Raises what a missing anchor or a
    verifier's key that is none raises."""
    keys, notes = AuditKeys(af.settings), list[str]()
    given = af.settings.audit.anchor
    fetched = await _kept_elsewhere(af, tenant) if (given if anchor is None else str(anchor)) == UPLINK else None
    place = anchor or (Path(given).expanduser() if given else None)
    if fetched is None and anchor is not None and not anchor.exists():
        raise NotFound("audit.no_anchor", f"{anchor} does not exist; `af audit anchor --to {anchor}` makes it")
    if place is None:
        notes.append(
            "not held beside a checkpoint that is kept outside, so a log that was replaced whole looks whole; see "
            "`af audit anchor`"
        )
    chains, entries, journal = list[ChainReport](), 0, None
    within_s = overdue_s(af.settings.audit.checkpoint_s)
    async with open_log(af) as log:
        names = [] if log is None else [name for name in await log.aside(tenants) if tenant in (None, name)]
        kept = fetched
        if kept is None:
            kept = {} if place is None else _kept_outside(Anchor(place), keys, [*names, tenant or DEFAULT_TENANT])
        for name in names + [name for name in kept if name not in names and tenant in (None, name)]:
            key = _key(keys, name, vkey, notes)
            work = partial(
                check, tenant=name, key=key, verify=verify_ed25519, outside=kept.get(name), within_s=within_s
            )
            chains.append(_gone(name) if log is None else _vouched(await log.aside(work), key, keys.path))
        if tenant is not None and not chains:
            raise no_chain(tenant)
        if log is not None and tenant is None:
            entries, journal = await _check_beside(log, chains)
    return AuditReport(
        is_whole=journal is None and all(chain.fault is None for chain in chains),
        chains=chains,
        entries=entries,
        journal=journal,
        notes=[*dict.fromkeys(notes), *_unproven(chains, None if place is None else str(place))],
    )


def _vouched(chain: ChainReport, key: NoteKey | None, path: Path) -> ChainReport:
    """The report, which nothing vouches for where checkpoints are signed by a key that is gone and none is outside."""
    if key is not None or chain.fault or chain.anchored is not None or not chain.checkpoints:
        return chain
    fault = f"nobody can tell who signed its checkpoints: {path} does not exist. {_WITH_KEY}"
    return msgspec.structs.replace(chain, fault=fault)


async def _check_beside(log: AuditLog, chains: list[ChainReport]) -> tuple[int, str | None]:
    """Check that no chain is missing, which adds a report where one is, and the journal: how many of its entries fit,
    and what is wrong with it."""
    entries, journal = 0, None
    if fault := await log.aside(lost):
        chains.append(_gone("audit log", fault))
    try:
        entries = (await log.aside(verify_rows)).entries
    except Corrupt as error:
        journal = error.message
    if entries and not chains:
        chains.append(_gone(DEFAULT_TENANT, f"there is no audit log here, and the journal has {entries:,} entries"))
    return entries, journal


def _unproven(chains: list[ChainReport], place: str | None) -> list[str]:
    """What nothing vouches for, of chains that are whole in themselves."""
    whole = [chain for chain in chains if chain.records and not chain.fault]
    return [
        f"{chain.tenant}: no checkpoint in it is signed; one is whenever an appliance starts or stops that wrote to it"
        for chain in whole
        if not chain.checkpoints
    ] + [
        f"{chain.tenant}: not held beside a checkpoint that is kept outside: {place} has none of it"
        for chain in whole
        if place is not None and chain.anchored is None
    ]


async def _kept_elsewhere(af: Af, tenant: str | None) -> dict[str, str]:
    """Checkpoints that the uplink's stream keeps, of the tenants that the log has, or of the one."""
    from appliance.audit.uplink_anchor import KeptNote, anchored_note
    from appliance.cli.opened import Served, opened

    async with open_log(af) as log:
        heads = [str(head.tenant) for head in await log.heads()] if log else []
    found: dict[str, str] = {}
    async with opened(af, "af audit verify") as door:
        for name in [tenant] if tenant else dict.fromkeys([*heads, DEFAULT_TENANT]):
            if isinstance(door, Served):
                note = (await door.ask(KeptNote, "POST", "/v1/uplink/anchored", {"tenant": name})).note
            else:
                note = await anchored_note(door.uplink, TenantId(name))
            if note is not None:
                found[name] = note
    return found


def _kept_outside(anchor: Anchor, keys: AuditKeys, names: list[str]) -> dict[str, str]:
    """Checkpoints by tenant; one in a file is of the tenant that it names, else of the one that was asked for."""
    if anchor.is_folder:
        return {name: note for name in anchor.tenants() if (note := anchor.found(name)) is not None}
    note = anchor.found(names[-1])
    if note is None:
        return {}
    origin = parsed(text_of(note)).origin
    try:
        return {next((name for name in names if keys.named(name).name == origin), names[-1]): note}
    except NotFound:
        return {names[-1]: note}


def _gone(tenant: str, fault: str = _ANCHORED) -> ChainReport:
    """The report of a log that is not there."""
    return ChainReport(tenant=tenant, records=0, root="", checkpoints=0, entries=0, fault=fault, anchored=None)


def _key(keys: AuditKeys, tenant: str, vkey: str | None, notes: list[str]) -> NoteKey | None:
    if vkey is not None:
        return key_of(vkey)
    try:
        return keys.named(tenant)
    except NotFound:
        notes.append(f"signatures were not looked at: {keys.path} does not exist. {_WITH_KEY}")
        return None
