"""Tickets over HTTP: what workflows leave for people to work on or to know, of the caller's tenant."""

from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.tickets import TicketList, TicketView, ticket_list, ticket_view


class TicketsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tickets to list."""

    status: Annotated[Literal["", "open", "closed"], Meta(description="Only these; empty: all.")] = ""
    category: Annotated[str, Meta(max_length=200, description="Only these, such as notice or mail; empty: all.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most.")] = 100
    before: Annotated[str, Meta(max_length=64, description="Only tickets older than this one.")] = ""


class CloseTicket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of it."""

    note: Annotated[str, Meta(max_length=2000, description="What was done, or found.")] = ""


class ReopenTicket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is said of it."""


@get(
    "/v1/tickets",
    name="list_tickets",
    **describes(
        "List tickets, notices and mails, newest first",
        tag="tickets",
        answers={200: TicketList},
        errors=(422,),
        query=TicketsQuery,
    ),
)
async def list_tickets(request: ApiRequest, service: NamedDependency[Service]) -> TicketList:
    """What workflows and tools left for people, of the caller's own tenant."""
    asked = read_query(request, TicketsQuery)
    found = await service.appliance.tickets.newest(
        tenant=request.user.tenant,
        status=asked.status,
        category=asked.category,
        limit=asked.limit + 1,
        before=asked.before,
    )
    return ticket_list(found, asked.limit)


@get(
    "/v1/tickets/{ticket:str}",
    name="show_ticket",
    **describes("Show one ticket", tag="tickets", answers={200: TicketView}, errors=(404,)),
)
async def show_ticket(ticket: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TicketView:
    """By its number."""
    return ticket_view(await service.appliance.tickets.find(ticket, tenant=request.user.tenant))


@post(
    "/v1/tickets/{ticket:str}/close",
    name="close_ticket",
    status_code=200,
    **describes(
        "Close a ticket",
        tag="tickets",
        answers={200: TicketView},
        errors=(404, 415, 422, 507),
        body=CloseTicket,
        example={"note": "The customer was called."},
    ),
)
async def close_ticket(ticket: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TicketView:
    """One that is closed stays as it is, with the note that it was closed with."""
    asked = await read_json(request, CloseTicket)
    appliance, caller = service.appliance, request.user
    closed = await appliance.tickets.close(
        ticket, tenant=caller.tenant, at_us=appliance.clock.now_us(), by=caller.actor, note=asked.note
    )
    return ticket_view(closed)


@post(
    "/v1/tickets/{ticket:str}/reopen",
    name="reopen_ticket",
    status_code=200,
    **describes(
        "Open a closed ticket again",
        tag="tickets",
        answers={200: TicketView},
        errors=(404, 415, 422, 507),
        body=ReopenTicket,
    ),
)
async def reopen_ticket(ticket: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> TicketView:
    """One that is open stays as it is."""
    await read_json(request, ReopenTicket)
    appliance, caller = service.appliance, request.user
    reopened = await appliance.tickets.reopen(
        ticket, tenant=caller.tenant, at_us=appliance.clock.now_us(), by=caller.actor
    )
    return ticket_view(reopened)
