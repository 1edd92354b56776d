"""Runs that are over, wait, or go on: list, show, answer, cancel, log and replay them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.config.settings import load_settings
from appliance.wiring import Appliance
from runtime.engine.clock import ManualClock
from runtime.store.lock import hold
from tests.appliance.cli.conftest import Af

SLOW = """\
name: slow
agents:
  wait: {type: llm, prompt: x, timeout: 2h, model: {provider: scripted, answers: [{text: x, delay_ms: 3600000}]}}
"""

BRIEF = """\
name: inner
agents: {say: {type: llm, prompt: x, model: {provider: scripted, answers: [x]}}}
planner:
  type: fsm
  initial_state: ask
  states: {ask: {wait_for: answer, timeout: 1h, on_success: say}, say: {on_success: done}}
  final_states: [done]
"""


@pytest.fixture
def waiting(af: Af, desk: Path) -> str:
    """The id of a run that waits for a person."""
    return str(af("run", desk, "--input", '{"message": "other"}', "--json").document["run_id"])


def test_an_empty_data_folder_lists_nothing_and_stays_empty(af: Af, data_folder: Path) -> None:
    """Looking must not write."""
    said = af("runs", "list")
    assert (0, True) == (said.code, "no runs yet" in said.out)
    assert {"runs": [], "has_more": False} == af("runs", "list", "--json").document
    assert not (data_folder / "journal.db").exists()


def test_the_list_fits_and_filters(af: Af, greet: Path, waiting: str) -> None:
    """80 columns, newest first."""
    newest = af("run", greet, "--json").document["run_id"]
    said = af("runs", "list")
    assert [str(newest), waiting] == [line.split()[0] for line in said.out.splitlines()[1:]]
    assert max(len(line) for line in said.out.splitlines()) <= 80
    filtered = af("runs", "list", "--status", "waiting", "--json").document["runs"]
    assert [waiting] == [run["run_id"] for run in filtered]  # type: ignore[attr-defined]
    assert [] == af("runs", "list", "--workflow", "nothing", "--json").document["runs"]
    assert "the newest 1; more with --limit" in af("runs", "list", "--limit", "1").err


def test_a_run_that_nobody_works_on_is_pointed_out(af: Af, tmp_path: Path) -> None:
    """`running` would otherwise be believed."""
    (slow := tmp_path / "slow.yaml").write_text(SLOW)
    af("run", slow, "--no-wait")
    assert "nobody works on what is running; go on with: af runs resume" in af("runs", "list").err


@pytest.mark.parametrize("abbreviate", [lambda run: run, lambda run: run[:20], lambda run: run[-6:], lambda _: "last"])
def test_a_run_is_found_by_a_unique_part_of_its_id(af: Af, waiting: str, abbreviate: object) -> None:
    """Nobody types 28 characters at night."""
    assert waiting == af("runs", "show", abbreviate(waiting), "--json").document["run_id"]  # type: ignore[operator]


def test_an_unknown_or_ambiguous_part_is_refused(af: Af, greet: Path, waiting: str) -> None:
    """Never the wrong run."""
    af("run", greet)
    assert "run.unknown" in af("runs", "show", "zzzz").err
    assert "run.unknown" in af("runs", "show", "r-" + "z" * 26).err or 2 == af("runs", "show", "r-" + "z" * 26).code
    ambiguous = af("runs", "show", "r-")
    assert (2, True) == (ambiguous.code, "run.ambiguous" in ambiguous.err)


def test_show_tells_what_a_waiting_run_was_asked(af: Af, waiting: str) -> None:
    """Whoever answers needs the question."""
    assert "input  other" in af("runs", "show", waiting).out


def test_a_signal_answers_the_run_and_follows_it(af: Af, waiting: str) -> None:
    """`--data` is the payload here, and the data folder before the command."""
    said = af("runs", "signal", waiting, "person", "--data", '{"answer": "by hand"}', "--json")
    assert (0, "succeeded", {"answer": "by hand"}) == (said.code, said.document["status"], said.document["output"])


def test_a_signal_that_nobody_waits_for_is_a_conflict(af: Af, waiting: str) -> None:
    """With the name of the one that is waited for."""
    said = af("runs", "signal", waiting, "preson")
    assert 1 == said.code
    assert "it waits for: person" in said.err


def test_a_run_is_cancelled_once(af: Af, waiting: str) -> None:
    """The second time there is nothing left to stop."""
    said = af("runs", "cancel", waiting, "--reason", "asked twice")
    assert 0 == said.code
    assert "asked twice" in said.out
    assert (1, True) == ((again := af("runs", "cancel", waiting)).code, "run.final" in again.err)


def test_logs_tell_events_and_decisions(af: Af, waiting: str) -> None:
    """One line each, within the terminal."""
    lines = af("logs", waiting).out.splitlines()
    assert ["run.started", "step.scheduled", "step.succeeded", "signal.awaited"] == [line.split()[2] for line in lines]
    assert "ask waits for 'person'  because not (resp…" in lines[-1]
    assert max(len(line) for line in lines) <= 80


def test_logs_in_json_are_the_journals_envelopes(af: Af, waiting: str) -> None:
    """Canonical JSON, an entry a line."""
    entries = [json.loads(line) for line in af("logs", waiting, "--json").out.splitlines()]
    assert [1, 2, 3, 4] == [entry["seq"] for entry in entries]
    assert {"at", "data", "run", "seq", "type", "v"} == entries[0].keys()


def test_following_ends_with_the_run(af: Af, greet: Path) -> None:
    """A run that is over needs no waiting."""
    af("run", greet)
    assert "run.finished" in af("logs", "last", "--follow").out


def test_a_replay_is_equal_and_has_a_digest(af: Af, waiting: str) -> None:
    """The proof that the plan is deterministic, in one line."""
    said = af("replay", waiting, "--check", "--json")
    assert (0, True, 2) == (said.code, said.document["is_equal"], said.document["decisions"])
    assert str(said.document["decision_digest"]).startswith("sha256:")


def test_all_runs_are_replayed(af: Af, greet: Path, waiting: str) -> None:
    """After a thousand runs, one command."""
    af("run", greet)
    said = af("replay", "--all", "--check")
    assert 0 == said.code
    assert "2 runs, 4 decisions made again: all equal" in said.out


def test_a_replay_that_differs_exits_1_and_names_the_entry(
    af: Af, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planner that changed its mind is found before it is shipped."""
    from runtime.planners import fsm

    monkeypatch.setattr(fsm.FsmPlanner, "_holds", lambda *_: True)
    said = af("replay", waiting, "--check")
    assert 1 == said.code
    assert "diverges at entry 4: recorded signal.awaited" in said.out
    assert (1, 1) == ((every := af("replay", "--all", "--json")).code, len(every.document["different"]))  # type: ignore[arg-type]


