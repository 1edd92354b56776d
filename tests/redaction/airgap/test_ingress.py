"""The ingress process for real: what it relays, how it ends, and what it can no longer do."""

import hashlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from redaction.airgap.facts import facts_of
from redaction.doors.ingress import Ingress, handed_over
from redaction.doors.local import listen_tcp, listen_unix
from runtime.errors import Invalid, Unavailable, Unusable
from tests.redaction.airgap.behind import needs_landlock

CHECKOUT = Path(__file__).resolve().parents[3]
LARGE = os.urandom(3_000_000)
WAIT_S = 20


@contextmanager
def ingress_at(path: Path, *, opens: bool = True) -> Iterator[Ingress]:
    ingress = Ingress(listen_tcp("127.0.0.1", 0), path)
    ingress.start()
    try:
        ingress.report()
        if opens:
            ingress.open()
        yield ingress
    finally:
        ingress.stop()


@contextmanager
def echo_server(path: Path) -> Iterator[None]:
    """Sends back, after the end of the request, the number of its bytes and all of them."""
    bound = listen_unix(path)
    listener = socket.socket(fileno=os.dup(bound.fileno()))
    listener.settimeout(WAIT_S)

    is_over = threading.Event()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            if is_over.is_set():
                connection.close()
                return
            threading.Thread(target=answer, args=(connection,)).start()

    def answer(connection: socket.socket) -> None:
        connection.settimeout(WAIT_S)
        with connection, suppress(ConnectionError):  # a caller may have gone
            content = read_all(connection)
            connection.sendall(b"%d:" % len(content) + content)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
        thread.join()
        listener.close()
        bound.close()


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def ask(ingress: Ingress, content: bytes) -> bytes:
    with socket.create_connection((ingress.host, ingress.port), timeout=WAIT_S) as client:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)


def is_taken(ingress: Ingress) -> bool:
    try:
        socket.create_connection((ingress.host, ingress.port), timeout=WAIT_S).close()
    except ConnectionError:  # refused, or reset while it waited in the queue
        return False
    return True


def test_bytes_come_and_go_unchanged(tmp_path: Path) -> None:
    """TLS, keys and bodies are the server's; a byte more or less breaks all of them."""
    path = tmp_path / "in.sock"
    with ingress_at(path) as ingress, echo_server(path):
        assert b"5:hello" == ask(ingress, b"hello")
        answer = ask(ingress, LARGE)
    assert hashlib.sha256(b"%d:" % len(LARGE) + LARGE).digest() == hashlib.sha256(answer).digest()


def test_many_at_once_do_not_mix(tmp_path: Path) -> None:
    """One thread serves them all."""
    path = tmp_path / "in.sock"
    answers: dict[int, bytes] = {}
    with ingress_at(path) as ingress, echo_server(path):

        def one(number: int) -> None:
            answers[number] = ask(ingress, b"%d," % number * 20_000)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {number: b"%d," % number * 20_000 for number in range(32)} == {
        number: answer.partition(b":")[2] for number, answer in answers.items()
    }


def test_callers_wait_until_the_server_is_there(tmp_path: Path) -> None:
    """As with any listener: who connects while the server starts is answered when it has."""
    path = tmp_path / "in.sock"
    with (
        ingress_at(path, opens=False) as ingress,
        socket.create_connection((ingress.host, ingress.port), timeout=WAIT_S) as early,
        echo_server(path),
    ):
        early.sendall(b"early")
        early.shutdown(socket.SHUT_WR)
        ingress.open()
        assert b"5:early" == read_all(early)


def test_draining_refuses_new_callers_and_keeps_the_others(tmp_path: Path) -> None:
    """An answer that is on its way must arrive."""
    path = tmp_path / "in.sock"
    with (
        ingress_at(path) as ingress,
        echo_server(path),
        socket.create_connection((ingress.host, ingress.port), timeout=WAIT_S) as there,
    ):
        there.sendall(b"first ")
        assert b"4:wait" == ask(ingress, b"wait")  # so the connection before it has been taken
        ingress.drain()
        while is_taken(ingress):  # until it has heard of it
            continue
        there.sendall(b"last")
        there.shutdown(socket.SHUT_WR)
        assert b"10:first last" == read_all(there)


def test_a_server_that_takes_nothing_costs_the_caller_the_connection_and_no_more(tmp_path: Path) -> None:
    """The ingress goes on, and the next caller is served."""
    path = tmp_path / "in.sock"
    with ingress_at(path) as ingress:
        with socket.create_connection((ingress.host, ingress.port), timeout=WAIT_S) as client:
            assert b"" == client.recv(1)
        with echo_server(path):
            assert b"2:ok" == ask(ingress, b"ok")


