"""What every Egress promises, against a real server on loopback that behaves as badly as it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from redaction.doors.http import HttpDoor, destination_of
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.egress import Cleared, Destination, Outbound
from runtime.domain.http import HttpReply, HttpRequest
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from runtime.ports import Egress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GUARD = Guard(EgressPolicy(site_hosts=("intranet.example", "other.example")))


@pytest.fixture
async def door() -> AsyncIterator[Egress]:
    door = HttpDoor()
    yield door
    await door.stop()
    await door.stop()  # safe to call twice


async def cleared(request: HttpRequest, host: str = "") -> Cleared[HttpRequest]:
    destination = Destination("http", "site", host or destination_of(request.url))
    return await GUARD.clear(Outbound(destination=destination, payload=request))


async def get(door: Egress, url: str, *, method: str = "GET", body: bytes = b"", timeout_s: float = 10.0) -> HttpReply:
    return await door.send(await cleared(HttpRequest(method=method, url=url, body=body, timeout_s=timeout_s)))


class Server:
    """Plays one raw answer to every request, or whatever `serve` does, and remembers what came in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []
        self.connections = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(*answers: bytes, serve: Serve | None = None) -> AsyncIterator[Server]:
    """A server that gives `answers` in turn, the last one for ever, or does to each connection what `serve` does."""
    server = Server(0)
    talks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            server.requests.append(head + await reader.readexactly(length))
            writer.write(answers[min(len(server.requests), len(answers)) - 1])

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await (serve or play)(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        talks.add(asyncio.create_task(talk(reader, writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)
    await listening.wait_closed()


def answer(status: int = 200, body: bytes = b"hello", **headers: str) -> bytes:
    own = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *own, "", ""])
    return head.encode() + body


async def refused(attempt: Awaitable[object], kind: type[AgentFlowError], code: str) -> AgentFlowError:
    with pytest.raises(kind) as raised:
        await attempt
    assert raised.value.code == code
    return raised.value


async def test_a_request_arrives_and_its_reply_comes_back(door: Egress) -> None:
    async with serving(answer(201, b"made", Kind="first")) as server:
        request = HttpRequest(method="POST", url=server.url("/a?b=c"), headers={"x-key": "1"}, body=b"payload")
        reply = await door.send(await cleared(request))
    assert (201, b"made", "first") == (reply.status, reply.body, reply.headers["kind"])
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}".encode() in head.lower()
    assert b"x-key: 1" in head.lower()
    assert body == b"payload"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_every_status_is_a_reply(door: Egress, status: int) -> None:
    """What a status means is the caller's to say."""
    async with serving(answer(status)) as server:
        assert (await get(door, server.url())).status == status


async def test_connections_are_kept(door: Egress) -> None:
    async with serving(answer()) as server:
        for _ in range(3):
            await get(door, server.url())
    assert server.connections == 1


async def test_a_cookie_of_one_reply_is_in_no_other_request(door: Egress) -> None:
    """A door serves every tenant."""
    async with serving(answer(Set_Cookie="session=of-tenant-a; Path=/")) as server:
        for _ in range(2):
            await get(door, server.url())
    assert b"of-tenant-a" not in server.requests[1]


async def test_leave_for_one_host_is_not_leave_for_another(door: Egress) -> None:
    """The guard judged the host that it was shown."""
    async with serving(answer()) as server:
        request = HttpRequest(method="GET", url=server.url())
        await refused(door.send(await cleared(request, "intranet.example:443")), Refused, "egress.other_destination")
    assert server.requests == []


async def test_nobody_there_is_unavailable(door: Egress) -> None:
    async with serving(answer()) as server:
        url = server.url()
    error = await refused(get(door, url), Unavailable, "http.unreachable")
    assert error.retryable


async def test_silence_is_unavailable_in_time(door: Egress) -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(serve=silent) as server:
        error = await refused(get(door, server.url(), timeout_s=0.2), Unavailable, "http.timeout")
    assert error.retryable


