"""A file of inputs: answers in order, and no line run twice whatever happens in between."""

import json
from pathlib import Path

import pytest

from appliance.cli.hosts import LocalRuns
from runtime.domain.ids import RunId
from runtime.domain.run import RunState
from tests.appliance.cli.conftest import Af, Said


def lines(path: Path, *messages: str) -> Path:
    path.write_text("".join(json.dumps({"message": message}) + "\n" for message in messages))
    return path


def answers(said: Said) -> list[dict[str, object]]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_answers_come_in_the_order_of_the_lines(af: Af, desk: Path, tmp_path: Path) -> None:
    """Whichever run ends first."""
    file = lines(tmp_path / "q.jsonl", "card 1", "other", "card 2")
    said = af("run", desk, "--inputs", file, "--concurrency", "3", "--jsonl")
    assert 0 == said.code, said.err
    assert [("card 1", "succeeded"), ("other", "waiting"), ("card 2", "succeeded")] == [
        (answer["input"]["message"], answer["status"])  # type: ignore[index]
        for answer in answers(said)
    ]
    assert [{"input", "run_id", "status", "output"}] * 3 == [set(answer) for answer in answers(said)]
    assert "3 of 3 in " in said.err


def test_a_failed_line_is_an_answer_and_the_exit_code_1(af: Af, desk: Path, tmp_path: Path) -> None:
    """The others are run all the same."""
    said = af("run", desk, "--inputs", lines(tmp_path / "q.jsonl", "card broken", "card 2"))
    assert 1 == said.code
    assert ["failed", "succeeded"] == [answer["status"] for answer in answers(said)]
    assert "model.broken" == answers(said)[0]["error"]["code"]  # type: ignore[index]


def test_an_input_that_the_workflow_does_not_take_is_an_answer(af: Af, greet: Path, tmp_path: Path) -> None:
    """One bad line among a thousand does not hold up the rest; nothing is run for it."""
    greet.write_text(greet.read_text() + "input_schema: {type: object, properties: {message: {maxLength: 2}}}\n")
    said = af("run", greet, "--inputs", lines(tmp_path / "q.jsonl", "too long", "hi"))
    assert 1 == said.code
    assert [(None, "invalid"), ("r-", "succeeded")] == [
        (answer["run_id"] and str(answer["run_id"])[:2], answer["status"]) for answer in answers(said)
    ]


def test_every_line_that_is_no_json_is_named_before_anything_runs(af: Af, greet: Path, tmp_path: Path) -> None:
    """Found after an hour, the first bad line would be mended and the second found after another."""
    file = tmp_path / "q.jsonl"
    file.write_text('{"message": "hi"}\nhello\n\n{"a": 1, "a": 2}\n')
    said = af("run", greet, "--inputs", file)
    assert (2, "") == (said.code, said.out)
    assert "q.jsonl:2: error[json.malformed]" in said.err
    assert "q.jsonl:4: error[json.duplicate_key]" in said.err
    assert "no runs yet" in af("runs", "list").out


def test_resuming_prints_everything_again_and_runs_nothing_twice(af: Af, greet: Path, tmp_path: Path) -> None:
    """The output of a resumed batch replaces that of the interrupted one."""
    file = lines(tmp_path / "q.jsonl", "a", "b", "c")
    first = af("run", greet, "--inputs", file)
    again = af("run", greet, "--inputs", file, "--resume")
    assert first.out == again.out
    assert 3 == len(af("runs", "list", "--json").document["runs"])  # type: ignore[arg-type]


def test_without_resume_the_file_is_run_anew(af: Af, greet: Path, tmp_path: Path) -> None:
    """Somebody who runs a file again wants new answers."""
    file = lines(tmp_path / "q.jsonl", "a", "b")
    first, second = af("run", greet, "--inputs", file), af("run", greet, "--inputs", file)
    assert not {answer["run_id"] for answer in answers(first)} & {answer["run_id"] for answer in answers(second)}
    assert second.out == af("run", greet, "--inputs", file, "--resume").out


class Interrupted(RuntimeError):
    """Stands for whatever ends a process in the middle of a batch."""


def test_an_interrupted_batch_goes_on_where_it_stopped(
    af: Af, greet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that were begun keep their runs, the others are begun now."""
    file = lines(tmp_path / "q.jsonl", *"abcdef")
    settled = LocalRuns.settled
    count = iter(range(100))

    async def stop_at_the_third(self: LocalRuns, run: RunId) -> RunState:
        if next(count) == 2:
            raise Interrupted
        return await settled(self, run)

    with monkeypatch.context() as patch:
        patch.setattr(LocalRuns, "settled", stop_at_the_third)
        assert 1 == af("run", greet, "--inputs", file, "--concurrency", "1").code
    begun = af("runs", "list", "--json").document["runs"]
    assert 0 < len(begun) < 6  # type: ignore[arg-type]
    said = af("run", greet, "--inputs", file, "--resume")
    assert 0 == said.code, said.err
    assert f"going on: {len(begun)} of 6 lines" in said.err  # type: ignore[arg-type]
    assert ["succeeded"] * 6 == [answer["status"] for answer in answers(said)]
    assert {run["run_id"] for run in begun} <= {answer["run_id"] for answer in answers(said)}  # type: ignore[attr-defined]
    assert 6 == len(af("runs", "list", "--json").document["runs"])  # type: ignore[arg-type]


def test_a_file_without_a_line_is_refused(af: Af, greet: Path, tmp_path: Path) -> None:
    """A pipeline that produced nothing should be noticed."""
    (tmp_path / "q.jsonl").write_text("\n\n")
    assert 2 == af("run", greet, "--inputs", tmp_path / "q.jsonl").code
