"""`af tools`: who may call which tool, out of files alone."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli.context import Af
from appliance.cli.root import af

RULES = "tool_registry: {rbac: {roles: {clerk: {allowed_tools: [send_email]}, desk: {allowed_tools: ['create_*']}}}}\n"


@pytest.mark.parametrize(("role", "code"), [("desk", 0), ("clerk", 3), ("", 3)])
def test_why_ends_as_the_call_would(tmp_path: Path, role: str, code: int) -> None:
    (tmp_path / "tools.yaml").write_text(RULES)
    ended = CliRunner().invoke(
        af, ["tools", "why", "create_ticket", "--as", role, "--data", str(tmp_path)], obj=Af(), standalone_mode=False
    )
    assert code == (ended.return_value or 0)
    assert f"{tmp_path}/tools.yaml" in ended.stderr + ended.stdout


def test_the_list_names_tools_and_no_kinds(tmp_path: Path) -> None:
    ended = CliRunner().invoke(af, ["tools", "list", "--data", str(tmp_path)], obj=Af(), standalone_mode=False)
    said = ended.stderr + ended.stdout
    assert "create_ticket" in said
    assert "mcp" not in said
