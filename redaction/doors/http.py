"""The door for HTTP. It sends what the guard has cleared, and nothing else.

A name is resolved once; the addresses are checked, and the connection goes to one of those, so that a second answer
of the name server changes nothing. No proxies, no `.netrc`, no redirects to elsewhere, no unbounded replies.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from http.cookiejar import CookieJar
from typing import TypeVar
from urllib.parse import urljoin

import httpx
from msgspec.structs import replace

from redaction.addresses import check_addresses
from redaction.doors.reaching import Resolve, Reveal, check_place, place_of, system_resolve, system_trust
from runtime.domain.egress import Cleared
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.secret import SCHEME, references_in
from runtime.errors import Invalid, Refused, StepFailure, Unavailable

OnPiece = Callable[[bytes], None] | None
Reached = TypeVar("Reached")

MAX_REDIRECTS = 5
MAX_CLIENTS = 64
"""Hosts whose connections are kept; the one used longest ago is closed first."""

_CONNECT_S = 10.0
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_OWN_HEADERS = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding")
_METHOD = re.compile(r"[A-Z]{1,20}")


def destination_of(url: str) -> str:
    """The `host:port` that a URL would be sent to, as this door reads it. Raises Invalid."""
    return _host_and_port(_parse(url))


class HttpDoor:
    """Sends requests over kept connections."""

    def __init__(self, *, resolve: Resolve | None = None, reveal: Reveal | None = None) -> None:
        """`resolve` gives the addresses of a name and port; None: the system's resolver.

        `reveal` gives the value of a tenant's secret for a host; None: there are none here.
        """
        self._resolve = resolve or system_resolve
        self._reveal = reveal
        self._clients: dict[tuple[str, str], httpx.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None

    async def stop(self) -> None:
        """Close every connection. Safe to call twice."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def send(self, cleared: Cleared[HttpRequest], *, on_piece: OnPiece = None) -> HttpReply:
        """Send one request and read the reply, whatever its status; `on_piece` gets a success's body as it comes.

        Follows redirects within the same origin. Raises Refused (address, redirect), Unavailable (no answer in time),
        StepFailure (reply too large) or Invalid (URL, method, headers).
        """
        request, url = await self._checked(cleared)
        with _in_our_words(_host_and_port(url), request.timeout_s):
            async with asyncio.timeout(request.timeout_s):
                return await self._follow(request, url, on_piece, zone=cleared.destination.zone)

    async def open(self, cleared: Cleared[HttpRequest]) -> "OpenReply":
        """Send one request and return as soon as the reply begins; whoever gets it closes it. Follows no redirects.

        Raises as `send` does; so does reading, whose limit and time are those of the request.
        """
        request, url = await self._checked(cleared)
        host = _host_and_port(url)
        deadline_s = asyncio.get_running_loop().time() + request.timeout_s
        with _in_our_words(host, request.timeout_s):
            async with asyncio.timeout_at(deadline_s):
                response = await self._at_an_address(
                    url, lambda address: self._begin(request, url, address), zone=cleared.destination.zone
                )
        return OpenReply(response, host, deadline_s=deadline_s, request=request)

    async def _checked(self, cleared: Cleared[HttpRequest]) -> tuple[HttpRequest, httpx.URL]:
        request, url = _checked(cleared)
        headers = dict(request.headers)
        if cleared.trace and not any(name.lower() == "traceparent" for name in headers):
            headers["traceparent"] = cleared.trace
        for name, value in headers.items():
            if SCHEME in value and name.lower() in request.credentials:
                headers[name] = await self._with_secrets(request, value, _host_and_port(url))
        return (request if headers == request.headers else replace(request, headers=headers)), url

    async def _with_secrets(self, request: HttpRequest, header: str, host: str) -> str:
        for reference in references_in(header):
            if self._reveal is None:
                raise Unavailable("secret.no_store", f"{reference} can't be resolved here", retryable=False)
            value = await self._reveal(request.holder, reference, host)
            if not value.isprintable() or not value.isascii():
                raise Invalid("secret.not_a_header", f"the value of {reference} holds what no header may hold")
            header = header.replace(str(reference), value, 1)
        return header

    async def _follow(self, request: HttpRequest, url: httpx.URL, on_piece: OnPiece, *, zone: str) -> HttpReply:
        for _ in range(MAX_REDIRECTS + 1):
            reply = await self._send_once(request, url, on_piece, zone=zone)
            target = reply.headers.get("location")
            if reply.status not in _REDIRECTS or target is None:
                return reply
            origin, url = url, _parse(urljoin(str(url), target))
            if (url.scheme, _host_and_port(url)) != (origin.scheme, _host_and_port(origin)):
                raise Refused(
                    "http.redirect_refused",
                    f"{_host_and_port(origin)} redirects to {_host_and_port(url)}; only redirects within one host are "
                    "followed. Call the other host by its own URL",
                )
            if reply.status == 303 or (reply.status in (301, 302) and request.method == "POST"):
                request = replace(request, method="GET", body=b"")
        raise Unavailable(
            "http.redirect_loop", f"{_host_and_port(url)} redirected {MAX_REDIRECTS + 1} times", retryable=False
        )

    async def _send_once(self, request: HttpRequest, url: httpx.URL, on_piece: OnPiece, *, zone: str) -> HttpReply:
        return await self._at_an_address(
            url, lambda address: self._exchange(request, url, address, on_piece), zone=zone
        )

    async def _at_an_address(
        self, url: httpx.URL, attempt: Callable[[str], Awaitable[Reached]], *, zone: str
    ) -> Reached:
        """Whatever comes of the first address that takes a connection."""
        addresses = await self._addresses(url, zone)
        for number, address in enumerate(addresses, 1):
            try:
                return await attempt(address)
            except httpx.ConnectError:  # nothing was sent yet, so the next address may have it
                if number == len(addresses):
                    raise
        raise AssertionError("a resolved name has an address")

    async def _addresses(self, url: httpx.URL, zone: str) -> Sequence[str]:
        host = _host_and_port(url)
        addresses = await self._resolve(url.raw_host.decode(), _port(url))
        if not addresses:
            raise Unavailable("http.unresolvable", f"{host} has no address")
        check_addresses(host, addresses, zone=zone)
        return addresses

    async def _exchange(self, request: HttpRequest, url: httpx.URL, address: str, on_piece: OnPiece) -> HttpReply:
        response = await self._begin(request, url, address)
        try:
            wants_pieces = on_piece if response.is_success else None
            body = bytearray()
            async for chunk in _pieces(response, request.max_reply_bytes, _host_and_port(url)):
                body += chunk
                if wants_pieces is not None:
                    wants_pieces(chunk)
            return HttpReply(status=response.status_code, headers=_headers(response), body=bytes(body))
        finally:
            await response.aclose()

    async def _begin(self, request: HttpRequest, url: httpx.URL, address: str) -> httpx.Response:
        client = await self._client(url)
        asked = client.build_request(
            request.method,
            url.copy_with(host=address),
            headers={**request.headers, "host": url.netloc.decode(), "accept-encoding": "identity"},
            content=request.body or None,
            timeout=httpx.Timeout(request.timeout_s, connect=min(_CONNECT_S, request.timeout_s)),
            extensions={"sni_hostname": url.raw_host.decode()},
        )
        return await client.send(asked, stream=True)

    async def _client(self, url: httpx.URL) -> httpx.AsyncClient:
        """The client of one origin. Each has its own: connections to one address must not serve two names."""
        key = (url.scheme, _host_and_port(url))
        client = self._clients.pop(key, None)
        if client is None:
            client = httpx.AsyncClient(
                verify=self._tls_context(),
                trust_env=False,
                follow_redirects=False,
                headers={"user-agent": "agentflow"},
                cookies=_NoCookies(),
            )
        self._clients[key] = client  # moved to the end: used last
        if len(self._clients) > MAX_CLIENTS:
            oldest = next(iter(self._clients))
            await self._clients.pop(oldest).aclose()
        return client

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = system_trust()
        return self._tls


