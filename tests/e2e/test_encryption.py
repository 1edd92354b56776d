"""With a database key nothing of a customer, an article or an example lies in the clear, and a backup is complete."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.ram_folder import RAM, RamFolder
from runtime.errors import Unusable
from tests.e2e.small_support import SUPPORT, small_support
from tests.models.installed import installed_models

AF = [sys.executable, "-m", "appliance"]
CHECKOUT = Path(__file__).resolve().parents[2]
KEY, OTHER_KEY = "5e" * 32, "5f" * 32
QUESTION = "The cash machine at Gare du Nord kept my card, says Amélie Dupont. What now?"
PERSON = "Amelie is called back by Mr Oduya before noon."
SHORTEST = 24
"""Characters of a piece of text that cannot stand in a file by chance."""

# the second step takes a minute until the file `go` is there
SLOW = {
    "workflow.yaml": """
name: slow
agents:
  first: {type: custom, handler: "steps.py:first"}
  second: {type: custom, handler: "steps.py:second", input: "{{ input.folder }}"}
""",
    "steps.py": """
import pathlib, time

def first(given, ctx):
    return "the first step of the slow project answers"

def second(folder, ctx):
    if not pathlib.Path(folder, "go").exists():
        time.sleep(60)
    return "the second step of the slow project answers"
""",
}
ASK = {
    "workflow.yaml": """
name: ask
agents:
  before: {type: custom, handler: "steps.py:before"}
  after: {type: custom, handler: "steps.py:after", input: "{{ steps.person.answer }}"}
planner:
  type: fsm
  definition:
    initial_state: before
    states:
      before: {on_success: person}
      person: {wait_for: person, on_success: after}
      after: {on_success: done}
    final_states: [done]
""",
    "steps.py": """
import words

def before(given, ctx):
    return 1

def after(given, ctx):
    return words.thank(given)
""",
    "words.py": "def thank(given):\n    return f'{given} Thank you.'\n",
}


@pytest.fixture
def environment(data_folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    # debug: what is written most freely must hold nothing either
    return kept | {"AGENTFLOW_DATA": str(data_folder), "PYTHONPATH": str(CHECKOUT), "AGENTFLOW_LOG_LEVEL": "debug"}


@pytest.fixture
def keyed(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment with a key in a file of its own."""
    ram = RamFolder()
    try:
        ram.path()
    except Unusable as error:
        pytest.skip(error.message)
    finally:
        ram.stop()
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    return environment | {"AGENTFLOW_DB_KEY_FILE": str(file)}


