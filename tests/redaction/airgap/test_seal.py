"""Every wall of the air gap on this machine's own kernel: what each stops alone, and what all of them stop together."""

import asyncio
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import uvloop

from redaction.airgap import facts, hook, namespace, unix_doors
from redaction.airgap.seal import seal
from runtime.errors import Unavailable
from runtime.sandbox import kernel, landlock, seccomp
from tests.redaction.airgap.behind import (
    USERS,
    as_user,
    behind,
    error_of,
    needs_landlock,
    needs_namespaces,
    socket_error,
)

CHECKOUT = Path(__file__).resolve().parents[3]
OUTSIDE = ("192.0.2.1", 443)
REFUSED = "Operation not permitted"
DENIED = "Permission denied"
UNREACHABLE = "Network is unreachable"
AF_VSOCK, AF_PACKET, AF_ALG, AF_NETLINK = 40, 17, 38, 16
KEYCTL_CALL = {"x86_64": 249, "aarch64": 218}


def connect(address: tuple[str, int] = OUTSIDE) -> None:
    """Through the C library, without waiting."""
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket() as out:
        out.setblocking(False)
        if libc.connect(out.fileno(), packed(address), 16) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def send(address: tuple[str, int] = OUTSIDE) -> None:
    """One datagram, through the C library."""
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(type=socket.SOCK_DGRAM) as out:
        if libc.sendto(out.fileno(), b"x", 1, 0, packed(address), 16) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def packed(address: tuple[str, int]) -> bytes:
    """A struct sockaddr_in."""
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", address[1]) + socket.inet_aton(address[0]) + bytes(8)


@pytest.mark.parametrize("user", USERS)
def test_an_own_network_has_loopback_and_no_way_out(user: str) -> None:
    """The one wall that UDP, look-ups and every library meet alike; loopback stays for what is started inside."""
    user = as_user(user)
    needs_namespaces(user)

    def work() -> object:
        outside = facts.facts_of().network
        namespace.enter_namespaces()
        found = facts.facts_of()
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
        return [found.is_isolated, found.network != outside, found.interfaces, error_of(connect), error_of(send)]

    assert [True, True, ["lo"], UNREACHABLE, UNREACHABLE] == behind(work, user=user)


@pytest.mark.parametrize("user", USERS)
def test_a_user_stays_who_they_are(user: str) -> None:
    """Files of the data folder must look, and be, as before."""
    user = as_user(user)
    needs_namespaces(user)

    def work() -> object:
        before = (os.getuid(), os.getgid(), os.stat("/proc/self").st_uid)
        namespace.enter_namespaces()
        return before == (os.getuid(), os.getgid(), os.stat("/proc/self").st_uid)

    assert behind(work, user=user) is True


def test_rights_that_lead_out_are_given_up() -> None:
    """Root could go back into the network of process 1 otherwise; files of others stay its own to serve."""
    as_user("root")

    def work() -> object:
        namespace.give_up_rights()
        kept = facts.facts_of()
        programs = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
        inherited = next(line.split()[1] for line in programs.splitlines() if line.startswith("CapEff"))
        with open("/proc/self/ns/net") as network:
            libc = ctypes.CDLL(None, use_errno=True)
            libc.setns(network.fileno(), kernel.CLONE_NEWNET)
        return [kept.capabilities & ~namespace.KEPT_CAPABILITIES, int(inherited, 16) & namespace.CAP_SYS_ADMIN,
                os.strerror(ctypes.get_errno()), kept.has_no_new_privileges]  # fmt: skip

    assert [0, 0, REFUSED, True] == behind(work)


@pytest.mark.parametrize("user", USERS)
def test_landlock_lets_tcp_to_its_ports_and_nowhere_else(user: str) -> None:
    """It is the wall behind sockets that were inherited; UDP passes it, which is why it is not alone."""
    needs_landlock()
    user = as_user(user)

    def work() -> object:
        with socket.create_server(("127.0.0.1", 0)) as open_one, socket.create_server(("127.0.0.1", 0)) as shut_one:
            kernel.forbid_new_privileges()
            landlock.restrict(ports=[open_one.getsockname()[1]])
            return [
                error_of(lambda: socket.create_connection(open_one.getsockname(), 5).close()),
                error_of(lambda: socket.create_connection(shut_one.getsockname(), 5).close()),
                error_of(lambda: socket.create_server(("127.0.0.1", 0)).close()),
                error_of(lambda: send(("127.0.0.1", 9))),
            ]

    assert ["", DENIED, DENIED, ""] == behind(work, user=user)


