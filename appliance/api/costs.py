"""What was spent and what is left over HTTP; of the caller's tenant."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.config.costs import budgets_of
from appliance.costs.report import Asked, By, CostsView, costs_view
from runtime.errors import Unavailable


class CostsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to add up."""

    by: Annotated[By, Meta(description="What the lines are added up by.")] = "model"
    since: Annotated[
        str, Meta(max_length=40, description="Begin of the period: month, today, 12h, 7d, or a date; of UTC.")
    ] = "month"
    until: Annotated[str, Meta(max_length=40, description="End of the period: now, or as `since`.")] = "now"
    charge_back: Annotated[bool, Meta(description="Also the bill: what each workflow spent on each item.")] = False


@get(
    "/v1/costs",
    name="show_costs",
    **describes(
        "Show what was spent, and what is left of every budget",
        tag="costs",
        answers={200: CostsView},
        errors=(422,),
        query=CostsQuery,
    ),
)
async def show_costs(request: ApiRequest, service: NamedDependency[Service]) -> CostsView:
    """As `af costs --json` prints it."""
    query = read_query(request, CostsQuery)
    appliance = service.appliance
    if appliance.spending.budgets is None:
        raise Unavailable("budget.closed", "what was spent is not open here")
    await appliance.spending.budgets.flush()
    asked = Asked(
        by=query.by,
        since=query.since,
        until=query.until,
        has_charge_back=query.charge_back,
        tenant=request.user.tenant,
    )
    limits = budgets_of(appliance.settings.budgets)
    now_us = appliance.clock.now_us()
    return await costs_view(appliance.spending.budgets.charges, appliance.store, limits, asked, now_us=now_us)
