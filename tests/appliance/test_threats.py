"""Alerts come out of the audit log, live and afterwards alike."""

import json
import logging
from pathlib import Path

import pytest

from appliance.cli.main import run
from runtime.domain.audit import AuditEntry, tool_entry
from runtime.domain.egress import Destination, Sender
from tests.appliance.api.serving import open_api

SENDER = Sender(workflow="weekly", agent="report", run="r-1")


def called(tool: str) -> AuditEntry:
    return tool_entry("tool.called", tool, SENDER, passage="p")


async def test_what_is_unusual_is_logged_listed_and_counted(
    data_folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fresh start tells nobody of what is old, and still lists it."""
    caplog.set_level(logging.WARNING)
    async with open_api(data_folder) as api:
        record = api.service.appliance.record
        for _ in range(25):
            await record(called("search"))
        await record(called("mail"))
        target = Destination("http", "site", "files.example:443")
        await record(AuditEntry(event="egress.sent", sender=SENDER, destination=target, size_bytes=10))
        for _ in range(5):
            await record(tool_entry("tool.refused", "shell", SENDER, passage="p", outcome="tool.not_granted"))
        told = (await api.client.get("/v1/threats")).json()["alerts"]
        assert ["denied_burst", "new_target", "first_use"] == [alert["kind"] for alert in told]
        assert ["shell", "files.example:443", "mail"] == [alert["subject"] for alert in told]
        assert 3 == sum("unusual" in record.message for record in caplog.records)
        page = (await api.client.get("/metrics")).text
        assert 'agentflow_threat_alerts_total{kind="denied_burst"} 1.0' in page
    caplog.clear()
    async with open_api(data_folder) as api:
        for _ in range(200):
            if api.service.appliance.threats._waiting is None:
                break
            await api.service.appliance.store.head()
        again = (await api.client.get("/v1/threats")).json()["alerts"]
        assert [{**alert, "at": ""} for alert in told] == [{**alert, "at": ""} for alert in again]
        assert not any("unusual" in record.message for record in caplog.records)


def test_the_command_says_why(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On an empty folder too."""
    assert 0 == run(["--data", str(data_folder), "threats"])
    assert "nothing unusual" in capsys.readouterr().out
    assert 0 == run(["--data", str(data_folder), "threats", "--json", "--since", "24h"])
    assert {"alerts": [], "has_more": False} == json.loads(capsys.readouterr().out)
