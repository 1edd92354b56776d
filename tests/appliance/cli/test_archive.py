"""`af runs export` and `af runs import`: whole, checked, and only looked at."""

import json
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af, Said

ASKS = "{name: asks, agents: {ask: {type: human_task, role: Say whether it may be done.}}}"


@pytest.fixture
def exported(af: Af, desk: Path, tmp_path: Path) -> Path:
    """A file with a run that failed, naming somebody, and one that waits."""
    broken = af("run", desk, "--input", '{"message": "card broken for zoe@example.com"}', "--json").document["run_id"]
    waits = af("run", desk, "--input", '{"message": "other"}', "--json").document["run_id"]
    file = tmp_path / "runs.jsonl"
    assert 0 == af("runs", "export", str(broken), str(waits), "--to", file).code
    return file


def elsewhere(af: Af, tmp_path: Path, *arguments: str | Path) -> Said:
    """`af` over another data folder."""
    return af("--data", tmp_path / "elsewhere", *arguments)


def test_a_failed_run_can_be_studied_elsewhere(af: Af, exported: Path, tmp_path: Path) -> None:
    """With its definition inside, everything that only looks works."""
    taken = elsewhere(af, tmp_path, "runs", "import", exported, "--json").document
    broken, waits = [str(run["run_id"]) for run in taken["runs"]]  # type: ignore[attr-defined]
    assert [True, True] == [run["is_new"] for run in taken["runs"]]  # type: ignore[attr-defined]
    lines = elsewhere(af, tmp_path, "runs", "list", "--json").document["runs"]
    assert {("imported", taken["origin"])} == {(line["kind"], line["origin"]) for line in lines}  # type: ignore[attr-defined]
    assert "2 runs" in (said := elsewhere(af, tmp_path, "replay", "--all")).out
    assert 0 == said.code
    assert "FIRST CAUSE  step 'answer' failed" in elsewhere(af, tmp_path, "runs", "why", broken).out
    assert af("logs", waits, "--json").out == elsewhere(af, tmp_path, "logs", waits, "--json").out
    again = elsewhere(af, tmp_path, "runs", "import", exported)
    assert f"af --data {tmp_path / 'elsewhere'} runs why {broken}" in again.out, "what it was taken in for"
    assert "with 1 definition; only looked at here" in again.out
    last = elsewhere(af, tmp_path, "runs", "show", "last", "--json").document["run_id"]
    assert last in (broken, waits), "the newest, where none was started here"
    mended = elsewhere(af, tmp_path, "what-if", broken, "--set", "answer.result.text=mended", "--json").document
    assert "succeeded" == mended["right"]["status"]  # type: ignore[index]


def test_an_imported_run_is_never_gone_on_with(af: Af, exported: Path, tmp_path: Path) -> None:
    """It belongs to another site, which may still be working on it."""
    taken = elsewhere(af, tmp_path, "runs", "import", exported, "--json").document
    waits = str(taken["runs"][1]["run_id"])  # type: ignore[index]
    for command in (("signal", waits, "person"), ("cancel", waits)):
        said = elsewhere(af, tmp_path, "runs", *command)
        assert (1, True) == (said.code, "run.imported" in said.err)
    assert [] == elsewhere(af, tmp_path, "runs", "resume", "--json").document["runs"]
    assert "run.imported" in elsewhere(af, tmp_path, "runs", "signal", "last", "person").err
    again = elsewhere(af, tmp_path, "runs", "import", exported, "--json").document
    assert [False, False] == [run["is_new"] for run in again["runs"]]  # type: ignore[attr-defined]


def test_minimised_on_request_it_names_nobody(af: Af, exported: Path, tmp_path: Path) -> None:
    """Whoever studies it elsewhere need not know who wrote."""
    assert "zoe@example.com" in exported.read_text()
    runs = [str(run["run_id"]) for run in af("runs", "list", "--json").document["runs"]]  # type: ignore[attr-defined]
    file = tmp_path / "minimised.jsonl"
    assert 0 == af("runs", "export", *runs, "--to", file, "--minimise").code
    assert "zoe@example.com" not in file.read_text()
    taken = elsewhere(af, tmp_path, "runs", "import", file, "--json").document
    assert (True, 0) == (taken["minimised"], elsewhere(af, tmp_path, "replay", "--all").code)
    shown = elsewhere(af, tmp_path, "runs", "show", runs[1], "--json").document
    assert (True, "failed") == (shown["minimised"], shown["status"])