def test_landlock_keeps_signals_inside() -> None:
    """A process inside must not stop one outside, such as its own ingress."""
    needs_landlock(landlock.SCOPE_VERSION)

    def work() -> object:
        with subprocess.Popen(["sleep", "60"]) as outside:
            kernel.forbid_new_privileges()
            parent_pipe = os.pipe()
            child = os.fork()
            if child == 0:
                landlock.restrict()
                refused = error_of(lambda: os.kill(outside.pid, 9))
                os.write(parent_pipe[1], refused.encode())
                os._exit(0)
            os.waitpid(child, 0)
            outside.kill()
            return os.read(parent_pipe[0], 100).decode()

    assert behind(work) == REFUSED


@pytest.mark.parametrize("user", USERS)
def test_a_listener_from_outside_leads_out_of_a_namespace_and_not_past_landlock(user: str) -> None:
    """The hole that namespaces have: a socket keeps the network in which it was made."""
    needs_landlock()
    user = as_user(user)
    needs_namespaces(user)

    def work() -> object:
        far_end = socket.create_server(("127.0.0.1", 0))
        recycled, refused = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
        address = far_end.getsockname()
        namespace.enter_namespaces()
        foreign = len(facts.foreign_sockets())
        reached = error_of(lambda: recycle(recycled, address))
        kernel.forbid_new_privileges()
        landlock.restrict()
        return [foreign, reached, error_of(lambda: recycle(refused, address))]

    assert [3, "", DENIED] == behind(work, user=user)


def recycle(listener: socket.socket, address: tuple[str, int]) -> None:
    """Undo listening, then connect."""
    libc = ctypes.CDLL(None, use_errno=True)
    for target in (struct.pack("=H14x", socket.AF_UNSPEC), packed(address)):
        if libc.connect(listener.fileno(), target, 16) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@pytest.mark.parametrize("user", USERS)
def test_seccomp_refuses_families_and_ways_around(user: str) -> None:
    """vsock and io_uring are split by no namespace; kernel keys start a program outside that looks names up."""
    user = as_user(user)

    def work() -> object:
        kernel.forbid_new_privileges()
        seccomp.refuse(seccomp.WAYS_AROUND, families=[kernel.AF_UNIX, kernel.AF_INET])
        rings = error_of(lambda: kernel.syscall(425, 1, ctypes.create_string_buffer(120)))
        keys = error_of(lambda: kernel.syscall(KEYCTL_CALL[kernel.MACHINE], 0, 0, 0, 0, 0))
        pair = socket.socketpair()
        return [
            [socket_error(family) for family in (socket.AF_UNIX, socket.AF_INET)],
            [socket_error(family) for family in (socket.AF_INET6, AF_VSOCK, AF_PACKET, AF_ALG, AF_NETLINK)],
            rings,
            keys,
            len(pair),
        ]

    assert [["", ""], [REFUSED] * 5, REFUSED, REFUSED, 2] == behind(work, user=user)


def test_seccomp_is_inherited_by_programs() -> None:
    """A tool that is started must not be freer than who starts it."""

    def work() -> object:
        kernel.forbid_new_privileges()
        seccomp.refuse(seccomp.WAYS_AROUND, families=[kernel.AF_UNIX])
        code = "import socket\ntry: socket.socket()\nexcept OSError as error: print(error.strerror)"
        return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True).stdout

    assert behind(work) == f"{REFUSED}\n"


def test_a_filter_for_one_process_refuses_a_second() -> None:
    """The ingress is taken over, in the worst case, by who sends to it: that must be the end of the way."""

    def work() -> object:
        kernel.forbid_new_privileges()
        seccomp.refuse(seccomp.NEW_PROCESSES, families=[kernel.AF_UNIX])
        return [error_of(os.fork), error_of(lambda: os.execv("/bin/true", ["true"]))]

    assert [REFUSED, REFUSED] == behind(work)


def test_a_filter_is_written_for_known_processors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of another processor would refuse something else."""
    monkeypatch.setattr(kernel, "MACHINE", "m68k")
    with pytest.raises(OSError, match="no table of system calls for m68k"):
        seccomp.program(seccomp.WAYS_AROUND, families=[1])


def test_a_known_door_is_covered_and_a_needed_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name services and container engines answer over UNIX sockets, which no network namespace splits."""
    needs_namespaces()
    (tmp_path / "nscd").mkdir()
    paths = [tmp_path / "nscd" / "socket", tmp_path / "docker.sock", tmp_path / "kept.sock"]
    servers = [socket.socket(socket.AF_UNIX) for _ in paths]
    for server, path in zip(servers, paths, strict=True):
        server.bind(str(path))
        server.listen()
    monkeypatch.setattr(unix_doors, "KNOWN", [str(tmp_path / "nscd"), *map(str, paths[1:])])

    def work() -> object:
        before = unix_doors.open_doors({})
        namespace.enter_namespaces()
        unix_doors.cover(before, kept=[paths[2]])
        errors = [error_of(partial(socket.socket(socket.AF_UNIX).connect, str(path))) for path in paths]
        return [len(before), unix_doors.open_doors({}), errors]

    found = behind(work)
    for server in servers:
        server.close()
    assert [3, [str(paths[2])], ["No such file or directory", "Connection refused", ""]] == found


