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


@pytest.mark.parametrize(
    "text",
    [
        WORKFLOW.replace("\n", "\r\n"),
        "\ufeffagents:\n  say: {type: llm, prompt: x}\nname: desk\n",
        "name: desk\n'agents':\n  say: {type: llm, prompt: x}\n",
        "name: desk\nagents:\n  say:\n    type: llm\n    prompt: |\n      Answer.\n\n      # Rules\n",
        'name: desk\nagents:\n  say: {type: llm, prompt: "a\u2028b"}\n',
    ],
    ids=["crlf", "bom", "quoted", "heading in a prompt", "line separator in a prompt"],
)
def test_what_others_wrote_stays_as_it_is(af: Af, file: Path, text: str) -> None:
    """Line ends, marks and texts that look like comments among it."""
    file.write_bytes(text.encode())
    before = loader.load(file)
    assert 0 == af("agent", "add", "more", file, "--prompt", "Hi.").code
    after = loader.load(file)
    assert ({*before.agents, "more"}, before.agents["say"]) == ({*after.agents}, after.agents["say"])  # type: ignore[index]
    left = iter(file.read_bytes().split(b"\n"))
    assert all(line in left for line in text.encode().split(b"\n"))


@pytest.mark.parametrize(
    "prompt",
    ["  two\nlines", "\ntwo\nlines", "two\nlines\n", "a\r\nb", "a\nb\x07", "yes", "1e3", "# a\nb", " a ", "a: b"],
)
def test_a_prompt_is_kept_to_the_letter(af: Af, file: Path, prompt: str) -> None:
    assert 0 == af("agent", "add", "more", file, "--prompt", prompt).code
    assert prompt == loader.load(file).agents["more"].prompt  # type: ignore[index]


def test_agents_that_only_look_like_them_are_left_alone(af: Af, file: Path) -> None:
    """A text of several lines may hold such a line."""
    text = 'name: desk\ndescription: "These\nagents:\n  answer"\nagents: {say: {type: llm, prompt: x}}\n'
    file.write_text(text)
    found = af("agent", "add", "more", file)
    assert (2, True, text) == (found.code, "project.no_agents" in found.err, file.read_text())


def test_a_file_that_is_no_text_is_told(af: Af, file: Path) -> None:
    file.write_bytes(b"name: \xff\n")
    found = af("agent", "add", "more", file)
    assert (2, True) == (found.code, "yaml.not_utf8" in found.err)


def test_a_prompt_that_is_no_text_is_told(af: Af, file: Path) -> None:
    """A shell hands over bytes, which may be anything."""
    found = af("agent", "add", "more", file, "--prompt", "\udcff")
    assert (2, True, WORKFLOW) == (found.code, "UTF-8" in found.err, file.read_text()), found.err
