"""The served appliance as a process: its listeners, its start, its end."""

import asyncio
import io
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from appliance.server import Tls, serve
from redaction.doors.local import LocalDoor, tell_service_manager
from runtime.errors import Invalid, Refused, Unavailable, Unusable
from tests.appliance.api.serving import HOUR_MS, appliance_at, open_server

BODY_BYTES = 100 * 2**20


async def _reached(moment: asyncio.Event, task: "asyncio.Task[None]") -> None:
    """Wait for a moment in a server's life; raise what ended the server before it."""
    reached = asyncio.ensure_future(moment.wait())
    await asyncio.wait({reached, task}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    assert reached.done()


async def _stopped(task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(60):
        await task


async def test_port_0_takes_a_free_one_and_says_which(data_folder: Path) -> None:
    """Two servers of two data folders run side by side."""
    async with open_server(data_folder / "a") as one, open_server(data_folder / "b") as two:
        assert one.address.url != two.address.url
        for served in (one, two):
            assert (await served.client.get("/readyz")).json()["status"] == "ready"


async def test_a_port_in_use_is_named(data_folder: Path) -> None:
    """Sharing it silently would send every second request to the other program."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match=f"port {port} of 127.0.0.1 is taken") as refused:
            await serve(appliance_at(data_folder), listen=f"127.0.0.1:{port}")
    assert (refused.value.exit_code, refused.value.retryable) == (2, False)


async def test_a_second_server_leaves_the_first_ones_socket_alone(data_folder: Path) -> None:
    """It finds out that the folder is taken before it touches anything."""
    async with open_server(data_folder) as served:
        with pytest.raises(Unavailable) as refused:
            await serve(appliance_at(data_folder), listen="127.0.0.1:0")
        assert refused.value.code == "data.locked"
        reply = await asyncio.to_thread(LocalDoor(served.address.socket).call, "GET", "/readyz")
        assert reply.status == 200


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
async def test_keys_are_not_sent_in_the_clear_to_other_machines(data_folder: Path, listen: str) -> None:
    """Refused before anything is opened; the message names both ways out."""
    with pytest.raises(Refused, match=r"--tls-cert .* --insecure-listen") as refused:
        await serve(appliance_at(data_folder), listen=listen)
    assert refused.value.exit_code == 3


async def test_listening_everywhere_can_be_insisted_on(data_folder: Path) -> None:
    """Behind something that does TLS; names are still checked."""
    async with open_server(data_folder, listen="0.0.0.0:0", insecure_listen=True) as served:
        port = served.address.url.rpartition(":")[2]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/readyz", headers={"host": "10.1.2.3"})).status_code == 200
            assert (await client.get("/readyz", headers={"host": "evil.example"})).status_code == 421


async def test_a_certificate_that_is_none_is_refused(data_folder: Path) -> None:
    """With a message, not with a server that nobody can talk to."""
    file = data_folder / "cert.pem"
    appliance = appliance_at(data_folder)
    file.write_text("no certificate")
    with pytest.raises(Invalid, match="TLS"):
        await serve(appliance, tls=Tls(file, file))


@pytest.mark.parametrize("listen", ["8700", ":8700", "127.0.0.1:x", "127.0.0.1:65536", "no such host:0"])
async def test_an_address_that_is_none_is_refused(data_folder: Path, listen: str) -> None:
    """Before anything is opened."""
    with pytest.raises(Invalid):
        await serve(appliance_at(data_folder), listen=listen, insecure_listen=True)


async def test_only_this_user_can_open_the_socket(data_folder: Path) -> None:
    """It needs no key, so its mode has to be one; a socket left behind by a crash is replaced."""
    path = data_folder / "run" / "af.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    async with open_server(data_folder) as served:
        assert served.address.socket == path
        mode = path.stat().st_mode
        assert (stat.S_ISSOCK(mode), f"{mode & 0o777:o}") == (True, "600")
        signal.raise_signal(signal.SIGTERM)
        await _stopped(served.task)
    assert not path.exists()


async def test_a_file_is_not_taken_for_a_socket(data_folder: Path) -> None:
    """A slip in `--socket` must not cost anybody a file."""
    precious = data_folder / "precious"
    appliance = appliance_at(data_folder)
    precious.write_text("kept")
    with pytest.raises(Unusable, match="no socket is there"):
        await serve(appliance, socket=precious)
    assert precious.read_text() == "kept"


async def test_a_data_folder_deep_down_has_a_socket_too(data_folder: Path) -> None:
    """The kernel takes paths of 107 bytes; nobody should have to know that."""
    folder = data_folder / ("deep" * 20) / ("down" * 20)
    async with open_server(folder) as served:
        assert len(str(served.address.socket)) > 107
        reply = await asyncio.to_thread(LocalDoor(served.address.socket).call, "GET", "/readyz")
        assert reply.status == 200


async def test_a_hundred_megabytes_are_refused_unread(data_folder: Path) -> None:
    """Announced or not: memory must not be anybody's to fill."""
    async with open_server(data_folder) as served:
        for announced in (True, False):
            status, sent = await asyncio.to_thread(_post_zeros, served.address.url, _key(data_folder), announced)
            assert (status, sent < BODY_BYTES / 4) == (413, True)


async def test_a_stop_lets_answers_end_and_streams_close(data_folder: Path) -> None:
    """Nobody is cut off in the middle of an answer; nobody who waits is waited for."""
    async with open_server(data_folder) as served:
        run = (await served.client.post("/v1/runs", json={"workflow": "slow"})).json()["run_id"]
        waiting = asyncio.create_task(served.client.post("/v1/runs", json={"workflow": "slow", "wait": 600}))
        async with asyncio.timeout(60):
            while len(await served.appliance.store.runs(workflow="slow")) < 2:
                await asyncio.sleep(0)
        async with served.client.stream("GET", f"/v1/runs/{run}/events") as stream:
            lines = stream.aiter_lines()
            while await anext(lines) != "event: run.started":
                pass
            signal.raise_signal(signal.SIGTERM)
            rest = [line async for line in lines]
        assert "event: run.finished" not in rest
        assert ((await waiting).status_code, (await waiting).json()["status"]) == (202, "running")
        await _stopped(served.task)
        with pytest.raises(httpx.ConnectError):
            await served.client.get("/healthz")


async def test_runs_go_on_at_the_next_start(data_folder: Path) -> None:
    """A stop loses nothing: what was running is running again."""
    async with open_server(data_folder) as served:
        run = (await served.client.post("/v1/runs", json={"workflow": "slow"})).json()["run_id"]
    async with open_server(data_folder) as served:
        assert (await served.client.get(f"/v1/runs/{run}")).json()["status"] == "running"
        assert served.appliance.engine.health().live_runs == 1


async def test_a_second_signal_waits_no_longer(data_folder: Path) -> None:
    """An operator in a hurry is not made to wait for a step of an hour."""
    ready = asyncio.Event()
    appliance = appliance_at(data_folder, drain_s=HOUR_MS / 1000)
    task = asyncio.create_task(serve(appliance, on_ready=lambda _: ready.set()))
    await _reached(ready, task)
    run = await appliance.engine.submit(await appliance.workflows.find("slow"), {})
    async with asyncio.timeout(60):
        while not appliance.engine.health().running_steps:
            await asyncio.sleep(0)
    signal.raise_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        while appliance.engine.health().is_accepting:
            await asyncio.sleep(0.01)
    signal.raise_signal(signal.SIGTERM)
    await _stopped(task)
    assert run


async def test_probes_are_answered_while_it_starts(data_folder: Path) -> None:
    """A start that takes long must look like one; a stop in its middle still stops."""
    appliance = appliance_at(data_folder)
    started = asyncio.Event()

    async def start(*, recover: bool = True) -> None:
        started.set()
        await asyncio.Event().wait()

    appliance.start = start  # type: ignore[method-assign]  # a start that never ends
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    task = asyncio.create_task(serve(appliance, listen=f"127.0.0.1:{port}"))
    await _reached(started, task)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = {path: (await client.get(path)).status_code for path in ("/healthz", "/readyz", "/v1/runs")}
    assert answers == {"/healthz": 200, "/readyz": 503, "/v1/runs": 503}
    signal.raise_signal(signal.SIGINT)
    await _stopped(task)


class _Gone(io.StringIO):
    """A pipe whose reader has ended."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


async def test_it_stops_though_nobody_reads_what_it_says(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that waited for READY has ended; the signal must not be lost with the line that it causes."""
    async with open_server(data_folder) as served:
        monkeypatch.setattr(sys, "stderr", _Gone())
        signal.raise_signal(signal.SIGTERM)
        await _stopped(served.task)


async def test_a_service_manager_that_does_not_read_holds_nothing_up(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue is short; a send that waited for room would stop the loop, and with it everything."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with manager:
        for _ in range(1_000):
            tell_service_manager("WATCHDOG=1")
        async with open_server(data_folder) as served:
            assert (await served.client.get("/readyz")).status_code == 200


async def test_the_service_manager_hears_of_every_phase(
    tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY when it serves, WATCHDOG while the loop turns, STOPPING when it drains."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    with manager:
        loop = asyncio.get_running_loop()
        async with open_server(data_folder) as served:
            async with asyncio.timeout(60):
                heard = [await loop.sock_recv(manager, 100) for _ in range(4)]
                signal.raise_signal(signal.SIGTERM)
                while b"STOPPING=1" not in heard:
                    heard.append(await loop.sock_recv(manager, 100))
            await _stopped(served.task)
    assert set(heard) == {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}


def test_the_program_ends_well_at_sigterm(data_folder: Path) -> None:
    """As a service manager runs it: READY on stderr, exit 0 at SIGTERM, no word of the key itself."""
    command = [sys.executable, "-m", "appliance", "serve", "--listen", "127.0.0.1:0"]
    environment = os.environ | {"AGENTFLOW_DATA": str(data_folder)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, text=True) as af:
        assert af.stderr is not None
        said = []
        for line in af.stderr:
            said.append(line)
            if line.startswith("READY http://127.0.0.1:"):
                break
        af.send_signal(signal.SIGTERM)
        rest = af.stderr.read()
    assert (0, True, 1) == (af.returncode, rest.startswith("DRAINING what runs has 30 s to end"), rest.count("\n"))
    key = _key(data_folder)
    assert any("first.key" in line for line in said)
    assert not any(key in line for line in said)


def _key(data: Path) -> str:
    return (data / "auth" / "first.key").read_text().strip()


def _post_zeros(url: str, key: str, announced: bool) -> tuple[int, int]:
    """Send a body of 100 MiB until the server has answered; the status, and how many bytes it let itself be sent."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    length = f"Content-Length: {BODY_BYTES}" if announced else "Transfer-Encoding: chunked"
    head = f"POST /v1/runs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\n{length}\r\n\r\n"
    piece = bytes(64 * 1024)
    framed = piece if announced else b"%x\r\n%s\r\n" % (len(piece), piece)
    sent = 0
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode())
        try:
            while sent < BODY_BYTES:
                connection.sendall(framed)
                sent += len(piece)
        except OSError:
            pass  # the server has hung up, having answered
        try:
            answer = connection.recv(100)
        except ConnectionResetError:
            answer = b""
    return int(answer.split()[1]) if answer else 413, sent
