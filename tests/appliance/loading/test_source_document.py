"""Every YAML document of the source document is an interface: it loads as it stands there."""

import msgspec
import pytest

from appliance.loader import Checked, check_bytes, from_document
from runtime.domain.canonical import encode
from tests.appliance.loading.source_document import source_blocks

KINDS = [
    "agents",
    "memory",
    "planner",
    "planner",
    "planner",
    "tool_security",
    "tool_registry",
    "workflow",
    "workflow",
    "workflow",
    "workflow",
    "tenants",
    "kubernetes",
]
WORKFLOWS = {"customer-support": 7, "content-pipeline": 8, "fraud-detection": 9, "content-moderation": 10}


def checked(number: int) -> Checked:
    return check_bytes(source_blocks()[number].encode(), file=f"block {number}")


def told(result: Checked, severity: str) -> set[tuple[str, str]]:
    return {(each.code, each.path) for each in result.problems if each.severity == severity}


def test_each_block_is_recognised() -> None:
    """Thirteen blocks, each of a kind; a block that is added without being known here is noticed."""
    assert KINDS == [checked(number).kind for number in range(len(source_blocks()))]


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_no_block_has_an_error(number: int) -> None:
    """Warnings and refusals are fine: they name what comes later."""
    assert set() == told(checked(number), "error")


@pytest.mark.parametrize(("name", "number"), WORKFLOWS.items())
def test_the_workflows_become_workflows(name: str, number: int) -> None:
    """And they come back the same from the form in which they are stored."""
    workflow = checked(number).workflow
    assert workflow is not None
    assert name == workflow.name
    again = from_document(encode(workflow.document), workflow.folder)
    assert workflow.hash == again.hash
    assert msgspec.structs.replace(workflow, problems=()) == msgspec.structs.replace(again, problems=())
    assert repr(msgspec.structs.replace(workflow, problems=())) == repr(msgspec.structs.replace(again, problems=()))
    refusals = sorted(each.message for each in workflow.problems if each.severity == "refusal")
    assert refusals == sorted(each.message for each in again.problems if each.severity == "refusal")


def test_customer_support_says_what_it_would_need() -> None:
    """A run of it is refused with these, each with its line."""
    result = checked(7)
    assert {
        ("model.provider", "agents.classifier.model.provider"),
        ("planner.no_file", "agents.classifier.planner.definition"),
        ("memory.remote", "agents.knowledge_agent.memory.long_term.backend"),
        ("agent.no_folder", "agents.knowledge_agent.memory"),
        ("planner.no_file", "agents.response_agent.planner.definition"),
    } == told(result, "refusal")
    lines = {each.path: each.line for each in result.problems}
    assert 7 == lines["agents.classifier.model.provider"]
    assert 25 == lines["triggers.2.slack_integration"]


def test_agents_without_a_planner_run_in_the_order_of_the_file() -> None:
    """The content pipeline says so; the others mean it."""
    workflow = checked(8).workflow
    assert workflow is not None
    assert workflow.fsm is not None
    assert ["researcher", "writer", "editor", "seo_optimizer", "done"] == list(workflow.fsm.states)
    assert {"workflow.quality_gates.0", "workflow.quality_gates.1"} == {
        path for code, path in told(checked(8), "refusal") if code == "gate.undefined"
    }


def test_limits_are_read_in_one_unit_each() -> None:
    """`timeout: 2s`, at the real-time requirement of fraud detection."""
    workflow = checked(9).workflow
    assert workflow is not None
    assert 2_000 == workflow.timeout_ms
    model = workflow.agents["risk_scorer"].model  # type: ignore[index]  # an agent's key
    assert model is not None
    assert ("endpoint", {"endpoint": "http://ml-service:8080/score"}) == (model.kind, model.options)


def test_a_machine_of_an_agents_own_is_read() -> None:
    """The decision maker of content moderation is one; its open ends are final states."""
    workflow = checked(10).workflow
    assert workflow is not None
    spec = workflow.agents["decision_maker"]  # type: ignore[index]  # an agent's key
    assert spec.fsm is not None
    assert {"approve_content", "ban_content", "flag_for_review"} == spec.fsm.final_states
    assert "response_tree.yaml" not in str(workflow.files)


def test_lines_inside_a_text_are_lines_of_the_file() -> None:
    """The planner block holds its machine as YAML in a text."""
    (spelling,) = [each for each in checked(2).problems if each.code == "condition.spelling"]
    block = source_blocks()[2].splitlines()
    assert ".length" in block[spelling.line - 1]


def test_markdown_behind_a_document_is_left_out_with_a_warning() -> None:
    """The block of the LLM planner has a heading and a list behind its YAML."""
    (warning,) = [each for each in checked(4).problems if each.code == "yaml.markdown"]
    assert source_blocks()[4].splitlines()[warning.line - 1].startswith("#### Cost Preflight")


def test_deployment_manifests_are_left_to_deployment() -> None:
    """Two documents in one file are an error everywhere else."""
    assert () == checked(12).problems
