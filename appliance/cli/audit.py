"""`af audit`: what happened and what was refused, whether the log of it is whole, and proofs of it for others."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.audit_log import TENANT, open_log
from appliance.cli.command import Group, Lazy
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from appliance.audit.lines import AuditLine
    from runtime.domain.ids import TenantId
    from runtime.store.audit_check import ChainReport

CONVERSATION = "c-"
"""How the names of conversations begin, which are no runs."""

_PROOFS = "appliance.cli.audit_proofs"


@click.group(
    cls=Group,
    lazy={
        "prove": Lazy(_PROOFS, "Write the proof that a line is in the log."),
        "export": Lazy(_PROOFS, "Write the log as tiles for public tools."),
        "anchor": Lazy(_PROOFS, "Keep a signed checkpoint outside."),
        "key": Lazy(_PROOFS, "Print whose signature checkpoints bear."),
        "erase": Lazy("appliance.cli.audit_erase", "Erase what lines tell of, for good."),
    },
    examples="""
        af audit list --refused
        af audit list --run last --json
        af audit verify --anchor /mnt/stick
    """,
)
def audit() -> None:
    """List what happened and what was refused; verify the log, and prove it to others."""


@audit.command(
    "list",
    examples="""
        af audit list
        af audit list --event run. --event human.decided
        af audit list --refused --limit 5
        af audit list --json | jq -r '.lines[].outcome'
    """,
)
@click.option("--refused", is_flag=True, help="Only what was refused.")
@click.option("--event", "events", multiple=True, metavar="EVENT", help="Only events that begin so, such as `tool.`.")
@click.option("--run", type=RUN, default="", help="Only this run, or conversation of an API client.")
@TENANT
@click.option("--limit", type=click.IntRange(1, 100_000), metavar="N", default=20, show_default=True)
@pass_af
def list_audit(af: Af, *, refused: bool, events: tuple[str, ...], run: str, tenant: str, limit: int) -> None:
    """List lines of the audit log, newest first."""
    af.run(_list(af, events=(*events, *(_REFUSED if refused else ())), named=run, tenant=tenant, limit=limit))


@audit.command("show", examples="af audit show 12")
@click.argument("seq", type=click.IntRange(1))
@TENANT
@pass_af
def show_audit(af: Af, seq: int, tenant: str) -> None:
    """Show one line, its record and its hashes."""
    af.run(_show(af, seq, tenant))


@audit.command(
    "verify",
    short_help="Check records, tree, checkpoints and journal; name what is wrong.",
    examples="""
        af audit verify
        af audit verify --anchor /mnt/stick --json
        af audit verify --anchor uplink
        af audit verify --key 'agentflow.local/audit/…+1a2b3c4d+AT…'
    """,
)
@click.option(
    "--anchor",
    type=click.Path(path_type=Path),
    help="Checkpoints that were kept outside: a file, a folder, or `uplink`; otherwise the setting audit.anchor.",
)
@click.option("--key", "vkey", metavar="VKEY", help="Who signed, as `af audit key` printed it; otherwise the key here.")
@click.option("--tenant", metavar="TENANT", help="Only this chain.")
@pass_af
def verify_audit(af: Af, *, anchor: Path | None, vkey: str | None, tenant: str | None) -> int:
    """Check every record, the tree, the checkpoints and the journal's hashes.

    Exit code 1, naming the first thing that does not fit, when anything was changed, put in, or taken away.
    """
    return af.run(_verify(af, anchor=anchor, vkey=vkey, tenant=tenant))


_REFUSED = ("egress.refused", "tool.refused", "login.refused", "webhook.refused")


async def _list(af: Af, *, events: tuple[str, ...], named: str, tenant: str, limit: int) -> None:
    from appliance.audit.lines import AuditQuery, newest_lines
    from appliance.cli.journal import find_run, open_journal
    from runtime.domain.ids import TenantId

    run = named
    if named and not named.startswith(CONVERSATION):
        async with open_journal(af.settings) as store:
            run = await find_run(store, named)
    query = AuditQuery(events=events, run=run)
    async with open_log(af) as log:
        found = await newest_lines(log, TenantId(tenant), query, limit=limit) if log else ([], None)
        others = [head.tenant for head in await log.heads() if head.tenant != tenant] if log else []
    _draw(af, *found, others=others)
    af.terminal.document({"lines": found[0], "has_more": found[1] is not None})


def _draw(af: Af, lines: "list[AuditLine]", more: int | None, *, others: "list[TenantId]") -> None:
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import local_time, microseconds

    if not lines:
        af.terminal.say("the audit log has no such lines")
    else:
        rows = [
            (str(line.seq), local_time(microseconds(line.at)), line.event, printable(_told_of(line)), _about(line))
            for line in lines
        ]
        af.terminal.say(table(("LINE", "AT", "EVENT", "", ""), rows, right=(0,)))
    if more is not None and lines:
        af.terminal.note(f"the newest {len(lines)}; more with --limit")
    if others:
        af.terminal.note(f"other tenants have chains of their own: {', '.join(others)}; show one with --tenant")


def _told_of(line: "AuditLine") -> str:
    """How it ended, or what was found."""
    return line.outcome or ", ".join(f"{count} {name}" for name, count in line.found.items()) or "–"


def _about(line: "AuditLine") -> str:
    """What a line is about, most telling first."""
    from appliance.cli.terminal import printable
    from appliance.cli.units import size

    place = f"{line.kind} {line.host or line.zone}" if line.kind else ""
    parts = (
        line.subject,
        size(line.size_bytes) if line.size_bytes else "",
        place,
        line.run,
        f"by {line.actor}" if line.actor else line.purpose if line.kind else "",
    )
    return printable("  ".join(part for part in parts if part))


async def _show(af: Af, seq: int, tenant: str) -> None:
    import msgspec

    from appliance.audit.lines import line_of
    from appliance.cli.terminal import compact
    from runtime.audit.record import entry_of
    from runtime.domain.ids import TenantId
    from runtime.errors import NotFound

    async with open_log(af) as log:
        rows = await log.read(TenantId(tenant), after_seq=seq - 1, limit=1) if log else ()
    if not rows or rows[0].seq != seq:
        raise NotFound("audit.no_line", f"the audit log of tenant {tenant!r} has no line {seq}")
    row = rows[0]
    line = line_of(row, entry_of(row))
    shown = {name: value for name, value in msgspec.to_builtins(line).items() if value not in ("", 0, {}, None)}
    for name, value in shown.items():
        af.terminal.say(f"{name:<14}{compact(value)}")
    af.terminal.say(f"{'leaf':<14}{row.leaf.hex()}")
    af.terminal.say(f"{'record':<14}{row.record.decode()}")
    af.terminal.document({**msgspec.to_builtins(line), "leaf": row.leaf.hex(), "record": row.record.decode()})


async def _verify(af: Af, *, anchor: Path | None, vkey: str | None, tenant: str | None) -> int:
    from appliance.cli.audit_checks import check_log

    report = await check_log(af, anchor=anchor, vkey=vkey, tenant=tenant)
    af.terminal.document(report)
    for chain in report.chains:
        af.terminal.say(_told(chain))
    if not report.chains:
        af.terminal.say("0 records: nothing was run here yet")
    if report.journal is not None:
        af.terminal.say(f"broken: the journal: {report.journal}")
    if not report.is_whole:
        af.terminal.say("Keep journal.db and the checkpoints that are kept outside as they are")
        return 1
    for note in report.notes:
        af.terminal.note(note)
    return 0


def _told(chain: "ChainReport") -> str:
    from appliance.cli.units import counted

    records = counted(chain.records, "record")
    signed = f"all whole · checkpoints {chain.checkpoints:,}" if chain.checkpoints else "which fit · signed by nothing"
    whole = f"{records}, {signed} · journal hashes {chain.entries:,}"
    if chain.fault:
        return f"broken: {chain.tenant}: {chain.fault}; whole before it: {records}"
    outside = f" · anchored at {chain.anchored:,}" if chain.anchored is not None else ""
    return f"{chain.tenant}: {whole}{outside}\n  root {chain.root}"
