"""The one file as an operator runs it: from a read-only folder, on a machine with no network at all."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from models.catalog import CHAT_MODEL, EMBEDDING_MODEL
from models.folder import missing
from tests.e2e.readme import CHECKOUT, blocks, commands, plain

pytestmark = pytest.mark.bound_s(2_000)  # the first of these tests builds the file

PYZ = CHECKOUT / "dist" / "agentflow.pyz"

# Read at import, because the data folder of each test is elsewhere.
MODELS = load_settings(None, os.environ).models_folder

# A network namespace holds nothing, not even a loopback device that is up; the bind mount makes `$1` read-only,
# for root too. What follows `$1` runs in there.
SEALED = ["unshare", "--map-root-user", "--net", "--mount", "sh", "-euc"]
SEAL = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; cd "$1"; shift; exec "$@"'

Run = Callable[..., subprocess.CompletedProcess[str]]


class OneFile:
    """The file on a stick, and a home to unpack itself in, once for all tests of this module."""

    def __init__(self, stick: Path, home: Path) -> None:
        self._stick = stick
        self._clean = {"PATH": os.environ["PATH"], "HOME": str(home), "SHIV_ROOT": str(home / "shiv")}
        self.is_sealed = subprocess.run([*SEALED, "true"], capture_output=True, check=False).returncode == 0
        """Whether this machine permits a namespace without a network."""

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end: sealed off, where that can be."""
        seal = [*SEALED, SEAL, "sh", str(self._stick)] if self.is_sealed else []
        command = [*seal, sys.executable, PYZ.name, *arguments]
        return subprocess.run(
            command,
            env=self._clean | environment,
            cwd=self._stick,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def serve(self, *arguments: str, **environment: str) -> tuple[str, int]:
        """Serve until it says that it is ready, and stop; that line, and what it ended with.

        Without the seal: no address of a namespace without a network can be listened on.
        """
        command = [sys.executable, str(self._stick / PYZ.name), *arguments]
        with subprocess.Popen(command, env=self._clean | environment, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            said = next((line for line in server.stderr if line.startswith("READY")), "")
            server.send_signal(signal.SIGTERM)
            server.stderr.read()
        return said, server.returncode


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneFile]:
    """The file, made from these sources."""
    subprocess.run([sys.executable, str(CHECKOUT / "packaging" / "build.py")], check=True, timeout=1_800)
    stick, home = tmp_path_factory.mktemp("stick"), tmp_path_factory.mktemp("home")
    shutil.copy(PYZ, stick)
    yield OneFile(stick, home)
    shutil.rmtree(home)


@pytest.fixture
def run_sealed(one_file: OneFile) -> Run:
    """Run the file with arguments, sealed off."""
    if not one_file.is_sealed:
        pytest.skip("this machine does not permit unprivileged namespaces (unshare --map-root-user --net --mount)")
    return one_file.run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds the models and nothing else, as after `af models add`."""
    absent = missing(MODELS, [CHAT_MODEL, EMBEDDING_MODEL])
    if absent:
        pytest.skip(f"no {' and no '.join(absent)} in {MODELS}; run: make setup")
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(MODELS, folder / "models")
    return folder


def test_the_file_holds_every_library(run_sealed: Run) -> None:
    """What was pruned or stripped too far fails at its first import, at a customer's."""
    libraries = "cel_expr_python granian httpx jsonpath_rfc9535 jsonschema_rs litestar llama_cpp msgspec"
    libraries += " numpy onnxruntime prometheus_client re2 rfc8785 sqlcipher3 sqlite_vec tokenizers uvloop yaml"
    load = f"import {', '.join(libraries.split())}; print(llama_cpp.llama_supports_mmap(), litestar.__file__)"
    loaded = run_sealed("-c", load, SHIV_INTERPRETER="1")
    assert loaded.returncode == 0, loaded.stderr
    assert "/shiv/agentflow.pyz_" in loaded.stdout


def test_the_folder_of_the_file_is_read_only_and_the_network_gone(run_sealed: Run) -> None:
    """The seal itself: the other tests prove nothing on a machine that is open."""
    probe = (
        "import os, socket\n"
        "for attempt in (lambda: open('written', 'w'), lambda: socket.create_connection(('127.0.0.1', 9))):\n"
        "    try: attempt()\n"
        "    except OSError as error: print(os.strerror(error.errno))\n"
    )
    sealed = run_sealed("-c", probe, SHIV_INTERPRETER="1")
    assert ["Read-only file system", "Network is unreachable"] == sealed.stdout.splitlines()


def test_another_python_is_told_which_one_is_needed(run_sealed: Run) -> None:
    """The compiled parts fit one Python; without the check the failure is an unreadable import error."""
    start = (
        "import sys, zipfile\nsys.version_info = (3, 10, 0)\nexec(zipfile.ZipFile('agentflow.pyz').read('__main__.py'))"
    )
    refused = run_sealed("-c", start, SHIV_INTERPRETER="1")
    assert refused.returncode == 1
    assert "was built for Python 3." in refused.stderr
    assert "this is 3.10" in refused.stderr


def test_help_needs_nothing(run_sealed: Run) -> None:
    """The first thing anybody types, before there is a data folder or a model."""
    helped = run_sealed("--help")
    assert helped.returncode == 0, helped.stderr
    assert "demo" in helped.stdout


def test_doctor_finds_a_sealed_machine_healthy(run_sealed: Run, data: Path) -> None:
    """Its checks load every compiled part: SQLite with extensions, both models, the worker process."""
    examined = run_sealed("doctor", AGENTFLOW_DATA=str(data))
    assert examined.returncode == 0, examined.stdout + examined.stderr
    assert "✗" not in examined.stdout


def test_the_readme_does_as_shown_with_the_cable_out(one_file: OneFile, data: Path) -> None:
    """The first minutes of a new user, with nothing but the file and the models, in the README's order.

    Journal, recall, language model and user code are in it: customers are answered, one goes to a person. The demo
    prints the lines that the README shows, numbers aside.
    """
    environment = {"AGENTFLOW_DATA": str(data), "COLUMNS": "80", "NO_COLOR": "1"}

    def said(*arguments: str) -> str:
        done = one_file.run(*arguments, **environment)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    fetch, demo, serve = (line[2:] for line in commands("python3"))
    fetched = said(*fetch)
    assert all(f"{model}  " in fetched for model in (CHAT_MODEL, EMBEDDING_MODEL))
    shown = said(*demo)
    output, ready = blocks("text")[0], blocks("text")[1]
    printed = [plain(line) for line in shown.splitlines()]
    assert [line for line in output.splitlines() if line.strip() != "…" and plain(line) not in printed] == []
    assert shown.startswith("Models here: smollm2-135m-instruct writes, all-minilm-l6-v2 sorts and finds")
    assert "3 questions: 2 answered, 1 for a person" in shown
    assert "escalate" in shown
    said_by_itself = [line for line in shown.splitlines() if "/" not in line and PYZ.name not in line]
    assert max(map(len, said_by_itself)) <= 80

    listed = json.loads(said("runs", "list", "--json"))["runs"]
    assert ["succeeded", "succeeded", "waiting"] == sorted(run["status"] for run in listed)
    run = json.loads(said("runs", "show", min(run["run_id"] for run in listed), "--json"))
    assert ["classify", "search"] == run["path"][:2]
    assert "kb-001" in [citation["article"] for citation in run["output"]["citations"]]
    person = ["runs", "signal", "last", "person", "--data", '{"answer": "No."}', "--json"]
    answered = json.loads(said(*person))
    assert ("succeeded", "No.") == (answered["status"], answered["output"]["answer"])
    said("replay", "--all", "--check")

    line, status = one_file.serve(*(word.replace(":8700", ":0") for word in serve), **environment)
    assert re.sub(r":\d+", ":8700", line).replace(str(data), "/var/lib/agentflow") == ready
    assert status == 0
