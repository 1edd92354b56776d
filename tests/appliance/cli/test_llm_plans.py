"""Plans by a model, from the command line: checked, tried, run, shown and replayed."""

import json
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af
from tests.appliance.loading.source_document import source_blocks

ANSWERING = "{type: llm, prompt: x, model: {provider: scripted, answers: {'.*': 'TEXT'}}}"
SOURCE_PLAN = {
    "steps": ["Find articles", "Write the answer"],
    "assignments": {"Find articles": "search", "Write the answer": "write"},
    "failure_handling": {"Find articles": "skip", "Write the answer": "fallback"},
}
SUB_PLAN = """
  fallback:
    states: {write: {on_success: done}}
    initial_state: write
    final_states: [done]
"""


def source_example(model: str) -> str:
    """The source document's planner as it stands there but for its model, in a workflow with two agents."""
    agents = "".join(f"  {name}: {ANSWERING.replace('TEXT', name)}\n" for name in ("search", "write"))
    block = source_blocks()[4].partition("#### Cost Preflight")[0]
    return f"name: planned\nagents:\n{agents}{block.replace('model: gpt-4', f'model: {model}').rstrip()}{SUB_PLAN}"


def scripted(*answers: object) -> str:
    return f"{{provider: scripted, answers: [{', '.join(json.dumps({'json': answer}) for answer in answers)}]}}"


def deployment(strategy: str) -> str:
    """The source document's deployment in YAML: a model chooses the strategy, a machine carries it out."""
    names = ("validate_build", "deploy_to_staging", "run_integration_tests", "deploy_to_production", "monitor_health")
    agents = "".join(f"  {name}: {ANSWERING.replace('TEXT', name)}\n" for name in names)
    chosen = scripted({"strategy": strategy, "rollout_percentage": 10, "monitoring_duration": "10m"})
    return f"""
name: devops-deployment
agents:
{agents}planner:
  type: llm
  model: {chosen}
  template: |
    Given the deployment request:
    - Service: {{{{.service_name}}}}
    - Environment: {{{{.environment}}}}
    - Changes: {{{{.git_diff}}}}
    - Current Traffic: {{{{.current_load}}}}

    Choose deployment strategy:
    1. blue_green (zero downtime, higher cost)
    2. rolling (gradual, some risk)
    3. canary (safest, slower)

    Consider: traffic patterns, change risk, cost constraints
    Output JSON: {{"strategy": "...", "rollout_percentage": ..., "monitoring_duration": ...}}
  schema:
    type: object
    required: [strategy, rollout_percentage, monitoring_duration]
  strategies: [blue_green, rolling, canary]
  fallback: human
  execution:
    states:
      validate_build: {{on_success: deploy_to_staging, on_error: notify_failure}}
      deploy_to_staging: {{on_success: run_integration_tests, on_error: rollback_staging}}
      run_integration_tests: {{on_success: deploy_to_production, on_error: notify_test_failure}}
      deploy_to_production: {{on_success: monitor_health, on_error: rollback_production}}
      monitor_health: {{timeout: 10m, on_success: deployment_complete, on_error: rollback_production}}
      notify_failure: {{}}
      rollback_staging: {{}}
      notify_test_failure: {{}}
      rollback_production: {{}}
      deployment_complete: {{}}
    initial_state: validate_build
"""


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    return tmp_path / "planned.yaml"


def test_the_planner_of_the_source_document_runs(af: Af, planned: Path) -> None:
    """In its own form: steps in words, assignments, failure handling; shown, and the same again from the journal."""
    planned.write_text(source_example(scripted(SOURCE_PLAN)))
    assert 0 == af("validate", planned, "--strict").code
    said = af("run", planned, "--input", '{"goal": "answer"}', "--json")
    assert (0, "succeeded") == (said.code, said.document["status"]), said.err
    assert ["plan", "Find_articles", "Write_the_answer"] == said.document["path"]
    assert "Find_articles" in af("runs", "show", "last").out
    (kept,) = [line for line in af("logs", "last", "--json").out.splitlines() if '"plan.kept"' in line]
    assert ["skip", "fallback"] == [each["on_failure"] for each in json.loads(kept)["data"]["plan"]["steps"]]
    assert 0 == af("replay", "last", "--check").code


def test_the_sub_plan_runs_where_the_model_does_not_answer(af: Af, planned: Path) -> None:
    """The source document's own model is none of this machine's: the run goes on without it."""
    planned.write_text(source_example("gpt-4"))
    said = af("run", planned, "--input", '{"goal": "answer"}', "--json")
    assert (0, ["write", "done"]) == (said.code, said.document["path"][-2:]), said.err  # type: ignore[index]  # a list
    assert 0 == af("replay", "last", "--check").code