def test_a_caller_that_hangs_up_ends_the_inner_connection(tmp_path: Path) -> None:
    """The server frees what it holds for somebody who has gone."""
    path = tmp_path / "in.sock"
    with ingress_at(path) as ingress:
        bound = listen_unix(path)
        with socket.socket(fileno=os.dup(bound.fileno())) as listener:
            listener.settimeout(WAIT_S)
            client = socket.create_connection((ingress.host, ingress.port), timeout=WAIT_S)
            inner, _ = listener.accept()
            inner.settimeout(WAIT_S)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            client.close()
            assert b"" == inner.recv(1)
            inner.close()
        bound.close()


def test_it_ends_with_the_appliance_and_takes_the_socket_along(tmp_path: Path) -> None:
    """After kill -9 nothing is left that listens for a server that is gone."""
    path = tmp_path / "in.sock"
    code = (
        "import sys; from pathlib import Path; from redaction.doors.ingress import Ingress;"
        "from redaction.doors.local import listen_tcp, listen_unix;"
        "ingress = Ingress(listen_tcp('127.0.0.1', 0), Path(sys.argv[1])); ingress.start(); ingress.report();"
        "bound = listen_unix(ingress.path); print(ingress.port, flush=True); sys.stdin.read()"
    )
    appliance = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert appliance.stdin is not None
    assert appliance.stdout is not None
    with appliance.stdin, appliance.stdout:
        port = int(appliance.stdout.readline())
        children = Path(f"/proc/{appliance.pid}/task/{appliance.pid}/children").read_text().split()
        assert path.is_socket()
        watch = os.pidfd_open(int(children[0]))
        appliance.send_signal(signal.SIGKILL)
        appliance.wait()
        assert select.select([watch], [], [], WAIT_S)[0], "the ingress is still there"
        os.close(watch)
    assert not path.exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


def test_signals_do_not_end_it(tmp_path: Path) -> None:
    """systemd sends SIGTERM to all of a service at once, and the server may still be answering."""
    path = tmp_path / "in.sock"
    with ingress_at(path) as ingress, echo_server(path):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(_pid(ingress), number)
        assert b"2:ok" == ask(ingress, b"ok")


def test_its_end_is_seen(tmp_path: Path) -> None:
    """A server that nobody can reach must not go on as if all were well."""
    with ingress_at(tmp_path / "in.sock") as ingress:
        assert [] == select.select([ingress], [], [], 0)[0]
        os.kill(_pid(ingress), signal.SIGKILL)
        assert [ingress] == select.select([ingress], [], [], WAIT_S)[0]


def test_it_has_confined_itself_and_knows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes it over by what they send finds a process that can do nothing, and holds nothing."""
    needs_landlock()
    monkeypatch.setenv("AGENTFLOW_DB_KEY", "a secret")
    ingress = Ingress(listen_tcp("127.0.0.1", 0), tmp_path / "in.sock")
    ingress.start()
    try:
        assert {"landlock": "", "seccomp": ""} == ingress.report()
        found = facts_of(_pid(ingress))
        assert (2, True) == (found.seccomp_mode, found.has_no_new_privileges)
        assert 0 == found.capabilities & ~(1 << 1)
        assert b"" == Path(f"/proc/{_pid(ingress)}/environ").read_bytes()
    finally:
        ingress.stop()


def test_one_that_does_not_start_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a server that is up and cannot be reached."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    ingress = Ingress(listen_tcp("127.0.0.1", 0), tmp_path / "in.sock")
    ingress.start()
    with pytest.raises(Unavailable, match="did not start"):
        ingress.report()
    ingress.stop()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(Unusable, match="cannot be started"):
        Ingress(listen_tcp("127.0.0.1", 0), tmp_path / "in.sock").start()


def test_a_service_managers_listener_is_taken() -> None:
    """Descriptor 3, as sd_listen_fds(3) says; the variables count for the process that they name alone."""
    code = (
        "import os, sys; from redaction.doors.ingress import handed_over;"
        "given = handed_over({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'});"
        "print(given.host, given.port, os.get_inheritable(3))"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def as_third() -> None:
            os.dup2(listener.fileno(), 3)

        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False,
            preexec_fn=as_third, pass_fds=(3,),
        )  # fmt: skip
        assert f"127.0.0.1 {listener.getsockname()[1]} False\n" == ran.stdout, ran.stderr


@pytest.mark.parametrize(("pid", "count", "expected"), [("1", "1", None), ("", "", None), ("own", "2", Invalid)])
def test_what_is_no_single_listener_is_not(pid: str, count: str, expected: type[Exception] | None) -> None:
    """Another process's sockets are none of ours, and of two nobody says which."""
    environment = {"LISTEN_PID": str(os.getpid()) if pid == "own" else pid, "LISTEN_FDS": count}
    if expected is None:
        assert handed_over(environment) is None
    else:
        with pytest.raises(expected, match="hands over 2 sockets"):
            handed_over(environment)


def _pid(ingress: Ingress) -> int:
    process = ingress._process
    assert isinstance(process, subprocess.Popen)
    return process.pid
