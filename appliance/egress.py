"""HTTP for agents: each request is cleared by the guard, then sent through the door."""

from redaction.doors.http import HttpDoor, destination_of
from redaction.guard import Guard
from runtime.domain.egress import Destination, Outbound
from runtime.domain.http import HttpReply, HttpRequest


class GuardedHttp:
    """Implements HttpAccess."""

    def __init__(self, guard: Guard, door: HttpDoor) -> None:
        self._guard = guard
        self._door = door

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send one request. Raises Refused, Unavailable, StepFailure or Invalid."""
        host = destination_of(request.url)
        destination = Destination("http", self._guard.zone_of(host), host)
        return await self._door.send(
            self._guard.clear(Outbound(destination=destination, payload=request, purpose="an http agent"))
        )