def test_minimised_it_does_not_say_who_answered(af: Af, tmp_path: Path) -> None:
    """Whoever did it is a person too, and stays one and the same."""
    (tmp_path / "asks.yaml").write_text(ASKS)
    run = str(af("run", tmp_path / "asks.yaml", "--json").document["run_id"])
    assert 0 == af("human", "claim", run, "--as", "lisa@example.com").code
    assert 0 == af("human", "complete", run, "--as", "lisa@example.com", "--decision", "approve").code
    assert 0 == af("runs", "export", run, "--to", tmp_path / "one.jsonl", "--minimise").code
    lines = [json.loads(line) for line in (tmp_path / "one.jsonl").read_text().splitlines()]
    assert "lisa" not in str(lines)
    said = [line["envelope"]["data"] for line in lines if "envelope" in line]
    assert ["cli", "person-1", "person-1"] == [each["actor"] for each in said if "actor" in each]
    assert 0 == elsewhere(af, tmp_path, "runs", "import", tmp_path / "one.jsonl").code
    assert 0 == elsewhere(af, tmp_path, "replay", run, "--check").code


def test_without_definitions_there_is_nothing_to_replay_by(af: Af, exported: Path, tmp_path: Path) -> None:
    """And the journal is shown all the same."""
    runs = [str(run["run_id"]) for run in af("runs", "list", "--json").document["runs"]]  # type: ignore[attr-defined]
    file = tmp_path / "bare.jsonl"
    af("runs", "export", *runs, "--to", file, "--no-definitions")
    assert 0 == elsewhere(af, tmp_path, "runs", "import", file, "--json").document["definitions"]
    assert "definition.not_found" in elsewhere(af, tmp_path, "replay", runs[0]).err
    assert 0 == elsewhere(af, tmp_path, "runs", "show", runs[0]).code


def test_a_file_that_was_changed_is_refused_whole(af: Af, exported: Path, tmp_path: Path) -> None:
    """By the sum of the file, by the hash of each entry, and by that of the definition."""
    whole = exported.read_text()
    lines = whole.splitlines()
    changed = [
        whole.replace("it broke", "it holds"),
        "\n".join([*lines[:-2], lines[-1]]) + "\n",
        "\n".join(lines[:-1]) + "\n",
        resummed(whole.replace("card broken", "card mended")),
        resummed("\n".join(line for line in lines if '"seq":3' not in line) + "\n"),
        resummed(whole.replace('"name":"desk"},', '"name":"disk"},')).replace("sort", "sart"),
    ]
    for number, text in enumerate(changed):
        file = tmp_path / f"changed-{number}.jsonl"
        file.write_text(text)
        said = elsewhere(af, tmp_path, "runs", "import", file)
        assert (1, True) == (said.code, "archive.changed" in said.err), (number, said)
    for text, code in (("", "archive.not_one"), ("{}\n{}\n", "archive.not_one"), ("x", "archive.not_one")):
        (tmp_path / "other").write_text(text)
        assert code in elsewhere(af, tmp_path, "runs", "import", tmp_path / "other").err
    newer = tmp_path / "newer"
    newer.write_text(resummed(whole.replace('"v":1}\n', '"v":2}\n', 1)))
    assert "archive.version" in elsewhere(af, tmp_path, "runs", "import", newer).err
    assert [] == elsewhere(af, tmp_path, "runs", "list", "--json").document["runs"]


def test_no_file_is_written_over(af: Af, exported: Path) -> None:
    """It may be the only copy."""
    assert (1, True) == ((said := af("runs", "export", "last", "--to", exported)).code, "archive.exists" in said.err)


def test_a_replay_may_begin_in_the_middle(af: Af, exported: Path) -> None:
    """What stands before is taken as it is."""
    said = [af("replay", "last", "--from", str(seq), "--json").document["decisions"] for seq in (1, 2, 3, 4)]
    assert [2, 1, 1, 0] == said
    assert [2, 2] == [af("replay", "last", "--from", "9").code, af("replay", "--all", "--from", "2").code]


def resummed(text: str) -> str:
    """A file with the sum that fits it."""
    from hashlib import sha256

    body = "\n".join(text.splitlines()[:-1]) + "\n"
    return body + json.dumps({"sha256": sha256(body.encode()).hexdigest()}) + "\n"
