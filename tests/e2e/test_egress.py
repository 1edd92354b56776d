"""The whole program in a network that owns the outside: not one packet, in any mode, whatever is asked of it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from models.catalog import CHAT_MODEL, EMBEDDING_MODEL
from models.folder import missing
from tests.architecture.source import ROOT, shipped_files
from tests.e2e.small_support import small_support

PYZ = ROOT / "dist" / "agentflow.pyz"
MODELS = load_settings(None, os.environ).models_folder  # read at import: the data folder of each test is elsewhere
LAB = Path(__file__).with_name("egress_lab.py")
SERVE = Path(__file__).with_name("serve_and_ask.py")
SEALED = ["unshare", "--map-root-user", "--net", "--mount"]

WORKFLOW = """
name: greet
agents:
  write: {type: llm, prompt: "write to {{ input.mail }}", model: {provider: scripted, answers: ["done"]}}
  note: {type: custom, handler: "steps.py:works"}
"""
STEPS = """
def works(task, ctx):
    return task
"""


@pytest.fixture(scope="module", autouse=True)
def lab() -> None:
    """Skips where no such network can be made."""
    network = (
        "ip link set lo up && ip link add outside type veth peer name far && mount --bind /dev/null /etc/resolv.conf"
    )
    tried = subprocess.run([*SEALED, "sh", "-c", network], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"this machine permits no network of its own to watch: {tried.stderr.strip()[-200:]}")


CHECKOUT = [sys.executable, "-m", "appliance"]


def one_file() -> list[str]:
    """How the one file is started, when it is there and not older than the sources; else the same from the checkout."""
    newest = max((ROOT / path).stat().st_mtime for path in shipped_files())
    is_there = PYZ.exists() and newest <= PYZ.stat().st_mtime
    return [sys.executable, str(PYZ)] if is_there else CHECKOUT


def watched(commands: list[list[str]], environment: dict[str, str]) -> dict[str, object]:
    """What the lab saw while the commands ran, each of which must have worked."""
    ran = subprocess.run(
        [*SEALED, sys.executable, str(LAB), json.dumps(commands)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    seen: dict[str, object] = json.loads(ran.stdout)
    failed = [each for each in seen["ran"] if each["code"] != 0]  # type: ignore[attr-defined]  # JSON
    assert not failed, json.dumps(failed, indent=1)
    return seen


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the one file unpacks itself, at its first start here."""
    folder = tmp_path_factory.mktemp("shiv")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def environment(tmp_path: Path, unpacked: Path) -> dict[str, str]:
    """Nothing of this machine's settings; the data folder is a new one."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "SHIV_ROOT": str(unpacked),
        "AGENTFLOW_DATA": str(tmp_path / "data"),
    }


@pytest.mark.parametrize("mode", ["air_gapped", "restricted", "connected"])
def test_nothing_is_ever_sent(tmp_path: Path, environment: dict[str, str], mode: str) -> None:
    """No telemetry, no update check, no CDN, no download: in no mode, and without the air gap's help too.

    Commands that only read are tried in the mode that forbids the least, and the one file, which unpacks itself first,
    in the mode that most have.
    """
    (tmp_path / "greet.yaml").write_text(WORKFLOW)
    (tmp_path / "steps.py").write_text(STEPS)
    af = one_file() if mode == "restricted" else CHECKOUT
    data = environment["AGENTFLOW_DATA"]
    reading = [
        [*af, "version"],
        [*af, "config", "list", "--verbose"],
        [*af, "validate", str(tmp_path / "greet.yaml")],
        [*af, "redact", "explain", "Write to jane@example.com, see https://example.com/a?b=c"],
    ]
    commands = [
        *(reading if mode == "connected" else []),
        [*af, "run", str(tmp_path / "greet.yaml"), "--input", '{"mail": "jane@example.com"}', "--json"],
        [*af, "replay", "--all", "--check"],
        [sys.executable, str(SERVE), data, *af],
    ]
    seen = watched(commands, environment | {"AGENTFLOW_MODE": mode})
    assert ([], 0) == (seen["packets"], seen["accepted"])
    assert {"192.0.2.1", "203.0.113.53"} <= set(seen["control"])  # type: ignore[call-overload]  # JSON


def test_the_proof_itself_sends_nothing(environment: dict[str, str]) -> None:
    """`af doctor --egress` tries every address of the lab, and says so; the lab sees none of it."""
    seen = watched([[*one_file(), "doctor", "--egress", "--json"]], environment)
    assert ([], 0) == (seen["packets"], seen["accepted"])


def test_models_at_work_send_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    """llama.cpp and ONNX Runtime are other people's code, so they are watched at work, with no wall to hold them."""
    absent = missing(MODELS, [CHAT_MODEL, EMBEDDING_MODEL])
    if absent:
        pytest.skip(f"no {' and no '.join(absent)} in {MODELS}; run: make setup")
    asking = ["run", str(small_support(tmp_path)), "--input", '{"message": "The machine swallowed my card."}']
    seen = watched(
        [[*CHECKOUT, *asking]],
        environment | {"AGENTFLOW_MODE": "restricted", "AGENTFLOW_MODELS": str(MODELS)},
    )
    assert ([], 0) == (seen["packets"], seen["accepted"])
    assert "kb-001" in json.dumps(seen["ran"])
