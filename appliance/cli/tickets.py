"""`af tickets`: what workflows leave for people: tickets to work on, notices, and the mails that were handed in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.opened import Served, opened

if TYPE_CHECKING:
    from appliance.tickets import TicketView
    from runtime.store.tickets import Ticket, Tickets

ACTOR = "cli"


@click.group(
    cls=Group,
    examples="""
        af tickets list --status open
        af tickets list --category notice
        af tickets show T-000001
        af tickets close T-000001 --note "The customer was called."
    """,
)
def tickets() -> None:
    """List, show and close what workflows leave for people: tickets, notices, mails.

    Tools of type `notify` leave tickets of the category `notice`, those of type `smtp` one of the category `mail` for
    each mail that the server took.
    """


@tickets.command(
    "list",
    examples="""
        af tickets list --status open
        af tickets list --category mail --json | jq -r '.tickets[].summary'
    """,
)
@click.option("--status", type=click.Choice(["open", "closed"]), help="Only these.")
@click.option("--category", default="", metavar="NAME", help="Only these, such as notice or mail.")
@click.option("--limit", type=click.IntRange(1, 100_000), metavar="N", default=50, show_default=True)
@pass_af
def list_tickets(af: Af, status: str | None, category: str, *, limit: int) -> None:
    """List tickets, newest first."""
    from appliance.cli.terminal import printable, table
    from appliance.cli.units import local_time
    from appliance.tickets import ticket_list

    found = af.run(_newest(af, status or "", category, limit + 1))
    page = ticket_list(found, limit)
    if not page.tickets:
        af.terminal.say("there are none")
    else:
        rows = [
            (
                each.id,
                local_time(each.created_us),
                each.status,
                printable(each.category) or "–",
                printable(each.subject),
            )
            for each in found[:limit]
        ]
        af.terminal.say(table(("TICKET", "OPENED", "STATUS", "CATEGORY", "SUBJECT"), rows))
    if page.has_more:
        af.terminal.note(f"the newest {limit}; more with --limit")
    af.terminal.document(page)


@tickets.command("show", examples="af tickets show T-000001")
@click.argument("ticket")
@pass_af
def show_ticket(af: Af, ticket: str) -> None:
    """Show one ticket."""
    from appliance.tickets import ticket_view

    _say(af, ticket_view(af.run(_one(af, ticket))))


@tickets.command("close", examples='af tickets close T-000001 --note "The customer was called."')
@click.argument("ticket")
@click.option("--note", default="", help="What was done, or found.")
@pass_af
def close_ticket(af: Af, ticket: str, *, note: str) -> None:
    """Close one. One that is closed stays as it is."""
    _say(af, af.run(_closed(af, ticket, note)))


@tickets.command("reopen", examples="af tickets reopen T-000001")
@click.argument("ticket")
@pass_af
def reopen_ticket(af: Af, ticket: str) -> None:
    """Open a closed one again."""
    _say(af, af.run(_reopened(af, ticket)))


def _say(af: Af, view: "TicketView") -> None:
    from appliance.cli.terminal import printable

    lines = [f"{view.ticket_id}  {view.status}", *_facts(view), *(["", view.summary] if view.summary else [])]
    af.terminal.say("\n".join(printable(line) for each in lines for line in each.split("\n")))
    af.terminal.document(view)


def _facts(view: "TicketView") -> list[str]:
    from appliance.cli.units import local_time, microseconds

    by = f", run {view.run_id}, step {view.step}" if view.run_id else ", outside of any run"
    facts = {
        "subject": view.subject,
        "category": view.category,
        "opened": local_time(microseconds(view.created_at)) + by,
        "closed": "" if view.closed_at is None else local_time(microseconds(view.closed_at)),
        "by": view.closed_by,
        "note": view.note,
    }
    return [f"  {name:<9} {value}" for name, value in facts.items() if value]


async def _newest(af: Af, status: str, category: str, limit: int) -> "list[Ticket]":
    from runtime.domain.ids import DEFAULT_TENANT

    async with _reading(af) as kept:
        if kept is None:
            return []
        return list(await kept.newest(tenant=DEFAULT_TENANT, status=status, category=category, limit=limit))


async def _one(af: Af, ticket: str) -> "Ticket":
    from runtime.domain.ids import DEFAULT_TENANT
    from runtime.store.tickets import unknown_ticket

    async with _reading(af) as kept:
        if kept is None:
            raise unknown_ticket(ticket)
        return await kept.find(ticket, tenant=DEFAULT_TENANT)


async def _closed(af: Af, ticket: str, note: str) -> "TicketView":
    from appliance.tickets import TicketView, ticket_view
    from runtime.domain.ids import DEFAULT_TENANT

    async with opened(af, "af tickets close") as found:
        if isinstance(found, Served):
            return await found.ask(TicketView, "POST", _target(ticket, "close"), {"note": note})
        at_us = found.clock.now_us()
        return ticket_view(await found.tickets.close(ticket, tenant=DEFAULT_TENANT, at_us=at_us, by=ACTOR, note=note))


async def _reopened(af: Af, ticket: str) -> "TicketView":
    from appliance.tickets import TicketView, ticket_view
    from runtime.domain.ids import DEFAULT_TENANT

    async with opened(af, "af tickets reopen") as found:
        if isinstance(found, Served):
            return await found.ask(TicketView, "POST", _target(ticket, "reopen"), {})
        at_us = found.clock.now_us()
        return ticket_view(await found.tickets.reopen(ticket, tenant=DEFAULT_TENANT, at_us=at_us, by=ACTOR))


def _target(ticket: str, what: str) -> str:
    from urllib.parse import quote

    return f"/v1/tickets/{quote(ticket, safe='')}/{what}"


@asynccontextmanager
async def _reading(af: Af) -> "AsyncIterator[Tickets | None]":
    """The tickets of a data folder, beside whoever writes it; None where nothing was run yet."""
    import os

    from runtime.store.journal import JOURNAL_FILE, journal_database
    from runtime.store.keyring import database_key
    from runtime.store.tickets import Tickets

    if not (af.settings.data / JOURNAL_FILE).exists():
        yield None
        return
    data = af.settings.data
    key = await asyncio.to_thread(database_key, os.environ, data, may_make=False)
    database = journal_database(data, lock=None, key=key, durability=af.settings.durability)
    await database.start()
    try:
        yield Tickets(database)
    finally:
        await database.stop()
