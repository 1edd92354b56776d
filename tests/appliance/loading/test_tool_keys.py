"""The keys of built-in kinds of tools: what loads, what is pointed out with its line, and what a tool needs."""

from pathlib import Path

import pytest

from appliance.config.settings import MailSettings
from appliance.loader import check_bytes, load_tools
from appliance.loading.site import Site
from appliance.loading.tool_specs import specs_of
from appliance.tools.services import with_settings
from runtime.domain.tool import ToolSpec
from runtime.errors import InvalidDefinition

SOURCE = """
tool_registry:
  tools:
    send_email:
      type: smtp
      permissions: [network.smtp]
      cost_per_call: 0.001
      rate_limit: 100/hour

    deploy_k8s:
      type: kubernetes
      server: https://k8s.bank.example:6443
      token: secret://k8s
      permissions: [k8s.deploy, k8s.read, network.http]
      cost_per_call: 0.1
      rate_limit: 10/hour
      security_level: high

  rbac:
    roles:
      support_agent:
        allowed_tools: [send_email, create_ticket]
        cost_budget: 10.0
      devops_agent:
        allowed_tools: [deploy_k8s, run_tests]
        cost_budget: 100.0
"""
"""The registry of the specification, with the cluster's address and token named."""


def specs(tmp_path: Path, text: str) -> dict[str, ToolSpec]:
    (tmp_path / "tools.yaml").write_text(text)
    return {spec.id: spec for spec in specs_of(load_tools(tmp_path / "tools.yaml"), "tools.yaml")}


def test_the_registry_of_the_specification_loads(tmp_path: Path) -> None:
    found = specs(tmp_path, SOURCE)
    assert ("tool.smtp", 1_000) == (found["send_email"].kind, found["send_email"].cost_usd_micros)
    assert ("tool.kubernetes", "high") == (found["deploy_k8s"].kind, found["deploy_k8s"].security_level)
    assert "network.http:k8s.bank.example:6443" in found["deploy_k8s"].permissions
    assert () == found["deploy_k8s"].withheld


def test_the_settings_name_the_server_that_a_tool_does_not(tmp_path: Path) -> None:
    mail = MailSettings(host="mail.bank.example", sender="af@bank.example", username="af", password="secret://smtp")
    found = with_settings(mail)(specs(tmp_path, SOURCE)["send_email"])
    assert ("mail.bank.example", "secret://smtp") == (found.config["host"], found.config["password"])
    assert "network.smtp:mail.bank.example:587" in found.permissions


def test_a_server_of_the_tools_own_never_gets_the_login_of_the_settings(tmp_path: Path) -> None:
    """Else a definition could name a server that collects it."""
    mail = MailSettings(host="mail.bank.example", sender="af@bank.example", username="af", password="secret://smtp")
    declared = "tool_registry: {tools: {post: {type: smtp, host: evil.example, from: a@bank.example}}}"
    found = with_settings(mail)(specs(tmp_path, declared)["post"])
    assert {"password", "username"}.isdisjoint(found.config)
    assert ("evil.example", "a@bank.example") == (found.config["host"], found.config["from"])


def test_no_tool_loosens_the_bound_of_the_settings(tmp_path: Path) -> None:
    declared = "tool_registry: {tools: {post: {type: smtp, recipients: ['*@evil.example']}}}"
    found = with_settings(MailSettings(recipients=("*@bank.example",)))(specs(tmp_path, declared)["post"])
    assert ["*@bank.example"] == found.config["site_recipients"]


