"""Sockets that stay on this machine: the appliance's listeners, its UNIX socket from the client's side, and the
service manager's.

Nothing here can reach another machine on its own, so nothing here asks the guard: a listener only accepts, and a
UNIX socket has no address beyond this file system. The rules for what a listener may serve are `appliance/server.py`'s.
"""

import errno
import http.client
import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from runtime.domain.canonical import Json
from runtime.errors import (
    AgentFlowError,
    Conflict,
    Corrupt,
    Invalid,
    NotFound,
    Refused,
    StoreFull,
    Unavailable,
    Unusable,
)

BACKLOG = 1024
LONGEST_SOCKET_PATH = 107
"""Bytes that the kernel keeps of a UNIX socket's path."""

_BY_STATUS: dict[int, type[AgentFlowError]] = {
    400: Invalid,
    403: Refused,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    503: Unavailable,
    507: StoreFull,
}


class Reply(msgspec.Struct, frozen=True):
    """A success."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class ServerEvent(msgspec.Struct, frozen=True):
    """One event of a stream."""

    id: int
    type: str
    data: bytes


class BoundSocket:
    """A socket that listens; nobody has accepted from it yet."""

    def __init__(self, listener: socket.socket, path: Path | None = None) -> None:
        self._listener = listener
        self._path = path
        self.is_unix = listener.family == socket.AF_UNIX
        name = ("", 0) if self.is_unix else listener.getsockname()
        self.host: str = name[0]
        self.port: int = name[1]

    def fileno(self) -> int:
        """The file descriptor."""
        return self._listener.fileno()

    def close(self) -> None:
        """Refuse new connections; the file of a UNIX socket goes with it. Safe to call twice."""
        self._listener.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class LocalDoor:
    """A client of the appliance that serves `path`. Needs no key: who may open the file may do everything."""

    def __init__(self, path: Path, *, timeout_s: float = 60.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def call(self, method: str, target: str, body: Json = None, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request and read its answer; None sends no body.

        Raises Unavailable when nobody serves the socket, and otherwise the error that the answer's problem
        document stands for.
        """
        with self._request(method, target, body, headers or {}) as answer:
            content = answer.read()
            reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)
        if reply.status >= 400:
            raise error_of(reply)
        return reply

    def events(self, target: str, *, after: int = 0) -> Iterator[ServerEvent]:
        """The events of a stream behind number `after`, until the server ends it.

        Raises as `call` does; Unavailable also when the stream is silent for longer than the door's time-out.
        """
        headers = {"last-event-id": str(after)} if after else {}
        with self._request("GET", target, None, headers) as answer:
            if answer.status >= 400:
                raise error_of(Reply(answer.status, {}, answer.read()))
            fields: dict[bytes, bytes] = {}
            for line in answer:
                name, _, value = line.rstrip(b"\r\n").partition(b": ")
                if name:
                    fields[name] = value
                elif b"data" in fields:
                    yield ServerEvent(int(fields[b"id"]), fields[b"event"].decode(), fields[b"data"])
                    fields = {}

    @contextmanager
    def _request(
        self, method: str, target: str, body: Json, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self._path, self._timeout_s)
        content = None if body is None else msgspec.json.encode(body)
        sent = {"content-type": "application/json", **headers} if content is not None else dict(headers)
        try:
            with suppress(BrokenPipeError):  # refused before all of it was sent: the answer says why
                connection.request(method, target, content, sent)
            yield connection.getresponse()
        except (FileNotFoundError, ConnectionRefusedError):
            raise Unavailable(
                "server.not_running", f"nobody serves {self._path}; start the appliance with: af serve"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                "server.connection_lost", f"the connection over {self._path} broke: {error or type(error).__name__}"
            ) from None
        finally:
            connection.close()


def listen_tcp(host: str, port: int) -> BoundSocket:
    """A listening socket on an address or `localhost`; port 0 takes a free one. Asks no name server.

    Raises Invalid for any other name, Unusable when the port is taken or forbidden.
    """
    address = _address(host)
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unusable(*_listen_problem(error, host, port)) from None
    listener.setblocking(False)
    return BoundSocket(listener)


def listen_unix(path: Path) -> BoundSocket:
    """A listening UNIX socket that only this user may open (mode 0600), in a folder only they may enter.

    Takes the place of a socket that was left behind: call it only while holding the data folder's lock.
    Raises Unusable when the path cannot be used, or holds something that is no socket.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_socket():
            path.unlink()
        # nobody can connect before listen(), and by then the mode is set
        with _short(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "something that is no socket is there" if error.errno == errno.EADDRINUSE else error.strerror
        raise Unusable("server.socket_failed", f"cannot listen on {path}: {reason}") from None
    listener.setblocking(False)
    return BoundSocket(listener, path)


def tell_service_manager(message: str) -> None:
    """Send `READY=1` and the like to whatever started us, when it wants to hear of it; never fails, never waits."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        # a manager that does not read must not hold the event loop; what its queue cannot take is lost
        notifier.setblocking(False)
        notifier.connect("\0" + address[1:] if address.startswith("@") else address)
        notifier.send(message.encode())


def is_loopback(host: str) -> bool:
    """Whether nothing beyond this machine reaches a listener on `host`. Raises Invalid as `listen_tcp` does."""
    return _address(host).is_loopback


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the UNIX socket in place of a TCP connection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with _short(self._path) as address:
            self.sock.connect(address)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """An address for a socket's path, also for one that is too long for the kernel."""
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address("127.0.0.1" if host.lower() == "localhost" else host)
    except ValueError:
        raise Invalid(
            "server.bad_address", f"cannot listen on {host!r}; give an address of this machine, such as 127.0.0.1"
        ) from None


def _listen_problem(error: OSError, host: str, port: int) -> tuple[str, str]:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                "server.port_in_use",
                f"port {port} of {host} is taken by another program; stop it, or choose another port with --listen",
            )
        case errno.EACCES:
            return "server.port_forbidden", f"port {port} needs more rights than this user has; choose one from 1024 on"
        case _:
            return "server.listen_failed", f"cannot listen on {host} port {port}: {error.strerror or error}"


def error_of(reply: Reply) -> AgentFlowError:
    """The error that a problem document stands for."""
    try:
        problem = msgspec.json.decode(reply.body, type=dict[str, Json])
        code = str(problem["type"]).rpartition(":")[2]
        message = "\n".join([str(problem["detail"]), *_findings(problem.get("errors"))])
    except (msgspec.MsgspecError, KeyError):
        return Corrupt("server.bad_answer", f"the server answered {reply.status} without saying why")
    return _BY_STATUS.get(reply.status, AgentFlowError)(code, message)


def _findings(errors: Json) -> list[str]:
    if not isinstance(errors, list):
        return []
    return [
        f"  {error.get('pointer', '')} {error.get('detail', '')}".rstrip()
        for error in errors
        if isinstance(error, dict)
    ]
