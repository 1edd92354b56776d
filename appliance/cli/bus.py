"""`af bus`: what is published, who takes it, what nobody took; replay, retry, and a live look."""

from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.bus import BusView, ConsumerDetail, LetterLine

TENANT = click.option("--tenant", default="default", show_default=True, help="Whose messages.")
SUBJECT = click.option(
    "--subject", default=">", show_default=True, metavar="FILTER", help="Only these; * is one token, > all that follow."
)


@click.group(
    cls=Group,
    examples="""
        af bus list
        af bus tail 'runs.*.*.step.failed' --follow
        af bus dead
        af bus retry --all
    """,
)
def bus() -> None:
    """Show and steer the message bus.

    Every entry of every run is a message, runs.WORKFLOW.RUN.TYPE; so is what programs publish. A consumer is a name
    under which somebody takes messages; what it did not take is a dead letter.
    """


@bus.command("list", examples="af bus list\n        af bus list --json | jq '.consumers[] | select(.lag > 1000)'")
@TENANT
@pass_af
def list_(af: Af, tenant: str) -> None:
    """List subjects and consumers, and how far these have come."""
    from appliance.cli.bus_hosts import overview

    view = af.run(overview(af, tenant))
    _draw_overview(af, view)
    af.terminal.document(view)


@bus.command("show", examples="af bus show billing")
@click.argument("consumer")
@TENANT
@pass_af
def show(af: Af, consumer: str, tenant: str) -> None:
    """Show one CONSUMER: what it will get again, and its dead letters."""
    from appliance.cli.bus_hosts import detail

    found = af.run(detail(af, tenant, consumer))
    _draw_detail(af, found)
    af.terminal.document(found)


@bus.command(
    "dead",
    examples="""
        af bus dead
        af bus dead --consumer billing --json | jq '.letters[].reason'
    """,
)
@click.option("--consumer", default="", metavar="NAME", help="Only those of this one.")
@click.option("--limit", type=click.IntRange(1, 10_000), metavar="N", default=50, show_default=True)
@TENANT
@pass_af
def dead(af: Af, consumer: str, limit: int, tenant: str) -> None:
    """List dead letters, newest first, and why they are."""
    from appliance.cli.bus_hosts import dead as find

    letters = af.run(find(af, tenant, consumer, limit))
    if letters:
        _draw_letters(af, letters)
        if len(letters) == limit:
            af.terminal.note(f"the newest {limit:,}; more with --limit")
        af.terminal.note(f"to deliver them once more: {af.me} bus retry ID, or --all")
    else:
        af.terminal.say("no dead letters")
    af.terminal.document({"letters": letters})


@bus.command(
    "retry",
    examples="""
        af bus retry 17
        af bus retry --all --consumer billing
    """,
)
@click.argument("ids", nargs=-1, type=click.IntRange(1), metavar="[ID]...")
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
@click.option("--consumer", default="", metavar="NAME", help="With --all: only those of this one.")
@TENANT
@pass_af
def retry(af: Af, ids: tuple[int, ...], *, is_all: bool, consumer: str, tenant: str) -> None:
    """Deliver dead letters once more; the audit log says so.

    Now, or when their consumer is back. Each leaves the list when it is taken, and comes back with the new reason when
    it is not.
    """
    from appliance.cli.bus_hosts import retry as ask

    if bool(ids) == is_all:
        raise click.UsageError("say which: the IDs that `af bus dead` shows, or --all")
    letters = af.run(ask(af, tenant, ids, consumer))
    if letters:
        _draw_letters(af, letters)
        af.terminal.note(f"{_letters(len(letters))} to be delivered once more, now or when the consumer is back")
    else:
        af.terminal.say("nothing to retry: no dead letters, or each is to be delivered again already")
    af.terminal.document({"letters": letters})


@bus.command(
    "replay",
    examples="""
        af bus replay --from 1h --subject 'runs.support.>'
        af bus replay --from 2026-01-31T14:00 --json
        af bus replay --from 24h --consumer billing
    """,
)
@click.option(
    "--from", "--since", "since", metavar="TIME", required=True, help="Since when: 90s, 1h, 7d, or a local time."
)
@SUBJECT
@click.option("--consumer", default="", metavar="NAME", help="Deliver to this one again what it wants; it is audited.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Print so many at most.")
@TENANT
@pass_af
def replay(af: Af, *, since: str, subject: str, consumer: str, limit: int | None, tenant: str) -> None:
    """Print what was published, or have a consumer get it again.

    Without --consumer nothing is delivered; with --json each line is an envelope and its position.
    """
    from appliance.cli.bus_hosts import print_replay, rewind

    if not consumer:
        af.run(print_replay(af, tenant, subject, since, limit))
        return
    if subject != ">" or limit is not None:
        raise click.UsageError("--consumer gets what it wants: leave --subject and --limit out")
    line = af.run(rewind(af, tenant, consumer, since))
    af.terminal.say(f"consumer {line.name} goes on behind position {line.cursor:,}, {line.lag:,} before the head")
    af.terminal.document(line)


