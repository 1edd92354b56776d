"""Each port has one contract suite, run over every implementation."""

import re
from pathlib import Path

from tests.architecture.source import ROOT, protocols

# Ports whose suite is still to be written. A port leaves this list with its suite, and none is ever added.
WAITING: set[str] = set()

# Parts of other ports' signatures: whoever implements the port is handed them.
HANDED_OVER = {
    "HttpAccess",
    "MailAccess",
    "ModelAccess",
    "ProgramTool",
    "SessionAccess",
    "SqlAccess",
    "StepContext",
    "ToolContext",
}


def test_every_port_has_a_contract_suite() -> None:
    """An implementation that only its own tests know is not interchangeable."""
    missing = {port for port in _ports() if not _suite(port).exists()}
    assert missing == WAITING


def test_every_contract_suite_has_a_port() -> None:
    """A suite for a port that was renamed tests nothing that is used."""
    suites = {path.name for path in (ROOT / "tests/contracts").glob("test_*.py")}
    assert suites <= {_suite(port).name for port in _ports()}


def _ports() -> list[str]:
    return [name for name in protocols() if name not in HANDED_OVER]


def _suite(port: str) -> Path:
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", port).lower()
    return ROOT / "tests" / "contracts" / f"test_{snake}.py"