def af(environment: dict[str, str], *arguments: str | Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    command = [*AF, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def without_models(tmp_path: Path, data_folder: Path) -> Path:
    """The support template on scripted vectors, which mean nothing, so that nothing may depend on them."""
    project = tmp_path / "support"
    shutil.copytree(SUPPORT, project, ignore=shutil.ignore_patterns("__pycache__"))
    file = project / "workflow.yaml"
    text = (
        file.read_text().replace("reject_below: 0.45", "reject_below: -1").replace(" || response.confidence < 0.45", "")
    )
    file.write_text(text)
    data_folder.mkdir(mode=0o700)
    aliases = {"local/all-minilm-l6-v2": "scripted/vectors"}
    (data_folder / "config.yaml").write_text(json.dumps({"models": {"aliases": aliases}}))
    return project


def texts_of_support() -> Iterator[str]:
    """Every sentence or line of the template's articles, examples and code."""
    with (SUPPORT / "examples.csv").open(newline="") as file:
        yield from (row["text"] for row in csv.DictReader(file))
    for path in [*SUPPORT.glob("articles/*.md"), SUPPORT / "actions.py"]:
        yield from (line[:60] for line in path.read_text().splitlines())


def found_in(folder: Path, texts: Iterator[str] | list[str]) -> set[str]:
    """The texts that stand in a file of the folder, or in its name, as they are or as JSON."""
    content = b"\n".join(
        str(path).encode() + b"\n" + path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    )
    wanted = {text.strip() for text in texts if len(text.strip()) >= SHORTEST}
    assert wanted, "looking for nothing finds nothing"
    return {text for text in wanted if text.encode() in content or json.dumps(text)[1:-1].encode() in content}


def answered(environment: dict[str, str], workflow: str | Path) -> list[str]:
    """Run the support desk and give what went in and came out."""
    ran = af(environment, "run", workflow, "--input", json.dumps({"message": QUESTION}), "--json", timeout_s=180)
    assert 0 == ran.returncode, ran.stderr
    run = json.loads(ran.stdout)
    assert "succeeded" == run["status"], run
    assert {"classify", "search", "answer", "create_ticket"} <= set(run["path"])
    answer = str(run["output"]["answer"])
    assert len(answer) >= SHORTEST
    return [QUESTION, *answer.splitlines()]


def test_nothing_of_a_support_desk_lies_in_the_clear(
    keyed: dict[str, str], data_folder: Path, without_models: Path
) -> None:
    """A stolen disk says nothing, and the data folder opens with its key alone."""
    said = answered(keyed, without_models)
    assert set() == found_in(data_folder, said)
    assert set() == found_in(data_folder, texts_of_support())
    assert [] == [name for name in ("cache", "definitions") if (data_folder / name).exists()]
    bare = {name: value for name, value in keyed.items() if not name.startswith("AGENTFLOW_DB_KEY")}
    for environment, code in ((bare, "not_a_database"), (bare | {"AGENTFLOW_DB_KEY": OTHER_KEY}, "wrong_key")):
        for command in (("runs", "list"), ("run", without_models, "--input", "{}")):
            refused = af(environment, *command)
            assert (4, True) == (refused.returncode, f"error[store.{code}]" in refused.stderr), refused.stderr
    assert 0 == af(keyed, "replay", "--all", "--check").returncode


def test_the_search_for_clear_text_finds_it_without_a_key(
    environment: dict[str, str], data_folder: Path, without_models: Path
) -> None:
    """Else the test above would prove nothing."""
    said = answered(environment, without_models)
    assert found_in(data_folder, said) == {text.strip() for text in said if len(text.strip()) >= SHORTEST}
    lines = list(texts_of_support())
    assert len(found_in(data_folder, lines)) > 0.9 * len({line for line in lines if len(line.strip()) >= SHORTEST})


def test_nothing_lies_in_the_clear_with_the_real_models(
    keyed: dict[str, str], data_folder: Path, tmp_path: Path
) -> None:
    """They have worker processes and logs of their own."""
    environment = keyed | {"AGENTFLOW_MODELS": str(installed_models())}
    said = answered(environment, small_support(tmp_path))
    assert set() == found_in(data_folder, said)
    assert set() == found_in(data_folder, texts_of_support())


def test_a_killed_process_leaves_nothing_in_ram_after_the_next_start(
    keyed: dict[str, str], data_folder: Path, tmp_path: Path
) -> None:
    """And nothing in the clear on the disk, the write-ahead log included."""
    project = write(tmp_path / "project", SLOW)
    given = json.dumps({"folder": str(project)})
    command = [*AF, "run", str(project), "--input", given]
    running = subprocess.Popen(command, env=keyed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert any("✓ first" in line for line in running.stderr)
    (ram,) = RAM.glob(f"agentflow-{os.getuid()}-{running.pid}-*")
    assert SLOW["steps.py"] in [path.read_text() for path in ram.rglob("steps.py")]
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    lines = [*SLOW["steps.py"].splitlines(), "the first step of the slow project answers", given]
    assert set() == found_in(data_folder, lines)
    (project / "go").touch()
    resumed = af(keyed, "runs", "resume", "--json")
    assert ["succeeded"] == [run["status"] for run in json.loads(resumed.stdout)["runs"]], resumed.stderr
    assert not ram.exists()


@pytest.mark.parametrize("has_key", [False, True], ids=["plain", "encrypted"])
def test_a_backup_is_all_that_a_waiting_run_needs(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path, *, has_key: bool
) -> None:
    """The machine has burnt down: the project's folder and all of the data folder but the one file are gone."""
    here: dict[str, str] = request.getfixturevalue("keyed") if has_key else environment
    project = write(tmp_path / "project", ASK)
    asked = af(here, "run", project, "--input", "{}", "--json")
    assert "waiting" == json.loads(asked.stdout)["status"], asked.stderr
    backup = tmp_path / "backup.db"
    assert 0 == af(here, "backup", backup).returncode
    shutil.rmtree(project)
    shutil.rmtree(here["AGENTFLOW_DATA"])
    data = tmp_path / "restored"
    data.mkdir(mode=0o700)
    backup.rename(data / "journal.db")
    there = here | {"AGENTFLOW_DATA": str(data)}
    signalled = af(there, "runs", "signal", "last", "person", "--data", json.dumps({"answer": PERSON}), "--json")
    assert 0 == signalled.returncode, signalled.stderr
    shown = json.loads(af(there, "runs", "show", "last", "--json").stdout)
    assert ("succeeded", f"{PERSON} Thank you.") == (shown["status"], shown["output"])
    assert 0 == af(there, "replay", "--all", "--check").returncode
    assert has_key is not (data / "definitions").exists()
