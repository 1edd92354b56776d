"""Granting a tool to a role: one place of the operator's file changes, and nothing else does."""

from pathlib import Path

import pytest

from appliance.tools.grants import planned, write
from appliance.tools.rules import rule_book
from runtime.domain.tool import SecurityLevel
from runtime.errors import Refused

BLOCK = """\
# who may do what; ask Zoë before you change it
tool_registry:
  rbac:
    roles:
      clerk:
        allowed_tools: [send_email]   # mails alone
        cost_budget: 10.0
      # the desk
      desk:
        allowed_tools:
          - create_ticket
          - look_up
        cost_budget: 1.0
"""
FLOW = "tool_registry: {rbac: {roles: {clerk: {allowed_tools: [send_email]}, desk: {allowed_tools: ['create_*']}}}}\n"


@pytest.mark.parametrize(
    ("before", "role", "old", "new", "done"),
    [
        (BLOCK, "clerk", "[send_email]", "[send_email, crm.find]", "added"),
        (BLOCK, "desk", "          - create_ticket\n", "          - crm.find\n          - create_ticket\n", "added"),
        (
            BLOCK,
            "night",
            "        cost_budget: 1.0\n",
            "        cost_budget: 1.0\n      night: {allowed_tools: [crm.find]}\n",
            "created",
        ),
        (FLOW, "desk", "['create_*']", "['create_*', crm.find]", "added"),
        (FLOW, "night", "roles: {", "roles: {night: {allowed_tools: [crm.find]}, ", "created"),
        (BLOCK.replace("[send_email]", "[]"), "clerk", "[]", "[crm.find]", "added"),
    ],
)
def test_one_place_changes(tmp_path: Path, before: str, role: str, old: str, new: str, done: str) -> None:
    """Comments and the form of the file are its author's."""
    path = tmp_path / "tools.yaml"
    path.write_text(before)
    grant = planned(tmp_path, "crm.find", role, tenant="default")
    assert before == path.read_text(), "nothing is written yet"
    write(grant)
    assert (done, before.replace(old, new)) == (grant.granted.done, path.read_text())
    assert "granted_before" == planned(tmp_path, "crm.find", role, tenant="default").granted.done
    assert ["tools.yaml"] == [each.name for each in tmp_path.iterdir()]


@pytest.mark.parametrize("text", [None, "", "tool_registry: {tools: {t: {type: ticket}}}\n"])
def test_where_nobody_needs_a_role_none_is_made(tmp_path: Path, text: str | None) -> None:
    """The first role of a file would take the tools from everybody else."""
    if text is not None:
        (tmp_path / "tools.yaml").write_text(text)
    grant = planned(tmp_path, "crm.find", "clerk", tenant="default")
    assert ("not_needed", "") == (grant.granted.done, grant.text)


@pytest.mark.parametrize(
    ("more", "level", "why"),
    [
        ("tenants: {default: {security_policy: {tool_allowlist: [other]}}}\n", "low", "may use other"),
        ("", "high", "goes up to low"),
    ],
)
def test_what_another_rule_forbids_is_said_and_nothing_changes(
    tmp_path: Path, more: str, level: SecurityLevel, why: str
) -> None:
    text = BLOCK.replace("cost_budget: 10.0", "security_level: low") + more
    (tmp_path / "tools.yaml").write_text(text)
    with pytest.raises(Refused, match=why):
        planned(tmp_path, "crm.find", "clerk", tenant="default", level=level)
    assert (text, 1) == ((tmp_path / "tools.yaml").read_text(), len(list(tmp_path.iterdir())))


def test_rules_hold_as_soon_as_the_file_changes_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    """A server need not be started again, and a slip of the pen opens and closes nothing."""
    path = tmp_path / "tools.yaml"
    book = rule_book(tmp_path)
    assert ((), ()) == (book.own, book.specs)
    path.write_text(FLOW)
    assert {"clerk", "desk"} == set(book.own[0].roles or ())
    path.write_text(FLOW.replace("rbac", "rback"))
    assert {"clerk", "desk"} == set(book.own[0].roles or ())
    path.unlink()
    assert () == book.own
