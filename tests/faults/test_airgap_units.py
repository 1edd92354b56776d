"""The systemd units: what they promise is in them, and systemd reads them as meant."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.cli.root import COMMANDS
from appliance.config.known import SETTINGS

UNITS = Path(__file__).resolve().parents[2] / "packaging" / "systemd"
Unit = dict[str, list[str]]
"""Directives with their values, in order; the section is left out."""


def unit(name: str) -> Unit:
    found: Unit = {}
    for line in (UNITS / name).read_text().splitlines():
        if line and not line.startswith(("#", ";", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_service_has_no_network_and_no_rights() -> None:
    """Each line is a wall; one that is lost in an edit is missed by nobody until it is needed."""
    service = unit("agentflow.service")
    for directive, value in {
        "PrivateNetwork": "yes",
        "IPAddressDeny": "any",
        "IPAddressAllow": "localhost",
        "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "AmbientCapabilities": "",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "SystemCallArchitectures": "native",
    }.items():
        assert [value] == service.get(directive), directive


def test_the_service_ends_as_the_server_does() -> None:
    """A signal to all at once would end the ingress and the workers before the server has drained."""
    service = unit("agentflow.service")
    assert ["mixed"] == service["KillMode"]
    drain_s = next(known.default for known in SETTINGS if known.key == "drain_s")
    assert isinstance(drain_s, float)
    assert int(service["TimeoutStopSec"][0]) > drain_s
    assert ["notify"] == service["Type"]
    assert ["agentflow.socket"] == service["Requires"]


def test_the_service_starts_what_there_is() -> None:
    """The command and the settings are spelled as the program knows them."""
    service = unit("agentflow.service")
    assert service["ExecStart"][0].split()[-1] in COMMANDS
    known = {setting.variable: setting for setting in SETTINGS}
    for assignment in service["Environment"][0].split():
        variable, _, value = assignment.partition("=")
        if variable.startswith("AGENTFLOW_"):
            assert value == known[variable].parse(value)


def test_the_port_is_shut_to_other_machines_until_somebody_opens_it() -> None:
    """What is handed over keeps the socket unit's rules; the service's do not apply to it."""
    listening = unit("agentflow.socket")
    assert (["any"], ["localhost"]) == (listening["IPAddressDeny"], listening["IPAddressAllow"])
    assert all(re.match(r"127\.0\.0\.1:\d+$", stream) for stream in listening["ListenStream"])
    assert 1 == len(listening["ListenStream"]), "`af serve` takes one"


def test_systemd_understands_them(tmp_path: Path) -> None:
    """A misspelt directive is a warning in a log, and no wall."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    for name in ("agentflow.service", "agentflow.socket"):
        # the interpreter of the test machine may lie elsewhere than that of an appliance
        text = (UNITS / name).read_text().replace("/usr/bin/python3", shutil.which("true") or "/bin/true")
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in ("agentflow.service", "agentflow.socket")]
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    assert (0, "") == (verified.returncode, verified.stderr)
