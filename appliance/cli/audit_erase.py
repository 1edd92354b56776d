"""`af audit erase`: take out of the audit log what lines tell of; that they were there stays, and can be proved."""

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.audit_log import TENANT, open_log
from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.units import counted

if TYPE_CHECKING:
    from runtime.domain.canonical import Json

PAGE = 1_000


@click.command(
    cls=Command,
    examples="""
        af audit erase 12 15 --yes
        af audit erase --actor anna --yes
    """,
)
@click.argument("seqs", nargs=-1, type=click.IntRange(1), metavar="[SEQ]...")
@click.option("--actor", "name", default="", metavar="NAME", help="Every line of what NAME did.")
@click.option("--yes", is_flag=True, help="Do it; otherwise only say what would be erased.")
@TENANT
@pass_af
def erase(af: Af, *, seqs: tuple[int, ...], name: str, yes: bool, tenant: str) -> None:
    """Erase what lines of the audit log tell of, as the law may ask; a line `data.erased` says which.

    Their records stay, with the hash of what they told of, so the log is whole as before. It cannot be undone.
    """
    if bool(seqs) == bool(name):
        raise click.UsageError("name the lines, or give --actor")
    lines = list(seqs) or af.run(_of_actor(af, tenant, name))
    if not yes:
        af.terminal.say(f"{counted(len(lines), 'line')} would be erased for good; do it with --yes")
        af.terminal.document({"tenant": tenant, "lines": lines, "erased": 0})
        return
    count = af.run(_erase(af, tenant, lines)) if lines else 0
    af.terminal.say(f"{counted(count, 'line')} erased; the log says so")
    af.terminal.document({"tenant": tenant, "lines": lines, "erased": count})


async def _of_actor(af: Af, tenant: str, name: str) -> list[int]:
    from runtime.audit.record import ERASED, ERASURE, entry_of
    from runtime.domain.ids import TenantId

    found: list[int] = []
    async with open_log(af) as log:
        seq = 0
        while log and (rows := await log.read(TenantId(tenant), after_seq=seq, limit=PAGE)):
            seq = rows[-1].seq
            entries = [(row, entry_of(row)) for row in rows if row.detail != ERASED]
            found += [row.seq for row, entry in entries if entry.actor == name and entry.event != ERASURE]
    return found


async def _erase(af: Af, tenant: str, lines: list[int]) -> int:
    from appliance.wiring import Appliance
    from redaction.doors.local import LocalDoor
    from runtime.domain.ids import TenantId
    from runtime.errors import Unavailable

    appliance = Appliance(msgspec.structs.replace(af.settings, drain_s=0.0), what="af audit erase", known=af.known)
    try:
        await appliance.start(recover=False)
    except Unavailable as error:
        if error.code != "data.locked" or not af.settings.socket.exists():
            raise
        body: Json = {"tenant": tenant, "lines": list(lines)}
        reply = await asyncio.to_thread(LocalDoor(af.settings.socket).call, "POST", "/v1/audit/erase", body)
        count: int = msgspec.json.decode(reply.body)["lines"]
        return count
    try:
        assert appliance.audit is not None, "a writer has it"
        return await appliance.audit.erase(TenantId(tenant), lines, actor="cli")
    finally:
        await appliance.stop()
