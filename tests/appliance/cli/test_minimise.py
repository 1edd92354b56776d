"""Minimisation from end to end: nothing that is written holds a value, and who may see it sees it."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from runtime.store.vaults import KEY_FILE
from tests.appliance.cli.conftest import Af

MAIL, CARD, PHONE = "anna.kovacs@example.com", "4111 1111 1111 1111", "+44 20 7946 0958"
GIVEN = json.dumps({"message": f"I am {MAIL}, card {CARD}, call {PHONE}", "mail": MAIL})
VALUES = [value.encode() for value in ("anna.kovacs", "4111 1111", "7946 0958", "hunter2-Xy9!")]
CONFIG = "minimise: on\nredaction: {persist/journal: policy.yaml}\nlog_level: debug\n"
POLICY = "name: patterns\nextends: default\nnames: false\n"
SUPPORT = """
name: support
agents:
  sort:
    type: llm
    model: {provider: scripted, answers: {"^I am .*@": {json: {known: true}}, "^<": {json: {known: false}}}}
    prompt: "{{ input.message }}"
    output_schema: {type: object, required: [known]}
  file: {type: custom, handler: "desk.py:file", tools: [create_ticket], input: "{{ input }}"}
  broken: {type: custom, handler: "desk.py:broken", input: "{{ input }}"}
  answer: {type: custom, handler: "desk.py:answer", input: "{{ input }}"}
planner:
  type: fsm
  definition:
    initial_state: sort
    states:
      sort: {condition: response.known, on_true: file, on_false: failed}
      file: {on_success: broken}
      broken: {on_success: answer, on_error: answer}
      answer: {on_success: ask}
      ask: {wait_for: person, on_success: done}
    final_states: [done, failed]
"""
DESK = """
def file(task, ctx):
    return ctx.tool("create_ticket", {"subject": task["message"], "summary": task["mail"]})

def broken(task, ctx):
    error = RuntimeError("cannot write to " + task["mail"])
    error.code = "desk.broken"
    raise error

def answer(task, ctx):
    phone = task["message"].partition("call ")[2]
    return {"text": f"Dear {task['mail']}, we will call {phone}. Password: " + "!9yX-2retnuh"[::-1]}
"""


@pytest.fixture
def project(tmp_path: Path, data_folder: Path) -> Path:
    """A support desk whose answers are full of people's data, and settings that minimise."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "workflow.yaml").write_text(SUPPORT)
    (folder / "desk.py").write_text(DESK)
    (tmp_path / "policy.yaml").write_text(POLICY)
    data_folder.mkdir(parents=True, exist_ok=True)
    (data_folder / "config.yaml").write_text(CONFIG.replace("policy.yaml", str(tmp_path / "policy.yaml")))
    return folder


@pytest.fixture
def run(af: Af, project: Path) -> str:
    """A run that waits for a person."""
    said = af("run", project, "--input", GIVEN, "--json")
    assert "waiting" == said.document.get("status"), said
    return str(said.document["run_id"])


def written(data: Path) -> bytes:
    """Every byte of the data folder, but for the project's own files."""
    return b"".join(
        path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and "definitions" not in path.relative_to(data).parts
    )


def test_nothing_that_is_written_holds_a_value(af: Af, run: str, data_folder: Path) -> None:
    """Journal, its log, tickets, memory, logs and the vault itself, byte for byte."""
    assert 0 == af("runs", "signal", run, "person", "--data", json.dumps({"answer": f"I called {MAIL}"})).code
    held = written(data_folder)
    assert b"EMAIL_1_" in held
    assert [] == [value for value in VALUES if value in held]
    log = (data_folder / "logs" / "af.log").read_text()
    assert "cannot write to [EMAIL]" in log


def test_the_journal_replays_also_without_the_vault(af: Af, run: str, data_folder: Path) -> None:
    """What was decided can be proved when the values are long gone."""
    assert 0 == af("replay", run, "--check").code
    for path in (*data_folder.glob("vault-*"), data_folder / KEY_FILE):
        path.unlink()
    assert 0 == af("replay", run, "--check").code
    assert 0 == af("runs", "show", run).code


def test_who_asks_for_the_values_gets_them_and_is_written_down(af: Af, run: str) -> None:
    """Pseudonyms for everybody, values for those who say so."""
    plain, restored = af("runs", "show", run, "--json"), af("runs", "show", run, "--restore", "--json")
    assert MAIL not in plain.out
    assert True is plain.document["minimised"]
    assert f"Dear {MAIL}, we will call {PHONE}. Password: [PASSWORD]" in restored.out
    broken = next(step for step in restored.document["steps"] if step["step"] == "broken")  # type: ignore[attr-defined]
    assert f"cannot write to {MAIL}" in broken["error"]["message"]
    audited = af("audit", "list", "--run", run, "--json")
    assert "vault.restored" in audited.out
    assert MAIL not in audited.out


def test_the_values_are_shown_at_any_point_to_who_asks(af: Af, run: str) -> None:
    """The entry's line, what it changed and the run as it then was; the audit log says so each time."""
    said = next(at for seq in range(1, 9) if "<EMAIL_1_" in af(*(at := ("runs", "show", run, "--at", str(seq)))).out)
    assert MAIL not in af(*said).out
    assert MAIL in af(*said, "--restore", "--full").out
    told = af("runs", "show", run, "--at", "1", "--restore", "--json").document
    assert MAIL in str(told["entry"])
    lines = af("audit", "list", "--run", run, "--json").out
    assert 2 == lines.count('"vault.restored"')


def test_a_lost_vault_is_named_and_nothing_else_breaks(af: Af, run: str, data_folder: Path) -> None:
    """Exit code 2 and what to do; the run goes on with what there is."""
    for path in (*data_folder.glob("vault-*"), data_folder / KEY_FILE):
        path.unlink()
    said = af("runs", "show", run, "--restore")
    assert (2, True) == (said.code, "vault.missing" in said.err)
    assert 0 == af("runs", "signal", run, "person", "--data", '{"answer": "done"}').code


def test_an_erased_value_is_erased_everywhere(
    af: Af, run: str, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who wants to be forgotten is; the other values of the run stay."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MAIL.upper().encode())))
    said = af("vault", "erase", "--json")
    assert 0 == said.code, said.err
    assert {"values": 1} == said.document
    restored = af("runs", "show", run, "--restore", "--json").out
    assert MAIL not in restored
    assert PHONE in restored
    assert 0 == af("replay", run, "--check").code


def test_the_vault_is_counted_and_purged(af: Af, run: str) -> None:
    """By run; by age only what has ended."""
    listed = af("vault", "list", "--json").document
    assert [run] == [scope["scope"] for scope in listed["scopes"]]  # type: ignore[attr-defined]
    assert 3 <= int(str(listed["values"]))
    assert MAIL not in af("vault", "list").out
    assert {"values": 0} == af("vault", "purge", "--before", "1ms", "--json").document
    assert {"values": listed["values"]} == af("vault", "purge", "--run", run, "--json").document
    assert MAIL not in af("runs", "show", run, "--restore", "--json").out
    assert 2 == af("vault", "purge").code
    assert "the vault holds nothing" in af("vault", "list").out


def test_run_answers_with_values_when_it_is_told_to(af: Af, project: Path) -> None:
    """A program that asks for an answer needs the answer."""
    said = af("run", project, "--input", GIVEN, "--restore", "--json")
    assert f"Dear {MAIL}" in json.dumps(said.document["steps"])
    assert not re.search(r"<EMAIL_", said.out)
