"""The README as its reader takes it: every command in it is run, and what it shows is what comes out."""

import json
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from models.catalog import CHAT_MODEL, EMBEDDING_MODEL
from models.folder import missing

CHECKOUT = Path(__file__).resolve().parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
EXAMPLES = CHECKOUT / "appliance" / "templates" / "support" / "examples.csv"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Read at import, because the data folder of each test is elsewhere.
MODELS = load_settings(None, os.environ).models_folder


def blocks(kind: str) -> list[str]:
    """The README's blocks of one kind, in order."""
    return [text for found, text in BLOCK.findall(README) if found == kind]


def commands(program: str) -> list[list[str]]:
    """What the README's shell blocks give to a program, as words."""
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line and line[0] == program]


@pytest.fixture
def environment(data_folder: Path, tmp_path: Path) -> dict[str, str]:
    """Folders of its own to write in, and the models that are installed."""
    absent = missing(MODELS, [CHAT_MODEL, EMBEDDING_MODEL])
    if absent:
        pytest.skip(f"no {' and no '.join(absent)} in {MODELS}; run: make setup")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {"AGENTFLOW_DATA": str(data_folder), "AGENTFLOW_MODELS": str(MODELS), "PYTHONPATH": str(CHECKOUT)}
    return kept | own | {"SHIV_ROOT": str(tmp_path / "shiv"), "COLUMNS": "80", "NO_COLOR": "1"}


@pytest.fixture
def one_file(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The one file, when it is there and made from these sources; else the same program from the checkout."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "packaging"))
    build = runpy.run_path(str(CHECKOUT / "packaging" / "build.py"))
    if build["_is_up_to_date"](build["source_key"]()):
        return [sys.executable, str(CHECKOUT / "dist" / "agentflow.pyz")]
    return [sys.executable, "-m", "appliance"]


def test_every_block_is_run_by_a_test_here() -> None:
    """A block of a new kind, or a new program in a shell block, would be shown without being tried."""
    assert {kind for kind, _ in BLOCK.findall(README)} == {"sh", "text", "yaml"}
    programs = {line.split()[0] for block in blocks("sh") for line in block.splitlines() if line.strip()}
    assert programs == {"make", "python3", "af"}
    assert len(blocks("yaml")) == 1


def test_every_target_of_make_exists() -> None:
    """`make -n` resolves a target and its rules, and runs none."""
    named = [target for line in commands("make") for target in line[1:]] + re.findall(r"`make (\w+)`", README)
    assert {"demo", "test", "pyz"} <= set(named)
    for target in named:
        planned = subprocess.run(["make", "-n", target], cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert planned.returncode == 0, planned.stderr


def test_the_one_file_runs_as_shown(environment: dict[str, str], one_file: list[str], tmp_path: Path) -> None:
    """The three commands in their order; the demo prints the lines that the README shows, numbers aside."""
    fetch, demo, serve = (line[2:] for line in commands("python3"))
    fetched = run([*one_file, *fetch], environment, tmp_path)
    assert all(f"{model}  " in fetched for model in (CHAT_MODEL, EMBEDDING_MODEL))
    shown = run([*one_file, *demo], environment, tmp_path)
    output, ready = blocks("text")[0], blocks("text")[1]
    printed = [plain(line) for line in shown.splitlines()]
    assert [line for line in output.splitlines() if line.strip() != "…" and plain(line) not in printed] == []
    assert shown.startswith("Models here: smollm2-135m-instruct writes, all-minilm-l6-v2 sorts and finds")
    assert "3 questions: 2 answered, 1 for a person" in shown
    assert max(len(line) for line in shown.splitlines() if "/" not in line) <= 80
    person = ["runs", "signal", "last", "person", "--data", '{"answer": "No."}', "--json"]
    answered = json.loads(run([*one_file, *person], environment, tmp_path))
    assert ("succeeded", "No.") == (answered["status"], answered["output"]["answer"])
    run([*one_file, "replay", "--all", "--check"], environment, tmp_path)
    serves_as_shown([*one_file, *serve], environment, ready)


def test_the_workflow_runs_as_shown(environment: dict[str, str], tmp_path: Path) -> None:
    """The snippet with the examples of the support template beside it: it waits, is answered, and replays."""
    project = tmp_path / "triage"
    project.mkdir()
    (project / "workflow.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    shutil.copy(EXAMPLES, project)
    af = [sys.executable, "-m", "appliance"]
    validated, waiting, answered, replayed = [run([*af, *line[1:]], environment, tmp_path) for line in commands("af")]
    assert "fine, workflow 'triage'" in validated
    assert "waits for 'person'" in waiting
    assert "classify → ask → done" in answered
    assert "✓ equal" in replayed


def test_every_path_that_is_named_exists() -> None:
    """A folder that was moved leads a reader astray."""
    linked = re.findall(r"\]\(([^)]+)\)", README) + re.findall(r"`(appliance/[\w/]+)`", README)
    assert linked
    assert [path for path in linked if not (CHECKOUT / path).exists()] == []


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """Run to a good end; what stdout holds."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def serves_as_shown(command: list[str], environment: dict[str, str], ready: str) -> None:
    """Serve on a free port until it says that it is ready, as the README shows it, and stop."""
    words = [word.replace(":8700", ":0") for word in command]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = next((line for line in server.stderr if line.startswith("READY")), "")
        server.send_signal(signal.SIGTERM)
    folder = environment["AGENTFLOW_DATA"]
    assert re.sub(r":\d+", ":8700", said).replace(folder, "/var/lib/agentflow") == ready
    assert server.returncode == 0


def plain(line: str) -> str:
    """A line without what differs from run to run: ids, durations and machine-dependent digits."""
    return re.sub(r"r-[0-9a-z]{26}|\d+ min \d\d s\b|[\d.,]+ (?:s|ms)\b", "*", line).rstrip()
