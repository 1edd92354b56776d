"""Workflows whose work is judged: one meaning in every form, and what is wrong with one is named."""

import pytest

from appliance.loader import Checked, check_bytes, from_document
from runtime.domain.canonical import encode
from runtime.domain.workflow import Gate

AGENTS = "name: w\nagents: {writer: {type: llm}, editor: {type: llm}, tone: {type: llm}, facts: {type: llm}}\n"
TYPE = "type: sequential_with_feedback"
FORMS = {
    "in the workflow itself": f"workflow: {{{TYPE}, quality_gates: [tone, facts], max_rounds: 2}}",
    "in the workflow's planner": f"workflow: {{planner: {{{TYPE}, quality_gates: [tone, facts], max_rounds: 2}}}}",
    "at the top": f"planner: {{{TYPE}, agents: [writer, editor], max_rounds: 2,"
    " quality_gates: [{agent: tone}, facts]}",
}


def told(source: str) -> tuple[Checked, list[str]]:
    checked = check_bytes((AGENTS + source).encode())
    return checked, [f"{each.code} {each.path}:{each.line}" for each in checked.problems]


@pytest.mark.parametrize("source", FORMS.values(), ids=FORMS)
def test_every_form_has_one_meaning(source: str) -> None:
    """Agents that are no gates work in the order of the file, and the last of them answers."""
    checked, problems = told(source)
    assert [] == problems
    workflow = checked.workflow
    assert workflow is not None
    assert workflow.fsm is not None
    states = workflow.fsm.states
    assert ["writer", "editor", "tone", "facts", "done"] == list(states)
    assert Gate(back_to="editor", max_rounds=2) == states["tone"].gate
    assert ("facts", "done") == (states["tone"].on_success, states["facts"].on_success)
    assert "editor" == workflow.answered_by
    assert workflow == from_document(encode(workflow.document), "")


def test_a_gates_own_limits_come_before_those_of_all() -> None:
    """`back_to` names who does the work again."""
    gates = "[{agent: tone, threshold: 0.9, back_to: writer, max_rounds: 5}, facts]"
    checked, problems = told(f"workflow: {{{TYPE}, threshold: 0.5, quality_gates: {gates}}}")
    assert [] == problems
    assert checked.workflow is not None
    assert checked.workflow.fsm is not None
    assert [Gate(back_to="writer", threshold=0.9, max_rounds=5), Gate(back_to="editor", threshold=0.5)] == [
        state.gate for state in checked.workflow.fsm.states.values() if state.gate
    ]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (f"workflow: {{{TYPE}}}", "key.missing workflow:3"),
        (f"workflow: {{{TYPE}, quality_gates: []}}", "value.empty workflow.quality_gates:3"),
        (f"workflow: {{{TYPE}, quality_gates: [tome]}}", "gate.undefined workflow.quality_gates.0:3"),
        (f"workflow: {{{TYPE}, quality_gates: [tone, tone]}}", "planner.twice workflow.quality_gates.1:3"),
        (
            f"workflow:\n  {TYPE}\n  quality_gates:\n    - {{agent: tone, back_to: tone}}",
            "gate.back_to workflow.quality_gates.0.back_to:6",
        ),
        (f"workflow: {{{TYPE}, quality_gates: [tone], threshold: 7}}", "value.kind workflow.threshold:3"),
        (f"workflow: {{{TYPE}, quality_gates: [tone], human_review: maybe}}", "value.unknown workflow.human_review:3"),
        (
            f"workflow: {{{TYPE}, quality_gates: [writer, editor, tone, facts]}}",
            "planner.no_work workflow.quality_gates:3",
        ),
        ("workflow: {type: sequential, quality_gates: [tone]}", "key.not_active workflow.quality_gates:3"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(source: str, problem: str) -> None:
    """A gate that nobody defined keeps runs away, and the document loads."""
    _, problems = told(source)
    assert [problem] == problems
