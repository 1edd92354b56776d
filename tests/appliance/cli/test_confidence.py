"""`policies.human_review_threshold`: an answer that an agent is not sure of goes to a person."""

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

MODERATE = """\
name: moderate
agents:
  judge:
    type: llm
    prompt: "Is this spam? {{ input.text }}"
    model: {provider: scripted, answers: {"sure": '{"label": "fine", "confidence": 0.6}',
      "silent": '{"label": "fine"}', "odd": '{"label": "fine", "confidence": true}',
      ".*": '{"label": "spam", "confidence": 0.42}'}}
    output_schema: {type: object, required: [label]}
    fallback_agent: person
  person:
    type: human_task
    config: {assignment_rules: [{role: moderator}], decisions: [spam, fine]}
  close: {type: llm, prompt: x, model: {provider: scripted, answers: {".*": closed}}}
planner: {type: sequential, agents: [judge, close]}
output: {judged: "{{ steps.judge }}"}
policies: {human_review_threshold: 0.6}
"""


@pytest.fixture
def moderate(tmp_path: Path) -> Path:
    file = tmp_path / "moderate.yaml"
    file.write_text(MODERATE)
    return file


def test_a_person_has_the_step_that_an_agent_is_not_sure_of(af: Af, moderate: Path) -> None:
    """Their decision is its answer, and the run goes on; they are told why they are asked."""
    waiting = af("run", moderate, "--input", '{"text": "buy"}')
    assert "human complete" in waiting.out
    shown = af("human", "show", "last").out
    assert "answered with a confidence of 0.42; human_review_threshold is 0.6" in shown
    done = af(
        "human", "complete", "last", "--as", "ann", "--role", "moderator", "--decision", "fine", "--json"
    ).document
    assert ("succeeded", ["judge", "close", "done"]) == (done["status"], done["path"])
    assert "fine" in str(done["output"])
    assert 0 == af("replay", "last", "--check").code


@pytest.mark.parametrize("text", ["sure", "silent", "odd"])
def test_an_answer_that_is_sure_or_does_not_say_stands(af: Af, moderate: Path, text: str) -> None:
    said = af("run", moderate, "--input", f'{{"text": "{text}"}}', "--json").document
    assert "succeeded" == said["status"]


@pytest.mark.parametrize(("own", "status"), [("0.4", "succeeded"), ("0.5", "waiting")])
def test_an_agents_threshold_goes_before_its_workflows(af: Af, moderate: Path, own: str, status: str) -> None:
    policies = f"    policies: {{human_review_threshold: {own}}}\n    fallback_agent: person\n"
    moderate.write_text(MODERATE.replace("    fallback_agent: person\n", policies))
    said = af("run", moderate, "--input", '{"text": "buy"}', "--json").document
    assert status == said["status"]


def test_where_nobody_takes_over_a_person_says_how_the_run_goes_on(af: Af, moderate: Path) -> None:
    """As after every failure that the policies of a workflow ask a person about."""
    moderate.write_text(MODERATE.replace("    fallback_agent: person\n", ""))
    said = af("run", moderate, "--input", '{"text": "buy"}', "--json").document
    assert ("waiting", ["replan"]) == (said["status"], said["awaiting"])
    done = af("runs", "signal", "last", "replan", "--data", '{"to": "close"}', "--json").document
    assert ("succeeded", ["judge", "replan", "close", "done"]) == (done["status"], done["path"])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("policies: {appeals_process: enabled}", "an agent of type human_task"),
        ("workflow: {sla: 99.9%}", "as sla: 60s"),
        ("memory: {long_term: {k: 3}}", "agents.NAME.memory.long_term"),
        ("agents: {a: {type: http, url: x, memory: {short_term: {enabled: true}}}}", "{{ steps.NAME }}"),
    ],
)
def test_what_has_no_effect_says_what_has(af: Af, tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "w.yaml").write_text(f"name: w\n{'' if 'agents' in text else 'agents: {a: {type: llm}}'}\n{text}\n")
    said = af("validate", tmp_path / "w.yaml")
    assert (0, True) == (said.code, hint in said.out)
