"""Every kind of bad input: one clear message, its exit code, and nothing lost."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
PLAN = """name: w
agents: {a: {type: llm}, b: {type: llm}}
planner:
  type: fsm
  definition:
    initial_state: a
    states:
"""


def plan(states: str) -> str:
    return PLAN + "".join(f"      {line}\n" for line in states.splitlines()) + "    final_states: [done]\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("name: [", "yaml.malformed", id="YAML that isn't YAML"),
        pytest.param("name: w\nagents:\n\ta: {type: llm}\n", "yaml.", id="tabs"),
        pytest.param("name: w\nname: x\nagents: {a: {type: llm}}\n", "yaml.duplicate_key", id="duplicate keys"),
        pytest.param(LAUGHS, "yaml.too_many_aliases", id="billion laughs"),
        pytest.param("name: w\nagnets: {a: {type: llm}}\n", "key.unknown", id="an unknown key"),
        pytest.param(plan("a: {on_success: c}"), "state.undefined", id="a state that doesn't exist"),
        pytest.param(plan("a: {on_success: b}\nb: {on_success: a}"), "state.endless", id="a cycle with no exit"),
        pytest.param(
            plan(f"a: {{condition: '{'x' * 200_000}', on_true: done, on_false: done}}"),
            "condition.too_long",
            id="a condition of 200 kB",
        ),
        pytest.param("name: w\n" + "x" * 2_000_000, "yaml.too_large", id="a file of 2 MB"),
        pytest.param("\x00\x01\x02", "yaml.", id="no text at all"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_bad_definition_is_refused_with_its_place(
    af: Af, tmp_path: Path, data_folder: Path, command: str, text: str, code: str
) -> None:
    """Exit code 2, whether it is checked or run, and no run is begun."""
    file = tmp_path / "w.yaml"
    file.write_text(text)
    said = af(command, file)
    assert 2 == said.code, said
    found = said.out if command == "validate" else said.err
    assert f"error[{code}" in found
    assert f"{file}:" in found
    assert max(len(line) for line in found.splitlines()) < 500 + len(str(tmp_path))
    assert "Traceback" not in said.err
    assert 0 == len(af("runs", "list", "--json").document["runs"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("{message: hi}", "json.malformed"),
        ('{"a": 1, "a": 2}', "json.duplicate_key"),
        ("[" * 20_000, "json.too_deep"),
        ("NaN", "json.not_a_number"),
        ("", "json.malformed"),
        ("@/nowhere/q.json", "file.missing"),
    ],
)
def test_an_input_that_is_no_json_is_refused(af: Af, greet: Path, given: str, code: str) -> None:
    """Before anything is opened."""
    said = af("run", greet, "--input", given)
    assert (2, "", 1) == (said.code, said.out, len(said.err.splitlines()))
    assert f"error[{code}]" in said.err
    assert 2 == af("run", greet, "--input", given, "--json").code


def test_an_input_of_100_mb_is_not_even_read(af: Af, greet: Path, tmp_path: Path) -> None:
    """A sparse file costs the test nothing either."""
    file = tmp_path / "huge.json"
    file.touch()
    os.truncate(file, 100 * 1024 * 1024)
    said = af("run", greet, "--input", f"@{file}")
    assert (2, True) == (said.code, "error[input.too_large]" in said.err)


@pytest.mark.parametrize("name", ["suport", "./nowhere", "missing.yaml", "sha256:" + "0" * 64])
def test_a_workflow_that_is_not_there_is_named(af: Af, name: str) -> None:
    """With those that are."""
    said = af("run", name, "--input", "{}")
    assert (2, 1) == (said.code, len(said.err.splitlines())), said.err


def test_a_missing_model_is_named_with_the_command_that_fetches_it(af: Af, tmp_path: Path) -> None:
    """In a run's error, in the demo, and by the doctor."""
    file = tmp_path / "w.yaml"
    file.write_text("name: w\nagents: {a: {type: llm, prompt: hi, retry: {max_attempts: 1}}}\n")
    ran = af("run", file)
    told = " ".join(ran.out.split())  # where it wraps hangs on how long the folder is called
    assert (1, True) == (ran.code, "af models fetch smollm2-135m-instruct" in told)
    demo = af("demo", "support", "--json")
    assert (4, "demo.no_models") == (demo.code, demo.document["error"]["code"])  # type: ignore[index]
    doctor = af("doctor", "--json")
    missing = [found for found in doctor.document["findings"] if found["level"] == "missing"]  # type: ignore[attr-defined]
    assert (4, 2) == (doctor.code, len(missing))
    assert all("af models fetch" in found["mend"] for found in missing)


def test_a_corrupt_model_is_named(af: Af, tmp_path: Path, data_folder: Path) -> None:
    """Its bytes are checked before they are loaded."""
    folder = data_folder / "models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    file = {"name": "model.gguf", "size_bytes": 104, "sha256": "0" * 64}
    manifest = {"name": folder.name, "kind": "chat", "licence": "x", "context_tokens": 8, "files": [file]}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"added_at": "2026-01-01T00:00:00Z"}))
    verified = af("models", "verify")
    assert (2, True) == (verified.code, "error[model.corrupt] model 'smollm2-135m-instruct'" in verified.err)
    assert 1 == af("doctor").code


def read_only(folder: Path) -> None:
    """As root a mode stops nobody; a file in the folder's place stops everybody."""
    folder.rmdir()
    folder.write_text("in the way")


def newer(folder: Path) -> None:
    from runtime.store import driver

    connection = driver.open_raw(folder / "journal.db")
    connection.execute("PRAGMA user_version = 999")
    connection.execute("CREATE TABLE later(x)")
    connection.close()


def garbage(folder: Path) -> None:
    (folder / "journal.db").write_bytes(b"not a database at all" * 500)


@pytest.mark.parametrize("spoil", [read_only, garbage])
@pytest.mark.parametrize("command", ["run", "list"])
def test_a_data_folder_that_cannot_be_used_is_named(
    af: Af, greet: Path, data_folder: Path, spoil: Callable[[Path], None], command: str
) -> None:
    """One line that names the file, for reading and for writing."""
    data_folder.mkdir()
    spoil(data_folder)
    said = af("run", greet) if command == "run" else af("runs", "list")
    if (command, spoil) == ("list", read_only):
        assert 0 == said.code  # there is nothing to list
        return
    assert said.code in (1, 4), said
    assert 1 == len(said.err.splitlines()), said.err
    assert str(data_folder) in said.err


def test_a_journal_of_a_newer_version_is_left_alone(af: Af, greet: Path, data_folder: Path) -> None:
    """An older program must not write into what it does not know."""
    assert 0 == af("run", greet).code
    newer(data_folder)
    said = af("run", greet)
    assert said.code in (2, 4)
    assert "newer" in said.err or "another program" in said.err, said.err
