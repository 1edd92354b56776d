"""`af audit`: lines for a terminal and for programs, and a log that somebody changed."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from appliance.config.settings import load_settings
from appliance.wiring import Appliance
from runtime.domain.audit import AuditEntry, AuditEvent
from runtime.domain.egress import Destination, Sender
from tests.appliance.cli.conftest import Af

REWORDED = """
UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), 'zone_refused', 'nothing') AS BLOB) WHERE seq = 3
"""


@pytest.fixture
def log(data_folder: Path) -> Path:
    """The journal's file with three lines: sent, settled, refused."""
    asyncio.run(_fill(data_folder))
    return data_folder / "journal.db"


async def _fill(data: Path) -> None:
    appliance = Appliance(load_settings(data, {}))
    await appliance.start()
    try:
        assert appliance.audit
        for entry in (
            _entry("egress.sent", "p1", size_bytes=210, found={"EMAIL:pseudonymise": 2}),
            _entry("egress.settled", "p1", outcome="ok"),
            _entry("egress.refused", "p2", outcome="egress.zone_refused"),
        ):
            await appliance.audit.append(entry)
    finally:
        await appliance.stop()


def _entry(event: AuditEvent, passage: str, **facts: object) -> AuditEntry:
    sender = Sender(purpose="API client 'first'", run="c-1" if passage == "p1" else "")
    destination = Destination("model", "site", "gpu-1:8000")
    return AuditEntry(event=event, passage=passage, sender=sender, destination=destination, **facts)  # type: ignore[arg-type]


def _change(log: Path, statement: str) -> None:
    """As somebody would who has the file and knows about the triggers."""
    with sqlite3.connect(log) as connection:
        connection.execute("DROP TRIGGER audit_kept")
        connection.execute("DROP TRIGGER audit_fixed")
        connection.execute(statement)
    connection.close()


def test_lines_fit_a_terminal(af: Af, log: Path) -> None:
    """Newest first, 80 columns."""
    said = af("audit", "list")
    header, *lines = said.out.splitlines()
    assert ["3", "2", "1"] == [line.split()[0] for line in lines]
    assert max(map(len, (header, *lines))) <= 80
    assert ("refused", "egress.zone_refused") == (lines[0].split()[3], lines[0].split()[6])
    assert "2 EMAIL:pseudonymise" in lines[2]


def test_programs_get_whole_lines(af: Af, log: Path) -> None:
    document = af("audit", "list", "--limit", "1", "--json").document
    assert (True, ["p2"]) == (document["has_more"], [line["passage"] for line in document["lines"]])  # type: ignore[attr-defined]


@pytest.mark.parametrize(("options", "lines"), [(["--refused"], [3]), (["--run", "c-1"], [2, 1])])
def test_lines_are_chosen(af: Af, log: Path, options: list[str], lines: list[int]) -> None:
    """A conversation's name is as the header x-agentflow-run tells it."""
    found = af("audit", "list", *options, "--json").document["lines"]
    assert lines == [line["seq"] for line in found]  # type: ignore[attr-defined]


def test_a_run_is_found_by_a_part_of_its_id(af: Af, log: Path, greet: Path) -> None:
    """As everywhere; what a run of local models did has no lines."""
    run = str(af("run", greet, "--json").document["run_id"])
    assert [] == af("audit", "list", "--run", run[-6:], "--json").document["lines"]
    assert "run.unknown" in af("audit", "list", "--run", "zzzz").err


@pytest.mark.parametrize("command", ["list", "verify"])
def test_looking_writes_nothing(af: Af, data_folder: Path, command: str) -> None:
    assert 0 == af("audit", command).code
    assert not (data_folder / "journal.db").exists()


def test_a_whole_log_is_whole(af: Af, log: Path) -> None:
    assert (0, "3 lines, all whole\n") == af("audit", "verify")[:2]
    assert {"lines": 3, "is_whole": True, "fault": None} == af("audit", "verify", "--json").document


@pytest.mark.parametrize(
    ("statement", "whole", "fault"),
    [
        (REWORDED, 2, "line 3 was changed"),
        ("UPDATE audit SET at_us = at_us - 1 WHERE seq = 2", 1, "line 2 was changed"),
        ("DELETE FROM audit WHERE seq = 2", 1, "line 2 is missing"),
        ("DELETE FROM audit WHERE seq = 3", 2, "the lines behind 2 were taken away"),
    ],
    ids=["changed", "moved", "taken-out", "cut-off"],
)
def test_a_broken_log_names_the_first_line(af: Af, log: Path, statement: str, whole: int, fault: str) -> None:
    _change(log, statement)
    said = af("audit", "verify")
    assert (1, True) == (said.code, fault in said.out)
    document = af("audit", "verify", "--json").document
    assert (whole, False, True) == (document["lines"], document["is_whole"], fault in str(document["fault"]))
