"""An agent that follows a state machine of its own, from the command line: checked, tried, foreseen, run, replayed."""

import json
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

SCORED = """
name: fraud
agents:
  risk_scorer:
    type: llm
    prompt: "{{ state }} {{ input.amount }}"
    model:
      provider: scripted
      answers:
        "^score 9": {json: {risk_score: 0.9}}
        "^score 1$": {json: {risk_score: 0.1}}
        "^look_closer": {json: {combined_score: 0.85}}
    output_schema: {type: object}
    planner:
      type: fsm
      initial_state: score
      states:
        score: {on_success: weigh}
        weigh: {condition: risk_score < 0.7, on_true: approve, on_false: look_closer}
        look_closer: {on_success: decide}
        decide: {condition: combined_score < 0.8, on_true: approve, on_false: review}
      final_states: [approve, review]
  report:
    type: llm
    prompt: "{{ steps.risk_scorer.decision }}"
    model: {provider: scripted, answers: {approve: approved, review: to a person}}
"""


@pytest.fixture
def fraud(tmp_path: Path) -> Path:
    path = tmp_path / "fraud.yaml"
    path.write_text(SCORED)
    return path


@pytest.mark.parametrize(
    ("amount", "path", "text"),
    [
        (900, ["score", "weigh", "look_closer", "decide", "review"], "to a person"),
        (1, ["score", "weigh", "approve"], "approved"),
    ],
)
def test_an_agent_goes_through_its_own_machine(af: Af, fraud: Path, amount: int, path: list[str], text: str) -> None:
    """Each state asks its own question, conditions read what was answered, and the workflow reads what was decided."""
    assert 0 == af("validate", fraud).code
    ran = af("run", fraud, "--input", json.dumps({"amount": amount}), "--json").document
    assert ({"text": text}, ["risk_scorer", "report", "done"]) == (ran["output"], ran["path"])
    inner = str(ran["steps"][0]["runs"][0])  # type: ignore[index]  # steps are a list
    shown = af("runs", "show", inner, "--json").document
    assert (path, path[-1]) == (shown["path"], shown["output"]["decision"])  # type: ignore[index]  # a mapping
    for run in (str(ran["run_id"]), inner):
        assert 0 == af("replay", run, "--check").code


def test_its_plan_is_simulated_and_foreseen(af: Af, fraud: Path, tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.json"
    outcomes.write_text(json.dumps({"score": {"output": {"risk_score": 0.9}}, "look_closer": "F"}))
    tried = af("simulate", fraud, "--agent", "risk_scorer", "--outcomes", outcomes, "--json").document
    assert (["score", "weigh", "look_closer"], "failed") == (tried["path"], tried["status"])
    nobody = af("simulate", fraud, "--agent", "report", "--outcomes", outcomes)
    assert 2 == nobody.code
    assert "those that have: 'risk_scorer'" in nobody.err
    planned = af("plan", fraud, "--input", '{"amount": 900}').out
    assert "  risk_scorer" in planned
