"""The one file as an operator runs it: from a read-only folder, on a machine with no network at all."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from models.catalog import CHAT_MODEL, EMBEDDING_MODEL
from models.folder import missing

pytestmark = pytest.mark.bound_s(2_000)  # the first of these tests builds the file

CHECKOUT = Path(__file__).resolve().parents[2]
PYZ = CHECKOUT / "dist" / "agentflow.pyz"

# Read at import, because the data folder of each test is elsewhere.
MODELS = load_settings(None, os.environ).models_folder

# A network namespace holds nothing, not even a loopback device that is up; the bind mount makes `$1` read-only,
# for root too. What follows `$1` runs in there.
SEALED = ["unshare", "--map-root-user", "--net", "--mount", "sh", "-euc"]
SEAL = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; cd "$1"; shift; exec "$@"'

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run_sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run the file with arguments, sealed off; it unpacks itself once for all tests of this module."""
    if subprocess.run([*SEALED, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not permit unprivileged namespaces (unshare --map-root-user --net --mount)")
    subprocess.run([sys.executable, str(CHECKOUT / "packaging" / "build.py")], check=True, timeout=1_800)
    folder = tmp_path_factory.mktemp("stick")
    shutil.copy(PYZ, folder)
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": os.environ["PATH"], "HOME": str(home), "SHIV_ROOT": str(home / "shiv")} | environment
        command = [*SEALED, SEAL, "sh", str(folder), sys.executable, PYZ.name, *arguments]
        return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=300, check=False)

    yield run
    shutil.rmtree(home)


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


def test_demo_answers_with_the_cable_out(run_sealed: Run, data: Path) -> None:
    """The main job and the first minute of a new user, with nothing but the file and the models.

    Journal, recall, language model and user code are in it: customers are answered, one goes to a person.
    """
    shown = run_sealed("demo", "support", AGENTFLOW_DATA=str(data))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "kb-001" in shown.stdout
    assert "escalate" in shown.stdout
    listed = json.loads(run_sealed("runs", "list", "--json", AGENTFLOW_DATA=str(data)).stdout)["runs"]
    assert ["succeeded", "succeeded", "waiting"] == sorted(run["status"] for run in listed)
    first = min(run["run_id"] for run in listed)
    run = json.loads(run_sealed("runs", "show", first, "--json", AGENTFLOW_DATA=str(data)).stdout)
    assert ["classify", "search"] == run["path"][:2]
    assert "kb-001" in [citation["article"] for citation in run["output"]["citations"]]
