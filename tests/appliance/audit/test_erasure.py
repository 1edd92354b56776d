"""What lines of the audit log tell of can be erased, and nothing can be taken away in the guise of it."""

import json
import sqlite3
from pathlib import Path

import pytest

from appliance.audit.notes import Note, note
from appliance.cli.main import run
from appliance.config.settings import load_settings
from runtime.audit.record import seqs_in, spans_of


@pytest.fixture
async def log(data_folder: Path) -> Path:
    """Four lines, two of them of what Anna did."""
    settings = load_settings(data_folder, {})
    for number, actor in enumerate(("anna", "cli", "anna", "cli"), 1):
        await note(settings, Note(event="data.exported", subject=f"backup {number}.db"), actor=actor)
    return data_folder / "journal.db"


def shown(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    capfd.readouterr()
    code = run([*arguments, "--json"])
    return code, json.loads(capfd.readouterr().out)


def test_the_lines_of_a_person_tell_nothing_any_more(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And the log is whole, with the hashes that it had."""
    before = shown(capfd, "audit", "show", "1")[1]
    assert (0, {"tenant": "default", "lines": [1, 3], "erased": 0}) == shown(capfd, "audit", "erase", "--actor", "anna")
    assert "anna" == before["actor"]
    code, done = shown(capfd, "audit", "erase", "--actor", "anna", "--yes")
    assert (0, 2) == (code, done["erased"])
    after = shown(capfd, "audit", "show", "1")[1]
    assert ("erased", "", "", before["hash"], before["leaf"]) == tuple(
        after[name] for name in ("outcome", "actor", "subject", "hash", "leaf")
    )
    assert [] == [file.name for file in log.parent.glob("journal.db*") if b"anna" in file.read_bytes()]
    code, report = shown(capfd, "audit", "verify")
    assert (0, True) == (code, report["is_whole"])
    lines = shown(capfd, "audit", "list", "--event", "data.erased")[1]["lines"]
    assert [({"lines": 2}, {"lines": "1,3"}, "cli")] == [
        (line["found"], line["marks"], line["actor"])
        for line in lines  # type: ignore[attr-defined]  # a list
    ]


def test_what_says_so_stays(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor can a line be erased that is not there, and none is erased twice."""
    assert 0 == run(["audit", "erase", "2", "--yes"])
    said = shown(capfd, "audit", "list", "--event", "data.erased")[1]["lines"]
    seq = said[0]["seq"]  # type: ignore[index]  # a list
    assert [2, 2] == [run(["audit", "erase", str(each), "--yes"]) for each in (seq, 99)]
    assert 0 == shown(capfd, "audit", "erase", "2", "--yes")[1]["erased"]


def test_a_detail_that_is_gone_without_a_word_is_named(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The file lets details be emptied; the log then says that nobody said so."""
    run(["audit", "erase", "2", "--yes"])
    with sqlite3.connect(log) as connection:
        connection.execute("UPDATE audit_record SET detail = x'' WHERE seq = 3")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE audit_record SET detail = x'00' WHERE seq = 1")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE audit_record SET detail = x'', record = x'00' WHERE seq = 1")
    connection.close()
    code, report = shown(capfd, "audit", "verify")
    assert 1 == code
    assert "record 3: its detail was taken away" in report["chains"][0]["fault"]  # type: ignore[index]  # a list


@pytest.mark.parametrize(("seqs", "text"), [([], ""), ([3], "3"), ([9, 7, 8, 3, 3], "3,7-9"), ([1, 2], "1-2")])
def test_numbers_are_told_in_short(seqs: list[int], text: str) -> None:
    assert (text, set(seqs)) == (spans_of(seqs), seqs_in(text, 9))


def test_a_span_that_somebody_made_endless_ends_where_its_line_stands() -> None:
    """Whoever has the file may write one: verifying must name what is wrong, and not run out of memory."""
    assert {2, 3, 4} == seqs_in(f"2-{10**15}", 4)
