"""`af logs` without a run: the program's own log, filtered, followed, also over the file's turning."""

import json
import time
from pathlib import Path

import pytest

from appliance.cli.log_records import Wanted, opened, records_in, records_to_come
from tests.appliance.cli.conftest import Af

RECORDS = [
    {"at": "2026-01-31T10:00:00.000000Z", "level": "info", "logger": "a", "pid": 1, "message": "agent draft crashed"},
    {"at": "2026-01-31T11:00:00.000000Z", "level": "warning", "logger": "b", "pid": 1, "message": "x", "run": "r-17"},
    {"at": "2026-01-31T12:00:00.000000Z", "level": "error", "logger": "c", "pid": 1, "message": "run r-18 is held up"},
    {
        "at": "2026-01-31T13:00:00.000000Z",
        "level": "debug",
        "logger": "d",
        "pid": 1,
        "message": "drafting",
        "agent": "b",
    },
]


@pytest.fixture
def log(data_folder: Path) -> Path:
    """The oldest record in a file that was turned over, one line that is none among the others."""
    file = data_folder / "logs" / "af.log"
    file.parent.mkdir(parents=True)
    lines = [json.dumps(record) for record in RECORDS]
    file.with_name("af.log.1").write_text(f"{lines[0]}\n")
    file.write_text("\n".join([*lines[1:3], "cut off {", lines[3]]) + "\n")
    return file


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "abcd"),
        (["--level", "warning"], "bc"),
        (["--run", "r-17"], "b"),
        (["--run", "r-18"], "c"),
        (["--agent", "draft"], "a"),
        (["--agent", "b"], "d"),
        (["--limit", "1"], "d"),
        (["--since", "1h"], ""),
    ],
)
@pytest.mark.usefixtures("log")
def test_records_are_filtered(af: Af, arguments: list[str], expected: str) -> None:
    """Oldest first, the turned file's before the others."""
    result = af("logs", *arguments, "--json")
    assert expected == "".join(json.loads(line)["logger"] for line in result.out.splitlines())


@pytest.mark.usefixtures("log")
def test_a_person_reads_time_level_and_words(af: Af, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what else a record says: in local time, as all commands tell it, with the day, as a log has many."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        lines = af("logs", "--run", "r-17").out.splitlines()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert ['2026-01-31 20:00:00.000 warning b  x  run="r-17"'] == lines


def test_the_day_of_an_entry_is_told_where_it_is_not_today(af: Af, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may have waited for days."""
    af("run", desk, "--input", '{"message": "other"}')
    today = af("logs", "last").out.splitlines()
    monkeypatch.setattr("appliance.cli.logs.SystemClock.now_us", lambda _: 0)
    later = af("logs", "last").out.splitlines()
    assert today == later[1:]
    assert 10 == len(later[0])


def test_filters_of_the_log_and_a_run_do_not_mix(af: Af) -> None:
    """Else one of them would be ignored."""
    assert 2 == af("logs", "last", "--level", "error").code


def test_records_are_followed_when_the_file_is_turned_over(log: Path) -> None:
    """What comes while the others are shown is not lost: the last of the old file, then the new one's, none twice."""
    now = opened(log)
    log.rename(log.with_name("af.log.2"))
    shown = [record["logger"] for record in records_in(log, now)]
    with log.with_name("af.log.2").open("a") as stream:
        stream.write(json.dumps({"message": "first"}) + "\n")
    log.write_text(json.dumps({"message": "second"}) + "\n")
    coming = records_to_come(log, now)
    assert (["a", "b", "c", "d"], ["first", "second"]) == (shown, [next(coming)["message"] for _ in range(2)])
    coming.close()  # type: ignore[attr-defined]  # a generator


def test_nothing_asked_for_takes_everything() -> None:
    """Records of an older program may lack any field."""
    assert Wanted().takes({})


def test_a_run_that_failed_is_in_the_log(af: Af, desk: Path) -> None:
    """Whoever looks at the log alone at night sees it, and the command that says why; the terminal said it anyway."""
    said = af("run", desk, "--input", '{"message": "card broken"}')
    assert "warning" not in said.err
    run = str(af("runs", "list", "--json").document["runs"][0]["run_id"])  # type: ignore[index]
    for chosen in (["--level", "warning"], ["--agent", "answer"], ["--run", "last"], ["--run", run]):
        record = json.loads(af("logs", *chosen, "--json").out)
        expected = {"run": run, "workflow": "desk", "step": "answer", "agent": "answer", "code": "model.broken"}
        assert expected == {name: record[name] for name in expected}
    assert f"run {run} of workflow 'desk' failed in step 'answer': model.broken; see: af runs why {run}" in (
        af("logs", "--level", "warning").out
    )
    assert f"af logs {run}" in af("logs", "--run", "last", "--level", "error").err


def test_entries_that_nobody_made_are_told_as_such(af: Af, desk: Path) -> None:
    """An empty screen says neither that the name is wrong nor that the run has nothing of it."""
    af("run", desk, "--input", '{"message": "other"}')
    said = af("logs", "last", "--agent", "nobody")
    assert (0, "", True) == (said.code, said.out, "and none like that" in said.err)
