"""Every kind of workflow, and the source document's five examples, by every command: checked, forecast, tried, run, and
decided again.

The examples stand as in the document but for what needs its services: each agent asks the scripted model, agents that
it names and does not define are defined, and files that it names are there.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.domain.canonical import Json
from tests.appliance.cli.conftest import Af
from tests.appliance.cli.test_llm_plans import deployment
from tests.appliance.loading.source_document import source_blocks

ANSWER: dict[str, Json] = {
    "risk_score": 0.1,
    "combined_score": 0.1,
    "toxicity_score": 0.1,
    "spam_confidence": 0.1,
    "pii_found": False,
    "all_checks_passed": True,
    "score": 0.9,
    "ok": True,
    "found": ["x", "y"],
}
SCRIPTED = f'{{provider: scripted, answers: {{".*": {{json: {json.dumps(ANSWER)}}}}}}}'
AGENT = f"type: llm\n    prompt: x\n    output_schema: {{type: object}}\n    model: {SCRIPTED}"


def of_source(number: int, *more: str) -> str:
    """A block of the source document, on the scripted model, with agents that it leaves out."""
    text = re.sub(r"^    model: \{.*\}\n", "", source_blocks()[number], flags=re.MULTILINE)
    text = re.sub(r"^    type: (?!fsm)\w+ *$", f"    {AGENT}", text, flags=re.MULTILINE)
    text = text.replace("{backend: pinecone, k: 5}", "{k: 5}")
    return text.replace("agents:\n", f"agents:\n{_defined(more)}", 1)


def of(names: str, rest: str) -> str:
    """A workflow of these agents."""
    return f"name: w\nagents:\n{_defined(names.split())}{rest}"


def _defined(names: Sequence[str]) -> str:
    return "".join(f"  {name}:\n    {AGENT}\n" for name in names)


EXAMPLES = {
    "customer-support": of_source(7),
    "content-pipeline": of_source(8, "plagiarism_check", "brand_voice_check"),
    "fraud-detection": of_source(9),
    "content-moderation": of_source(10, "toxicity_detector", "spam_detector", "pii_detector"),
    "devops-deployment": deployment("canary"),
}
ONE = f"{{type: llm, prompt: x, model: {SCRIPTED}}}"
KINDS = {
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
OUTCOMES = {
    name: {"output": ANSWER}
    for name in ("a", "b", "c", "toxicity_detector", "spam_detector", "pii_detector", "brand_voice_check")
} | {"plan": {"output": {"strategy": "canary", "rollout_percentage": 1, "monitoring_duration": "1m", "steps": ["a"]}}}


@pytest.mark.parametrize("name", [*EXAMPLES, *KINDS])
def test_every_command_takes_every_kind_of_workflow(af: Af, tmp_path: Path, name: str) -> None:
    """What is checked also runs, and a run is decided again to the byte."""
    (tmp_path / "classify_fsm.yaml").write_text("states: {look: {on_success: done}}\ninitial_state: look\n")
    (tmp_path / "editing_workflow.yaml").write_text("states: {look: {on_success: done}}\ninitial_state: look\n")
    (tmp_path / "response_tree.yaml").write_text("root: {type: action, agent: response_agent}\n")
    (tmp_path / "outcomes.json").write_text(json.dumps(OUTCOMES))
    path = tmp_path / "walk.yaml"
    path.write_text((EXAMPLES | KINDS)[name])
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