def test_doors_of_the_environment_are_known() -> None:
    """An agent's socket is as good as a key."""
    found = unix_doors._in_environment(
        {"SSH_AUTH_SOCK": "/tmp/a", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/b,guid=1", "DOCKER_HOST": "unix:///c"}
    )
    assert [Path("/tmp/a"), Path("/run/b"), Path("/c")] == found


@pytest.mark.parametrize("user", USERS)
def test_all_walls_together_let_nothing_out(user: str) -> None:
    """uvloop and ctypes pass the audit hook, UDP passes Landlock, vsock passes the namespace: together nothing does."""
    needs_landlock()
    user = as_user(user)
    needs_namespaces(user)

    def work() -> tuple[str, list[str], dict[str, str]]:
        walls = seal()
        refusals = {
            "ctypes tcp": error_of(connect),
            "ctypes udp": error_of(send),
            "uvloop tcp": _over_uvloop(lambda loop: loop.create_connection(asyncio.Protocol, *OUTSIDE)),
            "uvloop dns": _over_uvloop(lambda loop: loop.getaddrinfo("x.invalid", 443)),
            "vsock": socket_error(AF_VSOCK),
            "packet": socket_error(AF_PACKET, 3),
            "io_uring": error_of(lambda: kernel.syscall(425, 1, ctypes.create_string_buffer(120))),
            "setns": error_of(_setns),
        }
        return walls.status, [layer.name for layer in walls.layers], refusals

    status, names, refusals = behind(work, user=user)
    assert ("sealed", ["network", "unix_sockets", "landlock", "seccomp", "audit_hook"]) == (status, names)
    assert {
        "ctypes tcp": DENIED,
        "ctypes udp": UNREACHABLE,
        "uvloop tcp": DENIED,
        "uvloop dns": "gaierror -3",
        "vsock": REFUSED,
        "packet": REFUSED,
        "io_uring": REFUSED,
        "setns": REFUSED,
    } == refusals


def _setns() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as network:
        if libc.setns(network.fileno(), kernel.CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _over_uvloop(work: Callable[[asyncio.AbstractEventLoop], Awaitable[object]]) -> str:
    async def main() -> None:
        await work(asyncio.get_running_loop())

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except socket.gaierror as error:
        return f"gaierror {error.errno}"
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


@pytest.mark.parametrize("user", USERS)
def test_a_process_outside_cannot_be_taken_over(user: str) -> None:
    """It runs as the same user and has a network: its memory, its namespaces and its life must be out of reach."""
    needs_landlock(landlock.SCOPE_VERSION)
    user = as_user(user)
    needs_namespaces(user)

    def work() -> tuple[list[str], int]:
        outside = subprocess.Popen(["sleep", "60"]).pid
        seal()
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace(16, outside, 0, 0)  # PTRACE_ATTACH
        refusals = [
            os.strerror(ctypes.get_errno()),
            error_of(lambda: os.close(os.open(f"/proc/{outside}/mem", os.O_RDWR))),
            error_of(lambda: os.close(os.open(f"/proc/{outside}/ns/net", os.O_RDONLY))),
            error_of(lambda: os.kill(outside, signal.SIGKILL)),
        ]
        return refusals, outside

    refusals, outside = behind(work, user=user)
    os.kill(outside, signal.SIGKILL)
    assert [REFUSED, DENIED, DENIED, REFUSED] == refusals


def test_without_a_network_of_its_own_only_unix_sockets_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel gives no namespace, the next best wall is put up, and the state says so."""
    monkeypatch.setattr(namespace, "enter_namespaces", _forbidden)
    monkeypatch.setattr(unix_doors, "KNOWN", [])

    def work() -> object:
        walls = seal()
        return [walls.status, [layer.name for layer in walls.gaps], socket_error(socket.AF_INET), socket_error(1)]

    assert ["degraded", ["network"], REFUSED, ""] == behind(work)


def test_without_mounts_of_its_own_it_covers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine would lose the door, with everybody on it, and keep the cover when this process is gone."""
    monkeypatch.setattr(namespace, "enter_namespaces", _forbidden)
    monkeypatch.setattr(unix_doors, "KNOWN", [str(tmp_path)])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "door"))
        told = behind(lambda: {layer.name: layer.detail for layer in seal().gaps})
        assert f"still open: {tmp_path}" == told["unix_sockets"]
        assert not os.path.ismount(tmp_path)


