"""`af serve` and its kin in the air gap, as processes: what stays as it was, what is shut, and who dies with whom."""

import http.client
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.airgap import read_state
from appliance.config.settings import load_settings
from models.catalog import CHAT_MODEL
from models.folder import missing
from redaction.airgap.facts import facts_of
from redaction.doors.local import LocalDoor
from runtime.domain.canonical import Json
from tests.redaction.airgap.behind import needs_landlock, needs_namespaces

CHECKOUT = Path(__file__).resolve().parents[2]
AF = [sys.executable, "-m", "appliance"]
MODELS = load_settings(None, os.environ).models_folder  # read at import: the data folder of each test is elsewhere
SCRIPTED: Json = {"type": "llm", "prompt": "x", "model": {"provider": "scripted", "answers": ["hello"]}}
CALLS_OUT: Json = {"type": "http", "url": "http://192.0.2.1/", "method": "GET"}
# no network namespaces inside this one: what a kernel does that forbids them
FORBIDDING = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    'echo 0 > /proc/sys/user/max_net_namespaces; exec "$@"',
    "sh",
]
WAIT_S = 60


class Server:
    """A running `af serve`."""

    def __init__(self, process: "subprocess.Popen[str]", data: Path, said: list[str]) -> None:
        self.process = process
        self.data = data
        self.said = said
        self.url = said[-1].split()[1]
        self.port = int(self.url.rpartition(":")[2])

    def ask(self, method: str, path: str, body: Json = None, *, key: str | None = None) -> tuple[int, Json]:
        """One request over TCP, with the first key when none is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        token = (self.data / "auth/first.key").read_text().strip() if key is None else key
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content) if content else None

    def stop(self) -> tuple[int, str]:
        """End it in the usual way; its exit code, and what it still said."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        rest = self.process.stderr.read()
        return self.process.wait(WAIT_S), rest


@pytest.fixture
def environment(data_folder: Path) -> dict[str, str]:
    return environment_of(data_folder)


def environment_of(data: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"AGENTFLOW_DATA": str(data), "PYTHONPATH": str(CHECKOUT), "AGENTFLOW_MODE": "air_gapped"}


