"""`af dev`: a change is checked, offered to new runs, and held against the scenarios that it touches."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import pytest

from appliance.cli.context import Af as Invocation
from appliance.cli.developing import Development, develop
from appliance.config.settings import load_settings
from appliance.loader import load
from appliance.scenarios.format import Scenario
from appliance.scenarios.running import bench, settings_for_tests
from appliance.wiring import Appliance
from runtime.domain.ids import RunId
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow
from runtime.engine.runs import Engine
from tests.appliance.cli.conftest import Af

SCENARIOS = """
version: 1
scenarios:
  - {name: a card, input: {message: card}, expect: {output: {text: hello}}}
  - {name: the rest, input: {message: weather}, expect: {status: waiting}}
"""


class Project:
    """A project that is worked on; `offered` has the definitions that new runs were to use."""

    def __init__(self, folder: Path, desk: Path) -> None:
        self.folder = folder
        self.workflow = folder / "workflow.yaml"
        self.workflow.write_text(desk.read_text())
        self.scenarios = folder / "scenarios.yaml"
        self.scenarios.write_text(SCENARIOS)
        self.offered: list[str] = []

    def development(self, data: Path, *, runs_all: bool = False, is_json: bool = False) -> Development:
        invocation = Invocation()
        invocation.terminal.is_json = is_json
        invocation.data = data / "user"
        tests = settings_for_tests(load_settings(data / "user", {}), data / "tests")
        return Development(invocation, self.folder, tests=tests, offer=self._offer, jobs=1, runs_all=runs_all)

    async def _offer(self, workflow: Workflow) -> None:
        self.offered.append(workflow.hash)


@pytest.fixture
def project(tmp_path: Path, desk: Path) -> Project:
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project", desk)


async def _one(name: str, write: object = None) -> AsyncIterator[tuple[str, ...]]:
    """A change of one file."""
    if isinstance(write, tuple):
        file, text = write
        file.write_text(text)
    yield (name,)


async def said(development: Development, capsys: pytest.CaptureFixture[str], changes: object) -> str:
    """What is printed of it, in one line per line, without spaces around."""
    capsys.readouterr()
    await develop(development, changes)  # type: ignore[arg-type]  # an iterator of changes
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.mark.asyncio
async def test_only_what_a_change_touches_is_run(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scenario that was edited runs; all of them run when the definition is another; a comment touches none."""
    changed = SCENARIOS.replace("text: hello", "text: bye")
    told = await said(project.development(tmp_path), capsys, _one("scenarios.yaml", (project.scenarios, changed)))
    assert "changed: scenarios.yaml" in told
    assert "✗ a card" in told
    assert "the rest" not in told
    assert "0 passed, 1 failed" in told

    text = project.workflow.read_text()
    told = await said(project.development(tmp_path), capsys, _one("workflow.yaml", (project.workflow, text + "# x\n")))
    assert "no scenario is touched by that" in told

    other = text.replace('"hello"', '"bye"')
    told = await said(project.development(tmp_path), capsys, _one("workflow.yaml", (project.workflow, other)))
    assert "✓ a card" in told
    assert "2 passed · 2 runs" in told


