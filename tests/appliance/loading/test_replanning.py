"""How a run is planned anew: read into rules, and checked with its place."""

import pytest

from appliance.loader import check_bytes, from_document
from runtime.domain.canonical import encode
from runtime.domain.workflow import ReplanRule
from runtime.engine.simulate import script_of, simulate

SOURCE = """
name: w
agents:
  a: {type: llm, policies: {replan: [{on: agent_failure, strategy: escalation, to: spare}]}}
  spare: {type: llm}
planner: {type: sequential, agents: [a]}
policies:
  replan:
    - {on: budget_exceeded, strategy: conservative, backoff: 5s}
    - {on: external_event, signal: stop_press, strategy: human_in_loop, max_times: 2}
"""


def test_rules_of_agents_come_before_those_of_the_workflow() -> None:
    """An agent that they lead to is a state that ends the run."""
    checked = check_bytes(SOURCE.encode())
    assert () == checked.problems
    workflow = checked.workflow
    assert workflow is not None
    assert (
        ReplanRule(on="agent_failure", strategy="escalation", agent="a", to="spare"),
        ReplanRule(on="budget_exceeded", strategy="conservative", max_times=3, backoff_ms=5_000),
        ReplanRule(on="external_event", strategy="human_in_loop", max_times=2, signal="stop_press"),
    ) == workflow.replan
    assert workflow.fsm is not None
    assert ({"a", "spare"}, {"a", "spare"}) == (set(workflow.fsm.states), set(workflow.fsm.final_states))
    assert workflow == from_document(encode(workflow.document), "")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{on: agent_failure}", "key.missing"),
        ("{on: bad_weather, strategy: conservative}", "value.unknown"),
        ("{on: agent_failure, strategy: adaptive}", "replan.to"),
        ("{on: agent_failure, strategy: conservative, to: a}", "replan.to"),
        ("{on: agent_failure, strategy: adaptive, to: b}", "state.undefined"),
        ("{on: external_event, strategy: conservative}", "replan.signal"),
        ("{on: agent_failure, strategy: conservative, signal: x}", "replan.signal"),
        ("{on: external_event, strategy: conservative, signal: replan}", "replan.signal"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(rule: str, problem: str) -> None:
    """And nothing else is said."""
    source = f"name: w\nagents: {{a: {{type: llm}}}}\npolicies:\n  replan:\n    - {rule}\n"
    assert [(problem, 5)] == [(each.code, each.line) for each in check_bytes(source.encode()).problems]


@pytest.mark.parametrize(
    ("plan", "rule", "problems"),
    [
        ("{type: behavior_tree, root: {type: action, agent: a}}", "{strategy: conservative}", []),
        ("{type: behavior_tree, root: {type: action, agent: a}}", "{strategy: escalation, to: a}", []),
        ("{type: behavior_tree, root: {type: action, agent: a}}", "{strategy: adaptive}", ["replan.to"]),
        ("{type: behavior_tree, root: {type: action, agent: a}}", "{strategy: adaptive, to: x}", ["state.undefined"]),
        (
            "{type: behavior_tree, root: {type: inverter, child: {type: wait, wait_for: replan}}}",
            "{strategy: human_in_loop}",
            ["replan.signal"],
        ),
        ("{type: llm, model: m}", "{strategy: adaptive}", []),
        ("{type: llm, model: m}", "{strategy: escalation}", []),
        ("{type: llm, model: m}", "{strategy: escalation, to: x}", ["state.undefined"]),
        ("{type: llm, model: m, fallback: {states: {a: {}}, initial_state: a}}", "{strategy: adaptive, to: a}", []),
    ],
)
def test_trees_and_plans_of_a_model_have_rules_too(plan: str, rule: str, problems: list[str]) -> None:
    """They lead to agents, and to the states of a sub-plan; a model and its sub-plan need no name."""
    rules = f"policies: {{replan: [{{on: agent_failure, {rule[1:]}]}}\n"
    source = f"name: w\nagents: {{a: {{type: llm}}}}\nplanner: {plan}\n{rules}"
    checked = check_bytes(source.encode())
    assert problems == [each.code for each in checked.problems]
    assert checked.workflow is None if problems else checked.workflow is not None and checked.workflow.replan


def test_a_state_cannot_have_the_name_of_the_one_that_asks() -> None:
    """Its visits would be taken for a person's answers."""
    source = """
name: w
agents: {a: {type: llm}}
planner: {type: fsm, initial_state: replan, states: {replan: {agent: a, on_success: done}}, final_states: [done]}
policies: {replan: [{on: agent_failure, strategy: human_in_loop}]}
"""
    assert ["replan.signal"] == [each.code for each in check_bytes(source.encode()).problems]


@pytest.mark.parametrize(("threshold", "again"), [("3_failures", 2), ("2", 1), ("1_failure", 0)])
def test_a_threshold_of_failures_asks_a_person(threshold: str, again: int) -> None:
    """The same again below it, a person from there on; rules that are written come first."""
    source = SOURCE.replace("policies:\n  replan:", f"policies:\n  escalation_threshold: {threshold}\n  replan:")
    checked = check_bytes(source.encode())
    assert () == checked.problems
    assert checked.workflow is not None
    asks = ReplanRule(on="agent_failure", strategy="human_in_loop", max_times=100)
    tries = ReplanRule(on="agent_failure", strategy="conservative", max_times=again)
    assert ((tries, asks) if again else (asks,)) == checked.workflow.replan[3:]


def test_a_run_asks_a_person_at_the_third_failure() -> None:
    """As the source document's `escalation_threshold: 3_failures` has it; the person has it done again."""
    workflow = check_bytes(
        b"name: w\nagents: {a: {type: llm}}\npolicies: {escalation_threshold: 3_failures}\n"
    ).workflow
    assert workflow is not None
    script = script_of({"a": ["F", "F", "F", "S"], "replan": {"signal": {"retry": True}}})
    assert ["a", "a", "a", "replan", "a"] == simulate(workflow, {}, script).state.path


def test_a_threshold_of_confidence_asks_a_person() -> None:
    """Of an agent for that agent, of the workflow for all; behind the rules that are written."""
    source = SOURCE.replace("policies:\n  replan:", "policies:\n  human_review_threshold: 0.6\n  replan:")
    checked = check_bytes(source.encode())
    assert () == checked.problems
    assert checked.workflow is not None
    asks = ReplanRule(on="quality_below_threshold", strategy="human_in_loop", max_times=100)
    assert (asks,) == checked.workflow.replan[3:]


def test_what_a_threshold_stands_for_is_checked() -> None:
    """The state that asks a person has its name for itself."""
    machine = "{type: fsm, initial_state: replan, states: {replan: {on_success: done}}, final_states: [done]}"
    source = f"name: w\nagents: {{replan: {{type: llm}}}}\npolicies: {{escalation_threshold: 2}}\nplanner: {machine}\n"
    assert ["replan.signal"] == [each.code for each in check_bytes(source.encode()).problems]
