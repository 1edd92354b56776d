"""Behaviour trees by the command line: checked, tried, run, shown and replayed."""

import json
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af
from tests.appliance.loading.source_document import source_blocks

SCRIPTED = 'model: {provider: scripted, answers: {".*": {json: ANSWER}}}, prompt: x, output_schema: {type: object}'


def agents(**answers: str) -> str:
    lines = (f"  {name}: {{type: llm, {SCRIPTED.replace('ANSWER', answer)}}}\n" for name, answer in answers.items())
    return f"agents:\n{''.join(lines)}"


def first_example() -> str:
    """The source document's first tree, in a workflow with the agents that it names."""
    named = agents(
        classifier="{confidence: 0.4}",
        escalation_checker="{escalate: true}",
        responder="{text: done}",
        human_task_agent="{text: a colleague will call}",
        fallback_handler="{text: sorry}",
    )
    return f"name: urgent\n{named}{source_blocks()[3]}"


def second_example(spam: float) -> str:
    """Its second one, as the planner of a workflow with its detectors."""
    definition = source_blocks()[10].split("definition: |\n", 1)[1].split("\n  image_analyzer", 1)[0]
    named = agents(
        toxicity_detector="{toxicity_score: 0.1}",
        spam_detector=f"{{spam_confidence: {spam}}}",
        pii_detector="{pii_found: false}",
    )
    return f"name: moderate\n{named}planner:\n  type: behavior_tree\n  definition: |\n{definition}\n"


@pytest.fixture
def urgent(tmp_path: Path) -> Path:
    file = tmp_path / "urgent.yaml"
    file.write_text(first_example())
    return file


def test_the_first_example_of_the_source_document_runs(af: Af, urgent: Path) -> None:
    """Its parallel at once, then the branch whose expression holds, and the same again from the journal."""
    assert 0 == af("validate", urgent, "--strict").code
    said = af("run", urgent, "--input", '{"message": {"urgency": "high"}}', "--json")
    assert 0 == said.code, said.err
    run = said.document
    assert ("succeeded", {"text": "a colleague will call"}) == (run["status"], run["output"])
    assert ["classifier", "escalation_checker", "human_task_agent"] == sorted(run["path"])  # type: ignore[call-overload]
    shown = af("runs", "show", "last")
    assert (0, True) == (shown.code, "human_task_agent" in shown.out), shown.out
    replayed = af("replay", "last", "--check")
    assert 0 == replayed.code, replayed.out + replayed.err


def test_what_the_first_example_is_not_for_fails_with_its_condition(af: Af, urgent: Path) -> None:
    said = af("run", urgent, "--input", '{"message": {"urgency": "low"}}', "--json")
    error = said.document["error"]
    assert isinstance(error, dict)
    assert (1, "tree.failed") == (said.code, error["code"])
    assert "condition \"message.urgency == 'high'\" does not hold" == error["message"]


@pytest.mark.parametrize(("spam", "status"), [(0.2, "succeeded"), (0.7, "failed")])
def test_the_second_example_of_the_source_document_runs(af: Af, tmp_path: Path, spam: float, status: str) -> None:
    """All checks must pass; the first that does not ends it."""
    file = tmp_path / "moderate.yaml"
    file.write_text(second_example(spam))
    assert status == af("run", file, "--input", "{}", "--json").document["status"]
    assert 0 == af("replay", "last", "--check").code


def test_a_simulated_run_lets_its_time_limits_pass(af: Af, tmp_path: Path) -> None:
    """A back-off that is longer than the limit is cut off by it."""
    file = tmp_path / "w.yaml"
    file.write_text(
        "name: w\nagents:\n  a: {type: llm, retry: {initial: 20s, max_attempts: 2}}\n  b: {type: llm}\n"
        "planner: {type: behavior_tree, root: {type: selector, children: [{type: timeout, timeout: 5s, "
        "child: {type: action, agent: a}}, {type: action, agent: b}]}}\n"
    )
    outcomes = tmp_path / "o.yaml"
    outcomes.write_text("a: {error: {code: x.busy, retryable: true}}\n")
    said = af("simulate", file, "--outcomes", outcomes)
    assert "    5.00 s  timer.fired" in said.out, said.out
    assert "→ step.stopped    a" in said.out
    assert "  a → b" in said.out
    assert "✓ succeeded" in said.out