@pytest.mark.parametrize(
    ("tool", "needed"),
    [
        ("{type: http, url: 'http://CRM.bank.example/a/{id}'}", ["network.http:crm.bank.example:80"]),
        ("{type: http, allowed_hosts: [a.example, 'b.example:8443']}",
         ["network.http:a.example:443", "network.http:b.example:8443"]),
        ("{type: smtp, host: mail.example, port: 25}", ["network.smtp:mail.example:25"]),
        ("{type: database, connection: 'postgresql://u@DB.example/bank'}", ["network.sql:db.example:5432"]),
        ("{type: database, connection: 'sqlite:///srv/a.db'}", ["files.read:/srv/a.db"]),
        ("{type: database, connection: 'sqlite:/srv/a.db', allowed_operations: [select, insert]}",
         ["files.read:/srv/a.db", "files.write:/srv/a.db"]),
        ("{type: file, folder: /srv/a}", ["files.read:/srv/a"]),
        ("{type: file, folder: /srv/a, access: read_write}", ["files.read:/srv/a", "files.write:/srv/a"]),
        ("{type: notify}", []),
        ("{type: search_docs, collection: handbook}", []),
        ("{type: slack, token: 'secret://slack', channels: ['#ops']}", ["network.http:slack.com:443"]),
    ],
)  # fmt: skip
def test_what_a_tool_needs_follows_from_its_keys(tmp_path: Path, tool: str, needed: list[str]) -> None:
    assert needed == list(specs(tmp_path, f"tool_registry: {{tools: {{t: {tool}}}}}")["t"].permissions)


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("{type: http}", "key.conflict"),
        ("{type: http, url: 'http://a.example/', allowed_hosts: [b.example]}", "key.conflict"),
        ("{type: http, url: 'http://{host}/'}", "expected an address such as http://host:port/path"),
        ("{type: http, url: 'http://u:p@a.example/'}", "expected an address"),
        ("{type: http, url: 'ftp://a.example/'}", "expected an address"),
        ("{type: http, url: 'http://a.example/', methd: GET}", "'methd' is not a key of a tool"),
        ("{type: smtp, username: af}", "a login takes 'username' and 'password'"),
        ("{type: smtp, username: af, password: hunter22}", "a definition holds no secret"),
        ("{type: database}", "'connection'"),
        ("{type: database, connection: 'postgresql://u:hunter22@a.example/b'}", "sql.password_in_connection"),
        ("{type: database, connection: 'mysql://u@a.example/b'}", "sql.connection"),
        ("{type: database, connection: 'sqlite:shop.db'}", "sqlite:/absolute/path.db"),
        ("{type: database, connection: 'sqlite:/a.db', allowed_operations: [drop]}", "one of select, insert"),
        ("{type: database, connection: 'sqlite:/a.db', parameters: [a]}", "there is none"),
        ("{type: file, folder: ./reports}", "the absolute path of a folder"),
        ("{type: slack, token: xoxb-1, channels: ['#ops']}", "a definition holds no secret"),
        ("{type: kubernetes, server: 'https://a.example'}", "'token'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, tool: str, said: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        specs(tmp_path, f"tool_registry:\n  tools:\n    t: {tool}\n")
    assert said in str(refused.value)
    assert "tools.yaml:3" in str(refused.value)
    assert "hunter22" not in str(refused.value)


WORKFLOW = (
    "name: w\npolicies:\n  data_class: {}\nagents:\n  a:\n    type: custom\n    handler: a.py:a\n    policies: {}\n"
)


@pytest.mark.parametrize(
    ("own", "agents", "classes", "line"),
    [
        ("confidental", "{}", frozenset(), 3),
        ("confidental", "{}", None, 3),
        ("public", "{data_class: Restricted}", frozenset(), 8),
        ("phi", "{}", frozenset(), 3),
    ],
)
def test_a_misspelt_class_of_data_does_not_load(
    tmp_path: Path, own: str, agents: str, classes: frozenset[str] | None, line: int
) -> None:
    """It may reach no zone, so that a run would find out in its first call."""
    (tmp_path / "a.py").write_text("def a(task, ctx):\n    return task\n")
    text = WORKFLOW.replace("{}", own, 1).replace("{}", agents, 1)
    problems = check_bytes(text.encode(), file="w.yaml", folder=tmp_path, site=Site(classes=classes)).problems
    assert [("policies.data_class", line)] == [(each.code, each.line) for each in problems]
    assert "expected one of confidential, internal, public, restricted" in problems[0].message


@pytest.mark.parametrize("classes", [frozenset({"phi"}), None])
def test_a_class_that_the_settings_declare_loads(tmp_path: Path, classes: frozenset[str] | None) -> None:
    """Also where nobody knows the settings: it is no slip of one that there always is."""
    (tmp_path / "a.py").write_text("def a(task, ctx):\n    return task\n")
    text = WORKFLOW.replace("{}", "phi", 1)
    assert () == check_bytes(text.encode(), folder=tmp_path, site=Site(classes=classes)).problems
