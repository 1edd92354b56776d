"""`af tools why` says what a `tool_security` and the door make of what a tool reaches, without calling it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli.context import Af
from appliance.cli.root import af

TOOLS = """
tool_registry:
  tools:
    order: {type: http, url: "http://crm.bank.example/orders"}
    near: {type: http, url: "http://127.0.0.1:8080/orders"}
    post: {type: smtp, host: mail.bank.example, from: desk@bank.example}
    ask: {type: database, connection: "postgresql://u@db.bank.example/bank"}
    hidden: {type: http, url: "http://127.0.0.1:9090/"}
tool_security:
  network_policy: custom
  network_allow: ["*.bank.example:*", "127.0.0.1:8080"]
"""


@pytest.mark.parametrize(
    ("tool", "settings", "code", "said"),
    [
        ("near", "", 0, "the door to 127.0.0.1:8080"),
        ("order", "", 3, "add it to site_hosts"),
        ("order", "site_hosts: [crm.bank.example]\n", 0, "zone 'site'"),
        ("order", "site_hosts: [crm.bank.example]\nmode: air_gapped\n", 3, "air-gapped"),
        ("order", "site_hosts: [crm.bank.example]\nresidency: [local]\n", 3, "residency in the settings"),
        ("post", "", 3, "mail.bank.example:587"),
        ("ask", "", 3, "db.bank.example:5432"),
        ("hidden", "", 3, "network_allow does not name the host"),
    ],
)
def test_a_refusal_by_the_door_is_explained(tmp_path: Path, tool: str, settings: str, code: int, said: str) -> None:
    (tmp_path / "tools.yaml").write_text(TOOLS)
    (tmp_path / "config.yaml").write_text(settings)
    ended = CliRunner().invoke(
        af, ["tools", "why", tool, "--data", str(tmp_path)], obj=Af(), standalone_mode=False, catch_exceptions=False
    )
    assert said in ended.stdout + ended.stderr
    assert code == (ended.return_value or 0)
