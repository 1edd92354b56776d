"""A transport for httpx2 whose every request is cleared by the guard by itself: for clients that live longer than one
leave, such as that of a server of tools.

What the guard or the door refuses is answered as a JSON-RPC error, for the client would fall over an exception; the
error itself is handed to whoever made the transport.
"""

import codecs
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx2
import msgspec

from redaction.doors.http import HttpDoor, OpenReply, destination_of
from redaction.guard import Guard
from redaction.passage import Passage
from runtime.domain.egress import CostBound, Destination, Outbound, Sender
from runtime.domain.http import HttpRequest
from runtime.domain.secret import SCHEME
from runtime.errors import AgentFlowError, Refused

KEPT = frozenset({"accept", "content-type", "last-event-id"})
"""Headers that go along, beside the protocol's own (`mcp-…`); the client's versions and names stay here."""
ISSUED = ("mcp-session-id", "last-event-id", "mcp-protocol-version", "mcp-method")
"""Of them, what the protocol or the very host that is sent to made up: it would know none of it by a pseudonym."""
REFUSED = -32_099
"""The code of a JSON-RPC error that was made here."""
STREAM_S = 3_600.0


class PassageTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How the requests of one client are sent."""

    item: str
    """What budgets call it, such as `tool:mcp/docs`."""
    url: str
    """The only address that is sent to."""
    headers: dict[str, str] = {}
    """Set on every request; a value may be a reference to a secret."""
    timeout_s: float = 60.0
    max_reply_bytes: int = 4 * 2**20


def passing_client(
    guard: Guard,
    door: HttpDoor,
    terms: PassageTerms,
    *,
    sender: Callable[[], Sender],
    failed: Callable[[AgentFlowError], str],
) -> httpx2.AsyncClient:
    """A client that can send to one address, each time on behalf of whom `sender` names.

    `failed` gets what the guard or the door raises, and gives the text by which it is known in the client's error.
    """
    return httpx2.AsyncClient(
        transport=PassageTransport(guard, door, terms, sender=sender, failed=failed),
        trust_env=False,
        follow_redirects=False,
        timeout=None,
    )


class PassageTransport(httpx2.AsyncBaseTransport):
    """Sends through the door what the guard has cleared."""

    def __init__(
        self,
        guard: Guard,
        door: HttpDoor,
        terms: PassageTerms,
        *,
        sender: Callable[[], Sender],
        failed: Callable[[AgentFlowError], str],
    ) -> None:
        self._guard = guard
        self._door = door
        self._terms = terms
        self._sender = sender
        self._failed = failed

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a client's request; a refusal is the answer."""
        kept = AsyncExitStack()
        try:
            wired = await self._wired(request)
            passage = await kept.enter_async_context(self._guard.passage(self._outbound(wired)))
            reply = await self._door.open(passage.cleared)
        except AgentFlowError as error:
            await _left(kept, error)
            return _refusal(request, self._failed(error))
        except BaseException as error:
            await _left(kept, error)
            raise
        return httpx2.Response(
            reply.status, headers=reply.headers, stream=_Body(reply, passage, kept, self._failed), request=request
        )

    async def _wired(self, request: httpx2.Request) -> HttpRequest:
        own = {name.lower(): value for name, value in self._terms.headers.items()}
        said = {name.lower(): value for name, value in request.headers.items()}
        headers = {name: value for name, value in said.items() if name in KEPT or name.startswith("mcp-")}
        if str(request.url) != self._terms.url:
            raise Refused("egress.other_destination", f"this client may send to {self._terms.url!r} alone")
        if any(SCHEME in headers.get(name, "") for name in ISSUED):
            raise Refused("egress.foreign_reference", "a server may not have secrets put into what it makes us send")
        is_stream = request.method == "GET"
        return HttpRequest(
            method=request.method,
            url=str(request.url),
            headers={**headers, **own},
            body=await request.aread(),
            credentials=(*own, *ISSUED),
            holder=self._sender().tenant,
            timeout_s=STREAM_S if is_stream else self._terms.timeout_s,
            max_reply_bytes=self._terms.max_reply_bytes,
        )

    def _outbound(self, request: HttpRequest) -> Outbound[HttpRequest]:
        host = destination_of(request.url)
        return Outbound(
            destination=Destination("http", self._guard.zone_of(host), host),
            payload=request,
            sender=self._sender(),
            bound=CostBound(item=self._terms.item, payee=host),
        )


class _Body(httpx2.AsyncByteStream):
    """The reply, with its values back, as it comes; the leave lasts until it is closed."""

    def __init__(
        self,
        reply: OpenReply,
        passage: Passage[HttpRequest],
        kept: AsyncExitStack,
        failed: Callable[[AgentFlowError], str],
    ) -> None:
        self._reply = reply
        self._passage = passage
        self._kept = kept
        self._failed = failed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        restorer = self._passage.restorer(in_json=True)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            async for piece in self._reply.pieces():
                self._passage.reply_bytes += len(piece)
                yield piece if restorer is None else restorer.feed(decoder.decode(piece)).encode()
        except AgentFlowError as error:
            self._failed(error)
            raise httpx2.ReadError(error.code) from None
        if restorer is not None:
            yield (restorer.feed(decoder.decode(b"", final=True)) + restorer.end()).encode()

    async def aclose(self) -> None:
        await self._reply.close()
        await self._kept.aclose()


async def _left(kept: AsyncExitStack, error: BaseException) -> None:
    """End the passage by what went wrong, which the audit log then names; it raises it again."""
    try:
        await kept.__aexit__(type(error), error, error.__traceback__)
    except AgentFlowError as raised:
        if raised is not error:
            raise


def _refusal(request: httpx2.Request, known_as: str) -> httpx2.Response:
    try:
        identity = json.loads(request.content).get("id")
    except (ValueError, AttributeError):
        identity = None
    body = {"jsonrpc": "2.0", "id": identity, "error": {"code": REFUSED, "message": known_as}}
    return httpx2.Response(403, json=body, request=request)
