"""Who may call which tool: every rule must allow it, and a refusal says which one does not."""

import pytest

from runtime.domain.tool import RateLimit
from runtime.errors import Refused
from runtime.policies.permissions import Caller, RoleRule, ToolRule, ToolRules, check, rulings
from runtime.policies.rates import taken

REGISTRY = ToolRules(
    source="tools.yaml",
    tools={"deploy_k8s": ToolRule(security_level="high")},
    roles={
        "support_agent": RoleRule(allowed_tools=("send_email", "create_ticket")),
        "devops_agent": RoleRule(allowed_tools=("deploy_k8s", "run_tests")),
        "all": RoleRule(allowed_tools=("*",)),
        "trusted": RoleRule(allowed_tools=("*",), security_level="high"),
    },
    tenants={"acme": ("send_*",)},
)


def caller(role: str = "", *, tenant: str = "default", agent_role: str = "") -> Caller:
    return Caller(tenant=tenant, role=role, agent_role=agent_role)


@pytest.mark.parametrize(
    ("tool", "who"),
    [
        ("send_email", caller("support_agent")),
        ("deploy_k8s", caller("devops_agent")),
        ("deploy_k8s", caller("trusted")),
        ("anything", caller("all")),
        ("send_email", caller(agent_role="support_agent")),
        ("send_email", caller("support_agent", tenant="acme")),
    ],
)
def test_what_a_role_is_granted_it_may_call(tool: str, who: Caller) -> None:
    check(tool, who, [REGISTRY])


@pytest.mark.parametrize(
    ("tool", "who", "code", "rule"),
    [
        ("deploy_k8s", caller("support_agent"), "tool.not_for_role", "roles.support_agent.allowed_tools of tools.yaml"),
        ("deploy_k8s", caller("all"), "tool.not_for_level", "roles.all.security_level of tools.yaml"),
        ("send_email", caller("nobody"), "tool.not_for_role", "rbac.roles of tools.yaml"),
        ("send_email", caller(), "tool.not_for_role", "rbac.roles of tools.yaml"),
        ("create_ticket", caller("support_agent", tenant="acme"), "tool.not_for_tenant", "tenants.acme"),
        ("deploy_k8s", caller("devops_agent", agent_role="support_agent"), "tool.not_for_role", "support_agent"),
    ],
)
def test_a_refusal_names_the_rule_and_how_to_grant_it(tool: str, who: Caller, code: str, rule: str) -> None:
    with pytest.raises(Refused) as refused:
        check(tool, who, [REGISTRY])
    assert code == refused.value.code
    assert rule in refused.value.message
    assert tool in refused.value.message
    assert 3 == refused.value.exit_code


def test_an_agent_calls_what_its_own_list_grants_and_nothing_else() -> None:
    who = Caller(tenant="default", agent="a", workflow="w", agent_tools=("create_ticket",))
    assert [True] == [each.is_allowed for each in rulings("create_ticket", who, [])]
    with pytest.raises(Refused, match="agents\\.a\\.tools of workflow 'w'"):
        check("send_email", who, [])


def test_every_document_must_allow_a_call() -> None:
    """A workflow that grants itself what the operator does not is not believed."""
    of_workflow = ToolRules(source="workflow 'w'", roles={"support_agent": RoleRule(allowed_tools=("*",))})
    with pytest.raises(Refused, match=r"tools\.yaml"):
        check("run_tests", caller("support_agent"), [REGISTRY, of_workflow])


def test_a_bucket_starts_full_and_fills_evenly() -> None:
    limit, full_at_us = RateLimit(3, 60_000), 0
    for _ in range(3):
        full_at_us, wait_us = taken(full_at_us, limit, 1_000)
        assert 0 == wait_us
    assert (full_at_us, 20_000_000) == taken(full_at_us, limit, 1_000)
    assert 0 == taken(full_at_us, limit, 20_001_000)[1]
    assert 0 < taken(taken(full_at_us, limit, 20_001_000)[0], limit, 20_001_000)[1]