class _NoCookies(CookieJar):
    """Takes none and sends none: a client serves every tenant, and a cookie would tell one what another did."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Leave what a server wants to be remembered."""

    def add_cookie_header(self, request: object) -> None:
        """Send nothing; a cookie that a caller sets is a header of its own."""


class OpenReply:
    """A reply whose body is still to come."""

    def __init__(self, response: httpx.Response, host: str, *, deadline_s: float, request: HttpRequest) -> None:
        self.status = response.status_code
        self.headers = _headers(response)
        """Names in lower case; the last value where a name came twice."""
        self._response = response
        self._host = host
        self._deadline_s = deadline_s
        self._request = request

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Unavailable (broken, too slow) and StepFailure (too large)."""
        coming = _pieces(self._response, self._request.max_reply_bytes, self._host)
        with _in_our_words(self._host, self._request.timeout_s):
            while True:
                async with asyncio.timeout_at(self._deadline_s):
                    piece = await anext(coming, None)
                if piece is None:
                    return
                yield piece

    async def read(self, limit_bytes: int) -> bytes:
        """The first bytes of the body; raises as `pieces` does."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) >= limit_bytes:
                break
        return bytes(body[:limit_bytes])

    async def close(self) -> None:
        """Let go of it; what has not come by now closes the connection. Safe to call twice."""
        await self._response.aclose()


