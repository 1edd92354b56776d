"""One plan, however it is written: in place, under `definition`, as a text, or in a file."""

from pathlib import Path

import pytest

from appliance.loader import check, check_bytes, load
from runtime.domain.problem import Problem
from runtime.domain.workflow import Workflow

AGENTS = "name: x\nagents:\n  a: {type: llm}\n  b: {type: llm}\n"
STATES = """\
states:
  a:
    on_success: b
    on_error: c
  b: {condition: response.ok, on_true: c, on_false: a}
  c:
initial_state: a
final_states: [c]
"""


def indented(text: str, by: int) -> str:
    return "".join(" " * by + line for line in text.splitlines(keepends=True))


FORMS = {
    "in place": f"planner:\n  type: fsm\n{indented(STATES, 2)}",
    "definition": f"planner:\n  type: fsm\n  definition:\n{indented(STATES, 4)}",
    "a text": f"planner:\n  type: fsm\n  definition: |\n{indented(STATES, 4)}",
    "a file": "planner: {type: fsm, definition: plans/machine.yaml}\n",
    "transitions": "planner: {type: fsm, transitions: plans/machine.yaml}\n",
    "workflow.planner": f"workflow:\n  planner:\n    type: fsm\n{indented(STATES, 4)}",
}


def project(folder: Path, planner: str, states: str = STATES) -> Path:
    (folder / "plans").mkdir()
    (folder / "plans" / "machine.yaml").write_text(states)
    (folder / "workflow.yaml").write_text(AGENTS + planner)
    return folder


def errors(text: str) -> list[Problem]:
    return [each for each in check_bytes(text.encode(), file="w.yaml").problems if each.severity == "error"]


def loaded(text: str) -> Workflow:
    result = check_bytes(text.encode())
    assert result.workflow is not None, result.problems
    return result.workflow


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_machine(tmp_path: Path, form: str) -> None:
    """And the same document, so that moving a plan to a file keeps its hash."""
    workflow = load(project(tmp_path, FORMS[form]))
    reference = loaded(AGENTS + FORMS["in place"])
    assert reference.fsm == workflow.fsm
    if form != "workflow.planner":
        assert reference.hash == workflow.hash
    assert () == workflow.problems


def test_a_plan_may_stand_in_the_workflow_section_beside_its_type() -> None:
    """`workflow: {type: fsm, …}` is as plain as `planner: {type: fsm, …}`."""
    beside = loaded(f"{AGENTS}workflow:\n  type: fsm\n  timeout: 3s\n{indented(STATES, 2)}")
    assert loaded(AGENTS + FORMS["in place"]).fsm == beside.fsm
    assert 3_000 == beside.timeout_ms


@pytest.mark.parametrize("form", ["in place", "definition", "a text"])
def test_a_problem_in_any_form_has_the_line_of_the_outer_file(form: str) -> None:
    """The line is what an editor jumps to."""
    text = AGENTS + FORMS[form].replace("on_success: b", "on_success: bb")
    (problem,) = errors(text)
    assert "on_success: bb" in text.splitlines()[problem.line - 1]
    assert "did you mean 'b'?" == problem.hint
    assert problem.path.endswith("states.a.on_success")


def test_a_problem_in_a_planner_file_has_that_files_name_and_line(tmp_path: Path) -> None:
    """Two files, one report."""
    folder = project(tmp_path, FORMS["a file"], STATES.replace("on_true: c", "on_true: cc"))
    (problem,) = check(folder).problems
    assert (str(folder / "plans" / "machine.yaml"), 5) == (problem.file, problem.line)


@pytest.mark.parametrize(
    ("broken", "code", "line"),
    [
        ("  definition: |\n    states:\n      a: b: c\n", "yaml.malformed", 9),
        ("  definition: |\n    states:\n    \ta: 1\n", "yaml.tab", 9),
        ("  definition: |\n\n    states: &s\n      a: *s\n", "yaml.alias", 10),
    ],
)
def test_a_text_that_is_not_yaml_has_the_line_of_the_outer_file(broken: str, code: str, line: int) -> None:
    """The parser counts from the text's own first line; the author does not."""
    assert (code, line) in [(each.code, each.line) for each in errors(f"{AGENTS}planner:\n  type: fsm\n{broken}")]


