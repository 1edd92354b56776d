"""The README as its reader takes it: every command in it is run, and what it shows is what comes out.

Those of the one file are run in test_pyz.py.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from models.catalog import CHAT_MODEL, EMBEDDING_MODEL
from models.folder import missing
from tests.e2e.readme import BLOCK, CHECKOUT, README, blocks, commands

EXAMPLES = CHECKOUT / "appliance" / "templates" / "support" / "examples.csv"

# Read at import, because the data folder of each test is elsewhere.
MODELS = load_settings(None, os.environ).models_folder


@pytest.fixture
def environment(data_folder: Path) -> dict[str, str]:
    """Folders of its own to write in, and the models that are installed."""
    absent = missing(MODELS, [CHAT_MODEL, EMBEDDING_MODEL])
    if absent:
        pytest.skip(f"no {' and no '.join(absent)} in {MODELS}; run: make setup")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {"AGENTFLOW_DATA": str(data_folder), "AGENTFLOW_MODELS": str(MODELS), "PYTHONPATH": str(CHECKOUT)}
    return kept | own | {"COLUMNS": "80", "NO_COLOR": "1"}


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
