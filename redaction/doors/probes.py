"""The program behind `af doctor --egress`: enters the air gap as the appliance does, then tries to get out.

It reads first. Only where the kernel says that there is no way out does it send anything: otherwise the probe itself
would leave the machine. Where there is no network of its own it only makes sockets, and never connects one.
"""

import asyncio
import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import msgspec
import uvloop

from redaction.airgap import facts, hook, namespace, unix_doors
from redaction.airgap.facts import Facts
from redaction.airgap.layers import AirGap, Layer
from redaction.airgap.proof import Check, Probe, Proof
from redaction.airgap.seal import seal
from redaction.doors import attempts, relay
from redaction.doors.attempts import Plan, Tried
from runtime.errors import Refused
from runtime.sandbox import kernel, landlock
from runtime.tools import user_code

OUTSIDE: Final = ("192.0.2.1", "198.51.100.1", "2001:db8::1")
"""Addresses for documentation (RFC 5737, RFC 3849): nobody is there, so nobody is bothered should one get out."""
NAME: Final = "x.invalid"
"""A name that can never exist (RFC 6761)."""
TCP_PORT, UDP_PORT = 443, 53
SMTP_PORT, POSTGRES_PORT = 25, 5432
_AF_VSOCK, _AF_PACKET, _AF_ALG, _AF_NETLINK = 40, 17, 38, 16
_IO_URING_SETUP, _SETNS = 425, {"x86_64": 308, "aarch64": 268}
_NO_SUCH_FAMILY: Final = "EAFNOSUPPORT"
"""A kernel without IPv6 has no socket to send anything with."""
_WAIT_S = 30.0

Reach: TypeAlias = Callable[..., Awaitable[None]]
"""Of a door's client: host, port, and how long it may take."""


class Ask(msgspec.Struct, frozen=True):
    """What the program is asked for, as JSON on standard input."""

    ports: tuple[int, ...] = ()
    kept: tuple[str, ...] = ()


def main() -> None:
    """Read an `Ask`, prove, and write a `Proof` as JSON to standard output."""
    ask = msgspec.json.decode(sys.stdin.buffer.read(), type=Ask)
    sys.stdout.buffer.write(msgspec.json.encode(prove(ask)))


def prove(ask: Ask) -> Proof:
    """Enter the air gap, look, and try. Ends this process's way to any network."""
    stand_in = _ingress_stand_in()
    foreign = _listening()
    before = facts.facts_of()
    port = _free_port()
    walls = seal(ports=(*ask.ports, port), kept=map(Path, ask.kept), known=[foreign.fileno()], is_watched=False)
    is_own = facts.facts_of().network != before.network
    checks = _checks(before, walls, foreign.fileno() if is_own else None)
    has_no_way_out = facts.facts_of().is_isolated
    probes = [*_created(), *(_sent() if has_no_way_out else [])]
    untried = [] if has_no_way_out else ["connections and datagrams: there is no network of its own"]
    if walls.has("landlock") and has_no_way_out:
        probes.append(_recycled("listener from outside", foreign))
    else:
        untried.append("a listener from outside: without Landlock it would connect")
    control = _control(port) if has_no_way_out else "not tried"
    hook.watch(None)
    checks.append(_hooked())
    layers = (*walls.layers, stand_in.layer, Layer("audit_hook", "holds", "refuses with a reason"))
    return Proof(layers, tuple(checks), (*probes, *stand_in.probes), control, untried=(*untried, *stand_in.untried))


# --- what is read ---


def _checks(before: Facts, walls: AirGap, foreign: int | None) -> list[Check]:
    now = facts.facts_of()
    first = _network_of_first()
    told_apart = now.network not in (before.network, first) or before.is_isolated
    doors = unix_doors.open_doors(os.environ)
    kept = now.capabilities & ~namespace.KEPT_CAPABILITIES
    version = landlock.version()
    return [
        Check("interfaces", now.is_isolated or set(now.interfaces) <= {"lo"}, ", ".join(now.interfaces) or "none"),
        Check("routes", not now.routes, ", ".join(now.routes) or "none beyond loopback"),
        Check("namespace", told_apart, f"{now.network or 'unreadable'}, outside {before.network or 'unreadable'}"),
        Check("seccomp", now.seccomp_mode == 2, f"mode {now.seccomp_mode}"),
        Check("privileges", now.has_no_new_privileges and not kept, "none to gain" if not kept else f"{kept:#x}"),
        Check("Landlock", version >= landlock.TCP_VERSION and walls.has("landlock"), f"version {version}"),
        _foreign_check(foreign),
        Check("UNIX sockets", not doors, ", ".join(map(str, doors)) or "none leads out", is_opening=True),
    ]