@pytest.mark.asyncio
async def test_a_definition_that_is_wrong_is_told_and_not_offered(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """New runs go on with the one before."""
    before = load(project.folder).hash
    wrong = project.workflow.read_text().replace("prompt:", "promt:", 1)
    told = await said(project.development(tmp_path), capsys, _one("workflow.yaml", (project.workflow, wrong)))
    assert "workflow.yaml:7: error[key.unknown] agents.sort.promt:" in told
    assert "new runs go on with the definition before it" in told
    assert [before] == project.offered


@pytest.mark.asyncio
async def test_scenarios_that_are_wrong_are_told_and_the_definition_is_offered_all_the_same(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = SCENARIOS.replace("expect", "expcet", 1)
    told = await said(project.development(tmp_path), capsys, _one("scenarios.yaml", (project.scenarios, wrong)))
    assert "scenarios.yaml:4: error[key.unknown] scenarios.0.expcet:" in told
    assert 1 == len(project.offered)


@pytest.mark.asyncio
async def test_with_test_all_are_run_at_the_start_and_a_change_stops_what_runs(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was stopped is touched still, so that it runs again."""
    slow = project.workflow.read_text().replace('"hello"', "{text: hello, delay_ms: 60000}")
    quick = project.workflow.read_text()
    project.workflow.write_text(slow)
    development = project.development(tmp_path, runs_all=True)

    async def while_it_runs() -> AsyncIterator[tuple[str, ...]]:
        project.workflow.write_text(quick)
        yield ("workflow.yaml",)

    told = await said(development, capsys, while_it_runs())
    assert "2 passed · 2 runs" in told
    assert 2 == len(project.offered)


@pytest.mark.asyncio
async def test_runs_that_have_begun_keep_their_definition(project: Project, tmp_path: Path) -> None:
    """New ones of the same name use the one that was saved last."""
    appliance = Appliance(load_settings(tmp_path / "data", {}), what="tests")
    await appliance.start(recover=False)
    try:
        await appliance.workflows.develop(load(project.folder))
        old = await appliance.engine.submit(await appliance.workflows.find("desk"), {"message": "weather"})
        await appliance.engine.wait(old)
        project.workflow.write_text(
            project.workflow.read_text().replace("ask: {wait_for: person", "ask: {wait_for: boss")
        )
        await appliance.workflows.develop(load(project.folder))
        new = await appliance.engine.submit(await appliance.workflows.find("desk"), {"message": "weather"})
        await appliance.engine.wait(new)
        states = [await appliance.engine.state(run) for run in (old, new)]
        assert [["person"], ["boss"]] == [state.awaits() for state in states]
        assert "developed" in {line.source for line in await appliance.workflows.list() if line.name == "desk"}
    finally:
        await appliance.stop()


@pytest.mark.asyncio
async def test_programs_read_lines_of_json(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One for each look at the project, one for what came of scenarios, and nothing else."""
    development = project.development(tmp_path, runs_all=True, is_json=True)
    wrong = project.workflow.read_text().replace("prompt:", "promt:", 1)
    told = await said(development, capsys, _one("workflow.yaml", (project.workflow, wrong)))
    first, *_, last = [json.loads(line) for line in told.splitlines()]
    assert ([], True) == (first["changed"], first["valid"])
    assert (["workflow.yaml"], False, None) == (last["changed"], last["valid"], last["definition_hash"])
    assert "key.unknown" in {each["code"] for each in last["problems"]}


@pytest.mark.asyncio
async def test_a_run_whose_scenario_is_stopped_is_cancelled(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not go on beside the next."""
    project.workflow.write_text(project.workflow.read_text().replace('"hello"', "{text: hello, delay_ms: 60000}"))
    begun: asyncio.Queue[RunId] = asyncio.Queue()
    wait = Engine.wait

    async def told(engine: Engine, run: RunId) -> RunState:
        begun.put_nowait(run)
        return await wait(engine, run)

    monkeypatch.setattr(Engine, "wait", told)
    scenario = Scenario(name="a card", file="x", line=1, workflow=project.folder, input={"message": "card"})
    async with bench(settings_for_tests(load_settings(tmp_path / "user", {}), tmp_path / "tests")) as on:
        task = asyncio.create_task(on.result(scenario))
        run = await begun.get()
        task.cancel()
        assert [True] == [
            isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(task, return_exceptions=True)
        ]
        assert "cancelled" == (await on._appliance.engine.state(run)).status


def test_scenarios_run_inside_the_air_gap_where_the_settings_have_it(
    af: Af, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: list[str] = []

    def run_sealed(invocation: Invocation, work: Coroutine[object, object, object]) -> None:
        work.close()
        sealed.append(invocation.settings.mode)

    monkeypatch.setattr(Invocation, "run_sealed", run_sealed)
    monkeypatch.setenv("AGENTFLOW_MODE", "air_gapped")
    assert 0 == af("dev", project.folder).code
    assert ["air_gapped"] == sealed


def test_where_there_is_no_project_it_says_so(af: Af, tmp_path: Path) -> None:
    said_of_it = af("dev", tmp_path)
    assert 2 == said_of_it.code
    assert "dev.no_project" in said_of_it.err
    assert 2 == af("dev", tmp_path, "--listen", "127.0.0.1:0").code
