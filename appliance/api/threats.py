"""Unusual use of tools over HTTP, of the caller's tenant."""

import msgspec
from litestar import get
from litestar.di import NamedDependency

from appliance.api.bodies import ApiRequest
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.threats import ThreatView


class ThreatList(msgspec.Struct, frozen=True):
    """Alerts, newest first, of the time that the audit log's newest lines cover."""

    alerts: list[ThreatView]


@get(
    "/v1/threats",
    name="list_threats",
    **describes("List unusual use of tools, newest first", tag="egress", answers={200: ThreatList}),
)
async def list_threats(request: ApiRequest, service: NamedDependency[Service]) -> ThreatList:
    """What happened that a tenant's baseline does not explain: each with the reason, and the line of the audit log."""
    return ThreatList(list(service.appliance.threats.alerts(request.user.tenant)))
