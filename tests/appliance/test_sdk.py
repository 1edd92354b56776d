"""Workflows in Python are those of YAML, and run in the process that made them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agentflow
from appliance.loader import check_bytes
from runtime.domain.plan import PLANNING
from runtime.errors import InvalidDefinition
from tests.appliance.cli.test_llm_plans import deployment

STEPS = ("validate_build", "deploy_to_staging", "run_integration_tests", "deploy_to_production", "monitor_health")
TEMPLATE = """Given the deployment request:
- Service: {{.service_name}}
- Environment: {{.environment}}
- Changes: {{.git_diff}}
- Current Traffic: {{.current_load}}

Choose deployment strategy:
1. blue_green (zero downtime, higher cost)
2. rolling (gradual, some risk)
3. canary (safest, slower)

Consider: traffic patterns, change risk, cost constraints
Output JSON: {"strategy": "...", "rollout_percentage": ..., "monitoring_duration": ...}
"""
MANUAL = Path(__file__).parents[2] / "appliance" / "docs" / "python.md"


def devops(strategy: str) -> agentflow.Workflow:
    """The source document's deployment: a model chooses the strategy, a machine carries it out."""
    chosen: agentflow.Value = {"json": {"strategy": strategy, "rollout_percentage": 10, "monitoring_duration": "10m"}}
    agents = [
        agentflow.Agent(step, prompt="x", model={"provider": "scripted", "answers": {".*": step}}) for step in STEPS
    ]
    execution = agentflow.machine(
        {
            "validate_build": {"on_success": "deploy_to_staging", "on_error": "notify_failure"},
            "deploy_to_staging": {"on_success": "run_integration_tests", "on_error": "rollback_staging"},
            "run_integration_tests": {"on_success": "deploy_to_production", "on_error": "notify_test_failure"},
            "deploy_to_production": {"on_success": "monitor_health", "on_error": "rollback_production"},
            "monitor_health": {
                "timeout": "10m",
                "on_success": "deployment_complete",
                "on_error": "rollback_production",
            },
            "notify_failure": {},
            "rollback_staging": {},
            "notify_test_failure": {},
            "rollback_production": {},
            "deployment_complete": {},
        },
        initial_state="validate_build",
    )
    planner = agentflow.llm(
        {"provider": "scripted", "answers": [chosen]},
        template=TEMPLATE,
        schema={"type": "object", "required": ["strategy", "rollout_percentage", "monitoring_duration"]},
        strategies=["blue_green", "rolling", "canary"],
        execution=execution,
        fallback="human",
    )
    return agentflow.Workflow("devops-deployment", agents, planner)


def test_the_deployment_in_python_is_the_one_in_yaml_and_runs(tmp_path: Path) -> None:
    """One object: the same hash, so that a run of one is a run of the other."""
    written = check_bytes(deployment("canary").encode()).workflow
    workflow = devops("canary")
    made = workflow.check().workflow
    assert written is not None
    assert made is not None
    assert written.hash == made.hash
    run = workflow.run({"service_name": "shop", "environment": "prod"}, data=tmp_path / "data")
    assert ("succeeded", (PLANNING, *STEPS, "deployment_complete"), "") == (run.status, run.path, run.error)


@pytest.mark.parametrize(
    ("planner", "yaml"),
    [
        (None, ""),
        (agentflow.sequence("b", "a"), "planner: {type: sequential, agents: [b, a]}"),
        (
            agentflow.tree({"type": "sequence", "children": [{"type": "action", "agent": "a"}]}),
            "planner: {type: behavior_tree, root: {type: sequence, children: [{type: action, agent: a}]}}",
        ),
        (
            agentflow.machine({"a": {"on_success": "done"}}, initial_state="a", final_states=["done"]),
            "planner: {type: fsm, states: {a: {on_success: done}}, initial_state: a, final_states: [done]}",
        ),
    ],
)
def test_python_and_yaml_make_the_same_object(planner: agentflow.Planner | None, yaml: str) -> None:
    """Whatever plans."""
    agents = [agentflow.Agent("a", role="one", retry={"max_attempts": 2}), agentflow.Agent("b", concurrency=3)]
    made = agentflow.Workflow("w", agents, planner, policies={"cost_budget": "0.5"}).check().workflow
    source = "name: w\nagents: {a: {type: llm, role: one, retry: {max_attempts: 2}}, b: {type: llm, concurrency: 3}}\n"
    read = check_bytes(f"{source}policies: {{cost_budget: '0.5'}}\n{yaml}\n".encode()).workflow
    assert made is not None
    assert made == read


def test_what_is_wrong_is_said_as_of_yaml(tmp_path: Path) -> None:
    """Every problem with its path; two agents of one name before that."""
    wrong = agentflow.Workflow("w", [agentflow.Agent("a", promt="x", policies={"cost_budget": -1})])
    assert ["agents.a.promt", "agents.a.policies.cost_budget"] == [each.path for each in wrong.check().problems]
    with pytest.raises(InvalidDefinition):
        wrong.run(data=tmp_path / "data")
    with pytest.raises(ValueError, match="two agents are called 'a'"):
        agentflow.Workflow("w", [agentflow.Agent("a"), agentflow.Agent("a")])


def test_the_manuals_programs_make_workflows(tmp_path: Path) -> None:
    """Each as it stands there, but for running what asks a model of this machine."""
    blocks = re.findall(r"```python\n(.*?)```", MANUAL.read_text("utf-8"), flags=re.DOTALL)
    for block in (each for each in blocks if "Workflow(" in each):
        program = re.sub(r"print\(desk\.run.*$", "print(desk.check().problems)", block, flags=re.MULTILINE)
        name = "desk" if "desk" in program else "deployment"
        (tmp_path / "desk.py").write_text(f"{program}\nassert {name}.text()")
        ran = subprocess.run(
            [sys.executable, "desk.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(MANUAL.parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (ran.returncode, ran.stderr)
