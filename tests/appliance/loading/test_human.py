"""Agents of type `human_task`: the source document's keys, and what is said of mistakes in them."""

import pytest

from appliance.loader import Checked, check_bytes
from runtime.domain.human import Level, Terms
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec

SOURCE = """
agents:
  approval_manager:
    type: human_task
    role: "Handle workflows requiring human approval"
    config:
      assignment_rules:
        - role: "approval_specialist"
        - backup_role: "supervisor"
      escalation:
        timeout_minutes: 240  # 4 hours
        escalation_chain: ["supervisor", "manager"]
      notification:
        channels: ["email", "slack"]
        reminders: [60, 120]  # minutes
    tools: [send_notification, update_task_status]
"""


def _checked(config: str, more: str = "") -> Checked:
    return check_bytes(f"name: w\nagents: {{ask: {{type: human_task, config: {config}{more}}}}}".encode())


def _spec(text: str, agent: str = "ask") -> AgentSpec:
    workflow = check_bytes(f"name: w\n{text}".encode()).workflow
    assert workflow is not None
    return workflow.agents[AgentId(agent)]


def test_the_source_documents_own_example_loads_as_it_is_written() -> None:
    assert () == check_bytes(SOURCE.encode()).problems
    checked = check_bytes(f"name: w\n{SOURCE}".encode())
    assert checked.workflow is not None
    assert {"human.channel", "tool.unknown"} == {each.code for each in checked.problems}
    hour = 3_600_000
    expected = Terms(
        role="approval_specialist",
        backup="supervisor",
        chain=(Level("supervisor", 4 * hour), Level("manager", 4 * hour)),
        reminders_ms=(hour, 2 * hour),
        channels=("email", "slack"),
    )
    assert expected == checked.workflow.agents[AgentId("approval_manager")].terms


def test_times_are_written_with_their_unit_too_and_the_chain_may_have_its_own() -> None:
    spec = _spec(
        "agents: {ask: {type: human_task, config: {escalation: {timeout: 1h, escalation_chain: "
        "[a, {role: b, timeout: 2h}]}, notification: {reminders: [30m, 5]}, expiry: {timeout: 1d, decision: reject}}}}"
    )
    assert spec.terms is not None
    assert (Level("a", 3_600_000), Level("b", 7_200_000)) == spec.terms.chain
    assert ((300_000, 1_800_000), 86_400_000, "reject") == (
        spec.terms.reminders_ms,
        spec.terms.expires_ms,
        spec.terms.on_expiry,
    )


def test_a_task_waits_without_end_unless_its_agent_has_a_time_limit() -> None:
    assert 0 == _spec("agents: {ask: {type: human_task}}").timeout_ms
    assert 60_000 == _spec("agents: {ask: {type: human_task, timeout: 1m}}").timeout_ms


def test_a_channel_that_needs_a_ticket_brings_the_tool_and_mail_takes_the_one_of_its_kind() -> None:
    assert ("create_ticket",) == _spec(
        "agents: {ask: {type: human_task, config: {notification: {channels: [ticket, log]}}}}"
    ).tools
    mail = """
agents: {ask: {type: human_task, tools: [post], config: {notification: {channels: [email, post, bus]}}}}
tool_registry: {tools: {post: {type: smtp, host: mail.internal, from: a@b.example, recipients: [c@b.example]}}}
"""
    assert "human.channel" not in [each.code for each in check_bytes(f"name: w\n{mail}".encode()).problems]


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ("{asignment_rules: []}", "key.unknown", "assignment_rules"),
        ("{escalation: {escalation_chain: [a]}}", "key.missing", "when a task goes to 'a'"),
        ("{escalation: {timeout: 1h}}", "key.missing", "'escalation_chain'"),
        ("{escalation: {timeout: 1h, timeout_minutes: 3, escalation_chain: [a]}}", "key.conflict", "keep one"),
        ("{expiry: {timeout: 1h, decision: aprove}}", "human.decision", "approve"),
        ("{expiry: {decision: reject}}", "key.missing", "says nothing of when"),
        ("{assignment_rules: [{role: a}, {role: b}]}", "key.conflict", "two rules"),
        ("{form: {type: 7}}", "schema.invalid", "JSON Schema"),
        ("{instructions: '{{ broken'}", "template.invalid", ""),
        ("{notification: {channels: [pigeon]}}", "human.channel", "pigeon"),
        ("{notification: {reminders: [2h]}, expiry: {timeout: 1h}}", "human.late_reminder", "no sooner"),
        ("{escalation: {timeout: 1h, escalation_chain: [a]}, expiry: {timeout: 30m}}", "human.expires_early", "last"),
    ],
)
def test_mistakes_are_named_with_their_place(config: str, code: str, said: str) -> None:
    found = [each for each in _checked(config).problems if each.code == code]
    assert found, _checked(config).problems
    assert said in f"{found[0].message} {found[0].hint}"
    assert found[0].path.startswith("agents.ask.config")
    assert 2 == found[0].line
