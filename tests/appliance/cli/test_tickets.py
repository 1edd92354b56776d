"""`af tickets`: what tools left for people, read and closed at the command line."""

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af


def test_a_notice_is_listed_shown_closed_and_opened_again(af: Af, tmp_path: Path, data_folder: Path) -> None:
    assert (0, True) == (af("tickets", "list").code, "there are none" in af("tickets", "list").out)
    assert 2 == af("tickets", "show", "T-000001").code
    data_folder.mkdir(parents=True, exist_ok=True)
    (data_folder / "tools.yaml").write_text("tool_registry: {tools: {tell: {type: notify}}}\n")
    af("tools", "call", "tell", "--input", '{"title": "Waits", "message": "Somebody waits."}')
    listed = af("tickets", "list", "--category", "notice", "--status", "open", "--json").document
    notice = listed["tickets"][0]  # type: ignore[index]
    assert ("T-000001", "Waits", False) == (notice["ticket_id"], notice["subject"], listed["has_more"])
    closed = af("tickets", "close", "T-000001", "--note", "called", "--json").document
    assert ("closed", "cli", "called") == (closed["status"], closed["closed_by"], closed["note"])
    shown = af("tickets", "show", "T-000001")
    assert (0, True, True) == (shown.code, "Somebody waits." in shown.out, "outside of any run" in shown.out)
    assert "open" == af("tickets", "reopen", "T-000001", "--json").document["status"]
    assert 2 == af("tickets", "close", "T-000002").code


def test_a_ticket_holds_no_secret(af: Af, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens it may have copied one into it; the table is read by people."""
    key, value = tmp_path / "master.key", tmp_path / "value"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    value.write_text("correct-horse-battery")
    monkeypatch.setenv("AGENTFLOW_MASTER_KEY_FILE", str(key))
    assert 0 == af("secrets", "set", "crm", "--file", value).code
    af("tools", "call", "create_ticket", "--input", '{"subject": "use correct-horse-battery"}')
    assert "use [SECRET:crm]" == af("tickets", "show", "T-000001", "--json").document["subject"]
    assert 0 == af("tickets", "close", "T-000001", "--note", "she has correct-horse-battery now").code
    assert "she has [SECRET:crm] now" == af("tickets", "show", "T-000001", "--json").document["note"]


def test_the_audit_log_says_who_closed_what(af: Af) -> None:
    """Once: one that is closed already stays as it is. What the note says is no part of the log."""
    af("tools", "call", "create_ticket", "--input", '{"subject": "A card"}')
    for what in (["close", "T-1", "--note", "she was called"], ["close", "T-1"], ["reopen", "T-1"], ["reopen", "T-1"]):
        assert 0 == af("tickets", *what).code
    listed = af("audit", "list", "--json")
    lines = [line for line in listed.document["lines"] if line["event"].startswith("ticket.")]  # type: ignore[attr-defined]
    assert [("ticket.reopened", "T-000001", "cli"), ("ticket.closed", "T-000001", "cli")] == [
        (line["event"], line["subject"], line["actor"]) for line in lines
    ]
    assert "she was called" not in listed.out