async def _pieces(response: httpx.Response, limit: int, host: str) -> AsyncIterator[bytes]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise StepFailure(
            "http.encoded_reply", f"{host} sent a compressed reply, which was not asked for", retryable=False
        )
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit:
            raise StepFailure(
                "http.reply_too_large", f"{host} sent more than the {limit:,} bytes that are accepted", retryable=False
            )
        yield chunk


def _headers(response: httpx.Response) -> dict[str, str]:
    return dict(response.headers.multi_items())


@contextmanager
def _in_our_words(host: str, timeout_s: float) -> Iterator[None]:
    """Whatever the library says of a connection that fails, as one of our errors."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException):
        message = f"{host} gave no complete answer within {timeout_s:g} s"
        raise Unavailable("http.timeout", message) from None
    except httpx.ConnectError:
        raise Unavailable("http.unreachable", f"no connection to {host}: it refuses, or is not there") from None
    except httpx.LocalProtocolError:
        raise Invalid("http.bad_request", f"the request for {host} has a header that HTTP does not allow") from None
    except httpx.TransportError as error:
        message = f"the connection to {host} broke off ({type(error).__name__})"
        raise Unavailable("http.broken", message) from None


def _checked(cleared: Cleared[HttpRequest]) -> tuple[HttpRequest, httpx.URL]:
    request = cleared.payload
    url = _parse(request.url)
    check_place(cleared.destination, _host_and_port(url))
    _check_shape(request)
    return request, url


def _check_shape(request: HttpRequest) -> None:
    if not _METHOD.fullmatch(request.method):
        raise Invalid("http.bad_method", f"{request.method[:20]!r} is not an HTTP method")
    taken = [name for name in request.headers if name.lower() in _OWN_HEADERS]
    if taken:
        raise Invalid("http.own_header", f"the header {taken[0]!r} is set by the door; leave it out")


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, UnicodeError):
        raise Invalid("http.bad_url", "the URL can't be read; write http://host:port/path") from None
    if parsed.scheme not in _DEFAULT_PORTS or not parsed.raw_host or not 1 <= _port(parsed) <= 65_535:
        raise Invalid("http.bad_url", "the URL must begin with http:// or https:// and name a host")
    if parsed.userinfo:
        raise Invalid("http.credentials_in_url", f"the URL for {parsed.host} holds a name or password; use a header")
    return parsed


def _host_and_port(url: httpx.URL) -> str:
    return place_of(url.raw_host.decode(), _port(url))


def _port(url: httpx.URL) -> int:
    return _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
