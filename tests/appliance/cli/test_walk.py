"""Every kind of workflow by every command: checked, forecast, tried, run, and decided again.

Each agent asks the scripted model. The source document's examples, with agents of their own kinds, have a file of
theirs: `test_source_examples.py`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.domain.canonical import Json
from tests.appliance.cli.conftest import Af
from tests.appliance.cli.test_llm_plans import deployment

ANSWER: dict[str, Json] = {
    "score": 0.9,
    "ok": True,
    "found": ["x", "y"],
}
SCRIPTED = f'{{provider: scripted, answers: {{".*": {{json: {json.dumps(ANSWER)}}}}}}}'
AGENT = f"type: llm\n    prompt: x\n    output_schema: {{type: object}}\n    model: {SCRIPTED}"


def of(names: str, rest: str) -> str:
    """A workflow of these agents."""
    return f"name: w\nagents:\n{_defined(names.split())}{rest}"


def _defined(names: Sequence[str]) -> str:
    return "".join(f"  {name}:\n    {AGENT}\n" for name in names)


ONE = f"{{type: llm, prompt: x, model: {SCRIPTED}}}"
MACHINE = """
    planner:
      type: fsm
      initial_state: a
      states: {a: {on_success: look}, look: {condition: response.ok, on_true: good, on_false: bad}}
      final_states: [good, bad]
"""
TREE = """
    planner:
      type: behavior_tree
      root: {type: sequence, children: [{type: action, agent: c}, {type: action, agent: a}]}
"""
KINDS = {
    "hybrid": deployment("canary"),
    "machine of an agent": f"name: w\nagents:\n  a:\n    {AGENT}{MACHINE}",
    "tree of an agent": f"name: w\nagents:\n  a:\n    {AGENT}{TREE}  c: {ONE}\n",
    "fsm": of(
        "a b",
        "planner: {type: fsm, states: {a: {condition: response.ok, on_true: b, on_false: c}, b: {}, c: {}}, "
        "initial_state: a}",
    ),
    "behavior_tree": of(
        "a b",
        "planner: {type: behavior_tree, root: {type: sequence, children: [{type: parallel, children: [{type: action, "
        'agent: a}, {type: action, agent: b}]}, {type: condition, check: "a.ok"}]}}',
    ),
    "llm": of(
        "a b",
        "planner: {type: llm, model: {provider: scripted, answers: [{json: {steps: STEPS}}]}}".replace(
            "STEPS", "[{name: a, agent: a}, {name: b, agent: b}]"
        ),
    ),
    "sequential": of("a b", "workflow: {type: sequential}"),
    "sequential_with_feedback": of("a b", "workflow: {type: sequential_with_feedback, quality_gates: [b]}"),
    "workflow": of("a", f"  b: {{type: workflow, workflow: {{name: inner, agents: {{c: {ONE}}}}}}}"),
    "map": of("a", f'  b: {{type: map, over: "{{{{ steps.a.found }}}}", agent: c}}\n  c: {ONE}'),
}
OUTCOMES = {name: {"output": ANSWER} for name in ("a", "b", "c")} | {
    "plan": {"output": {"strategy": "canary", "rollout_percentage": 1, "monitoring_duration": "1m", "steps": ["a"]}}
}


@pytest.mark.parametrize("name", KINDS)
def test_every_command_takes_every_kind_of_workflow(af: Af, tmp_path: Path, name: str) -> None:
    """What is checked also runs, and a run is decided again to the byte."""
    (tmp_path / "outcomes.json").write_text(json.dumps(OUTCOMES))
    path = tmp_path / "walk.yaml"
    path.write_text(KINDS[name])
    given = ("--input", json.dumps({"message": "Where is my card?", "goal": "answer"}))
    checked = af("validate", path)
    assert 0 == checked.code, checked.out
    assert "refusal[" not in checked.out
    planned = af("plan", path, *given, "--json")
    assert 0 == planned.code, planned.err
    assert planned.document["steps"]
    tried = af("simulate", path, *given, "--outcomes", tmp_path / "outcomes.json", "--json")
    assert (0, "succeeded") == (tried.code, tried.document["status"]), tried.out + tried.err
    run = af("run", path, *given, "--json")
    assert (0, "succeeded") == (run.code, run.document["status"]), run.out + run.err
    replayed = af("replay", "--all", "--check")
    assert 0 == replayed.code, replayed.out
    assert "all equal" in replayed.out
