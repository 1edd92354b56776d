"""The same transport for clients that are built on httpx2, which take no other."""

from collections.abc import AsyncIterator

import httpx2

from redaction.doors.http import HttpDoor, OpenReply
from redaction.doors.transport import ModelCall, Terms, body_of, open_reply, wire_request


def guarded_client(door: HttpDoor, cleared: ModelCall, terms: Terms) -> httpx2.AsyncClient:
    """A client that sends through the door with one leave, and cannot do anything else."""
    return httpx2.AsyncClient(
        transport=GuardedTransport2(door, cleared, terms), trust_env=False, follow_redirects=False, timeout=None
    )


class GuardedTransport2(httpx2.AsyncBaseTransport):
    """Bound to one leave, as `GuardedTransport` is."""

    def __init__(self, door: HttpDoor, cleared: ModelCall, terms: Terms) -> None:
        self._door = door
        self._cleared = cleared
        self._terms = terms

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a client's request. Raises as the door does."""
        wired = wire_request(
            request.method, str(request.url), request.headers, await request.aread(), terms=self._terms
        )
        reply = await open_reply(self._door, self._cleared, wired, self._terms)
        return httpx2.Response(reply.status, headers=reply.headers, stream=_Body(reply, self._terms), request=request)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, reply: OpenReply, terms: Terms) -> None:
        self._reply = reply
        self._terms = terms

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in body_of(self._reply, self._terms):
            yield piece

    async def aclose(self) -> None:
        await self._reply.close()
