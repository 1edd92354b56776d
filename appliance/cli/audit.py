"""`af audit`: what left and what was refused, and whether the log of it is whole."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.words import RUN

if TYPE_CHECKING:
    from appliance.audit_lines import AuditLine
    from runtime.store.audit import AuditLog

CONVERSATION = "c-"
"""How the names of conversations begin, which are no runs."""


@click.group(
    cls=Group,
    examples="""
        af audit list --refused
        af audit list --run last --json
        af audit verify
    """,
)
def audit() -> None:
    """List what left and what was refused; verify the log."""


@audit.command(
    "list",
    examples="""
        af audit list
        af audit list --refused --limit 5
        af audit list --json | jq -r '.lines[].outcome'
    """,
)
@click.option("--refused", is_flag=True, help="Only what was refused.")
@click.option("--run", type=RUN, default="", help="Only this run, or conversation of an API client.")
@click.option("--limit", type=click.IntRange(1, 100_000), metavar="N", default=20, show_default=True)
@pass_af
def list_audit(af: Af, refused: bool, run: str, limit: int) -> None:
    """List lines of the audit log, newest first."""
    af.run(_list(af, refused, run, limit))


@audit.command("verify", examples="af audit verify --json")
@pass_af
def verify_audit(af: Af) -> int:
    """Check that no line was changed or taken away; exit code 1, naming the first one, when the log is broken."""
    return af.run(_verify(af))


async def _list(af: Af, is_refused: bool, named: str, limit: int) -> None:
    from appliance.audit_lines import AuditQuery, newest_lines
    from appliance.cli.journal import find_run, open_journal

    run = named
    if named and not named.startswith(CONVERSATION):
        async with open_journal(af.settings) as store:
            run = await find_run(store, named)
    query = AuditQuery(events=("egress.refused",) if is_refused else (), run=run)
    async with open_audit(af) as log:
        lines, more = await newest_lines(log, query, limit=limit) if log else ([], None)
    _draw(af, lines, has_more=more is not None)
    af.terminal.document({"lines": lines, "has_more": more is not None})


def _draw(af: Af, lines: "list[AuditLine]", *, has_more: bool) -> None:
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import local_time, microseconds, size

    if not lines:
        af.terminal.say("no such lines: nothing left this machine's own workers, and nothing was refused")
        return
    rows = [
        (
            str(line.seq),
            local_time(microseconds(line.at)),
            line.event.rpartition(".")[2],
            size(line.size_bytes),
            printable(line.outcome or ", ".join(f"{count} {name}" for name, count in line.found.items()) or "–"),
            printable(f"{line.kind} {line.host or line.zone}  {line.purpose}"),
        )
        for line in lines
    ]
    af.terminal.say(table(("LINE", "AT", "EVENT", "SIZE", "", ""), rows, right=(0, 3)))
    if has_more:
        af.terminal.note(f"the newest {len(lines)}; more with --limit")


async def _verify(af: Af) -> int:
    async with open_audit(af) as log:
        whole, fault = await log.first_break() if log else (0, "")
    af.terminal.document({"lines": whole, "is_whole": not fault, "fault": fault or None})
    if fault:
        af.terminal.say(f"broken: {fault}; the {whole:,} lines before are whole. Keep journal.db as it is")
        return 1
    af.terminal.say(f"{whole:,} lines, all whole")
    return 0


@asynccontextmanager
async def open_audit(af: Af) -> "AsyncIterator[AuditLog | None]":
    """The audit log, to be read beside whoever writes it; None where nothing was run yet."""
    import os

    from runtime.engine.clock import SystemClock
    from runtime.store.audit import AuditLog
    from runtime.store.journal import JOURNAL_FILE, journal_database
    from runtime.store.keyring import database_key

    if not (af.settings.data / JOURNAL_FILE).exists():
        yield None
        return
    database = journal_database(af.settings.data, lock=None, key=database_key(os.environ, af.settings.data))
    await database.start()
    try:
        yield AuditLog(database, SystemClock().now_us)
    finally:
        await database.stop()
