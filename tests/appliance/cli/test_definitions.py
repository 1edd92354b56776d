"""Definitions without running anything: check them, simulate them, begin with one that works."""

from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

BROKEN = """
name: w
agents:
  a: {type: llm, promt: hi}
planner:
  type: fsm
  definition:
    initial_state: a
    states:
      a: {on_success: dnoe}
    final_states: [done]
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_every_problem_is_named_with_its_line(af: Af, tmp_path: Path) -> None:
    """All at once, each with the nearest known name."""
    said = af("validate", write(tmp_path / "w.yaml", BROKEN))
    assert 2 == said.code
    assert "w.yaml:4: error[key.unknown]" in said.out
    assert "w.yaml:10: error[" in said.out
    assert "promt" in said.out
    assert "1 file: 2 errors" in said.err


def test_problems_are_data_with_json(af: Af, tmp_path: Path) -> None:
    """For an editor, or a check before a merge."""
    said = af("validate", write(tmp_path / "w.yaml", BROKEN), "--json")
    assert (2, False, 2) == (said.code, said.document["valid"], said.document["errors"])


def test_a_folder_of_projects_is_checked_project_by_project(af: Af, tmp_path: Path) -> None:
    """One command before a deployment."""
    for name, text in (("one", "name: one\nagents: {a: {type: llm}}\n"), ("two", BROKEN)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "workflow.yaml", text)
    files = af("validate", tmp_path, "--json").document["files"]
    assert [True, False] == [file["valid"] for file in files]  # type: ignore[attr-defined]


def test_a_refusal_loads_and_fails_only_when_strict(af: Af, tmp_path: Path) -> None:
    """A cloud provider is no mistake in the file; it just may not run here."""
    text = "name: w\nagents: {a: {type: llm, model: {provider: openai, name: gpt-4}}}\n"
    file = write(tmp_path / "w.yaml", text)
    said = af("validate", file)
    assert (0, True) == (said.code, "refusal[" in said.out)
    assert 2 == af("validate", file, "--strict").code
    assert (3, True) == ((ran := af("run", file)).code, "openai" in ran.err)


def test_an_alias_in_the_settings_lifts_the_refusal(af: Af, tmp_path: Path) -> None:
    """The file stays as it came."""
    text = "name: w\nagents: {a: {type: llm, model: {provider: openai, name: gpt-4}}}\n"
    file = write(tmp_path / "w.yaml", text)
    af("config", "set", "models.aliases.openai/gpt-4", "local/smollm2-135m-instruct")
    assert 0 == af("validate", file, "--strict").code


def test_a_simulation_shows_events_decisions_and_path(af: Af, desk: Path, tmp_path: Path) -> None:
    """No agent, no model, no data folder."""
    outcomes = write(tmp_path / "o.yaml", "sort: {output: {known: false}}\nask: {signal: {answer: by hand}}\n")
    said = af("simulate", desk, "--outcomes", outcomes)
    assert 0 == said.code, said.err
    assert "→ signal.awaited  ask waits for 'person'  because not (response.known)" in said.out
    assert "  sort → ask → done" in said.out
    assert "✓ succeeded" in said.out


def test_a_simulation_is_equal_every_time(af: Af, desk: Path, tmp_path: Path, data_folder: Path) -> None:
    """It can stand in version control beside the definition."""
    outcomes = write(tmp_path / "o.json", '{"sort": [{"output": {"known": true}}], "answer": "F"}')
    first = af("simulate", desk, "--outcomes", outcomes, "--input", '{"message": "x"}', "--json")
    assert first == af("simulate", desk, "--outcomes", outcomes, "--input", '{"message": "x"}', "--json")
    assert ("failed", ["sort", "answer"]) == (first.document["status"], first.document["path"])
    assert not data_folder.exists()


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ("sort: X", "outcomes.unknown"),
        ("sort: [", "o.yaml:1"),
        ("- S", "outcomes.not_a_mapping"),
        ("", "document.count"),
    ],
)
def test_outcomes_that_cannot_be_read_are_refused(
    af: Af, desk: Path, tmp_path: Path, outcomes: str, message: str
) -> None:
    """With their place, or the state they are for."""
    said = af("simulate", desk, "--outcomes", write(tmp_path / "o.yaml", outcomes))
    assert (2, True) == (said.code, message in said.err)


def test_a_state_that_the_simulation_never_entered_is_warned_of(af: Af, desk: Path, tmp_path: Path) -> None:
    """It is probably misspelt."""
    said = af("simulate", desk, "--outcomes", write(tmp_path / "o.yaml", "sort: {output: {known: true}}\nansewr: F"))
    assert (0, True) == (said.code, "'ansewr'" in said.err)


def test_a_template_becomes_a_project_that_is_valid(af: Af, tmp_path: Path) -> None:
    """The first file a new user edits."""
    made = af("init", tmp_path / "desk", "--template", "support", "--json")
    assert 0 == made.code, made.err
    assert "workflow.yaml" in made.document["files"]  # type: ignore[operator]
    assert 0 == af("validate", tmp_path / "desk").code
    assert (1, True) == ((again := af("init", tmp_path / "desk")).code, "init.not_empty" in again.err)


def test_a_project_begins_with_an_example_of_its_own(af: Af, tmp_path: Path) -> None:
    """What is typed after `af init` works: a question of the template's, an example of its schema, or a file's line."""
    for template, part in (
        ("support", '--input \'{"message": "My card was swallowed'),
        ("guests", '--input \'{"text": "Four words'),
        ("devops-deployment", f"head -1 {tmp_path / 'devops-deployment' / 'questions.jsonl'} | "),
    ):
        assert part in af("init", tmp_path / template, "--template", template).out


def test_templates_and_workflows_are_listed(af: Af) -> None:
    """What `af init` and `af run` take by name."""
    assert "support" in af("templates", "list").out
    named = [line["name"] for line in af("workflows", "list", "--json").document]  # type: ignore[index]
    assert "support" in named
    assert (2, True) == ((unknown := af("init", "x", "--template", "suport")).code, "there are:" in unknown.err)
