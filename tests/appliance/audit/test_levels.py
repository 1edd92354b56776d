"""`audit_level` in definitions: of tenants, of tools, and of a workflow's own calls."""

from pathlib import Path

from appliance.loader import check_bytes
from appliance.tools.rules import audit_levels, rules_of
from runtime.policies.permissions import ToolRules, audit_level_of

OPERATOR = """\
tool_security: {audit_level: basic}
tool_registry: {tools: {search: {type: code, language: python, code: "print(1)", audit_level: none}}}
tenants: {acme: {security_policy: {audit_level: full}}}
"""
WORKFLOW = """\
name: w
tool_security: {audit_level: basic}
tool_registry: {tools: {create_ticket: {type: ticket, audit_level: full}}}
agents: {a: {type: llm, prompt: x, model: {provider: scripted, answers: [x]}}}
"""


def test_the_operators_file_is_read_as_the_setting_is(data_folder: Path) -> None:
    """By the same names, so that one table says what counts."""
    data_folder.mkdir()
    assert {} == audit_levels(data_folder)
    (data_folder / "tools.yaml").write_text(OPERATOR)
    assert {"*/*": "basic", "acme": "full", "*/search": "none"} == audit_levels(data_folder)


def test_a_workflow_asks_for_its_own_calls_alone() -> None:
    """The tool's own key goes before the block's; what the operator's file says is no wish of the workflow."""
    checked = check_bytes(WORKFLOW.encode(), file="w.yaml")
    assert [] == [each for each in checked.problems if each.severity != "refusal"]
    document = {
        "tool_security": {"audit_level": "basic"},
        "tool_registry": {"tools": {"create_ticket": {"type": "ticket", "audit_level": "full"}}},
    }
    own = rules_of(document, "workflow 'w'", is_of_workflow=True)  # type: ignore[arg-type]  # it is JSON
    assert own is not None
    operators = ToolRules(source="tools.yaml", audit_level="none")
    assert ("full", "basic") == tuple(audit_level_of(tool, (operators, own)) for tool in ("create_ticket", "other"))
    assert "" == audit_level_of("other", (operators,))
