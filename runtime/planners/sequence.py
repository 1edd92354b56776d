"""A sequence of agents as a state machine: one state an agent, each leading to the next."""

from collections.abc import Sequence

from runtime.domain.ids import AgentId
from runtime.domain.workflow import FsmSpec, FsmState

DONE = "done"
"""The final state behind the last of several agents."""


def sequence_fsm(agents: Sequence[AgentId]) -> FsmSpec:
    """The machine that runs `agents` one after another; a failure ends the run.

    A single agent is the one state and the final one. Agents are different and at least one.
    """
    if len(agents) == 1:
        (only,) = agents
        return FsmSpec(states={only: FsmState(name=only)}, initial_state=only, final_states=frozenset(agents))
    done = DONE
    while done in agents:
        done += "_"
    following = [*agents[1:], done]
    states = {str(name): FsmState(name=name, on_success=after) for name, after in zip(agents, following, strict=True)}
    states[done] = FsmState(name=done)
    return FsmSpec(states=states, initial_state=agents[0], final_states=frozenset({done}))