@pytest.mark.parametrize("strategy", ["blue_green", "canary"])
def test_the_deployment_of_the_source_document_runs(af: Af, planned: Path, strategy: str) -> None:
    planned.write_text(deployment(strategy))
    assert 0 == af("validate", planned, "--strict").code
    request = '{"service_name": "shop", "environment": "production", "git_diff": "+1", "current_load": 3}'
    said = af("run", planned, "--input", request, "--json")
    assert (0, "deployment_complete") == (said.code, said.document["path"][-1]), said.err  # type: ignore[index]  # a list
    assert 0 == af("replay", "last", "--check").code


def test_a_strategy_that_is_none_of_the_declared_ones_goes_to_a_person(af: Af, planned: Path) -> None:
    planned.write_text(deployment("yolo"))
    said = af("run", planned, "--input", "{}", "--json")
    assert ("waiting", ["plan"]) == (said.document["status"], said.document["awaiting"])
    chosen = '{"strategy": "rolling", "rollout_percentage": 1, "monitoring_duration": "1m"}'
    assert 0 == af("runs", "signal", str(said.document["run_id"]), "plan", "--data", chosen).code
    shown = af("runs", "show", "last", "--json").document
    assert "succeeded" == shown["status"]
    assert 0 == af("replay", "last", "--check").code


def test_a_plan_can_be_tried_without_a_model(af: Af, planned: Path, tmp_path: Path) -> None:
    planned.write_text(source_example("gpt-4"))
    outcomes = tmp_path / "outcomes.yaml"
    outcomes.write_text("plan: {output: {steps: [search, write]}}\nsearch: F\n")
    said = af("simulate", planned, "--outcomes", outcomes)
    assert "by the model: search → write" in said.out
    assert "failed" in said.out
    outcomes.write_text("plan: F\n")
    assert "plan.kept       the sub-plan  because" in af("simulate", planned, "--outcomes", outcomes).out


@pytest.mark.parametrize(
    ("planner", "code", "key"),
    [
        ("{type: llm}", "key.missing", "planner"),
        ("{type: llm, model: m, agents: [serach]}", "agent.undefined", "planner.agents"),
        ("{type: llm, model: m, max_steps: 0}", "value.kind", "planner.max_steps"),
        ("{type: llm, model: m, template: '{{ goal'}", "template.invalid", "planner.template"),
        ("{type: llm, model: m, schema: {type: sing}}", "schema.invalid", "planner.schema"),
        ("{type: llm, model: m, strategies: [a]}", "key.missing", "planner.strategies"),
        ("{type: llm, model: m, fallback: nobody}", "value.kind", "planner.fallback"),
        (
            "{type: llm, model: m, fallback: {states: {plan: {on_success: search}, search: {}}, initial_state: plan}}",
            "planner.name_taken",
            "planner.fallback",
        ),
        (
            "{type: llm, model: m, fallback: {states: {write: {on_success: gone}}, initial_state: write, "
            "final_states: []}}",
            "state.undefined",
            "planner.fallback.states.write.on_success",
        ),
        ("{type: llm, model: m, fallback: {type: behavior_tree, root: {}}}", "value.unknown", "planner.fallback.type"),
        ("{type: llm, model: m, tempalte: x}", "key.unknown", "planner.tempalte"),
    ],
)
def test_bad_planners_are_named_with_their_place(af: Af, planned: Path, planner: str, code: str, key: str) -> None:
    planned.write_text(
        f"name: w\nagents:\n  search: {{type: llm, prompt: x}}\n  write: {{type: llm, prompt: x}}\nplanner: {planner}\n"
    )
    said = af("validate", planned)
    assert 2 == said.code, said.out + said.err
    assert f"error[{code}] {key}:" in (said.out + said.err).replace("\n", " "), said.out + said.err


def test_no_agent_is_called_as_the_planning(af: Af, planned: Path) -> None:
    planned.write_text("name: w\nagents: {plan: {type: llm, prompt: x}}\nplanner: {type: llm, model: m}\n")
    said = af("validate", planned)
    assert "error[planner.name_taken]" in said.out + said.err


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        ("a: FALLBACK b", "agent.undefined"),
        ("a: FALLBACK a", "agent.fallback_loop"),
        ("a: FALLBACK b; b: FALLBACK c; c: FALLBACK a", "agent.fallback_loop"),
    ],
)
def test_fallback_agents_that_lead_nowhere_are_errors(af: Af, planned: Path, chain: str, code: str) -> None:
    agents = "\n".join(
        f"  {each.replace('FALLBACK ', '{type: llm, prompt: x, fallback_agent: ')}}}" for each in chain.split("; ")
    )
    planned.write_text(f"name: w\nagents:\n{agents}\n")
    said = af("validate", planned)
    assert (2, True) == (said.code, f"error[{code}]" in said.out + said.err), said.out + said.err


