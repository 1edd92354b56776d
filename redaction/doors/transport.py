"""A transport for clients that are built on httpx: whatever they want to send goes through the HTTP door, with the
leave that was granted for one call, or not at all.

The clients' own headers (versions of Python, names of the platform, keys that they find in the environment) stay here.
"""

from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import msgspec

from redaction.doors.http import HttpDoor, OpenReply
from redaction.guard import in_wire_form
from runtime.domain.chat import ChatRequest, EmbedRequest
from runtime.domain.egress import Cleared
from runtime.domain.http import HttpRequest
from runtime.errors import StepFailure

ModelCall = Cleared[ChatRequest] | Cleared[EmbedRequest]

ERROR_BYTES = 65_536
"""Of a failure's body; it is only looked through for what kind of failure it is."""

_CONTENT = ("accept", "content-type")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a client's requests are sent."""

    headers: dict[str, str] = {}
    """Set on every request, such as a key."""
    credentials: tuple[str, ...] = ()
    """Those of them, in lower case, that hold the sender's own credentials."""
    keeps: tuple[str, ...] = ()
    """Headers of the client, in lower case, that go along beside those that name the content."""
    timeout_s: float = 30.0
    max_reply_bytes: int = 1_048_576
    max_event_bytes: int = 0
    """Most that is passed on without an empty line, the end of a server-sent event; 0: any."""
    max_event_lines: int = 0
    """The same in lines: clients that put an event together line by line copy it once for each; 0: any."""
    failed: Callable[[int, bytes], Exception] | None = None
    """What to raise for a status that is no success, and the first bytes of its body; None: the client's to say."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Bound to one leave: another host is refused by the door, whatever URL a client puts together."""

    def __init__(self, door: HttpDoor, cleared: ModelCall, terms: Terms) -> None:
        self._door = door
        self._cleared = cleared
        self._terms = terms

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a client's request. Raises as the door does."""
        wired = wire_request(
            request.method, str(request.url), request.headers, await request.aread(), terms=self._terms
        )
        reply = await open_reply(self._door, self._cleared, wired, self._terms)
        return httpx.Response(reply.status, headers=reply.headers, stream=_Body(reply, self._terms), request=request)


class _Body(httpx.AsyncByteStream):
    def __init__(self, reply: OpenReply, terms: Terms) -> None:
        self._reply = reply
        self._terms = terms

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in body_of(self._reply, self._terms):
            yield piece

    async def aclose(self) -> None:
        await self._reply.close()


async def open_reply(door: HttpDoor, cleared: ModelCall, request: HttpRequest, terms: Terms) -> OpenReply:
    """The reply to a client's request. Raises as the door does, and what the terms say of a failure."""
    reply = await door.open(in_wire_form(cleared, request))
    if reply.status < 400 or terms.failed is None:
        return reply
    try:
        said = await reply.read(ERROR_BYTES)
    finally:
        await reply.close()
    raise terms.failed(reply.status, said)


async def body_of(reply: OpenReply, terms: Terms) -> AsyncIterator[bytes]:
    """The body of a reply as it comes. Raises as the door does, and StepFailure for an event that is too long."""
    last, event_bytes, event_lines = b"", 0, 0
    async for piece in reply.pieces():
        seen = last + piece
        end = max(seen.rfind(b"\n\n"), seen.rfind(b"\r\n\r\n"), seen.rfind(b"\r\r"))
        if end >= 0:
            piece_of_event, event_bytes, event_lines = seen[end + 2 :], 0, 0
        else:
            piece_of_event = piece
        event_bytes += len(piece_of_event)
        event_lines += max(piece_of_event.count(b"\n"), piece_of_event.count(b"\r"))
        _check_event(event_bytes, terms.max_event_bytes, "bytes")
        _check_event(event_lines, terms.max_event_lines, "lines")
        last = seen[-3:]
        yield piece


def _check_event(size: int, most: int, unit: str) -> None:
    if 0 < most < size:
        raise StepFailure(
            "http.reply_too_large",
            f"a server sent an event of more than the {most:,} {unit} that are accepted",
            retryable=False,
        )


def wire_request(method: str, url: str, headers: Mapping[str, str], body: bytes, *, terms: Terms) -> HttpRequest:
    """A client's request as the door takes it."""
    kept = {name.lower(): value for name, value in headers.items() if name.lower() in (*_CONTENT, *terms.keeps)}
    return HttpRequest(
        method=method,
        url=url,
        headers={**kept, **terms.headers},
        body=body,
        credentials=terms.credentials,
        timeout_s=terms.timeout_s,
        max_reply_bytes=terms.max_reply_bytes,
    )
