"""One run: what is printed, and the exit code."""

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af


def test_a_run_shows_its_path_answer_and_what_to_do_next(af: Af, desk: Path) -> None:
    """Everything a person asks next, on one screen."""
    said = af("run", desk, "--input", '{"message": "card lost"}')
    assert 0 == said.code, said.err
    assert "✓ succeeded  desk  r-" in said.out
    assert "  sort → answer → done" in said.out
    assert "  hello\n" in said.out
    assert "answered by scripted" in said.out
    assert "af replay r-" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80


def test_json_is_the_document_of_the_run_and_nothing_else(af: Af, desk: Path) -> None:
    """The keys are promised to programs."""
    run = af("run", desk, "--input", '{"message": "card lost"}', "--json").document
    assert {"run_id", "workflow", "definition_hash", "status", "output", "path", "steps", "usage"} <= run.keys()
    steps = run["steps"]
    assert isinstance(steps, list)
    assert {"step", "agent", "attempt", "started_at", "duration_ms", "usage", "result"} <= steps[0].keys()
    assert {"input_tokens", "output_tokens", "cost_usd"} == steps[0]["usage"].keys()


def test_a_failed_run_exits_1_and_says_which_step_and_why(af: Af, desk: Path) -> None:
    """The code of the error is what one searches for."""
    said = af("run", desk, "--input", '{"message": "card broken"}')
    assert 1 == said.code
    assert "✗ failed" in said.out
    assert "error[model.broken]\n    step 'answer': it broke" in said.out
    assert "  next\n    af runs why r-" in said.out, "the command that finds the first cause comes first"


def test_a_run_that_ended_by_its_error_path_does_not_read_as_any_success(af: Af, desk: Path) -> None:
    """Its machine says that this is an end, so the exit code is 0; what went wrong is said all the same."""
    handled = "answer: {on_success: done, on_error: failed}"
    text = desk.read_text().replace("answer: {on_success: done}", handled).replace("[done]", "[done, failed]")
    desk.write_text(text)
    said = af("run", desk, "--input", '{"message": "card broken"}')
    assert (0, False) == (said.code, "✓ succeeded" in said.out)
    assert "! succeeded by its error path  desk  r-" in said.out
    assert "reason[model.broken]\n    step 'answer': it broke" in said.out


def test_a_waiting_run_exits_0_and_says_how_to_answer(af: Af, desk: Path) -> None:
    """Waiting is no failure; the command to type is on the screen."""
    said = af("run", desk, "--input", '{"message": "other"}')
    assert 0 == said.code
    assert "… waiting" in said.out
    assert "person --data" in said.out


def test_an_input_comes_from_a_file(af: Af, desk: Path, tmp_path: Path) -> None:
    """`@FILE`, as other tools spell it."""
    (tmp_path / "q.json").write_text('{"message": "card lost"}')
    assert "succeeded" == af("run", desk, "--input", f"@{tmp_path / 'q.json'}", "--json").document["status"]


def test_no_wait_prints_the_id_and_resume_goes_on(af: Af, greet: Path) -> None:
    """The run is durable, whoever works on it."""
    left = af("run", greet, "--input", '{"message": "hi"}', "--no-wait")
    assert 0 == left.code
    run = left.out.strip()
    assert run.startswith("r-")
    resumed = af("runs", "resume", run, "--json").document
    assert [{"text": "hello"}] == [one["output"] for one in resumed["runs"]]  # type: ignore[attr-defined]


def test_a_timeout_leaves_the_run_as_it_is(af: Af, greet: Path) -> None:
    """Giving up waiting is not giving up the run."""
    said = af("run", greet, "--input", '{"message": "slow"}', "--timeout", "0.2")
    assert 4 == said.code
    assert "run.not_finished" in said.err
    assert "af runs resume r-" in said.err
    assert "running" == af("runs", "show", "last", "--json").document["status"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--resume",),
        ("--inputs", "x", "--input", "{}"),
        ("--inputs", "x", "--no-wait"),
        ("--timeout", "soon"),
        ("--concurrency", "0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(af: Af, greet: Path, arguments: tuple[str, ...]) -> None:
    """Rather than one of them being ignored."""
    assert 2 == af("run", greet, *arguments).code


def test_a_process_that_holds_the_data_folder_is_named(af: Af, greet: Path, data_folder: Path) -> None:
    """One writer a folder; the message says who it is."""
    from runtime.store.lock import hold

    with hold(data_folder, what="a test", now_us=0):
        said = af("run", greet, "--input", "{}")
    assert 2 == said.code
    assert "error[data.locked]" in said.err
    assert "'a test'" in said.err