async def test_a_trickle_does_not_outlast_the_timeout(door: Egress) -> None:
    """A server that sends a byte now and then never trips a read timeout; the whole exchange is bounded."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        hung_up = asyncio.create_task(reader.read())
        while not hung_up.done():
            writer.write(b".")
            await asyncio.wait({hung_up}, timeout=0.01)

    async with serving(serve=trickle) as server:
        await refused(get(door, server.url(), timeout_s=0.3), Unavailable, "http.timeout")


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"SSH-2.0-OpenSSH\r\n\r\n"]
)
async def test_a_broken_reply_is_unavailable(door: Egress, said: bytes) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with serving(serve=broken) as server:
        error = await refused(get(door, server.url()), Unavailable, "http.broken")
    assert error.retryable


async def test_a_reply_is_read_up_to_its_limit(door: Egress) -> None:
    async with serving(answer(body=b"x" * 1000)) as server:
        exact = HttpRequest(method="GET", url=server.url(), max_reply_bytes=1000)
        assert len((await door.send(await cleared(exact))).body) == 1000
        tight = HttpRequest(method="GET", url=server.url(), max_reply_bytes=999)
        error = await refused(door.send(await cleared(tight)), StepFailure, "http.reply_too_large")
    assert not error.retryable


async def test_an_endless_reply_is_cut_off(door: Egress) -> None:
    """Chunked, so that no header announces its size."""

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    async with serving(serve=endless) as server:
        await refused(get(door, server.url()), StepFailure, "http.reply_too_large")


async def test_compression_is_not_unpacked(door: Egress) -> None:
    """Forty kilobytes of gzip can be a gigabyte of zeros."""
    async with serving(answer(Content_Encoding="gzip")) as server:
        await refused(get(door, server.url()), StepFailure, "http.encoded_reply")
    assert b"accept-encoding: identity" in server.requests[0].lower()


async def test_a_redirect_within_the_host_is_followed(door: Egress) -> None:
    async with serving(answer(302, Location="/there"), answer(body=b"arrived")) as server:
        reply = await get(door, server.url("/here"), method="POST", body=b"x")
    assert reply.body == b"arrived"
    assert server.requests[1].startswith(b"GET /there ")


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_method_does(door: Egress, status: int) -> None:
    async with serving(answer(status, Location="/there"), answer()) as server:
        await get(door, server.url("/here"), method="POST", body=b"x")
    assert server.requests[1].startswith(b"POST /there ")
    assert server.requests[1].endswith(b"x")


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/", "http://127.0.0.1:1/", "https://127.0.0.1:{port}/", "//other.example/"]
)
async def test_a_redirect_to_elsewhere_is_refused(door: Egress, target: str) -> None:
    """The guard has not seen that host; a header with a key in it would go there."""

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        port = writer.get_extra_info("sockname")[1]
        writer.write(answer(302, Location=target.format(port=port)))

    async with serving(serve=elsewhere) as server:
        await refused(get(door, server.url()), Refused, "http.redirect_refused")


async def test_a_redirect_to_another_scheme_is_invalid(door: Egress) -> None:
    async with serving(answer(302, Location="file:///etc/passwd")) as server:
        await refused(get(door, server.url()), Invalid, "http.bad_url")


async def test_redirects_in_a_circle_end(door: Egress) -> None:
    async with serving(answer(302, Location="/again")) as server:
        await refused(get(door, server.url()), Unavailable, "http.redirect_loop")
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://127.0.0.1/", "http.bad_url"),
        ("file:///etc/passwd", "http.bad_url"),
        ("127.0.0.1/", "http.bad_url"),
        ("http://", "http.bad_url"),
        ("http://[::1", "http.bad_url"),
        ("http://127.0.0.1:99999/", "http.bad_url"),
        ("http://127.0.0.1:0/", "http.bad_url"),
        ("http://user:secret@127.0.0.1/", "http.credentials_in_url"),
    ],
)
def test_what_is_no_url_to_send_to_is_invalid(url: str, code: str) -> None:
    with pytest.raises(Invalid) as invalid:
        destination_of(url)
    assert invalid.value.code == code
    assert "secret" not in str(invalid.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://Intranet.Example/x", "intranet.example:80"),
        ("https://intranet.example", "intranet.example:443"),
        ("http://127.0.0.1:8080/@evil.example", "127.0.0.1:8080"),
        ("http://evil.example#@127.0.0.1/", "evil.example:80"),
        ("http://[::1]:9/", "[::1]:9"),
        ("http://bücher.example/", "xn--bcher-kva.example:80"),
    ],
)
def test_a_url_has_one_destination(url: str, expected: str) -> None:
    """The guard and the door must read a URL alike; there is one parser."""
    assert destination_of(url) == expected


@pytest.mark.parametrize("header", ["Host", "transfer-encoding", "Content-Length", "ACCEPT-ENCODING"])
async def test_the_doors_own_headers_cannot_be_set(door: Egress, header: str) -> None:
    """With another Host header, a cleared address would serve an uncleared name."""
    async with serving(answer()) as server:
        request = HttpRequest(method="GET", url=server.url(), headers={header: "1"})
        await refused(door.send(await cleared(request)), Invalid, "http.own_header")


@pytest.mark.parametrize(
    ("method", "headers"), [("GET / HTTP/1.1\r\nX: y\r\n\r\nGET", {}), ("get", {}), ("GET", {"x": "a\r\nevil: 1"})]
)
async def test_nothing_is_smuggled_into_the_head(door: Egress, method: str, headers: dict[str, str]) -> None:
    async with serving(answer()) as server:
        request = HttpRequest(method=method, url=server.url(), headers=headers)
        with pytest.raises(Invalid):
            await door.send(await cleared(request))
    assert server.requests == []


async def test_proxies_of_the_environment_are_not_used(door: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would see everything, and would not be the address that was checked."""
    async with serving(answer(body=b"direct")) as server, serving(answer(body=b"proxied")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert (await get(door, server.url())).body == b"direct"


async def test_cancelling_a_call_leaves_the_door_usable(door: Egress) -> None:
    async with serving(answer()) as server:
        calling = asyncio.create_task(get(door, server.url()))
        await asyncio.wait({calling}, timeout=0)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert (await get(door, server.url())).status == 200


def resolving(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A name server that gives `answers` in turn, the last one for ever."""
    left = list(answers)

    async def resolve(_name: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def test_a_name_is_connected_at_the_address_that_was_checked() -> None:
    """One lookup per request, and no second one in the library: a rebinding answer comes too late."""
    async with serving(answer()) as server:
        door = HttpDoor(resolve=resolving(["127.0.0.1"], ["169.254.169.254"]))
        url = server.url(host="intranet.example")
        assert (await get(door, url)).status == 200
        assert f"host: intranet.example:{server.port}".encode() in server.requests[0].lower()
        await refused(get(door, url), Refused, "egress.forbidden_address")
        await door.stop()


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    async with serving(answer()) as server:
        door = HttpDoor(resolve=resolving(["127.0.0.2", "127.0.0.1"]))
        assert (await get(door, server.url(host="intranet.example"))).status == 200
        await door.stop()


async def test_two_names_at_one_address_do_not_share_a_connection() -> None:
    async with serving(answer()) as server:
        door = HttpDoor(resolve=resolving(["127.0.0.1"]))
        for host in ("intranet.example", "other.example"):
            await get(door, server.url(host=host))
        await door.stop()
    assert server.connections == 2


async def test_a_name_without_an_address_is_unavailable() -> None:
    door = HttpDoor(resolve=resolving([]))
    await refused(get(door, "http://intranet.example/"), Unavailable, "http.unresolvable")
