"""Moving a run to another definition: what that changes for it, and what speaks against it. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from runtime.domain.ids import AgentId, DefinitionHash, state_of
from runtime.domain.run import RunState, StepState
from runtime.domain.workflow import Workflow


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """What a move would do."""

    previous: DefinitionHash
    definition: DefinitionHash
    changes: tuple[str, ...]
    """What is different, a sentence each; empty where nothing that is run is."""
    refusals: tuple[str, ...]
    """Why it cannot be done; empty: it can."""


def migration(old: Workflow, new: Workflow, state: RunState) -> Migration:
    """What moving a run in this state from `old` to `new` means."""
    return Migration(
        previous=state.definition,
        definition=new.hash,
        changes=tuple(_changes(old, new, state)),
        refusals=tuple(_refusals(old, new, state)),
    )


def _refusals(old: Workflow, new: Workflow, state: RunState) -> Iterator[str]:
    if state.is_final:
        yield f"the run has already {state.status}"
        return
    if new.hash == state.definition:
        yield "the run is pinned to this definition already"
    if old.planner != new.planner or old.planner != "fsm" or old.fsm is None or new.fsm is None:
        yield f"a run moves from state machine to state machine, not from {old.planner} to {new.planner}"
        return
    for problem in new.problems:
        if problem.severity == "refusal":
            yield f"the definition may not run here: {problem.message}"
    if not state.is_minimised and _minimises(new):
        yield "the definition keeps people's data out of the journal, and this journal holds them already"
    for step in state.open:
        yield from _lost(new, state.steps[step])


def _lost(new: Workflow, step: StepState) -> Iterator[str]:
    """Why a step that runs or waits has no place in the other definition."""
    assert new.fsm is not None, "it is a state machine"
    name = state_of(step.step)
    there = new.fsm.states.get(name)
    if there is None and name not in new.fsm.final_states:
        yield f"state {name!r}, where the run is, does not exist there"
    elif step.status == "waiting" and (there is None or there.wait_for != step.signal):
        yield f"state {name!r} waits for {step.signal!r}, and does not wait for that there"
    elif step.status == "running" and _agent_of(step) not in new.agents:
        yield f"agent {_agent_of(step)!r}, which works in state {name!r}, does not exist there"
    elif step.status == "running" and there is not None and there.wait_for:
        yield f"state {name!r} runs an agent, and waits for {there.wait_for!r} there"


def _changes(old: Workflow, new: Workflow, state: RunState) -> Iterator[str]:
    if old.name != new.name:
        yield f"the workflow is called {new.name!r} instead of {old.name!r}"
    old_states, new_states = (each.fsm.states if each.fsm else {} for each in (old, new))
    yield from _compared("state", old_states, new_states, {state_of(step) for step in state.open})
    old_agents, new_agents = _plain(old), _plain(new)
    yield from _compared("agent", old_agents, new_agents, set())
    yield from _compared("file", old.files, new.files, set())
    for step in state.open:
        agent = _agent_of(state.steps[step])
        if state.steps[step].status == "running" and old_agents.get(agent) != new_agents.get(agent):
            yield f"the attempt at step {step!r} that is under way goes on as before; the next one is another's"
    for what in ("max_steps", "input_schema", "output", "policies", "answered_by"):
        if getattr(old, what) != getattr(new, what):
            yield f"{what} changes"
    if old.timeout_ms != new.timeout_ms:
        yield "the time limit of the whole run changes, which holds for runs that are begun from now on"


def _compared(what: str, old: Mapping[str, object], new: Mapping[str, object], now: set[str]) -> Iterator[str]:
    for name in [*old, *(each for each in new if each not in old)]:
        here = ", where the run is" if name in now else ""
        if name not in new:
            yield f"{what} {name!r}{here} goes"
        elif name not in old:
            yield f"{what} {name!r} comes"
        elif old[name] != new[name]:
            yield f"{what} {name!r}{here} changes"


def _plain(workflow: Workflow) -> dict[str, object]:
    """The agents; of those with runs of their own, which definition, wherever its files lie."""
    return {
        name: agent
        if agent.subrun is None
        else msgspec.structs.replace(
            agent,
            subrun=None,
            config={
                "workflow": agent.subrun.workflow.hash,
                "over": agent.subrun.over,
                "at_once": agent.subrun.at_once,
                "min_success_ratio": agent.subrun.min_success_ratio,
            },
        )
        for name, agent in workflow.agents.items()
    }


def _agent_of(step: StepState) -> AgentId:
    return step.agent or AgentId(state_of(step.step))


def _minimises(workflow: Workflow) -> bool:
    policies = (workflow.policies, *(agent.policies for agent in workflow.agents.values()))
    return any(each.get("minimise") is True for each in policies)
