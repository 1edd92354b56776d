"""`af agent add`: a definition with one agent more, and with its author's comments."""

from pathlib import Path

import pytest

from appliance import loader
from tests.appliance.cli.conftest import Af

WORKFLOW = """\
# Ours.
name: desk
agents:
    # who answers
    say: {type: llm, prompt: x, model: {provider: scripted, answers: [hello]}}

# and that is all
output: "{{ steps.say.text }}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "workflow.yaml"
    path.write_text(WORKFLOW)
    return path


def test_an_agent_is_added_and_all_else_stays(af: Af, file: Path) -> None:
    more = ["--role", "Reads it: again", "--tool", "search_docs", "--set", "timeout=10s", "--set", "concurrency=2"]
    found = af("agent", "add", "review", file.parent, "--prompt", "Is this right?\n\n{{ steps.say.text }}", *more)
    assert 0 == found.code, found.err
    text = file.read_text()
    before, _, after = text.partition("    review:\n")
    assert WORKFLOW.partition("\n\n# and")[0] == before.rstrip("\n")
    assert after.endswith('\n\n# and that is all\noutput: "{{ steps.say.text }}"\n')
    agent = loader.load(file.parent).agents["review"]  # type: ignore[index]
    assert ("llm", "Reads it: again", 10_000, 2) == (agent.type, agent.role, agent.timeout_ms, agent.concurrency)
    assert "Is this right?\n\n{{ steps.say.text }}" == agent.prompt


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["say"], "project.agent_there"),
        (["x", "--type", "lm"], "agent.type"),
        (["not good"], "value.form"),
        (["x", "--prompt", "{{ broken"], "template.invalid"),
        (["x", "--set", "concurency=2"], "key.unknown"),
    ],
)
def test_what_would_not_be_valid_is_not_written(af: Af, file: Path, arguments: list[str], code: str) -> None:
    found = af("agent", "add", arguments[0], file.parent, *arguments[1:])
    assert (True, True) == (found.code != 0, code in found.err), found.err
    assert WORKFLOW == file.read_text()


def test_a_dry_run_writes_nothing(af: Af, file: Path) -> None:
    found = af("agent", "add", "more", file, "--dry-run")
    assert (0, True, WORKFLOW) == (found.code, "    more:\n      type: llm" in found.out, file.read_text())


def test_agents_on_one_line_are_added_by_hand(af: Af, file: Path) -> None:
    file.write_text("name: x\nagents: {a: {type: llm}}\n")
    found = af("agent", "add", "b", file)
    assert (2, True) == (found.code, "project.no_agents" in found.err)


@pytest.mark.parametrize("name", ["support", "fraud-detection", "devops-deployment", "content-pipeline"])
def test_every_template_takes_one(af: Af, tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    assert 0 == af("init", project, "--template", name).code
    before = loader.load(project)
    found = af("agent", "add", "extra", project, "--prompt", "Say hi.")
    assert 0 == found.code, found.err
    after = loader.load(project)
    assert {*before.agents, "extra"} == {*after.agents}
    assert all(before.agents[agent] == after.agents[agent] for agent in before.agents)
