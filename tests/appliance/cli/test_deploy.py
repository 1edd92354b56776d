"""`af deploy` and `af rollback`, with and without a server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli.deploy import _packed
from appliance.config.settings import load_settings
from appliance.deployment import deploy, history, roll_back
from appliance.loader import load
from appliance.wiring import Appliance
from runtime.errors import Conflict
from tests.appliance.cli.conftest import Af

WORKFLOW = """\
name: desk
agents:
  say: {type: custom, handler: "say.py:say"}
"""
TRIGGERS = """\
triggers:
  - file_drop: {folder: inbox}
  - webhook: {path: /x, secret: git-hook}
  - schedule: {every: 1h}
"""


class Project:
    """A project that is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    def says(self, answer: str, *, more: str = "") -> str:
        (self.folder / "say.py").write_text(f"def say(task, ctx):\n    return {{'said': {answer!r}}}\n")
        (self.folder / "workflow.yaml").write_text(WORKFLOW + more)
        return str(self.folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture(params=["alone", "served"])
def place(request: pytest.FixtureRequest, data_folder: Path) -> Iterator[None]:
    """Both ways give the same."""
    if request.param == "alone":
        yield
        return
    command = [sys.executable, "-m", "appliance", "serve", "--listen", "127.0.0.1:0", "--data", str(data_folder)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        assert any(line.startswith("READY") for line in server.stderr)
        yield
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def said(af: Af) -> object:
    return af("run", "desk", "--input", "{}", "--json").document["output"]["said"]  # type: ignore[index]


@pytest.mark.usefixtures("place")
def test_a_project_is_published_changed_and_rolled_back(af: Af, project: Project) -> None:
    first = af("deploy", project.says("one"), "--note", "first", "--json").document
    assert ("", False, []) == (first["previous_hash"], first["is_same"], first["changes"])
    assert "one" == said(af)

    dry = af("deploy", project.says("two"), "--dry-run")
    assert (0, True, "one") == (dry.code, "would be" in dry.out, said(af))
    second = af("deploy", project.says("two"), "--note", "second", "--json").document
    assert ["~ files.say.py"] == second["changes"]
    assert (first["definition_hash"], "two") == (second["previous_hash"], said(af))
    assert True is af("deploy", project.says("two"), "--json").document["is_same"]

    back = af("rollback", "desk", "--json").document
    assert (first["definition_hash"], "one") == (back["definition_hash"], said(af))
    history = af("workflows", "history", "desk", "--json").document["published"]
    assert [True, False, False] == [each["is_current"] for each in history]  # type: ignore[attr-defined]
    assert ["second", "first"] == [each["note"] for each in history][1:]  # type: ignore[attr-defined]

    again = str(second["definition_hash"]).removeprefix("sha256:")[:10]
    assert 0 == af("rollback", "desk", "--to", again).code
    assert "two" == said(af)


def test_what_cannot_be_done_is_told(af: Af, project: Project) -> None:
    nothing = af("rollback", "desk")
    assert (2, True) == (nothing.code, "workflow.unpublished" in nothing.err)
    af("deploy", project.says("one"))
    for asked in (["rollback", "desk"], ["rollback", "desk", "--to", "beef"]):
        found = af(*asked)
        assert (2, True) == (found.code, "workflow.no_earlier" in found.err)
    (project.folder / "workflow.yaml").write_text("name: desk\nagents: {say: {type: lm}}\n")
    broken = af("deploy", str(project.folder))
    assert (2, True) == (broken.code, "workflow.yaml:2" in broken.err)
    assert "one" == said(af)


@pytest.mark.usefixtures("place")
def test_a_project_with_large_files_is_deployed(af: Af, project: Project) -> None:
    """A definition may name 50 MB of them."""
    project.says("one")
    (project.folder / "data").mkdir()
    (project.folder / "data" / "table.txt").write_bytes(b"x" * 20_000_000)
    (project.folder / "workflow.yaml").write_text(
        "name: desk\nagents:\n  find: {type: rag, memory: {long_term: {folder: data}}}\n"
    )
    found = af("deploy", str(project.folder))
    assert (0, True) == (found.code, "its first definition" in found.out), found.err


def test_a_file_that_changes_on_its_way_to_a_server_is_told(project: Project) -> None:
    """The server would say that it was not sent, which nobody could make sense of."""
    workflow = load(Path(project.says("one")))
    project.says("two")
    with pytest.raises(Conflict) as found:
        _packed(workflow, b"", "", is_dry=False)
    assert ("definition.file_changed", True) == (found.value.code, found.value.retryable)


@pytest.mark.parametrize("note", ["n" * 501, "\udcff"])
def test_a_note_that_cannot_be_kept_is_told(af: Af, project: Project, note: str) -> None:
    """With a server or without."""
    found = af("deploy", project.says("one"), "--note", note)
    assert (2, True) == (found.code, "500 characters" in found.err), found.err


def test_what_its_triggers_miss_is_told(af: Af, project: Project) -> None:
    found = af("deploy", project.says("one", more=TRIGGERS))
    assert 0 == found.code
    for words in ("no folder 'inbox'", "no secret 'git-hook'"):
        assert words in found.err
    assert "schedule" in af("triggers", "list").out


def test_a_folder_of_the_operators_is_replaced_and_can_come_back(af: Af, project: Project, data_folder: Path) -> None:
    """It came first when the name was looked up, and nothing says that there is a copy of it."""
    own = Project(data_folder / "workflows" / "desk")
    own.says("by hand")
    assert "by hand" == said(af)
    assert ["~ files.say.py"] == af("deploy", project.says("two"), "--json").document["changes"]
    assert "two" == said(af)
    af("rollback", "desk")
    assert "by hand" == said(af)


def test_open_runs_keep_their_definition(af: Af, project: Project) -> None:
    states = "states: {a: {wait_for: x, on_success: say}, say: {}}"
    waits = f"planner: {{type: fsm, initial_state: a, final_states: [say], {states}}}\n"
    af("deploy", project.says("one", more=waits))
    af("run", "desk", "--input", "{}", "--no-wait")
    view = af("deploy", project.says("two"), "--json").document
    assert 1 == view["open_runs"]
    assert "succeeded" == af("runs", "signal", "last", "x", "--json").document["status"]
    assert "one" == af("runs", "show", "last", "--json").document["output"]["said"]  # type: ignore[index]


def test_the_audit_log_says_who_published_what(af: Af, project: Project) -> None:
    af("deploy", project.says("one"))
    lines = af("audit", "list", "--json").document["lines"]
    (line,) = [each for each in lines if each["event"] == "workflow.published"]  # type: ignore[attr-defined]
    assert ("desk", "cli") == (line["subject"], line["actor"])


def test_rolling_back_from_a_folder_finds_what_was_published_last(af: Af, project: Project, data_folder: Path) -> None:
    """It was that which the folder took the name from."""
    for answer in ("one", "two"):
        af("deploy", project.says(answer))
    Project(data_folder / "workflows" / "desk").says("by hand")
    history = af("workflows", "history", "desk", "--json").document["published"]
    assert [False, False] == [each["is_current"] for each in history]  # type: ignore[attr-defined]
    assert 0 == af("rollback", "desk").code
    assert "two" == said(af)


def test_a_folder_that_is_replaced_is_never_lost(af: Af, project: Project, data_folder: Path) -> None:
    """One with another name in it can be rolled back to, and one that is no workflow stays under another name."""
    own = Project(data_folder / "workflows" / "desk")
    own.says("by hand")
    (own.folder / "workflow.yaml").write_text(WORKFLOW.replace("desk", "other"))
    assert "by hand" == said(af)
    af("deploy", project.says("two"))
    assert "two" == said(af)
    af("rollback", "desk")
    assert "by hand" == said(af)
    own.folder.mkdir(exist_ok=True)
    (own.folder / "workflow.yaml").write_text("name: [")
    af("deploy", project.says("two"))
    assert "two" == said(af)
    assert "name: [" == (own.folder / "workflow.yaml.replaced").read_text()


async def test_the_first_of_many_can_be_rolled_back_to(data_folder: Path) -> None:
    """However often something was published since."""
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        document = WORKFLOW.partition("agents")[0] + "agents: {say: {type: llm, prompt: 'Say %d.'}}\n"
        published = [await appliance.workflows.put((document % n).encode(), name="desk") for n in range(120)]
        found = (await history(appliance, "desk")).published
        assert [each.hash for each in reversed(published)] == [each.definition_hash for each in found]
        back = await roll_back(appliance, "desk", to=published[0].hash, actor="cli")
        assert published[0].hash == back.definition_hash
        assert (document % 0).encode() == await appliance.workflows.source("desk", published[0].hash)
    finally:
        await appliance.stop()


async def test_what_is_developed_is_not_published_yet(data_folder: Path, project: Project) -> None:
    """`af dev --serve` has the name for as long as it runs."""
    appliance = Appliance(load_settings(data_folder, {}))
    await appliance.start()
    try:
        workflow = load(Path(project.says("one")))
        await appliance.workflows.develop(workflow)
        view = await deploy(appliance, workflow, b"", actor="cli")
        assert (False, 1) == (view.is_same, len(await appliance.workflows.history("desk")))
    finally:
        await appliance.stop()
