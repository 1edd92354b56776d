"""`af what-if` and `af runs compare`: without effects, marked, and side by side."""

import json
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

LETTER = """
name: letter
agents:
  draft: {type: llm, prompt: "{{ input.text }}", model: {provider: scripted, name: a, answers: {".*": "Dear Ada"}}}
  open: {type: custom, handler: "actions.py:open_ticket", input: "{{ steps.draft }}", tools: [create_ticket]}
  tell: {type: http, config: {url: "http://127.0.0.1:1/tell", method: POST}, retry: {max_attempts: 1}}
planner:
  type: fsm
  initial_state: draft
  final_states: [done]
  states:
    draft: {on_success: open}
    open: {condition: "input.tells", on_true: tell, on_false: done}
    tell: {on_success: done}
"""
ACTIONS = """
def open_ticket(task, ctx):
    return {"ticket": ctx.tool("create_ticket", {"subject": task["text"]})}
"""


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """A workflow that opens a ticket, and sends a request where it is told to."""
    (tmp_path / "actions.py").write_text(ACTIONS)
    path = tmp_path / "letter.yaml"
    path.write_text(LETTER)
    return path


@pytest.fixture
def priced(data_folder: Path) -> None:
    """Scripted models that cost something."""
    data_folder.mkdir(parents=True, exist_ok=True)
    (data_folder / "config.yaml").write_text(
        'prices: {"scripted/*": {input_per_1k: "0.001", output_per_1k: "0.002"}}\n'
    )


def test_a_what_if_shows_both_and_is_marked(af: Af, desk: Path) -> None:
    """Nobody takes it for what happened: not in a list, not as `last`, not on its own page."""
    run = str(af("run", desk, "--input", '{"message": "card broken"}', "--json").document["run_id"])
    said = af("what-if", "last", "--set", "answer.result.text=by hand")
    assert 0 == said.code, said.err
    assert "answer  ≠  ✗ model.broken" in said.out
    assert "✓ supposed" in said.out
    assert "they part at entry 5 of A, step.failed answer" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80 + len("  what-if of 123456 from entry 5")
    assert [run] == [each["run_id"] for each in af("runs", "list", "--json").document["runs"]]  # type: ignore[attr-defined]
    line = af("runs", "list", "--kind", "what_if", "--json").document["runs"][0]  # type: ignore[index]
    assert ("what_if", run) == (line["kind"], line["origin"])
    assert f"what-if of {run} from entry 5: this is not what happened" in af("runs", "show", line["run_id"]).out
    assert "supposed: answer.result.text = by hand" in af("runs", "show", line["run_id"]).out
    assert run == af("runs", "show", "last", "--json").document["run_id"]
    assert "2 runs" in af("replay", "--all").out


def test_no_tool_is_called_unless_that_is_wanted(af: Af, letter: Path) -> None:
    """Not even for a step that has to be done again; the step says so."""
    ticket = {"id": "T-000001", "status": "open"}
    assert {"ticket": ticket} == af("run", letter, "--input", '{"text": "x"}', "--json").document["output"]
    arguments = ("what-if", "last", "--set", "draft.result.text=other", "--json")
    dry = af(*arguments).document["right"]["run_id"]  # type: ignore[index]
    shown = af("runs", "show", dry, "--json").document
    assert {"ticket": {"id": "T-000000", "status": "not opened"}} == shown["output"]
    assert {"not_called": ["create_ticket"]} == shown["steps"][1]["evidence"]  # type: ignore[index]
    assert "tool.called" not in af("audit", "list", "--run", dry, "--json").out
    wet = af(*arguments, "--live-tools").document["right"]["run_id"]  # type: ignore[index]
    assert "T-000002" == af("runs", "show", wet, "--json").document["output"]["ticket"]["id"]  # type: ignore[index]


