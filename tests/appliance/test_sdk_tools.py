"""`@agentflow.tool`: a typed function, called by an agent, in a worker of its own."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import agentflow

TOOLS = '''
from __future__ import annotations
from dataclasses import dataclass
from enum import Enum
import agentflow

class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"

@dataclass
class Parcel:
    to: str
    grams: int
    speed: Speed = Speed.SLOW

@agentflow.tool
def pack(parcels: list[Parcel], speed: Speed) -> Parcel:
    """Put parcels into one."""
    return Parcel(parcels[0].to, sum(each.grams for each in parcels), speed)

@agentflow.tool(idempotent=True)
def calculate_total(lines: list[float], tax: float = 0.0) -> float:
    """Add up an invoice."""
    return sum(lines) * (1 + tax)

@agentflow.tool
def key_of(ctx) -> str:
    return ctx.idempotency_key

@agentflow.tool(timeout="1s")
def spin() -> None:
    while True:
        pass

@agentflow.tool
def fail(iban: str) -> None:
    raise ValueError(iban)

@agentflow.tool
def lie() -> int:
    return "text"

def act(task, ctx):
    return [ctx.tool(each["tool"], each["with"]) for each in task]
'''
NAMES = ["calculate_total", "key_of", "spin", "fail", "lie", "pack"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "tools.py").write_text(TOOLS)
    spec = importlib.util.spec_from_file_location("project_tools", tmp_path / "tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "project_tools", module)  # as an import does, and dataclasses need
    spec.loader.exec_module(module)
    return module


def ran(project: ModuleType, tmp_path: Path, tool: str, **given: agentflow.Value) -> agentflow.Run:
    desk = agentflow.Workflow(
        "desk",
        [agentflow.Agent("a", "custom", handler="tools.py:act", tools=NAMES)],
        tools=[getattr(project, name) for name in NAMES],
    )
    return desk.run([{"tool": tool, "with": given}], data=tmp_path / "data")


def test_a_function_is_a_tool(project: ModuleType, tmp_path: Path) -> None:
    """And stays a function; its answer is held to what it says of itself."""
    assert 3.0 == project.calculate_total([1.0, 2.0])
    run = ran(project, tmp_path, "calculate_total", lines=[1, 2], tax=1)
    assert ("succeeded", [6]) == (run.status, run.output)
    keyed = ran(project, tmp_path, "key_of")
    assert [f"{keyed.run_id}/a/key_of"] == keyed.output


def test_its_own_types_come_in_and_go_out(project: ModuleType, tmp_path: Path) -> None:
    """The function has objects, the caller JSON."""
    parcels: agentflow.Value = [{"to": "Ada", "grams": 5}, {"to": "Ada", "grams": 7, "speed": "fast"}]
    run = ran(project, tmp_path, "pack", parcels=parcels, speed="fast")
    assert ("succeeded", [{"to": "Ada", "grams": 12, "speed": "fast"}]) == (run.status, run.output)


@pytest.mark.parametrize(
    ("tool", "given", "error"),
    [
        ("calculate_total", {"lines": "x"}, "tool.arguments"),
        ("fail", {"iban": "DE00"}, "custom.raised: tool 'fail': tools.py:38 raised ValueError"),
        ("lie", {}, "tool.output_invalid"),
        ("pack", {"parcels": [{"to": "Ada"}], "speed": "fast"}, "tool.arguments"),
        ("spin", {}, "tool.timeout"),
    ],
)
def test_its_errors_are_those_of_tools(
    project: ModuleType, tmp_path: Path, tool: str, given: dict[str, agentflow.Value], error: str
) -> None:
    """With its place in the file, and nothing that it was given."""
    run = ran(project, tmp_path, tool, **given)
    assert ("failed", True, False) == (run.status, run.error.startswith(error), "DE00" in run.error)


def test_only_marked_functions_of_the_folder_are_tools(project: ModuleType, tmp_path: Path) -> None:
    agents = [agentflow.Agent("a", prompt="x")]
    with pytest.raises(TypeError, match="mark it with"):
        agentflow.Workflow("w", agents, tools=[project.act])
    with pytest.raises(ValueError, match="does not lie in"):
        agentflow.Workflow("w", agents, tools=[project.fail], folder=Path(sys.prefix))
