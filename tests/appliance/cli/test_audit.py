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
        connection.execute("DROP TRIGGER audit_record_keeps")
        connection.execute("DROP TRIGGER audit_record_stays")
        connection.execute(statement)
    connection.close()


def test_lines_fit_a_terminal(af: Af, log: Path) -> None:
    """Newest first, 80 columns."""
    said = af("audit", "list")
    header, *lines = said.out.splitlines()
    assert ["3", "2", "1"] == [line.split()[0] for line in lines]
    assert max(map(len, (header, *lines))) <= 80
    assert ["egress.refused", "egress.zone_refused"] == lines[0].split()[3:5]
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
    """As everywhere; what it asked of local models has no lines."""
    run = str(af("run", greet, "--json").document["run_id"])
    lines = af("audit", "list", "--run", run[-6:], "--json").document["lines"]
    assert [("run.finished", ""), ("run.started", "greet")] == [(line["event"], line["subject"]) for line in lines]  # type: ignore[attr-defined]
    assert "run.unknown" in af("audit", "list", "--run", "zzzz").err
    only = af("audit", "list", "--event", "definition.", "--event", "run.f", "--json").document["lines"]
    assert ["run.finished", "definition.changed"] == [line["event"] for line in only]  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["list", "verify"])
def test_looking_writes_nothing(af: Af, data_folder: Path, command: str) -> None:
    assert 0 == af("audit", command).code
    assert not (data_folder / "journal.db").exists()


def test_a_line_is_shown_whole(af: Af, log: Path) -> None:
    said = af("audit", "show", "1")
    assert {"event         egress.sent", "size_bytes    210"} <= set(said.out.splitlines())
    assert '"action":"egress.sent"' in str(af("audit", "show", "1", "--json").document["record"])
    assert (2, True) == ((missing := af("audit", "show", "99")).code, "audit.no_line" in missing.err)


def _emptied(log: Path, *tables: str) -> None:
    """Empty these tables, whatever keeps them."""
    with sqlite3.connect(log) as connection:
        kept = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (trigger,) in kept:
            connection.execute(f"DROP TRIGGER {trigger}")
        for table in tables:
            connection.execute(f"DELETE FROM {table}")
    connection.close()


def test_a_whole_log_is_whole(af: Af, log: Path) -> None:
    """Signed when the appliance stopped."""
    said = af("audit", "verify")
    assert (0, True) == (
        said.code,
        said.out.startswith("default: 3 records, all whole · checkpoints 1 · journal hashes 0"),
    )
    document = af("audit", "verify", "--json").document
    assert (True, None) == (document["is_whole"], document["chains"][0]["fault"])  # type: ignore[index]


REWORDED = """
UPDATE audit_record SET detail = CAST(replace(CAST(detail AS TEXT), 'zone_refused', 'nothing') AS BLOB) WHERE seq = 3
"""


@pytest.mark.parametrize(
    ("statement", "whole", "fault"),
    [
        (REWORDED, 2, "record 3: its detail was changed"),
        ("DELETE FROM audit_record WHERE seq = 2", 1, "record 2 is missing"),
        ("DELETE FROM audit_record WHERE seq = 3", 2, "the records behind 2 were taken away"),
    ],
    ids=["changed", "taken-out", "cut-off"],
)
def test_a_broken_log_names_the_first_line(af: Af, log: Path, statement: str, whole: int, fault: str) -> None:
    _change(log, statement)
    said = af("audit", "verify")
    assert (1, True) == (said.code, fault in said.out)
    document = af("audit", "verify", "--json").document
    chain = document["chains"][0]  # type: ignore[index]
    assert (whole, False, True) == (chain["records"], document["is_whole"], fault in str(chain["fault"]))


def test_a_log_that_was_taken_out_of_a_journal_is_missed(af: Af, log: Path, greet: Path) -> None:
    """Whatever the levels: no run is without the line that tells of its definition."""
    af("run", greet)
    _change(log, "DELETE FROM audit_record")
    _emptied(log, "audit_checkpoint", "audit_chain")
    said = af("audit", "verify")
    assert (1, True) == (said.code, "there is no audit log here, and the journal has 4 entries" in said.out)


def test_a_log_that_nobody_signed_says_so(af: Af, log: Path) -> None:
    """It is whole as far as anybody can see, which is not far."""
    _emptied(log, "audit_checkpoint")
    said = af("audit", "verify")
    assert (0, True) == (said.code, "default: no checkpoint in it is signed" in said.err)
    assert said.out.startswith("default: 3 records, which fit · signed by nothing · ")


