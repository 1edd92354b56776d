"""Agents one after another, as a state machine."""

import pytest

from runtime.domain.ids import AgentId
from runtime.domain.validate import fsm_problems
from runtime.planners.sequence import sequence_fsm


def test_several_agents_lead_from_one_to_the_next_and_then_to_done() -> None:
    """File order is the order of work."""
    fsm = sequence_fsm([AgentId("research"), AgentId("write"), AgentId("edit")])
    assert {"research": "write", "write": "edit", "edit": "done", "done": ""} == {
        name: state.on_success for name, state in fsm.states.items()
    }
    assert ("research", frozenset({"done"})) == (fsm.initial_state, fsm.final_states)


def test_a_single_agent_is_one_state() -> None:
    """The smallest workflow is one step, and ends with it."""
    fsm = sequence_fsm([AgentId("classify")])
    assert (["classify"], "classify", frozenset({"classify"})) == (
        list(fsm.states),
        fsm.initial_state,
        fsm.final_states,
    )


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["done", "b"], ["a", "done", "done_"]])
def test_every_sequence_is_a_sound_machine(names: list[str]) -> None:
    """An agent may be called `done` as well."""
    agents = [AgentId(name) for name in names]
    assert [] == fsm_problems(sequence_fsm(agents), agents)