TRACED = {
    "ticks": [
        {"root": "RUNNING", "log": [["L0", "start", "S"], ["L1", "start", "R"]]},
        {"root": "RUNNING", "log": [["L0", "start", "S"], ["L1", "running", "R"]]},
    ],
    "halt": [["L1", "halt"]],
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tree.xml", "<ReactiveSequence><L0/><L1/></ReactiveSequence>"),
        (
            "tree.yaml",
            "root: {type: reactive_sequence, children: [{type: condition, check: x.y, name: L0}, "
            "{type: action, agent: L1}]}",
        ),
    ],
)
def test_ticks_are_traced_in_the_form_of_the_recordings(af: Af, tmp_path: Path, name: str, text: str) -> None:
    """So that they can be compared with those of the original engine, byte by byte."""
    (tmp_path / name).write_text(text)
    (tmp_path / "o.json").write_text(json.dumps({"L0": "S", "L1": "R"}))
    said = af("simulate", tmp_path / name, "--outcomes", tmp_path / "o.json", "--ticks", "2", "--json")
    assert (0, TRACED) == (said.code, said.document)


def test_ticks_are_shown_to_people_too(af: Af, urgent: Path, tmp_path: Path) -> None:
    """Leaves by name, a mark for those that go on, and a word about names that are no leaves."""
    (tmp_path / "o.yaml").write_text("classifier: RS\nanswerer: F\n")
    said = af("simulate", urgent, "--outcomes", tmp_path / "o.yaml", "--ticks", "2")
    assert "1  RUNNING  message.urgency == 'high':S classifier:R escalation_checker:S" in said.out
    assert "2  SUCCESS  …classifier:S responder:S" in said.out
    assert "'answerer', which is no leaf" in said.err


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [("a: X", "outcomes.letters"), ("a: ''", "outcomes.letters"), ("- S", "outcomes.not_a_mapping")],
)
def test_letters_that_cannot_be_read_are_refused(af: Af, tmp_path: Path, outcomes: str, code: str) -> None:
    (tmp_path / "tree.xml").write_text("<a/>")
    (tmp_path / "o.yaml").write_text(outcomes)
    said = af("simulate", tmp_path / "tree.xml", "--outcomes", tmp_path / "o.yaml", "--ticks", "2")
    assert (2, True) == (said.code, code in said.err)


def test_a_tree_alone_needs_ticks(af: Af, tmp_path: Path) -> None:
    (tmp_path / "tree.xml").write_text("<a/>")
    said = af("simulate", tmp_path / "tree.xml", "--outcomes", tmp_path / "o.yaml")
    assert (2, True) == (said.code, "add --ticks N" in said.err)


def test_ticks_need_a_tree(af: Af, desk: Path, tmp_path: Path) -> None:
    (tmp_path / "o.yaml").write_text("a: S")
    said = af("simulate", desk, "--outcomes", tmp_path / "o.yaml", "--ticks", "2")
    assert (2, True) == (said.code, "tree.which" in said.err), said.err
    said = af("simulate", "support", "--outcomes", tmp_path / "o.yaml", "--ticks", "2")
    assert (2, True) == (said.code, "tree.none" in said.err), said.err


def test_the_tree_of_an_agent_can_be_tried(af: Af, tmp_path: Path) -> None:
    """The source document's moderation as it stands there, whose agents are somewhere else."""
    (tmp_path / "w.yaml").write_text(source_blocks()[10])
    (tmp_path / "o.yaml").write_text("spam_detector: F")
    said = af("simulate", tmp_path / "w.yaml", "--outcomes", tmp_path / "o.yaml", "--ticks", "1", "--json")
    assert ["FAILURE"] == [ticked["root"] for ticked in said.document["ticks"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["tree.yaml", "tree.xml"])
def test_a_tree_alone_is_no_workflow_and_is_told_what_it_is(
    af: Af, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Not that there is no such workflow: the file is there, and one line says what to do with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tree.yaml").write_text("type: action\nagent: a\n")
    (tmp_path / "tree.xml").write_text('<root BTCPP_format="4"><BehaviorTree ID="M"><a/></BehaviorTree></root>')
    for command in ("run", "plan"):
        said = af(command, name)
        assert (2, True) == (said.code, "document.kind" in said.err), said.err
        assert f"planner: {{type: behavior_tree, definition: {name}}}" in said.err
    outcomes = tmp_path / "outcomes.json"
    outcomes.write_text("{}")
    if name.endswith(".yaml"):
        assert "af simulate --ticks N" in af("simulate", name, "--outcomes", outcomes).err
