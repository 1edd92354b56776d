"""Moving a run to another definition: what that changes for it, and what speaks against it. Pure."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UnsetType

from runtime.domain.event import RunMigrated
from runtime.domain.ids import AgentId, DefinitionHash, state_of, step_id
from runtime.domain.plan import PLANNING
from runtime.domain.run import RunState, StepState, how_it_ended
from runtime.domain.tree import TreeMemory
from runtime.domain.workflow import REVIEW, FsmSpec, LlmPlan, Workflow
from runtime.errors import Conflict
from runtime.planners.tree.moving import Moved


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """What a move would do."""

    previous: DefinitionHash
    definition: DefinitionHash
    changes: tuple[str, ...]
    """What is different, a sentence each; empty where nothing that is run is."""
    refusals: tuple[str, ...]
    """Why it cannot be done; empty: it can."""
    tree: TreeMemory | None = None
    """What the run's behaviour tree remembers, in terms of the new one."""
    timers: dict[str, str] = {}
    """What timers of the tree are called there."""


def migration(old: Workflow, new: Workflow, state: RunState) -> Migration:
    """What moving a run in this state from `old` to `new` means."""
    tree = None
    if old.tree is not None and new.tree is not None and not isinstance(state.tree, UnsetType):
        tree = Moved(old.tree, new.tree, state.tree)
    return Migration(
        previous=state.definition,
        definition=new.hash,
        changes=tuple(_changes(old, new, state)),
        refusals=(*_refusals(old, new, state), *(tree.refusals if tree else ())),
        tree=tree.memory if tree else None,
        timers=tree.timers if tree else {},
    )


def moved(old: Workflow, new: Workflow, state: RunState, *, actor: str) -> RunMigrated:
    """The event of that move. Raises Conflict with what speaks against it, or where the run goes by `old` no longer."""
    found = migration(old, new, state)
    if found.refusals or state.definition != old.hash:
        raise Conflict(
            "run.not_migrated", f"run {state.run!r} stays as it is: {'; '.join(found.refusals) or 'it was moved'}"
        )
    return RunMigrated(
        workflow=new.name,
        definition=new.hash,
        previous=found.previous,
        actor=actor,
        tree=found.tree,
        timers=found.timers,
    )


def _refusals(old: Workflow, new: Workflow, state: RunState) -> Iterator[str]:
    if state.is_final:
        yield f"the run has already {how_it_ended(state)}"
        return
    if new.hash == state.definition:
        yield "the run is pinned to this definition already"
    if old.planner != new.planner:
        yield (
            f"a run keeps its kind of plan: where it is by one of type {old.planner} says nothing of where it would be "
            f"by one of type {new.planner}"
        )
        return
    for problem in new.problems:
        if problem.severity == "refusal":
            yield f"the definition may not run here: {problem.message}"
    if not state.is_minimised and _minimises(new):
        yield "the definition keeps people's data out of the journal, and this journal holds them already"
    machine = new.fsm
    if new.llm is not None:
        yield from _of_plan(new.llm, new, state)
        machine = _machine(new.llm, state)
    for step in state.open:
        if state_of(step) not in (PLANNING, REVIEW):
            yield from _lost(new, machine, state.steps[step])


def _of_plan(there: LlmPlan, new: Workflow, state: RunState) -> Iterator[str]:
    """Why what a model has planned cannot be carried out by the other definition."""
    plan = state.plan
    if isinstance(plan, UnsetType):
        return
    if plan.source == "fallback" and there.fallback is None:
        yield "the run goes by its sub-plan, and there is none there"
    elif plan.source != "fallback" and bool(plan.steps) is (there.execution is not None):
        yield "of the run's plan and those there, one has steps, the other is a choice that a machine carries out"
    for step in plan.steps:
        known = state.steps.get(step_id(step.name, step.visit))
        if step.agent not in new.agents and (known is None or known.status not in ("succeeded", "failed")):
            yield f"agent {step.agent!r}, which step {step.name!r} of the run's plan needs, does not exist there"


def _machine(llm: LlmPlan, state: RunState) -> FsmSpec | None:
    """The machine by which a run goes on there, where its plan is none of steps."""
    if isinstance(state.plan, UnsetType) or state.plan.steps:
        return None
    return llm.fallback if state.plan.source == "fallback" else llm.execution


def _lost(new: Workflow, machine: FsmSpec | None, step: StepState) -> Iterator[str]:
    """Why a step that runs or waits has no place in the other definition; without a machine its agent is enough."""
    name = state_of(step.step)
    if step.task:
        there_is = new.agents.get(_agent_of(step))
        if there_is is None or there_is.terms is None:
            yield f"agent {_agent_of(step)!r}, whose task {name!r} people have, is none for people there"
        if machine is not None and name not in machine.states and name not in machine.final_states:
            yield f"state {name!r}, where the run is, does not exist there"
        return
    if machine is None:
        if step.status == "running" and _agent_of(step) not in new.agents:
            yield f"agent {_agent_of(step)!r}, which works on step {name!r}, does not exist there"
        return
    there = machine.states.get(name)
    if there is None and name not in machine.final_states:
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
    for what, here, there in (("the behaviour tree", old.tree, new.tree), ("how a model plans", old.llm, new.llm)):
        if here != there:
            yield f"{what} changes"
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
        here = ", where the run is," if name in now else ""
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
