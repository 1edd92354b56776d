"""HTTP for agents and tools: every request is cleared by the guard, then sent through the door."""

from redaction.doors.http import destination_of
from redaction.guard import Guard
from runtime.domain.egress import Destination, Outbound
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.ports import Egress


class GuardedHttp:
    """Implements HttpAccess."""

    def __init__(self, guard: Guard, door: Egress) -> None:
        self._guard = guard
        self._door = door

    async def send(
        self, request: HttpRequest, *, purpose: str = "agent", tenant: TenantId = DEFAULT_TENANT
    ) -> HttpReply:
        """Send one request. Raises Refused (policy), Unavailable (no answer), StepFailure (reply) or Invalid."""
        host = destination_of(request.url)
        destination = Destination("http", self._guard.zone_of(host), host)
        outbound = Outbound(destination=destination, payload=request, purpose=purpose, tenant=tenant)
        return await self._door.send(self._guard.clear(outbound))
