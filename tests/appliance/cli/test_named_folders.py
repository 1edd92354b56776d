"""Folders by name: a workflow names them, the operator says where they lie."""

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

RULES = """
tool_registry:
  tools:
    reports: {type: file, folder: reports}
tool_security:
  filesystem_access: custom
  filesystem_allow: [ALLOWED]
"""


@pytest.mark.parametrize(
    ("allowed", "folders", "code"),
    [("reports", "{reports: FOLDER}", 0), ("drafts", "{reports: FOLDER, drafts: FOLDER-2}", 3), ("reports", "{}", 3)],
)
def test_a_folder_is_read_by_its_name(
    af: Af, tmp_path: Path, data_folder: Path, allowed: str, folders: str, code: int
) -> None:
    """Where it is named and allowed, and nowhere else; `why` says the same."""
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "q3.txt").write_text("quarterly")
    data_folder.mkdir(parents=True, exist_ok=True)
    (data_folder / "tools.yaml").write_text(RULES.replace("ALLOWED", allowed))
    (data_folder / "config.yaml").write_text(f"folders: {folders}".replace("FOLDER", str(tmp_path / "given")))
    called = af("tools", "call", "reports", "--input", '{"path": "q3.txt"}')
    assert (code, code == 0) == (called.code, "quarterly" in called.out)
    assert code == af("tools", "why", "reports").code
