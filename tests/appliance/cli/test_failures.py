"""Whatever goes wrong is one line, an exit code, and with --json an object; never a traceback."""

import json
from pathlib import Path

import click
import pytest

from appliance.cli.command import Command
from appliance.cli.context import Af as Invocation
from appliance.cli.failures import failure_of
from appliance.cli.main import run
from appliance.cli.root import af as root
from runtime.domain.problem import Problem
from runtime.errors import (
    AgentFlowError,
    Conflict,
    Corrupt,
    Invalid,
    InvalidDefinition,
    NotFound,
    Refused,
    StepFailure,
    StoreFull,
    Unavailable,
)

PROBLEM = Problem(code="key.unknown", message="unknown key", file="w.yaml", line=3)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (Invalid("x.y", "m"), 2),
        (NotFound("x.y", "m"), 2),
        (InvalidDefinition("w.yaml", [PROBLEM]), 2),
        (click.UsageError("m"), 2),
        (Refused("x.y", "m"), 3),
        (Unavailable("x.y", "m"), 4),
        (StoreFull("x.y", "m"), 2),
        (OSError(28, "No space left on device"), 4),
        (Conflict("x.y", "m"), 1),
        (StepFailure("x.y", "m"), 1),
        (Corrupt("x.y", "m"), 1),
        (AgentFlowError("x.y", "m"), 1),
        (ZeroDivisionError("secret"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_kind_of_error_has_its_exit_code(error: Exception, exit_code: int, tmp_path: Path) -> None:
    """Scripts branch on it."""
    assert exit_code == failure_of(error, tmp_path / "af.log").exit_code


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command `crash` that has a bug."""

    @click.command(cls=Command)
    @click.pass_obj
    def crash(af: Invocation) -> None:
        af.open_log()
        raise KeyError("what a customer wrote")

    monkeypatch.setitem(root.commands, "crash", crash)


@pytest.mark.usefixtures("crash")
def test_a_bug_is_one_line_and_its_traceback_is_in_the_log(
    capfd: pytest.CaptureFixture[str], data_folder: Path
) -> None:
    """The message of the exception may hold what a customer wrote, so only its kind and place are shown."""
    assert 1 == run(["crash"])
    said = capfd.readouterr()
    log = data_folder / "logs" / "af.log"
    assert ("", 1) == (said.out, len(said.err.splitlines()))
    assert "unexpected KeyError at test_failures.py:" in said.err
    assert f"details in {log}" in said.err
    assert "what a customer wrote" not in said.err
    assert "Traceback" in json.loads(log.read_text().splitlines()[0])["traceback"]


@pytest.mark.usefixtures("crash")
def test_with_json_the_error_is_an_object_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    """A program reads one stream."""
    assert 1 == run(["crash", "--json"])
    assert {"code", "message", "retryable"} == json.loads(capfd.readouterr().out)["error"].keys()


def test_problems_of_a_definition_are_listed_in_json(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each with its place, for an editor to jump to."""
    (tmp_path / "w.yaml").write_text("name: w\nagentz: {}\n")
    assert 2 == run(["run", str(tmp_path / "w.yaml"), "--json"])
    error = json.loads(capfd.readouterr().out)["error"]
    assert "definition.invalid" == error["code"]
    assert {"key.unknown"} <= {problem["code"] for problem in error["problems"]}
    assert all(problem["line"] for problem in error["problems"])