def test_replay_needs_a_run_or_all(af: Af) -> None:
    """Not both."""
    assert [2, 2] == [af("replay", "--check").code, af("replay", "last", "--all").code]


def test_a_backup_holds_the_runs(af: Af, waiting: str, tmp_path: Path) -> None:
    """Taken, verified, and never over another."""
    said = af("backup", tmp_path / "copy.db", "--json")
    assert (0, 1) == (said.code, said.document["runs"])
    assert 1 == af("backup", tmp_path / "copy.db").code


def test_nothing_to_back_up_is_said(af: Af, tmp_path: Path) -> None:
    """Rather than an empty file that looks like a backup."""
    assert 2 == af("backup", tmp_path / "copy.db").code


def test_the_last_run_is_the_one_that_somebody_started(af: Af, tmp_path: Path) -> None:
    """Not that of a step, which began later; unless that is all there is."""
    inner = "{name: inner, agents: {say: {type: llm, prompt: x, model: {provider: scripted, answers: [hello]}}}}"
    (tmp_path / "outer.yaml").write_text(f"name: outer\nagents:\n  part: {{type: workflow, workflow: {inner}}}\n")
    outer = af("run", tmp_path / "outer.yaml", "--input", "{}", "--json").document["run_id"]
    lines: Any = af("runs", "list", "--json").document["runs"]
    assert ("inner", outer) == (lines[0]["workflow"], lines[1]["run_id"])
    assert outer == af("runs", "show", "last", "--json").document["run_id"]