def test_a_fallback_agent_answers(af: Af, planned: Path) -> None:
    """The journal says who took over, and why."""
    planned.write_text(
        "name: careful\nagents:\n"
        "  answer: {type: llm, prompt: x, fallback_agent: sorry, model: {provider: scripted, answers: "
        "{'.*': {error: {code: model.broken, message: it broke}}}}}\n"
        f"  sorry: {ANSWERING.replace('TEXT', 'we call back')}\n"
        "planner: {type: fsm, initial_state: answer, states: {answer: {on_success: done}}, final_states: [done]}\n"
    )
    said = af("run", planned, "--input", "{}", "--json")
    assert (0, {"text": "we call back"}) == (said.code, said.document["output"]), said.err
    assert "model.broken of answer: it broke" in af("logs", "last", "--json").out
    assert 0 == af("replay", "last", "--check").code


def test_a_plan_may_name_no_agent_that_works_for_a_map(af: Af, planned: Path) -> None:
    """Unless it is declared; such an agent takes an item, not a goal."""
    planned.write_text(
        "name: w\nagents:\n"
        f"  sum: {{type: map, agent: one, over: '{{{{ input.items }}}}'}}\n  one: {ANSWERING.replace('TEXT', 'ok')}\n"
        f"planner: {{type: llm, model: {scripted({'steps': ['one']})}, repairs: 0}}\n"
    )
    said = af("run", planned, "--input", '{"items": []}', "--json")
    assert ("waiting", ["plan"]) == (said.document["status"], said.document["awaiting"])


def test_a_run_that_waits_for_a_persons_plan_says_why_and_how(af: Af, planned: Path) -> None:
    """What was wrong with the model's, and what a plan looks like."""
    agents = f"agents: {{write: {ANSWERING.replace('TEXT', 'x')}}}"
    planned.write_text(f"name: w\n{agents}\nplanner: {{type: llm, model: {scripted({'steps': ['sing']})}}}\n")
    assert 0 == af("run", planned, "--input", '{"goal": "x"}').code
    shown = af("runs", "show", "last")
    assert "did not keep the schema" in shown.out
    assert "runs signal" in shown.out
    assert '{"steps": [{"agent": "…"}]}' in shown.out
    assert "schema" in str(af("runs", "show", "last", "--json").document["steps"][-1]["why"])  # type: ignore[index]


def _own(plan: object, *more: str) -> str:
    """A workflow with an agent whose work a model plans."""
    planner = [f"model: {scripted(plan)}", *more]
    return f"""
name: desk
agents:
  deploy:
    type: llm
    prompt: x
    model: {{provider: scripted, answers: {{'.*': done}}}}
    planner: {{type: llm, {", ".join(planner)}}}
  check: {ANSWERING.replace("TEXT", "fine")}
"""


def test_a_model_plans_the_work_of_one_agent(af: Af, tmp_path: Path) -> None:
    """In a run of its own; the agent's own name is what it does itself, and replay asks nobody."""
    plan = {"steps": [{"name": "look", "agent": "check"}, {"name": "act", "agent": "deploy"}]}
    (tmp_path / "desk.yaml").write_text(_own(plan, "agents: [check, deploy]"))
    said = af("run", tmp_path / "desk.yaml", "--input", "{}", "--json").document
    assert ("succeeded", {"text": "done"}) == (said["status"], said["output"])
    assert ["deploy"] == [step["step"] for step in said["steps"]]  # type: ignore[attr-defined]
    part = said["steps"][0]["runs"][0]  # type: ignore[index]
    steps = af("runs", "show", part, "--json").document["steps"]
    assert ["plan", "look", "act"] == [step["step"] for step in steps]  # type: ignore[attr-defined]
    assert 0 == af("replay", "--all", "--check").code
    assert "deploy.plan" in af("what-if", "last", "--model", "nobody=scripted/x").err


def test_a_bad_plan_of_one_agent_falls_to_its_machine(af: Af, tmp_path: Path) -> None:
    """Whose states run agents of the workflow, and are checked as the workflow's are."""
    machine = "fallback: {states: {check: {on_success: done}}, initial_state: check, final_states: [done]}"
    (tmp_path / "desk.yaml").write_text(_own({"steps": "none"}, machine))
    said = af("run", tmp_path / "desk.yaml", "--input", "{}", "--json").document
    assert ("succeeded", {"text": "fine"}) == (said["status"], said["output"])
    (tmp_path / "desk.yaml").write_text(_own({}, machine.replace("check: {on", "chek: {on")))
    refused = af("validate", tmp_path / "desk.yaml")
    assert (2, True) == (refused.code, "desk.yaml:8" in refused.out)


@pytest.mark.parametrize(
    ("more", "code"),
    [("max_steps: 2", "key.missing"), ("agents: [chek]", "agent.undefined"), ("agents: [plan]", "planner.name_taken")],
)
def test_what_a_model_may_plan_for_one_agent_is_said(af: Af, tmp_path: Path, more: str, code: str) -> None:
    """All agents of the workflow would lead back to it; the line is named."""
    (tmp_path / "desk.yaml").write_text(_own({}, more))
    said = af("validate", tmp_path / "desk.yaml")
    assert f"[{code}] agents.deploy" in said.out
    assert af("run", tmp_path / "desk.yaml", "--input", "{}").code in (2, 3)