@bus.command(
    "tail",
    examples="""
        af bus tail
        af bus tail 'runs.*.*.run.finished' --follow
        af bus tail 'orders.>' --follow --json | jq -c .envelope.payload
    """,
)
@click.argument("subject", default=">", metavar="[FILTER]")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@click.option(
    "--lines", "--limit", "-n", "lines", type=click.IntRange(0, 10_000), metavar="N", default=10, show_default=True
)
@TENANT
@pass_af
def tail(af: Af, subject: str, *, follow: bool, lines: int, tenant: str) -> None:
    """Print the newest messages that FILTER chooses; with --json a line each."""
    from appliance.cli.bus_hosts import print_tail

    af.run(print_tail(af, tenant, subject, lines=lines, is_following=follow))


@bus.command("publish", examples="""af bus publish orders.created --data '{"order": 17}'""")
@click.argument("subject")
@click.option("--data", "payload", metavar="JSON", help="The payload: JSON, @FILE, or - for stdin.")
@click.option("--id", "id_", default="", metavar="ID", help="Publishing the same id again publishes nothing.")
@click.option("--type", "type_", default="message", show_default=True, metavar="TYPE", help="What kind of message.")
@TENANT
@pass_af
def publish(af: Af, subject: str, *, payload: str | None, id_: str, type_: str, tenant: str) -> None:
    """Publish a message under SUBJECT; it is durable when this returns."""
    from appliance.bus import Publish
    from appliance.cli.bus_hosts import publish as ask
    from appliance.cli.documents import read_input

    given = None if payload is None else read_input(payload)
    done = af.run(ask(af, tenant, Publish(subject=subject, payload=given, id=id_, type=type_)))
    af.terminal.say(f"{done.id}  {'published' if done.is_new else 'was published before'}")
    af.terminal.document(done)


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'' if count == 1 else 's'}"


def _draw_overview(af: Af, view: "BusView") -> None:
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import local_time, microseconds

    if view.subjects:
        rows = [
            (printable(each.subject), f"{each.messages:,}", local_time(microseconds(each.last_at)))
            for each in view.subjects
        ]
        af.terminal.say(table(("SUBJECT", "MESSAGES", "LAST"), rows, right=(1,)))
    else:
        af.terminal.say("nothing was published yet")
    af.terminal.say()
    if view.consumers:
        lines = [
            (each.name, each.standing, f"{each.lag:,}", f"{each.dead_letters:,}", printable(each.subject))
            for each in view.consumers
        ]
        af.terminal.say(table(("CONSUMER", "STANDING", "LAG", "DEAD", "TAKES"), lines, right=(2, 3)))
    else:
        af.terminal.say("no consumers")
    if view.dead_letters:
        af.terminal.note(f"{_letters(view.dead_letters)}; see: {af.me} bus dead")


def _draw_detail(af: Af, found: "ConsumerDetail") -> None:
    from appliance.cli.terminal import printable, table

    line = found.consumer
    af.terminal.say(f"{click.style(line.name, bold=True)}  {line.standing}  takes {printable(line.subject)}")
    af.terminal.say(f"settled up to {line.cursor:,}, {line.lag:,} before the head; {line.members} taking")
    if line.oldest_s:
        af.terminal.say(f"the oldest that it has in hand is {line.oldest_s:,.1f} s old")
    if found.waiting:
        rows = [(str(each.position), str(each.deliveries), printable(each.reason)) for each in found.waiting]
        af.terminal.say(f"\n{table(('WILL GET AGAIN', 'DELIVERED', 'WHY'), rows, right=(0, 1))}")
    if found.dead:
        af.terminal.say()
        _draw_letters(af, found.dead)


def _draw_letters(af: Af, letters: "Sequence[LetterLine]") -> None:
    """A line each, and why below it: that is what is looked for, and a column would cut it off."""
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import local_time, microseconds

    rows = [
        (
            str(each.id),
            each.consumer,
            local_time(microseconds(each.at)),
            str(each.deliveries),
            printable(each.message or f"position {each.position}"),
        )
        for each in letters
    ]
    head, *lines = table(("ID", "CONSUMER", "GIVEN UP", "TRIED", "MESSAGE"), rows, right=(0, 3)).splitlines()
    af.terminal.say(head)
    for line, each in zip(lines, letters, strict=True):
        af.terminal.say(line)
        again = "; to be delivered again" if each.is_retried else ""
        subject = f"{each.subject}  " if each.subject else ""
        af.terminal.say(f"    {printable(f'{subject}{each.reason}')}{again}")