def test_a_gate_that_asks_a_person_says_what_to_answer(af: Af, tmp_path: Path) -> None:
    """What is offered to be typed is an answer that the gate understands, and ends the run; the work is shown."""
    scripted = "model: {provider: scripted, answers: [{json: JSON}]}, output_schema: {type: object}"
    written, judged = (scripted.replace("JSON", each) for each in ("{text: A draft}", "{score: 0.1, feedback: Louder}"))
    (tmp_path / "w.yaml").write_text(
        f"name: article\nagents:\n  write: {{type: llm, prompt: x, {written}}}\n"
        f"  judge: {{type: llm, prompt: y, {judged}}}\n"
        "workflow: {type: sequential_with_feedback, quality_gates: [judge], max_rounds: 1, human_review: optional}\n"
    )
    said = af("run", tmp_path / "w.yaml")
    offered = next(line for line in said.out.splitlines() if "runs signal" in line)
    assert offered.endswith("""human_review --data '{"approved": true}'"""), offered
    assert {"  A draft", "  Louder"} <= set(said.out.splitlines())
    answered = af("runs", "signal", "last", "human_review", "--data", '{"approved": true}', "--json")
    assert "succeeded" == answered.document["status"]


def test_spans_are_sent_by_the_server_where_one_runs(af: Af, greet: Path, data_folder: Path) -> None:
    """Whoever asks beside it hears so; and first of all, that nowhere is said where to."""
    af("run", greet)
    said = af("traces", "export", "last")
    assert (2, True) == (said.code, "telemetry.no_collector" in said.err)
    af("config", "set", "telemetry.otlp_url", "http://127.0.0.1:4318")
    (data_folder / "run").mkdir(exist_ok=True)
    (data_folder / "run" / "af.sock").touch()
    lock = hold(data_folder, what="af serve", now_us=0)
    try:
        said = af("traces", "export", "last")
    finally:
        lock.release()
    assert (2, True, True) == (said.code, "sends each run itself" in said.err, "'af serve'" in said.err), said.err


def test_runs_of_a_map_say_what_they_were_given(af: Af, tmp_path: Path) -> None:
    """Five ids say nothing; what each was asked about does."""
    (tmp_path / "shout.yaml").write_text(
        "name: shout\nagents:\n"
        '  say: {type: llm, model: {provider: scripted, answers: [hi]}, prompt: "{{ task }}"}\n'
        '  each: {type: map, over: "{{ input.words }}", agent: say, input: "{{ item }}"}\n'
        "planner: {type: sequential, agents: [each]}\n"
    )
    run = af("run", tmp_path / "shout.yaml", "--input", '{"words": ["alpha", {"n": "' + "long " * 40 + '"}]}', "--json")
    shown = af("runs", "show", str(run.document["run_id"])).out
    lines = [line for line in shown.splitlines() if line.startswith("  each  r-")]
    assert [True, True] == [lines[0].endswith("  alpha"), lines[1].endswith("long…")]
    assert 80 >= max(map(len, lines))


def test_a_time_limit_that_passed_takes_effect_when_runs_are_resumed(af: Af, tmp_path: Path, data_folder: Path) -> None:
    """Nobody has to name the runs, neither the one of the step that waited nor the one whose step it is."""
    (tmp_path / "inner.yaml").write_text(BRIEF)
    (tmp_path / "outer.yaml").write_text("{name: outer, agents: {check: {type: workflow, workflow: inner.yaml}}}")
    asyncio.run(_begun_long_ago(tmp_path / "outer.yaml", data_folder))
    assert "waiting" == af("runs", "show", "last", "--json").document["status"]
    resumed = af("runs", "resume", "--json").document["runs"]
    assert {"inner": "failed", "outer": "failed"} == {run["workflow"]: run["status"] for run in resumed}  # type: ignore[attr-defined]
    assert "nothing was interrupted" in af("runs", "resume").out


async def _begun_long_ago(definition: Path, data: Path) -> None:
    """A run that waits since the first hour of 1970."""
    appliance = Appliance(msgspec.structs.replace(load_settings(data, {}), drain_s=0.0))
    appliance.clock = ManualClock(start_us=0)  # type: ignore[assignment]  # another of its port
    await appliance.start()
    try:
        workflow = await appliance.workflows.find(str(definition), allow_paths=True)
        await appliance.engine.wait(await appliance.engine.submit(workflow, {}, actor="me"))
    finally:
        await appliance.stop()