def test_what_is_kept_outside_shows_a_log_that_was_put_back(af: Af, log: Path, tmp_path: Path, greet: Path) -> None:
    """An older copy of the file, or another appliance's, is whole in itself; a file and a folder are kept alike."""
    old = log.read_bytes()
    af("run", greet)
    place = tmp_path / "outside"
    place.mkdir()
    for to in (place, tmp_path / "default.checkpoint"):
        assert 0 == af("audit", "anchor", "--to", to).code
        assert 0 == af("audit", "verify", "--anchor", to).code
    log.write_bytes(old)
    assert 0 == af("audit", "verify").code
    for to in (place, tmp_path / "default.checkpoint"):
        said = af("audit", "verify", "--anchor", to)
        assert (1, True) == (said.code, "the records behind 3 were taken away" in said.out)
    refused = af("audit", "anchor", "--to", place)
    assert (1, True) == (refused.code, "audit.rolled_back" in refused.err)
    log.unlink()
    assert 1 == af("audit", "verify", "--anchor", place).code


def test_checkpoints_are_copied_outside_as_they_are_signed(
    af: Af, data_folder: Path, tmp_path: Path, greet: Path
) -> None:
    """And `verify` looks there without being told."""
    outside = tmp_path / "outside"
    outside.mkdir()
    af("config", "set", "audit.anchor", str(outside))
    af("run", greet)
    assert (outside / "default.checkpoint").read_text().startswith("agentflow.local/audit/")
    assert "anchored at" in af("audit", "verify").out


def test_the_key_is_private_and_its_public_half_verifies(af: Af, log: Path, data_folder: Path) -> None:
    key = data_folder / "auth" / "audit.key"
    assert 0o600 == key.stat().st_mode & 0o777
    vkey = str(af("audit", "key", "--json").document["vkey"])
    assert vkey.startswith("agentflow.local/audit/")
    key.rename(key.with_suffix(".away"))
    assert (1, True) == ((said := af("audit", "verify")).code, "nobody can tell who signed its checkpoints" in said.out)
    assert 0 == af("audit", "verify", "--key", vkey).code
    assert (2, True) == ((said := af("audit", "verify", "--key", "nonsense")).code, "audit.bad_vkey" in said.err)
    assert (2, True) == ((said := af("audit", "key")).code, "audit.no_key" in said.err)


def test_a_key_that_others_can_read_signs_nothing(af: Af, log: Path, data_folder: Path) -> None:
    (data_folder / "auth" / "audit.key").chmod(0o644)
    said = af("audit", "key")
    assert (3, True) == (said.code, "chmod 600" in said.err)


def test_the_key_may_be_elsewhere(af: Af, data_folder: Path, tmp_path: Path, greet: Path) -> None:
    af("config", "set", "audit.key_file", str(tmp_path / "keys" / "audit.key"))
    af("config", "set", "audit.origin", "example.com/appliance")
    af("run", greet)
    assert (tmp_path / "keys" / "audit.key").exists()
    said = af("audit", "key")
    assert (True, "") == (said.out.startswith("example.com/appliance/default+"), said.err)


def test_proofs_and_tiles_are_written(af: Af, log: Path, tmp_path: Path, greet: Path) -> None:
    """What public tools make of them is in tests/appliance/audit/test_tools.py."""
    assert 0 == af("audit", "prove", "2", "--to", tmp_path / "proofs").code
    assert (tmp_path / "proofs" / "2.tlog-proof").read_text().startswith("c2sp.org/tlog-proof@v1\nindex 1\n")
    tiles = tmp_path / "tiles"
    first = af("audit", "export", "--tiles", tiles, "--json").document
    assert (4, 2) == (first["records"], first["files"])  # with the line that says so
    af("run", greet)
    assert 0 == af("audit", "export", "--tiles", tiles).code


def test_an_export_of_another_log_is_not_written_over(af: Af, log: Path, tmp_path: Path) -> None:
    af("audit", "export", "--tiles", tmp_path)
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_text(checkpoint.read_text().replace("/default", "/other"))
    said = af("audit", "export", "--tiles", tmp_path)
    assert (1, True) == (said.code, "audit.other_export" in said.err)
