"""`af runs migrate`: says what a move changes, does it on purpose, and replay still agrees."""

from pathlib import Path

from tests.appliance.cli.conftest import Af

FIRST = """
name: versioned
agents: {a: {type: custom, handler: actions.py:act}}
planner:
  type: fsm
  initial_state: ask
  states: {ask: {wait_for: go, on_success: a}, a: {on_success: done}}
  final_states: [done]
"""
NEXT = FIRST.replace("a: {on_success: done}", "a: {on_success: b}, b: {agent: a, on_success: done}")
ELSEWHERE = FIRST.replace("ask", "elsewhere")


def project(folder: Path, definition: str) -> Path:
    folder.mkdir()
    (folder / "workflow.yaml").write_text(definition)
    (folder / "actions.py").write_text("def act(task, ctx):\n    return {}\n")
    return folder


def test_a_run_is_moved_and_goes_by_the_other_definition(af: Af, tmp_path: Path) -> None:
    """After a dry run that moved nothing."""
    run = str(af("run", project(tmp_path / "first", FIRST), "--json").document["run_id"])
    following = project(tmp_path / "next", NEXT)
    said = af("runs", "migrate", run, "--to", following, "--dry-run", "--json")
    changes = ["state 'a' changes", "state 'b' comes"]
    assert (0, changes, []) == (said.code, said.document["changes"], said.document["refusals"])
    assert said.document["previous"] == af("runs", "show", run, "--json").document["definition_hash"]
    moved = af("runs", "migrate", run, "--to", following)
    assert (0, True) == (moved.code, "moved" in moved.out)
    ended = af("runs", "signal", run, "go", "--json").document
    assert ["ask", "a", "b", "done"] == ended["path"]
    assert 0 == af("replay", run, "--check").code


def test_a_run_without_a_place_there_is_refused_by_name(af: Af, tmp_path: Path) -> None:
    """With the state that is missing."""
    run = str(af("run", project(tmp_path / "first", FIRST), "--json").document["run_id"])
    there = project(tmp_path / "there", ELSEWHERE)
    dry = af("runs", "migrate", run, "--to", there, "--dry-run")
    assert (1, True) == (dry.code, "state 'ask', where the run is, does not exist there" in dry.out)
    real = af("runs", "migrate", run, "--to", there)
    assert "run.not_migrated" in real.err
    assert "waiting" == af("runs", "show", run, "--json").document["status"]