def _forbidden() -> namespace.Entered:
    raise OSError(1, "not on this machine")


def test_a_namespace_that_cannot_be_had_changes_nothing() -> None:
    """Half a user namespace would leave a process that is nobody."""
    as_user("root")

    def work() -> object:
        kernel.keep_capabilities(0)
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # undumpable: the kernel lets nobody write the maps
        before = (os.getuid(), facts.facts_of().network)
        refused = bool(error_of(namespace.enter_namespaces))
        return [refused, before == (os.getuid(), facts.facts_of().network)]

    assert [True, True] == behind(work)


def test_a_second_thread_is_refused() -> None:
    """It would stay outside, and everything it starts with it."""

    def work() -> object:
        waiting = threading.Event()
        thread = threading.Thread(target=waiting.wait)
        thread.start()
        try:
            with pytest.raises(Unavailable) as refused:
                seal()
            return refused.value.code
        finally:
            waiting.set()
            thread.join()

    assert behind(work) == "airgap.threads"


HOOKED = """
import json, socket, sys
from pathlib import Path
from redaction.airgap import hook
from runtime.errors import Refused

hook.watch(hook.Ledger(Path(sys.argv[1]), lambda: 1_000_000))
refused = []
for call in (
    lambda: socket.create_connection(("127.0.0.1", 1)),
    lambda: socket.socket().connect(("192.0.2.1", 443)),
    lambda: socket.getaddrinfo("x.invalid", 1),
    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"secret", ("192.0.2.1", 443)),
    lambda: socket.getaddrinfo("localhost", 1),
):
    try:
        call()
    except Refused as refusal:
        refused.append(refusal.message)
    except ConnectionRefusedError:
        continue
print(json.dumps(refused))
"""


def test_the_hook_names_the_rule_and_keeps_a_ledger(tmp_path: Path) -> None:
    """Who reads the log at three in the morning needs to know what tried, and why it was refused."""
    command = [sys.executable, "-c", HOOKED, str(tmp_path / "egress.jsonl")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert "" == ran.stderr
    refused = json.loads(ran.stdout)
    assert 3 == len(refused)
    assert all("The rule is mode in the settings" in message for message in refused)
    lines = [json.loads(line) for line in (tmp_path / "egress.jsonl").read_text().splitlines()]
    assert [
        ("socket.connect", "192.0.2.1:443"),
        ("socket.getaddrinfo", "x.invalid"),
        ("socket.sendto", "192.0.2.1:443"),
    ] == [(line["event"], line["target"]) for line in lines]
    assert "secret" not in (tmp_path / "egress.jsonl").read_text()


def test_a_ledger_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that tries for ever must not fill the disk."""
    monkeypatch.setattr(hook, "LEDGER_BYTES", 1_000)
    ledger = hook.Ledger(tmp_path / "egress.jsonl", lambda: 1_000_000)
    for _ in range(100):
        ledger.add("socket.connect", "192.0.2.1:443")
    assert 900 < (tmp_path / "egress.jsonl").stat().st_size <= 1_000
    hook.Ledger(tmp_path / "egress.jsonl", lambda: 1_000_000).add("socket.connect", "192.0.2.1:80")
    assert 1 == len((tmp_path / "egress.jsonl").read_text().splitlines())
    assert (tmp_path / "egress.old.jsonl").stat().st_size > 900


def test_a_process_that_is_not_walled_is_told_apart() -> None:
    """Facts are the kernel's, so a process of this suite shows what an open one looks like."""
    found = facts.facts_of(os.getpid())
    assert (0, False) == (found.seccomp_mode, found.has_no_new_privileges)
    with pytest.raises(OSError, match="No such"):
        facts.facts_of(2**22 + 1)


def test_routes_to_elsewhere_are_found() -> None:
    """Loopback's own routes lead nowhere."""
    table = "Iface\tDestination\tGateway\nlo\t0000007F\t0\neth0\t00000000\t0100A8C0\n"
    assert ["eth0 00000000"] == facts._routes(table)
    row = "20010db8000000000000000000000000 40 00 00 00 00 00 00 00 "
    assert 1 == len(facts._routes_6(f"{row}lo\n{row}eth0\n"))
