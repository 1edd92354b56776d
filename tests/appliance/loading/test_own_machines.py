"""State machines that single agents follow: who does what in them, and what is wrong with one."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.loader import check, check_bytes, from_document
from runtime.domain.canonical import encode
from runtime.domain.ids import AgentId
from runtime.domain.workflow import Workflow
from tests.appliance.loading.source_document import source_blocks

FRAUD = """
name: fraud
agents:
  risk_scorer:
    type: http
    url: "http://localhost:9/{{ state }}"
    input: {amount: "{{ input.amount }}"}
    timeout: 9s
    policies: {residency: [local]}
    planner:
      type: fsm
      initial_state: score
      states:
        score: {on_success: weigh, on_error: review}
        weigh: {condition: risk_score < 0.7, on_true: approve, on_false: checks}
        checks: {conditional_transitions: [{condition: combined > 0.8, target: review}], on_success: velocity}
        velocity: {on_success: look_again}
        look_again: {agent: other, on_success: ask}
        ask: {wait_for: person, on_success: route}
        route: {conditional_transitions: [{condition: input.amount > 1, target: review}]}
        forgotten: {on_success: approve}
  velocity: {type: llm, fallback_agent: simple}
  other: {type: llm}
  simple: {type: llm}
  last: {type: llm}
"""


def loaded(text: str) -> Workflow:
    workflow = check_bytes(text.encode()).workflow
    assert workflow is not None, check_bytes(text.encode()).problems
    return workflow


def inner_of(workflow: Workflow, agent: str) -> Workflow:
    subrun = workflow.agents[AgentId(agent)].subrun
    assert subrun is not None
    return subrun.workflow


def test_a_machine_of_an_agents_own_plans_a_run_of_its_own() -> None:
    """States that wait for an outcome are the agent's own; conditions decide; named ones are another agent's."""
    workflow = loaded(FRAUD)
    assert workflow.fsm is not None
    assert ["risk_scorer", "simple", "last", "done"] == list(workflow.fsm.states)
    inner = inner_of(workflow, "risk_scorer")
    assert inner.fsm is not None
    assert {
        "score": "risk_scorer",
        "weigh": None,
        "checks": "risk_scorer",
        "velocity": None,
        "look_again": "other",
        "ask": None,
        "route": None,
    } == {name: state.agent for name, state in inner.fsm.states.items()}
    assert {"approve", "review"} == inner.fsm.final_states
    assert {"risk_scorer", "velocity", "simple", "other"} == set(inner.agents)
    own = inner.agents[AgentId("risk_scorer")]
    assert (None, None, "http://localhost:9/{{ state }}") == (own.subrun, own.input, own.config["url"])
    assert {"residency": ["local"]} == inner.policies


def test_what_nothing_leads_to_is_left_out_of_the_run() -> None:
    """A run in flight reads its definition back, and a workflow's own machine may have no such state."""
    workflow = loaded(FRAUD)
    assert {"state.no_default", "state.undefined", "state.unreachable"} == {each.code for each in workflow.problems}
    assert {"warning"} == {each.severity for each in workflow.problems}
    inner = inner_of(workflow, "risk_scorer")
    assert inner == replace(from_document(encode(inner.document), ""), problems=())
    again = from_document(encode(workflow.document), "")
    assert inner.hash == inner_of(again, "risk_scorer").hash


@pytest.mark.parametrize(
    ("change", "code", "severity"),
    [
        (("agent: other,", "agent: nobody,"), "agent.undefined", "refusal"),
        (("fallback_agent: simple", "fallback_agent: risk_scorer"), "workflow.cyclic", "error"),
        (("name: fraud", "name: fraud\npolicies: {residency: [site]}"), "workflow.wider", "error"),
        (("initial_state: score", "initial_state: scroe"), "state.undefined", "error"),
        (("on_success: weigh", "answer: x"), "key.unknown", "error"),
        (
            ("on_success: look_again}", "on_success: othr}\n        othr: {on_success: look_again}"),
            "state.own",
            "warning",
        ),
    ],
)
def test_what_is_wrong_with_an_agents_own_machine_is_named(change: tuple[str, str], code: str, severity: str) -> None:
    """Beside the warnings that it always has."""
    told = check_bytes(FRAUD.replace(*change).encode()).problems
    assert (code, severity) in {(each.code, each.severity) for each in told}


def test_an_agent_of_type_fsm_only_decides() -> None:
    """It asks nobody, so that it needs no run of its own."""
    workflow = loaded("""
name: x
agents:
  judge:
    type: fsm
    planner: {type: fsm, initial_state: a, states: {a: {condition: x > 1, on_true: b, on_false: c}}}
""")
    assert workflow.agents[AgentId("judge")].subrun is None


def test_a_machine_in_a_file_is_followed(tmp_path: Path) -> None:
    """`definition` and `transitions` alike, as the source document writes them; the file's hash is in the run's."""
    (tmp_path / "own.yaml").write_text(
        "initial_state: read\nstates: {read: {on_success: done}}\nfinal_states: [done]\n"
    )
    hashes = set()
    for word in ("definition", "transitions"):
        (tmp_path / "workflow.yaml").write_text(
            f"name: x\nagents: {{a: {{type: llm, planner: {{type: fsm, {word}: own.yaml}}}}}}\n"
        )
        checked = check(tmp_path)
        assert () == checked.problems
        assert checked.workflow is not None
        hashes.add(inner_of(checked.workflow, "a").hash)
    assert 1 == len(hashes)


def test_the_source_documents_risk_scorer_has_two_states_of_its_own() -> None:
    workflow = check_bytes(source_blocks()[9].encode()).workflow
    assert workflow is not None
    machine = inner_of(workflow, "risk_scorer").fsm
    assert machine is not None
    assert {"score_transaction", "additional_checks"} == {
        name for name, state in machine.states.items() if state.agent == "risk_scorer"
    }
    assert {"approve_transaction", "flag_for_manual_review"} == machine.final_states