@pytest.mark.parametrize(
    ("planner", "code", "path"),
    [
        ("planner: fsm", "value.kind", "planner"),
        ("planner: {definition: {}}", "key.missing", "planner"),
        ("planner: {type: fsm}", "key.missing", "planner"),
        ("planner: {type: fsm, definition: }", "key.missing", "planner"),
        ("planner: {type: fms, states: {}}", "value.unknown", "planner.type"),
        ("planner: {type: fsm, definition: machine.txt}", "planner.definition", "planner.definition"),
        ("planner: {type: fsm, definition: gone.yaml}", "planner.no_file", "planner.definition"),
        ("planner: {type: fsm, definition: ../x.yaml}", "file.outside", "planner.definition"),
        ("planner: {type: fsm, definition: /etc/x.yaml}", "file.outside", "planner.definition"),
        ("planner: {type: fsm, definition: {states: {}}}", "state.no_initial", "planner.definition.initial_state"),
        ("planner: {type: fsm, definition: {initial_state: a}}", "key.missing", "planner.definition"),
        ("planner: {type: fsm, definition: {states: [a]}}", "value.kind", "planner.definition.states"),
        ("planner: {type: fsm, definition: {states: {a: next}}}", "value.kind", "planner.definition.states.a"),
        ("planner: {type: behavior_tree, definition: {}}", "key.missing", "planner.definition"),
        (
            "planner: {type: behavior_tree, root: {type: sequense}}",
            "value.unknown",
            "planner.root.type",
        ),
        ("planner: {type: behavior_tree, root: {type: sequence}}", "key.missing", "planner.root"),
        ("planner: {type: llm}", "key.missing", "planner"),
        ("planner: {type: sequential, agents: []}", "value.empty", "planner.agents"),
        ("planner: {type: sequential, agents: [a, c]}", "agent.undefined", "planner.agents"),
        ("planner: {type: sequential, agents: [a, a]}", "planner.twice", "planner.agents"),
        ("planner: {type: sequential, agents: [a]}\nworkflow: {type: fsm}", "planner.conflict", "workflow"),
        (
            "planner: {type: sequential, agents: [a]}\nworkflow: {planner: {type: llm, model: m}}",
            "planner.conflict",
            "workflow",
        ),
    ],
)
def test_a_planner_that_is_wrong_says_how(planner: str, code: str, path: str) -> None:
    """A planner is what a workflow does; guessing would be worse than refusing."""
    assert (code, path) in [(each.code, each.path) for each in errors(AGENTS + planner)]


def test_two_ways_to_name_a_plan_are_one_too_many() -> None:
    """Which one would win is anybody's guess."""
    machine = "{states: {a: {}}, initial_state: a}"
    text = f"{AGENTS}planner: {{type: fsm, definition: {machine}, transitions: {machine}}}"
    assert "key.conflict" in [each.code for each in errors(text)]


@pytest.mark.parametrize("condition", ["x <", "1 + 1", "", "1 + " * 50_000 + "1 == 1", "$.a["])
def test_a_condition_that_does_not_compile_is_found_at_load_time(condition: str) -> None:
    """With the line on which it stands; 200 kB of it are not repeated in the message."""
    states = f"    a:\n      condition: '{condition}'\n      on_true: b\n      on_false: b\n    b:\n"
    text = f"{AGENTS}planner:\n  type: fsm\n  initial_state: a\n  states:\n{states}"
    (problem,) = errors(text)
    assert problem.code.startswith(("condition.", "jsonpath."))
    assert (10, "planner.states.a.condition") == (problem.line, problem.path)
    assert len(str(problem)) < 1_000


def test_a_condition_that_is_no_text_is_explained() -> None:
    """`condition: true` is a boolean in YAML."""
    states = "{a: {condition: true, on_true: b, on_false: b}, b: }"
    text = f"{AGENTS}planner: {{type: fsm, initial_state: a, states: {states}}}"
    (problem,) = errors(text)
    assert ("condition.invalid", "put it in quotes") == (problem.code, problem.hint)


def test_an_agents_own_machine_is_checked_leniently() -> None:
    """Targets that nobody defines end it; slips of defined states are errors."""
    text = """
name: x
agents:
  a:
    type: fsm
    planner:
      type: fsm
      initial_state: s
      states:
        s: {condition: x > 1, on_true: approve, on_false: chck}
        check: {condition: y, on_true: approve, on_false: s}
"""
    result = check_bytes(text.encode())
    assert [("error", "state.undefined"), ("warning", "state.undefined"), ("warning", "state.undefined")] == sorted(
        (each.severity, each.code) for each in result.problems
    )
    workflow = loaded(text.replace("chck", "check"))
    (spec,) = workflow.agents.values()
    assert spec.fsm is not None
    assert {"approve"} == spec.fsm.final_states


def test_a_single_agent_without_a_planner_just_runs() -> None:
    """The smallest workflow is three lines."""
    fsm = loaded("name: x\nagents:\n  only: {type: llm}\n").fsm
    assert fsm is not None
    assert (["only"], frozenset({"only"})) == (list(fsm.states), fsm.final_states)


def test_a_sequence_may_be_written_out() -> None:
    """In another order than the file's, or without some of its agents."""
    fsm = loaded(f"{AGENTS}planner: {{type: sequential, agents: [b, a]}}\n").fsm
    assert fsm is not None
    assert ["b", "a", "done"] == list(fsm.states)


def test_without_final_states_every_state_without_transitions_is_final() -> None:
    """The source document leaves them out in its examples."""
    fsm = loaded(
        AGENTS + "planner: {type: fsm, initial_state: a, states: {a: {on_success: b, on_error: z}, b: , z: }}"
    ).fsm
    assert fsm is not None
    assert {"b", "z"} == fsm.final_states
