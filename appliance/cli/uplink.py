"""`af uplink`: how far what runs say has come on its way to the broker, and whether it takes it."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.opened import Served, opened

if TYPE_CHECKING:
    from appliance.uplink.view import UplinkView
    from runtime.domain.forward import StreamView


@click.group(
    cls=Group,
    examples="""
        af config set uplink.url nats://10.0.0.5:4222
        af uplink test --create
        af uplink status
    """,
)
def uplink() -> None:
    """Forward what runs say to a NATS broker elsewhere; what it cannot take now waits in the journal."""


@uplink.command("status", examples="af uplink status --json | jq .waiting")
@pass_af
def show_status(af: Af) -> int:
    """Show where it goes, how far it has come, and why nothing leaves when nothing does.

    Exit code 4 while the broker is away or takes nothing.
    """
    view = af.run(_status(af))
    _draw(af, view)
    af.terminal.document(view)
    return 4 if view.state == "waiting" else 0


@uplink.command(
    "test",
    examples="""
        af uplink test
        af uplink test --create --json
    """,
)
@click.option("--create", is_flag=True, help="Make the stream where there is none.")
@pass_af
def try_uplink(af: Af, create: bool) -> None:
    """Ask the broker for the stream, through the guard and the door; publish nothing."""
    view = af.run(_try(af, create))
    made = ", just made" if view.was_made else ""
    af.terminal.say(f"stream {view.stream}{made}: {view.messages:,} messages, takes {', '.join(view.subjects)}")
    af.terminal.say(f"drops what it has had within {_duration(view.duplicate_window_s)} by its id")
    prefix = f"{af.settings.uplink.prefix}."
    if not any(each in (">", f"{prefix}>") or each.startswith(prefix) for each in view.subjects):
        af.terminal.note(f"it does not seem to take {prefix}>, which is what is published; see uplink.prefix")
    af.terminal.document(view)


async def _status(af: Af) -> "UplinkView":
    from appliance.uplink.view import UplinkView, idle_view
    from redaction.doors.local import LocalDoor
    from runtime.errors import Unavailable

    if af.settings.socket.exists():
        try:
            return await Served(LocalDoor(af.settings.socket)).ask(UplinkView, "GET", "/v1/uplink")
        except Unavailable as error:
            if error.code != "server.not_running":
                raise
    return idle_view(af.settings, await _head(af))


async def _head(af: Af) -> int:
    from appliance.cli.journal import open_journal
    from runtime.store.journal import JOURNAL_FILE

    if not (af.settings.data / JOURNAL_FILE).exists():
        return 0
    async with open_journal(af.settings) as store:
        return await store.head()


async def _try(af: Af, create: bool) -> "StreamView":
    from runtime.domain.forward import StreamView

    async with opened(af, "af uplink test") as found:
        if isinstance(found, Served):
            return await found.ask(StreamView, "POST", "/v1/uplink/test", {"create": create})
        return await found.uplink.look(create=create)


def _draw(af: Af, view: "UplinkView") -> None:
    say = af.terminal.say
    if view.state == "off":
        say("no uplink; set one with: af config set uplink.url nats://HOST:4222")
        return
    say(f"to        {view.host}, stream {view.stream}, subjects {view.prefix}.…")
    say(f"state     {view.state}{f' since {view.since[:19]}Z' if view.since else ''}")
    if view.fault:
        say(f"because   {view.fault_code}: {view.fault}")
    say(f"waiting   {view.waiting:,} entries of the journal, behind {view.position:,}")
    if view.state == "not served":
        af.terminal.note("`af serve` forwards what waits")
        return
    if view.anchor_fault:
        say(f"anchored  not since {view.anchored_at[:19] or 'the start'}, {view.anchor_fault}")
    elif view.anchored_at:
        say(f"anchored  the audit log's checkpoints, at {view.anchored_at[:19]}Z")
    last = f", last at {view.last_sent_at[:19]}Z" if view.last_sent_at else ""
    say(f"sent      {view.sent:,} since the start{last}")
    if view.withheld or view.without_payload:
        say(f"withheld  {view.withheld:,} by policy, and {view.without_payload:,} payloads")


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"
