"""`af audit prove|export|anchor|key`: what others need to check the audit log with tools that are not ours."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.audit_log import TENANT, open_log
from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.units import counted

if TYPE_CHECKING:
    from appliance.audit.keys import AuditKeys
    from runtime.audit.note import NoteKey
    from runtime.store.audit import AuditLog


@click.command(
    cls=Command,
    examples="""
        af audit prove 12
        af audit prove 12 --to proofs
    """,
)
@click.argument("seq", type=click.IntRange(1))
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current folder",
    help="Where SEQ.tlog-proof and SEQ.record are written.",
)
@TENANT
@pass_af
def prove(af: Af, *, seq: int, folder: Path, tenant: str) -> None:
    """Write the proof that line SEQ is in the log, signed as of now, and the record that it is the proof of.

    Anybody can check it offline (C2SP tlog-proof). What the record's `data_hash` stands for is in `af audit show`.
    """
    af.run(_prove(af, seq, folder, tenant))


@click.command(
    cls=Command,
    examples="""
        af audit export --tiles /mnt/worm/audit
        af audit export --tiles tiles --tenant acme --json
    """,
)
@click.option(
    "--tiles", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder, new or of an export."
)
@TENANT
@pass_af
def export(af: Af, *, tiles: Path, tenant: str) -> None:
    """Write a chain as static files (C2SP tlog-tiles), or add what is new to an export.

    Full tiles are never written again, so the folder may be on a store that only appends. Records hold hashes: no
    name, and no data.
    """
    af.run(_export(af, tiles.expanduser().absolute(), tenant))


@click.command(
    cls=Command,
    examples="""
        af audit anchor --to /mnt/stick/default.checkpoint
        af audit anchor --to /mnt/stick
        af audit anchor --to uplink
    """,
)
@click.option(
    "--to",
    "place",
    type=click.Path(path_type=Path),
    required=True,
    help="A file for one chain, a folder for all, or `uplink`: the broker's stream.",
)
@click.option("--tenant", metavar="TENANT", help="Only this chain; otherwise all, or `default` for a file.")
@pass_af
def anchor(af: Af, *, place: Path, tenant: str | None) -> None:
    """Sign where the chains end now, and keep that outside: what is cut off or replaced later then shows.

    A checkpoint that is there is replaced by a later one of the same log alone. `af audit verify --anchor` compares.
    """
    if str(place) == "uplink":
        af.run(_anchor_uplink(af, tenant))
    else:
        af.run(_anchor(af, place.expanduser().absolute(), tenant))


@click.command(cls=Command, examples="af audit key --tenant acme")
@TENANT
@pass_af
def key(af: Af, tenant: str) -> None:
    """Print the public half of the key that signs checkpoints, as verifiers take it."""
    from appliance.audit.keys import AuditKeys

    keys = AuditKeys(af.settings)
    named = keys.named(tenant)
    af.terminal.say(named.vkey)
    if keys.is_beside_the_log:
        af.terminal.note(
            f"the private half is {keys.path}, beside the log: whoever has the data folder can sign another history. "
            "Move it where audit.key_file says, and keep checkpoints outside with audit.anchor"
        )
    af.terminal.document(
        {"vkey": named.vkey, "name": named.name, "key_id": named.id.hex(), "beside_the_log": keys.is_beside_the_log}
    )


async def _prove(af: Af, seq: int, folder: Path, tenant: str) -> None:
    from runtime.domain.ids import TenantId
    from runtime.store.audit_export import prove as proof_of
    from runtime.store.failures import translate

    async with open_log(af) as log:
        named, opened = _signer(af, log, tenant)
        found = await opened.aside(
            partial(proof_of, tenant=TenantId(tenant), seq=seq, key=named, sign=_keys(af).key.sign)
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{seq}.record").write_text(found.record, "utf-8")
        (folder / f"{seq}.tlog-proof").write_text(found.proof, "utf-8")
    except OSError as error:
        raise translate(error, folder) from None
    af.terminal.say(f"{folder / f'{seq}.tlog-proof'} proves {folder / f'{seq}.record'}, leaf {found.index} of the tree")
    af.terminal.say(f"verifier's key: {found.vkey}")
    af.terminal.document(found)


async def _export(af: Af, folder: Path, tenant: str) -> None:
    from appliance.audit.notes import Note, note
    from runtime.domain.ids import TenantId
    from runtime.store.audit_export import export_tiles

    if _has_journal(af):
        await note(af.settings, Note(event="audit.exported", subject=f"tiles {folder.name}", tenant=TenantId(tenant)))
    async with open_log(af) as log:
        named, opened = _signer(af, log, tenant)
        work = partial(export_tiles, tenant=TenantId(tenant), folder=folder, key=named, sign=_keys(af).key.sign)
        found = await opened.aside(work)
    af.terminal.say(f"{counted(found.records, 'record')} in {folder}, {counted(found.files, 'new file')}")
    af.terminal.say(f"verifier's key: {found.vkey}")
    af.terminal.document(found)


async def _anchor(af: Af, place: Path, tenant: str | None) -> None:
    from appliance.audit.anchors import Anchor
    from appliance.audit.notes import Note, note
    from runtime.audit.note import parsed, text_of
    from runtime.domain.ids import TenantId
    from runtime.store.audit import signed_now

    kept, told = [], []
    async with open_log(af) as log:
        is_for_all = tenant is None and place.is_dir() and log is not None
        names = [head.tenant for head in await log.heads()] if is_for_all and log else [tenant or "default"]
        for name in names:
            named, opened = _signer(af, log, name)
            work = partial(signed_now, tenant=TenantId(name), key=named, sign=_keys(af).key.sign)
            note_text = await opened.aside(work)
            file = Anchor(place).keep(name, note_text)
            size = parsed(text_of(note_text)).size
            kept.append({"tenant": name, "records": size, "file": str(file)})
            marks = {"root": parsed(text_of(note_text)).root.hex()}
            told.append(
                Note(
                    event="audit.anchored",
                    subject=f"file {file.name}",
                    tenant=TenantId(name),
                    found={"records": size},
                    marks=marks,
                )
            )
            af.terminal.say(f"{name}: {counted(size, 'record')}, signed, kept in {file}")
    for each in told:  # behind the checkpoint, which cannot tell of itself
        await note(af.settings, each)
    af.terminal.document({"anchors": kept})


async def _anchor_uplink(af: Af, tenant: str | None) -> None:
    from appliance.audit.uplink_anchor import AnchorView, anchor_tenant
    from appliance.cli.opened import Served, opened
    from runtime.domain.ids import DEFAULT_TENANT, TenantId

    async with open_log(af) as log:
        heads = [str(head.tenant) for head in await log.heads()] if log else []
    kept = []
    async with opened(af, "af audit anchor") as found:
        for name in [tenant] if tenant else heads or [DEFAULT_TENANT]:
            if isinstance(found, Served):
                view = await found.ask(AnchorView, "POST", "/v1/uplink/checkpoints", {"tenant": name})
            else:
                view = await anchor_tenant(found, TenantId(name), actor="cli")
            again = "" if view.is_new else ", as it was already"
            place = f"{view.host} in {view.stream} at {view.seq}"
            af.terminal.say(f"{name}: {counted(view.records, 'record')}, signed, kept by {place}{again}")
            kept.append(view)
    af.terminal.document({"anchors": kept})


def _has_journal(af: Af) -> bool:
    from runtime.store.journal import JOURNAL_FILE

    return (af.settings.data / JOURNAL_FILE).exists()


def _keys(af: Af) -> "AuditKeys":
    from appliance.audit.keys import AuditKeys

    return AuditKeys(af.settings)


def _signer(af: Af, log: "AuditLog | None", tenant: str) -> "tuple[NoteKey, AuditLog]":
    """Who signs for a tenant, and the log. Raises NotFound where nothing was run yet."""
    from runtime.store.audit import no_chain

    if log is None:
        raise no_chain(tenant)
    return _keys(af).named(tenant), log