def test_no_request_with_an_effect_is_sent(af: Af, letter: Path) -> None:
    """Where nothing recorded stands in, the step says what it would have done."""
    af("run", letter, "--input", '{"text": "x"}')
    said = af("what-if", "last", "--set", "input.tells=true", "--json")
    assert 1 == said.code
    fork = said.document["right"]["run_id"]  # type: ignore[index]
    error = af("runs", "show", fork, "--json").document["error"]
    assert "what_if.side_effect" == error["code"]  # type: ignore[index]
    assert "what-if/letter" in error["message"]  # type: ignore[index]


def test_what_it_costs_is_told_apart(af: Af, greet: Path, priced: None) -> None:
    """Recorded answers cost nothing again; what is really asked stands under a name of its own."""
    af("run", greet, "--input", '{"message": "hi"}')
    free = af("what-if", "last", "--definition", greet, "--set", "input.other=1", "--json").document
    assert (0, 0) == (free["cost_usd_micros_difference"], free["right"]["spent"]["cost_usd"])  # type: ignore[index]
    paid = af("what-if", "last", "--set", 'input.message="a longer one, which costs more"', "--json").document
    assert paid["cost_usd_micros_difference"] > 0  # type: ignore[operator]
    by_workflow = af("costs", "--by", "workflow", "--json").document["spending"]
    assert {"greet", "what-if/greet"} == {each["name"] for each in by_workflow}  # type: ignore[attr-defined]


def test_another_model_is_asked_for_what_it_would_have_said(af: Af, letter: Path) -> None:
    """By the agent's name or the model's; one that nobody asks is refused."""
    af("run", letter, "--input", '{"text": "x"}')
    said = af("what-if", "last", "--model", "scripted/a=scripted/b", "--json")
    assert 1 == said.code
    assert "model.script_has_no_answer" in json.dumps(said.document["steps"])
    unknown = af("what-if", "last", "--model", "gpt=scripted/b")
    assert 2 == unknown.code
    assert "there are: draft, scripted/a, a" in unknown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", "sort.result"),
        ("--set", "=1"),
        ("--set", "sort.known=1"),
        ("--set", "nobody.result=1"),
        ("--model", "a"),
        ("--model", "a="),
        ("--script", "{}"),
        ("--script", "[]", "--with", "scripted"),
        ("--at", "0"),
        ("--at", "99"),
        (),
    ],
)
def test_what_cannot_be_supposed_is_bad_input(af: Af, desk: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 2, and nothing has begun."""
    af("run", desk, "--input", '{"message": "card"}')
    at = () if arguments else ("--at", "5")
    assert 2 == af("what-if", "last", *arguments, *at).code
    assert [] == af("runs", "list", "--kind", "what_if", "--json").document["runs"]


def test_two_runs_are_compared(af: Af, desk: Path) -> None:
    """Exit code 1 when they differ, 0 when they do not."""
    first = af("run", desk, "--input", '{"message": "card"}', "--json").document["run_id"]
    same = af("run", desk, "--input", '{"message": "card"}', "--json").document["run_id"]
    other = af("run", desk, "--input", '{"message": "cards"}', "--json").document["run_id"]
    assert (0, True) == ((said := af("runs", "compare", first, same)).code, "the same in every entry" in said.out)
    said = af("runs", "compare", first, other)
    assert (1, True) == (said.code, "input.message  card → cards" in said.out)


def test_a_step_that_was_tried_again_says_so(af: Af, tmp_path: Path) -> None:
    """Its last attempt alone may have been as quick as the other run's only one."""
    busy = "{error: {code: model.busy, message: later, retryable: true}}"
    answers = f"{{provider: scripted, answers: [{busy}, hello]}}"
    agent = f"{{type: llm, prompt: x, retry: {{initial: 1ms}}, model: {answers}}}"
    (tmp_path / "busy.yaml").write_text(f"{{name: busy, agents: {{say: {agent}}}}}")
    run = af("run", tmp_path / "busy.yaml", "--json").document["run_id"]
    assert 2 == af("runs", "compare", run, run).out.count("attempt 2")
