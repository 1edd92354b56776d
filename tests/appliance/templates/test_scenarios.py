"""Each template's scenarios, run as `af` runs them; what is the model's to choose is played, so that none is needed."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
import yaml

from appliance import loader
from appliance.cli.templates import HIDDEN
from appliance.config.settings import load_settings
from appliance.views import RunView, run_view
from appliance.wiring import Appliance
from appliance.workflows import TEMPLATES
from runtime.domain.canonical import Json

Scenario = Mapping[str, Mapping[str, Json]]
LOCAL = "{provider: local, name: smollm2-135m-instruct, temperature: 0, max_tokens: 60}"
CHOICE = '{"json": {"strategy": "STRATEGY", "rollout_percentage": 50, "monitoring_duration": "5m"}}'


def scenarios(template: str) -> list[Scenario]:
    text = (TEMPLATES / template / "scenarios.yaml").read_text(encoding="utf-8")
    return cast("list[Scenario]", yaml.safe_load(text)["scenarios"])


def project(template: str, folder: Path, change: Callable[[str], str] = str) -> Path:
    """A copy of the template, its workflow changed."""
    copy = folder / template
    shutil.copytree(TEMPLATES / template, copy, ignore=HIDDEN)
    file = copy / "workflow.yaml"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


async def ran(folder: Path, inputs: Sequence[Json], data: Path) -> list[RunView]:
    """The runs of these inputs, one after another so that they share workers, in an appliance of their own."""
    appliance = Appliance(load_settings(data, {}), what="tests")
    await appliance.start(recover=False)
    try:
        workflow = await appliance.workflows.keep(loader.load(folder))
        runs = []
        for each in inputs:
            run = await appliance.engine.submit(workflow, each, actor="tests")
            runs.append(run_view(await appliance.engine.wait(run), workflow))
        return runs
    finally:
        await appliance.stop()


def unlike(scenario: Scenario, run: RunView) -> list[str]:
    """What a run has otherwise than its scenario expects."""
    output = run.output if isinstance(run.output, dict) else {}
    found: dict[str, Json] = {**output, "path": list(run.path), "status": run.status}
    name, expected = scenario["name"], scenario["expect"]
    return [f"{name}: {key} is {found.get(key)!r}" for key, value in expected.items() if found.get(key) != value]


# --- devops-deployment


def choosing(strategy: str) -> Callable[[str], str]:
    played = f"{{provider: scripted, answers: [{CHOICE.replace('STRATEGY', strategy)}]}}"

    def change(text: str) -> str:
        assert LOCAL in text
        return text.replace(LOCAL, played)

    return change


async def test_deployments_end_where_their_scenarios_say(tmp_path: Path) -> None:
    """Each way back of the machine is gone once: a build refused, staging and production rolled back, tests failed."""
    folder = project("devops-deployment", tmp_path, choosing("rolling"))
    known = scenarios("devops-deployment")
    runs = await ran(folder, [dict(each["input"]) for each in known], tmp_path / "data")
    assert [] == [wrong for scenario, run in zip(known, runs, strict=True) for wrong in unlike(scenario, run)]
    ends = {str(run.path[-1]) for run in runs}
    assert {"notify_failure", "notify_test_failure", "rollback_staging", "rollback_production"} < ends


def test_the_deployment_in_python_is_the_one_in_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hash, so that a run of one is a run of the other."""
    folder = TEMPLATES / "devops-deployment"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("tools", "deployment"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("deployment", folder / "deployment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checked = module.create_deployment_workflow().check()
    monkeypatch.delitem(sys.modules, "tools")
    assert () == tuple(checked.problems)
    assert loader.load(folder).hash == checked.workflow.hash


@pytest.mark.parametrize(
    ("chosen", "risk", "room", "traffic", "settled"),
    [
        ("rolling", 0.1, True, "low", ("rolling", 50)),
        ("rolling", 0.1, True, "peak", ("canary", 10)),
        ("blue_green", 0.1, True, "peak", ("blue_green", 100)),
        ("blue_green", 0.1, False, "low", ("canary", 10)),
        ("blue_green", 0.9, True, "low", ("canary", 10)),
        ("canary", 0.1, True, "low", ("canary", 25)),
        ("canary", 0.9, True, "low", ("canary", 10)),
        (None, 0.1, True, "low", ("canary", 10)),
    ],
)
def test_what_the_model_chose_is_kept_where_the_facts_allow_it(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, risk: float, room: bool, traffic: str, settled: tuple[str, int]
) -> None:
    """A small model chooses badly at times: then the deployment is slower, and no more dangerous."""
    agents = handlers("devops-deployment", "agents.py", monkeypatch)

    class Tools:
        def tool(self, name: str, arguments: dict[str, Json]) -> dict[str, Json]:
            found: dict[str, dict[str, Json]] = {
                "analyze_git_diff": {"risk": risk},
                "check_service_health": {"health": "healthy", "spare_capacity": room, "running": "a:1"},
                "estimate_traffic": {"level": traffic},
            }
            return found[name]

    choice = chosen and {"strategy": chosen, "rollout_percentage": 50, "monitoring_duration": "5m"}
    task = {"service": "a", "git_diff": "", "current_load": 1, "chosen": choice}
    found = agents.settle_strategy(task, Tools())
    assert settled == (found["strategy"], found["rollout_percentage"])


def handlers(template: str, file: str, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]  # a module
    """A template's own Python, loaded by itself."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location(f"template_{file[:-3]}", TEMPLATES / template / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
