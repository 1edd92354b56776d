"""What left, and what was refused, over HTTP: the audit log of the caller's tenant, without any value."""

from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

import msgspec
from litestar import get
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.audit.lines import AuditLine, AuditQuery, newest_lines
from runtime.errors import Unavailable

LOOKED_AT = 20_000
"""Lines that one request looks at: about a tenth of a second."""

Event = Literal["egress.sent", "egress.refused", "egress.settled"]


class EgressQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines to list."""

    event: Annotated[list[Event], Meta(description="Only these; may be given several times.")] = []
    outcome: Annotated[str, Meta(max_length=100, description="Only those that ended so: a code, ok, cancelled.")] = ""
    zone: Annotated[str, Meta(max_length=100, description="Only this zone, or a pattern such as cloud:*.")] = ""
    run: Annotated[str, Meta(max_length=200, description="Only this run or conversation.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most.")] = 100
    before: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Only lines in front of this one; null: all.")
    ] = None


class EgressPage(msgspec.Struct, frozen=True):
    """Lines, newest first."""

    lines: list[AuditLine]
    next: str | None
    """Path of the next page; null behind the last one. A page may hold fewer lines than asked for, and yet have one."""


@get(
    "/v1/egress",
    name="list_egress",
    **describes(
        "List what left and what was refused, newest first",
        tag="egress",
        answers={200: EgressPage},
        errors=(422,),
        query=EgressQuery,
    ),
)
async def list_egress(request: ApiRequest, service: NamedDependency[Service]) -> EgressPage:
    """One line each for what was sent, refused, and how what was sent ended; of the caller's own tenant."""
    query = read_query(request, EgressQuery)
    log = service.appliance.audit
    if log is None:
        raise Unavailable("audit.closed", "the audit log is not open here")
    await service.appliance.audit_written()
    wanted = AuditQuery(
        events=tuple(query.event) or get_args(Event),
        outcome=query.outcome,
        zone=query.zone,
        run=query.run,
    )
    lines, more = await newest_lines(
        log, request.user.tenant, wanted, limit=query.limit, before=query.before, look_at=LOOKED_AT
    )
    return EgressPage(lines, _next_page(query, more) if more else None)


def _next_page(query: EgressQuery, before: int) -> str:
    given = {"outcome": query.outcome, "zone": query.zone, "run": query.run, "limit": query.limit, "before": before}
    chosen = [(name, str(value)) for name, value in given.items() if value]
    return f"/v1/egress?{urlencode([*(('event', event) for event in query.event), *chosen])}"