@contextmanager
def serving(environment: dict[str, str], *arguments: str, command: list[str] | None = None) -> Iterator[Server]:
    """A server that is up; killed when the test leaves it running."""
    started = [*(command or AF), "serve", "--listen", "127.0.0.1:0", *arguments]
    process = subprocess.Popen(started, env=environment, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("READY"):
                break
        else:
            pytest.fail(f"ended with {process.wait()}: {''.join(said)}")
        yield Server(process, Path(environment["AGENTFLOW_DATA"]), said)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def af(
    environment: dict[str, str], *arguments: str, command: list[str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*(command or AF), *arguments], env=environment, cwd=CHECKOUT, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def walls() -> None:
    """Skips where this machine cannot have every wall."""
    needs_namespaces()
    needs_landlock()


@pytest.fixture(scope="module")
def server(walls: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server in the gap, for tests that leave it as it is."""
    told = environment_of(tmp_path_factory.mktemp("gap") / "data") | {"AGENTFLOW_MODELS": str(MODELS)}
    with serving(told) as server:
        assert 201 == server.ask("PUT", "/v1/workflows/hello", {"name": "hello", "agents": {"say": SCRIPTED}})[0]
        yield server


@pytest.mark.usefixtures("walls")
def test_a_server_in_the_gap_serves_as_ever(environment: dict[str, str], tmp_path: Path) -> None:
    """READY, keys, runs, the UNIX socket and its mode, sd_notify, SIGTERM: nobody outside sees a difference."""
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(tmp_path / "notify"))
    notified.settimeout(WAIT_S)
    with notified, serving(environment | {"NOTIFY_SOCKET": str(tmp_path / "notify")}) as server:
        assert b"READY=1" == notified.recv(100)
        assert 401 == server.ask("GET", "/v1/runs", key="af_wrong")[0]
        assert 201 == server.ask("PUT", "/v1/workflows/hello", {"name": "hello", "agents": {"say": SCRIPTED}})[0]
        status, run = server.ask("POST", "/v1/runs", {"workflow": "hello", "input": {}, "wait": 30})
        assert isinstance(run, dict)
        assert (200, "succeeded") == (status, run["status"])
        path = server.data / "run/af.sock"
        assert 0o600 == path.stat().st_mode & 0o777
        assert 200 == LocalDoor(path).call("GET", "/v1/runs").status
        assert read_state(server.data) is not None
        code, said = server.stop()
        assert 0 == code
        assert said.startswith("DRAINING ")
        assert 1 == said.count("\n")
        assert b"STOPPING=1" == notified.recv(100)
    assert [] == os.listdir(server.data / "run")
    assert read_state(server.data) is None


def test_the_kernel_shows_what_the_server_says(server: Server) -> None:
    """A state file is words; the facts of the process are not."""
    found = read_state(server.data)
    assert found is not None
    state, facts = found
    assert ("sealed", server.process.pid) == (state.status, state.pid)
    names = ["network", "unix_sockets", "landlock", "seccomp", "audit_hook", "ingress"]
    assert names == [layer.name for layer in state.layers]
    assert (True, 2, True) == (facts.is_isolated, facts.seccomp_mode, facts.has_no_new_privileges)
    assert facts_of().network != facts.network
    proven = af(environment_of(server.data), "doctor", "--egress", "--json")
    assert 0 == proven.returncode, proven.stdout + proven.stderr
    assert json.loads(proven.stdout)["server"]["is_sealed"] is True


@pytest.mark.usefixtures("walls")
def test_an_open_server_in_air_gapped_mode_fails_the_proof(environment: dict[str, str]) -> None:
    """It was started before the mode was set: walls that could stand do not help while it runs without."""
    with serving(environment | {"AGENTFLOW_MODE": "restricted"}):
        proven = af(environment, "doctor", "--egress", "--json")
    assert (1, "open") == (proven.returncode, json.loads(proven.stdout)["verdict"])


@pytest.mark.usefixtures("walls")
def test_work_goes_on_inside_and_nothing_gets_out(environment: dict[str, str], tmp_path: Path) -> None:
    """User code runs in a process of its own, which inherits every wall; http agents are told why."""
    (tmp_path / "steps.py").write_text(
        "import errno, socket\n"
        "def tries(task, ctx):\n"
        "    try:\n"
        "        socket.create_connection(('192.0.2.1', 443), 5)\n"
        "    except OSError as error:\n"
        "        return errno.errorcode[error.errno]\n"
    )
    agents = {"say": SCRIPTED, "tries": {"type": "custom", "handler": "steps.py:tries"}}
    (tmp_path / "inside.yaml").write_text(json.dumps({"name": "inside", "agents": agents}))
    (tmp_path / "out.yaml").write_text(json.dumps({"name": "out", "agents": {"call": CALLS_OUT}}))
    inside = af(environment, "run", str(tmp_path / "inside.yaml"), "--json")
    assert 0 == inside.returncode, inside.stdout + inside.stderr
    assert json.loads(inside.stdout)["output"] in ("EACCES", "EPERM")
    out = af(environment, "run", str(tmp_path / "out.yaml"), "--json")
    assert "egress.air_gapped" in out.stdout
    assert 0 != out.returncode


def test_commands_beside_a_server_ask_it_from_their_own_gap(server: Server) -> None:
    """A UNIX socket is a file, and files are where they were: two empty networks can still speak over one."""
    ran = af(environment_of(server.data), "run", "hello", "--json")
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert 1 == len(LocalDoor(server.data / "run/af.sock").call("GET", "/v1/runs").body.split(b'"run_id"')) - 1


def test_a_language_model_answers_inside(server: Server) -> None:
    """llama.cpp works in a process that inherits every wall: threads, memory maps and all."""
    if missing(MODELS, [CHAT_MODEL]):
        pytest.skip(f"no {CHAT_MODEL} in {MODELS}; run: make setup")
    said: list[Json] = [{"role": "user", "content": "Say yes."}]
    body: Json = {"model": f"local/{CHAT_MODEL}", "max_tokens": 4, "messages": said}
    status, answer = server.ask("POST", "/v1/chat/completions", body)
    assert 200 == status, answer


@pytest.mark.usefixtures("walls")
def test_tls_ends_in_the_server(environment: dict[str, str], tmp_path: Path) -> None:
    """The ingress holds no key: it could not read what it relays."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*made.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    with serving(environment, "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting, timeout=WAIT_S)
        connection.request("GET", "/readyz")
        assert 200 == connection.getresponse().status
        connection.close()


@pytest.mark.usefixtures("walls")
def test_a_server_whose_ingress_dies_stops(environment: dict[str, str]) -> None:
    """A service manager starts it again; one that goes on unreachable looks well to everybody but its callers."""
    with serving(environment) as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        assert server.process.stderr is not None
        said = server.process.stderr.read()
        assert (4, True) == (server.process.wait(WAIT_S), "server.listener_lost" in said)


@pytest.mark.usefixtures("walls")
def test_a_killed_server_leaves_nothing_that_listens(environment: dict[str, str]) -> None:
    """The next start takes the port and the folder as if nothing had been."""
    with serving(environment) as server:
        port = server.port
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        ingress = os.pidfd_open(int(children[0]))
        server.process.kill()
        server.process.wait(WAIT_S)
        assert select.select([ingress], [], [], WAIT_S)[0]
        os.close(ingress)
    with serving(environment, "--listen", f"127.0.0.1:{port}") as again:
        assert (port, 200) == (again.port, again.ask("GET", "/v1/runs")[0])


@pytest.mark.usefixtures("walls")
def test_a_port_in_use_is_named_as_ever(environment: dict[str, str]) -> None:
    """The port is taken before anything else, so the message and the exit code are those of the other modes."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = af(environment, "serve", "--listen", f"127.0.0.1:{port}")
    assert (2, True) == (refused.returncode, "server.port_in_use" in refused.stderr)


def needs_forbidding() -> None:
    """Skip where a kernel that forbids namespaces cannot be had."""
    if subprocess.run([*FORBIDDING, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs unshare --user --map-root-user, and to limit namespaces inside")


def test_less_than_every_wall_is_refused_where_all_are_required(environment: dict[str, str]) -> None:
    """An operator who wrote `required` wants no server rather than an open one."""
    needs_forbidding()
    required = environment | {"AGENTFLOW_AIRGAP": "required"}
    for arguments in (["serve", "--listen", "127.0.0.1:0"], ["memory", "search", "x"]):
        refused = af(required, *arguments, command=[*FORBIDDING, *AF])
        assert 3 == refused.returncode, refused.stderr
        assert "airgap.incomplete" in refused.stderr
        assert "own network: the kernel allows no network namespace here" in refused.stderr


def test_less_than_every_wall_is_warned_of_and_still_lets_nothing_out(environment: dict[str, str]) -> None:
    """Without a network of its own the server has UNIX sockets only, and serves over its ingress all the same."""
    needs_forbidding()
    with serving(environment, command=[*FORBIDDING, *AF]) as server:
        assert any("DEGRADED: own network" in line for line in server.said)
        assert 200 == server.ask("GET", "/v1/runs")[0]
        found = read_state(server.data)
        assert found is not None
        assert ("degraded", 2) == (found[0].status, found[1].seccomp_mode)
        assert "UNIX sockets only" in {layer.name: layer.detail for layer in found[0].layers}["seccomp"]
        assert 0 == server.stop()[0]
    proven = af(environment, "doctor", "--egress", "--json", command=[*FORBIDDING, *AF])
    report = json.loads(proven.stdout)
    assert (4, "untested") == (proven.returncode, report["verdict"])
    assert {"EPERM", "EACCES"} >= {probe["error"] for probe in report["probes"]}
    assert report["untried"]


@pytest.mark.parametrize("mode", ["air_gapped", "restricted"])
def test_a_service_managers_listener_is_served(environment: dict[str, str], mode: str) -> None:
    """Under systemd the server has no network of its own, and the port is the manager's."""
    if mode == "air_gapped":
        needs_namespaces()
    handing = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # as descriptor 3, and no other program's
        moved = ["bash", "-c", f'exec 3<&{listener.fileno()} {listener.fileno()}<&-; exec "$@"', "bash"]
        listener.set_inheritable(True)
        process = subprocess.Popen(
            [*moved, sys.executable, "-c", handing, *AF, "serve"],
            env=environment | {"AGENTFLOW_MODE": mode, "LISTEN_FDS": "1"},
            cwd=CHECKOUT, stderr=subprocess.PIPE, text=True, pass_fds=(listener.fileno(),),
        )  # fmt: skip
    assert process.stderr is not None
    with process.stderr:
        said = next(line for line in process.stderr if line.startswith(("READY", "error")))
        assert said.startswith(f"READY http://127.0.0.1:{port} ")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        connection.request("GET", "/readyz")
        assert 200 == connection.getresponse().status
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(WAIT_S)


def test_a_plain_user_has_every_wall_too(environment: dict[str, str], tmp_path: Path) -> None:
    """No root is needed: the whole server runs as nobody."""
    needs_landlock()
    python = _python_of_nobody()
    data = tmp_path / "nobody"
    data.mkdir()
    data.chmod(0o777)
    for folder in (each for each in (tmp_path, *tmp_path.parents) if each.is_relative_to(tempfile.gettempdir())):
        folder.chmod(folder.stat().st_mode | 0o011)
    environment |= {"AGENTFLOW_DATA": str(data / "data"), "HOME": str(data)}
    environment["PYTHONPATH"] += ":" + next(path for path in sys.path if path.endswith("site-packages"))
    with serving(environment, command=[*python, "-m", "appliance"]) as server:
        found = read_state(server.data)
        assert found is not None
        assert ("sealed", True, 0) == (found[0].status, found[1].is_isolated, found[1].capabilities)
        assert 200 == server.ask("GET", "/v1/runs")[0]
        assert 0 == server.stop()[0]


def _python_of_nobody() -> list[str]:
    """A Python that an unprivileged user may run with this one's libraries."""
    if os.geteuid() != 0:
        return [sys.executable]
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    check = (
        f"import subprocess, sys; sys.path[:0] = [{str(CHECKOUT)!r}, {libraries!r}]; import uvloop, appliance.airgap;"
        "subprocess.run([sys.executable, '-c', ''], check=True)"
    )
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if (
            shutil.which("setpriv")
            and subprocess.run([*user, python, "-c", check], capture_output=True).returncode == 0
        ):
            return [*user, python]
    pytest.skip("no Python here that a plain user may run with the libraries of this one")
