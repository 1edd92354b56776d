"""A client of an appliance that serves on this machine, for whoever must not wait for an answer: the screens.

Over the UNIX socket it needs no key; over TCP it sends one, and only to a loopback address: what goes further is
egress, which is the guard's to decide on. A server elsewhere is reached through a tunnel that ends here.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from redaction.doors.local import Reply, error_of, is_loopback
from runtime.domain.canonical import Json
from runtime.errors import AgentFlowError, Invalid, Refused, Unavailable

CONNECT_S = 5.0
ANSWER_S = 60.0
SILENCE_S = 45.0
"""A stream says something every 15 s; one that is silent for three times as long is dead."""

ServedEvent = tuple[int, str, bytes]
"""Number, type and data of an event; a comment is (-1, "", its text)."""


class ServedDoor:
    """A connection to one server; opened when it is first used."""

    def __init__(self, *, socket: Path | None = None, url: str = "", key: str = "") -> None:
        """Give the socket, or the address with an API key, as a file of one line holds it.

        Raises Invalid for what is no address, Refused for one beyond this machine and for what cannot be a key.
        """
        self.name = str(socket) if socket else url
        """How to call the server in a message."""
        key = key.strip()
        if socket is None:
            _require_loopback(url)
        if not (key.isascii() and key.isprintable()):  # what no header takes; httpx would repeat it in its error
            raise _unknown_key()
        transport = httpx.AsyncHTTPTransport(uds=None if socket is None else str(socket))
        self._client = httpx.AsyncClient(
            transport=transport,
            base_url="http://localhost" if socket else url,
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=False,
        )

    async def call(self, method: str, target: str, body: Json = None) -> bytes:
        """Send one request; the body of its answer. Raises what its problem document stands for, and Unavailable."""
        async with self._answers():
            answer = (
                await self._client.request(method, target, json=body)
                if body is not None
                else (await self._client.request(method, target))
            )
        _require_success(answer)
        return answer.content

    async def events(self, target: str, after: int | None = None) -> AsyncIterator[ServedEvent]:
        """The events of a stream behind number `after`, until the server ends it. Raises as `call` does."""
        headers: Mapping[str, str] = {} if after is None else {"last-event-id": str(after)}
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        async with self._answers(), self._client.stream("GET", target, headers=headers, timeout=timeout) as answer:
            if answer.status_code >= 400:
                await answer.aread()
            _require_success(answer)
            rest = b""
            async for piece in answer.aiter_raw():
                *blocks, rest = (rest + piece).split(b"\n\n")
                for block in blocks:
                    yield _event(block)

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answers(self) -> AsyncIterator[None]:
        try:
            yield
        except httpx.ConnectError:
            raise Unavailable("server.not_running", f"nobody serves {self.name}; start it with: af serve") from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            why = str(error) or type(error).__name__
            raise Unavailable("server.connection_lost", f"the connection to {self.name} broke: {why}") from None


def _event(block: bytes) -> ServedEvent:
    fields: dict[bytes, bytes] = {}
    comment = b""
    for line in block.split(b"\n"):
        name, _, value = line.partition(b": ")
        if name:
            fields[name] = value
        elif line.startswith(b":"):
            comment = value
    if b"data" not in fields:
        return -1, "", comment
    return int(fields[b"id"]), fields[b"event"].decode(), fields[b"data"]


def _require_success(answer: httpx.Response) -> None:
    if answer.status_code >= 400:
        raise _said(answer)


def _said(answer: httpx.Response) -> AgentFlowError:
    if answer.status_code == 401:
        return _unknown_key()
    return error_of(Reply(answer.status_code, {}, answer.content))


def _unknown_key() -> Refused:
    return Refused(
        "auth.key_required",
        "the server does not know this API key; its first start wrote one to auth/first.key in its data "
        "folder; af tui takes it by --key-file, agentflow.Client as key",
    )


def _require_loopback(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(
            "server.bad_address", f"{url!r} is no address of a server; give one such as http://127.0.0.1:8700"
        )
    if not is_loopback(parts.hostname):
        raise Refused(
            "server.not_here",
            f"{parts.hostname!r} is not this machine; make a tunnel that ends here, such as "
            f"ssh -L 8700:127.0.0.1:8700 {parts.hostname}, and give http://127.0.0.1:8700",
        )
