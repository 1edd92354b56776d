"""`af threats`: unusual use of tools, and why it is unusual."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af
from appliance.cli.words import DURATION

if TYPE_CHECKING:
    from appliance.threats import ThreatView


@click.command(
    cls=Command,
    examples="""
        af threats
        af threats --since 24h --json | jq -r '.alerts[].why'
    """,
)
@click.option("--since", "age_ms", type=DURATION, help="Only what happened since then, such as 24h.")
@click.option("--tenant", default="default", show_default=True, help="Whose agents.")
@click.option("--limit", type=click.IntRange(1, 100_000), metavar="N", default=50, show_default=True)
@pass_af
def threats(af: Af, age_ms: int | None, tenant: str, limit: int) -> None:
    """Show unusual use of tools, newest first: rate, first use, new target, bursts of refusals, volume of data.

    Each tenant's baseline is learned from the audit log; no model is asked, and the same log gives the same alerts.
    """
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import local_time, microseconds

    found, has_more = af.run(_found(af, age_ms, tenant, limit))
    if found:
        rows = [
            (local_time(microseconds(each.at)), each.kind.replace("_", " "), printable(each.subject), str(each.line))
            for each in found
        ]
        af.terminal.say(table(("AT", "UNUSUAL", "WHAT", "AUDIT LINE"), rows, right=(3,)))
        af.terminal.say("")
        for each in found[:10]:
            af.terminal.say(printable(f"{each.line}: {each.why}" + (f" (run {each.run})" if each.run else "")))
    else:
        af.terminal.say("nothing unusual")
    if has_more:
        af.terminal.note(f"the newest {limit}; more with --limit")
    af.terminal.document({"alerts": found, "has_more": has_more})


async def _found(af: Af, age_ms: int | None, tenant: str, limit: int) -> "tuple[list[ThreatView], bool]":
    from appliance.cli.audit_log import open_log
    from appliance.threats import alerts_in, view_of
    from runtime.engine.clock import SystemClock

    async with open_log(af) as audit:
        alerts = await alerts_in(audit, tenant) if audit else ()
    since_us = 0 if age_ms is None else SystemClock().now_us() - age_ms * 1_000
    wanted = [alert for alert in reversed(alerts) if alert.at_us >= since_us]
    return [view_of(alert) for alert in wanted[:limit]], len(wanted) > limit
