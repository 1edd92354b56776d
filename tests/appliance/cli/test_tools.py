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


def said(*arguments: str, folder: Path) -> tuple[int, str]:
    """The exit code of a command, and what it wrote."""
    ended = CliRunner().invoke(af, ["tools", *arguments, "--data", str(folder)], obj=Af(), standalone_mode=False)
    code = ended.return_value if ended.exception is None else getattr(ended.exception, "exit_code", 99)
    return int(code or 0), ended.stderr + ended.stdout + str(ended.exception or "")


def test_a_grant_is_written_told_and_holds(tmp_path: Path) -> None:
    """Granted, explained and called in the same role; refused in another; the audit log has the change."""
    (tmp_path / "tools.yaml").write_text(RULES)
    ticket = ("--input", '{"subject": "card"}', "--json")
    assert 3 == said("call", "create_ticket", "--as", "clerk", *ticket, folder=tmp_path)[0]
    assert RULES == (tmp_path / "tools.yaml").read_text()
    code, told = said("grant", "create_ticket", "--to", "clerk", "--dry-run", folder=tmp_path)
    assert (0, RULES, True) == (code, (tmp_path / "tools.yaml").read_text(), "would be" in told)
    code, told = said("grant", "create_ticket", "--to", "clerk", folder=tmp_path)
    assert (0, True) == (code, "role 'clerk' may call 'create_ticket'" in told)
    assert 0 == said("why", "create_ticket", "--as", "clerk", folder=tmp_path)[0]
    code, told = said("call", "create_ticket", "--as", "clerk", *ticket, folder=tmp_path)
    assert (0, True) == (code, "T-000001" in told)
    assert 3 == said("call", "create_ticket", "--as", "nobody", *ticket, folder=tmp_path)[0]
    lines = CliRunner().invoke(af, ["audit", "list", "--json", "--data", str(tmp_path)], obj=Af()).stdout
    assert "tool_registry.rbac.roles.clerk.allowed_tools" in lines


def test_what_a_tool_needs_is_part_of_why(tmp_path: Path) -> None:
    """The answer of `why` is that of the call, also where no role is in the way."""
    declared = "tool_registry: {tools: {ssl: {type: code, language: python, permissions: ['files.read:/etc/ssl']}}}\n"
    (tmp_path / "tools.yaml").write_text(declared)
    code, told = said("why", "ssl", folder=tmp_path)
    assert (3, True) == (code, "it needs files.read:/etc/ssl, and filesystem_access is none" in told)
    assert "denied" in said("show", "ssl", folder=tmp_path)[1]
    (tmp_path / "tools.yaml").write_text(declared + "tool_security: {filesystem_access: read_only}\n")
    assert 0 == said("why", "ssl", folder=tmp_path)[0]
    code, told = said("show", "ssl", folder=tmp_path)
    assert (0, True, True) == (code, "/etc/ssl" in told, "python in a sandbox, namespace at least" in told)
    assert '"memory_bytes":268435456' in said("show", "ssl", "--json", folder=tmp_path)[1], "defaults are shown too"
    assert "code" in said("list", folder=tmp_path)[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "nope"), "tool.unknown"),
        (("call", "nope"), "tool.unknown"),
        (("call", "create_ticket", "--input", "[1]"), "tool.arguments"),
        (("call", "create_ticket", "--input", "{"), "json."),
        (("grant", "a b", "--to", "x"), "tools.name"),
    ],
)
def test_what_is_typed_wrong_is_one_error_of_input(tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    ended, told = said(*arguments, folder=tmp_path)
    assert (2, True) == (ended, code in told)


DESK = """
name: desk
tool_registry:
  tools:
    total: {type: function, handler: "sums.py:total"}
  rbac: {roles: {clerk: {allowed_tools: [total]}}}
agents: {a: {type: llm, prompt: x}}
"""


def test_tools_of_a_workflow_are_called_under_its_rules(tmp_path: Path) -> None:
    """Without a run: whoever writes a tool tries it before an agent does."""
    (tmp_path / "sums.py").write_text("def total(lines: list[float]) -> float:\n    return sum(lines)\n")
    (tmp_path / "desk.yaml").write_text(DESK)
    data, of = tmp_path / "data", ("--workflow", str(tmp_path / "desk.yaml"), "--input", '{"lines": [1, 2]}')
    code, told = said("call", "total", "--as", "clerk", *of, folder=data)
    assert (0, True) == (code, told.endswith("3\n"))
    assert (3, True) == _code_and("of workflow 'desk'", said("call", "total", *of, folder=data))
    assert (2, True) == _code_and("--workflow PATH", said("call", "total", folder=data))


def _code_and(words: str, ended: tuple[int, str]) -> tuple[int, bool]:
    code, told = ended
    return code, words in told