def _foreign_check(known: int | None) -> Check:
    try:
        found = set(facts.foreign_sockets()) - {known}
    except OSError as error:
        return Check("open sockets", None, error.strerror or str(error))
    return Check("open sockets", not found, f"{len(found)} of another network", is_opening=True)


def _network_of_first() -> str:
    try:
        return os.readlink("/proc/1/ns/net")
    except OSError:  # a plain user may not look at it
        return ""


def _hooked() -> Check:
    """Whether Python code is told why, and nothing is sent when it tries."""
    try:
        attempts.tcp(OUTSIDE[0], TCP_PORT)
    except Refused as refused:
        return Check("audit hook", refused.code == "egress.air_gapped", refused.code)
    except OSError as error:
        return Check("audit hook", False, f"{error.strerror}, without a reason")
    return Check("audit hook", False, "let a connection through", is_opening=True)


# --- what is tried, sending nothing even where there is no wall ---


def _created() -> list[Probe]:
    kinds = [
        ("AF_PACKET socket", lambda: attempts.create(_AF_PACKET, socket.SOCK_RAW)),
        ("AF_VSOCK socket", lambda: attempts.create(_AF_VSOCK, socket.SOCK_STREAM)),
        ("AF_ALG socket", lambda: attempts.create(_AF_ALG, socket.SOCK_SEQPACKET)),
        ("AF_NETLINK socket", lambda: attempts.create(_AF_NETLINK, socket.SOCK_RAW)),
        ("raw IP socket", lambda: attempts.create(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
        ("io_uring", _io_uring),
        ("setns", _into_first_network),
    ]
    found = [_probe(attempts.attempt("ctypes" if what in ("io_uring", "setns") else "python", what, "", call))
             for what, call in kinds]  # fmt: skip
    if not facts.facts_of().is_isolated:
        plan: Plan = [("socket", host, 0) for host in OUTSIDE[1:]]
        found += [_probe(each) for each in attempts.all_of("python", plan)]
        found += _from_child(plan)
    return found


def _io_uring() -> None:
    parameters = ctypes.create_string_buffer(120)  # struct io_uring_params
    os.close(kernel.syscall(_IO_URING_SETUP, 1, parameters))


def _into_first_network() -> None:
    """The namespace of process 1, or where that may not be opened, our own: the call itself must be refused."""
    try:
        descriptor = os.open("/proc/1/ns/net", os.O_RDONLY)
    except OSError:
        descriptor = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        kernel.syscall(_SETNS[kernel.MACHINE], descriptor, kernel.CLONE_NEWNET)
    finally:
        os.close(descriptor)


# --- what is tried where nothing can leave ---


def _sent() -> list[Probe]:
    plan: Plan = [("tcp", host, TCP_PORT) for host in OUTSIDE]
    plan += [("udp", host, UDP_PORT) for host in (*OUTSIDE, *_name_servers())]
    plan += [("dns", NAME, 0)]
    return [
        *(_probe(each) for each in attempts.all_of("python", plan)),
        *_over_loop("asyncio", asyncio.new_event_loop),
        *_over_loop("uvloop", uvloop.new_event_loop),
        *_over_httpx(),
        *_over_aiosmtplib(),
        *_over_asyncpg(),
        *_over_ctypes(),
        *_from_child(plan),
        *_from_tool(plan),
    ]


def _over_loop(way: str, make: Callable[[], asyncio.AbstractEventLoop]) -> list[Probe]:
    """TCP and a look-up as an event loop does them; uvloop does both in C, unseen by Python."""
    with asyncio.Runner(loop_factory=make) as runner:
        loop, within = runner.get_loop(), partial(_within, runner)
        found = [
            attempts.attempt(
                way, "tcp", attempts.target_of("tcp", host, TCP_PORT),
                within(partial(loop.create_connection, asyncio.Protocol, host, TCP_PORT)),
            )
            for host in OUTSIDE
        ]  # fmt: skip
        found.append(attempts.attempt(way, "dns", NAME, within(lambda: loop.getaddrinfo(NAME, TCP_PORT))))
        runner.run(loop.shutdown_default_executor())
    return [_probe(each) for each in found]


def _within(runner: asyncio.Runner, work: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    """Work on a loop that ends with the time of a try."""

    async def limited() -> None:
        async with asyncio.timeout(attempts.LIMIT_S):
            await work()

    return lambda: runner.run(limited())


def _over_aiosmtplib() -> list[Probe]:
    """As the door for mail, with its client, on the loop that serves."""
    from redaction.doors import mail  # heavy, as is the other, and not needed where nothing is sent

    return _over_client("aiosmtplib", "mail", SMTP_PORT, mail.reach)


def _over_asyncpg() -> list[Probe]:
    """As the door to PostgreSQL."""
    from redaction.doors import sql

    return _over_client("asyncpg", "sql", POSTGRES_PORT, sql.reach)


def _over_client(way: str, what: str, port: int, reach: Reach) -> list[Probe]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return [
            _probe(
                attempts.attempt(
                    way,
                    what,
                    attempts.target_of(what, host, port),
                    _within(runner, partial(reach, host, port, timeout_s=attempts.LIMIT_S * 2)),
                )
            )
            for host in OUTSIDE
        ]


def _over_httpx() -> list[Probe]:
    with httpx.Client(trust_env=False, verify=False, timeout=attempts.LIMIT_S) as client:
        urls = [f"http://[{host}]/" if ":" in host else f"http://{host}/" for host in OUTSIDE]
        return [_probe(attempts.attempt("httpx", "tcp", url, partial(client.get, url))) for url in urls]


def _over_ctypes() -> list[Probe]:
    """The C library itself, past everything that Python could see."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(kind: int, host: str, port: int) -> None:
        address = _address(host, port)
        descriptor = _checked(libc.socket(attempts.family_of(host), kind | socket.SOCK_NONBLOCK, 0))
        try:
            if kind == socket.SOCK_STREAM:
                _checked(libc.connect(descriptor, address, len(address)))
            else:
                _checked(libc.sendto(descriptor, b"x", 1, 0, address, len(address)))
        finally:
            os.close(descriptor)

    calls = [("tcp", socket.SOCK_STREAM, TCP_PORT), ("udp", socket.SOCK_DGRAM, UDP_PORT)]
    return [
        _probe(attempts.attempt("ctypes", what, attempts.target_of(what, host, port), partial(call, kind, host, port)))
        for what, kind, port in calls
        for host in OUTSIDE
    ]


def _from_child(plan: Plan) -> list[Probe]:
    """A program that is started inherits every wall."""
    command = [sys.executable, "-I", "-S", str(Path(attempts.__file__)), json.dumps(plan)]
    ran = subprocess.run(command, capture_output=True, timeout=_WAIT_S, check=False)
    if ran.returncode != 0:
        return [Probe("child process", "start", "", f"ended with {ran.returncode}", 0.0)]
    return [_probe(each) for each in json.loads(ran.stdout)]


def _from_tool(plan: Plan) -> list[Probe]:
    """A project's code, started and asked exactly as a custom agent's."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tool.py")
        file.write_bytes(Path(attempts.__file__).read_bytes())
        context = {"run_id": "", "step": "", "attempt": 1, "idempotency_key": ""}
        lines = [
            {"folder": folder, "file": file.name, "confinement": ""},  # what is tried is the wall around it
            {"function": "go", "input": plan, "context": context},
        ]
        ran = subprocess.run(
            [sys.executable, "-I", "-S", str(Path(user_code.__file__))],
            input="".join(json.dumps(line) + "\n" for line in lines),
            capture_output=True, text=True, timeout=_WAIT_S, check=False,
        )  # fmt: skip
    answers = ran.stdout.splitlines()
    if len(answers) != 2:
        return [Probe("tool", "start", "", f"ended with {ran.returncode}", 0.0)]
    return [_probe(each) for each in json.loads(answers[1])["result"]]


def _recycled(what: str, listener: socket.socket) -> Probe:
    """A listener that was opened outside still belongs to that network: undo its listening, and connect with it."""

    def call() -> None:
        listener.setblocking(False)
        libc = ctypes.CDLL(None, use_errno=True)
        _checked(libc.connect(listener.fileno(), struct.pack("=H14x", socket.AF_UNSPEC), 16))
        address = _address(OUTSIDE[0], TCP_PORT)
        _checked(libc.connect(listener.fileno(), address, len(address)))

    return _probe(attempts.attempt("ctypes", what, f"{OUTSIDE[0]}:{TCP_PORT}", call))


def _control(port: int) -> str:
    """Whether what must work does: without this, everything could be refused because everything is broken."""
    try:
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(attempts.LIMIT_S * 20)
            with socket.create_connection(("127.0.0.1", port), timeout=attempts.LIMIT_S * 20):
                server.accept()[0].close()
    except OSError as error:
        return f"loopback does not work inside: {error.strerror or error}"
    return ""


# --- the ingress, which stays outside ---


class _StandIn(msgspec.Struct, frozen=True):
    layer: Layer
    probes: tuple[Probe, ...] = ()
    untried: tuple[str, ...] = ()


def _ingress_stand_in() -> _StandIn:
    """A child that confines itself as the ingress does and then tries what a taken-over one would."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, msgspec.json.encode(_try_as_ingress()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        answer = told.read()
    os.waitpid(child, 0)
    if not answer:
        return _StandIn(Layer("ingress", "missing", "could not be tried"))
    return msgspec.json.decode(answer, type=_StandIn)


def _try_as_ingress() -> _StandIn:
    listener = _listening()
    told = relay.confine()
    lacking = [f"{layer}: {why}" for layer, why in told.items() if why]
    probes = [
        attempts.attempt("ingress", f"{name} socket", "", partial(attempts.create, family))
        for name, family in (("IPv4", socket.AF_INET), ("IPv6", socket.AF_INET6), ("AF_VSOCK", _AF_VSOCK))
    ]
    if not told["seccomp"]:
        probes.append(attempts.attempt("ingress", "new process", "", lambda: os._exit(0) if os.fork() == 0 else None))
        probes.append(attempts.attempt("ingress", "new program", "", lambda: os.execv("/bin/true", ["true"])))
    found = [_probe(each) for each in probes]
    untried = []
    if told["landlock"]:
        untried.append("the ingress's listener: without Landlock it would connect")
    else:  # the network outside is this one's own, so only Landlock keeps it from being reached
        found.append(msgspec.structs.replace(_recycled("its own listener", listener), way="ingress"))
    state = "partial" if lacking else "holds"
    detail = "; ".join(lacking) or "outside, relays to a UNIX socket only"
    return _StandIn(Layer("ingress", state, detail), tuple(found), tuple(untried))  # type: ignore[arg-type]  # a literal


# --- small parts ---


def _probe(tried: Tried) -> Probe:
    accepts = _resolver_refusals() if tried["what"] == "dns" else (_NO_SUCH_FAMILY,)
    return msgspec.convert({**tried, "accepts": accepts}, Probe)


def _resolver_refusals() -> tuple[str, ...]:
    """EAI_AGAIN: no name server was reached. EAI_NONAME is an answer, unless the system asks no name server at all."""
    try:
        lines = Path("/etc/nsswitch.conf").read_text(errors="replace").splitlines()
    except OSError:
        return ("EAI_AGAIN",)
    sources = next((line.split()[1:] for line in lines if line.startswith("hosts:")), ["dns"])
    return ("EAI_AGAIN",) if {"dns", "resolve"} & set(sources) else ("EAI_AGAIN", "EAI_NONAME")


def _name_servers() -> Sequence[str]:
    """The first name server of the system, when it is beyond this machine."""
    try:
        lines = Path("/etc/resolv.conf").read_text(errors="replace").splitlines()
    except OSError:
        return ()
    found = [
        line.split()[1].partition("%")[0] for line in lines if line.startswith("nameserver") and len(line.split()) > 1
    ]
    return [host for host in found if not host.startswith(("127.", "::1"))][:1]


def _listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _address(host: str, port: int) -> bytes:
    """A struct sockaddr_in or sockaddr_in6."""
    family = struct.pack("=H", attempts.family_of(host))
    if ":" in host:
        return family + struct.pack("!HI", port, 0) + socket.inet_pton(socket.AF_INET6, host) + bytes(4)
    return family + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        if number == errno.EINPROGRESS:
            raise TimeoutError("a connection is being made")
        raise OSError(number, os.strerror(number))
    return result
