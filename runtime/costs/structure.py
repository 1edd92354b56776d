"""Which agents a plan may visit, from its definition alone; what is declared until there are past runs. Pure."""

from collections.abc import Iterator, Mapping

from runtime.costs.calibration import Points, Visits
from runtime.domain.ids import AgentId
from runtime.domain.plan import PLANNING
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import FsmSpec, FsmState, Workflow

MAIN_SHARE = 0.8
"""How probable the way is that an author names as the usual one: `on_true`, `on_success`, a selector's first child."""
ERROR_SHARE = 0.05
LEAST_SHARE = 1e-3
"""Ways that are less probable than this are not followed."""
MOST_WAYS = 500

FIRST_ALONE = frozenset({"selector", "reactive_fallback", "conditional_selector"})
FIRST_TWO = frozenset({"if_then_else", "while_do_else"})

Pattern = tuple[Visits, float]


def patterns_of(workflow: Workflow) -> list[Pattern]:
    """Visits and how probable they are, in all 1. A model's plan is taken to visit each agent once."""
    if workflow.planner == "fsm" and workflow.fsm is not None:
        ways = list(_ways(workflow, workflow.fsm, workflow.fsm.initial_state, {}, (), 1.0))[:MOST_WAYS]
    elif workflow.planner == "behavior_tree" and workflow.tree is not None:
        ways = [({}, 1.0)]
        for agent in _leaves(workflow.tree):
            ways[0][0][agent] = ways[0][0].get(agent, 0) + 1
    else:
        asked = [PLANNING] if workflow.llm is not None else []
        ways = [({agent: 1 for agent in (*asked, *workflow.agents)}, 1.0)]
    merged: dict[Visits, float] = {}
    for visits, share in ways:
        key = tuple(sorted(visits.items()))
        merged[key] = merged.get(key, 0.0) + share
    whole = sum(merged.values()) or 1.0
    return [(visits, share / whole) for visits, share in merged.items()]


def agents_in(patterns: list[Pattern]) -> dict[str, Points]:
    """Agent → how often it acts, with how probable that is."""
    agents = {agent for visits, _ in patterns for agent, _ in visits}
    return {agent: [(dict(visits).get(agent, 0), share) for visits, share in patterns] for agent in sorted(agents)}


def _ways(
    workflow: Workflow, spec: FsmSpec, name: str, visits: Mapping[str, int], seen: tuple[str, ...], share: float
) -> Iterator[tuple[dict[str, int], float]]:
    """Every way through the machine that enters no state twice; where one would, it ends."""
    if share < LEAST_SHARE:
        return
    state = spec.states.get(name)
    agent = _agent_of(workflow, name, state)
    here = {**visits, agent: visits.get(agent, 0) + 1} if agent else dict(visits)
    targets = _targets(state) if state is not None and name not in spec.final_states else {}
    if not targets:
        yield here, share
    whole = sum(targets.values())
    for target, part in targets.items():
        if target in seen or target == name:
            yield here, share * part / whole
        else:
            yield from _ways(workflow, spec, target, here, (*seen, name), share * part / whole)


def _agent_of(workflow: Workflow, name: str, state: FsmState | None) -> str:
    if state is not None and state.wait_for:
        return ""
    if state is not None and state.agent is not None:
        return state.agent
    return name if AgentId(name) in workflow.agents else ""


def _targets(state: FsmState) -> dict[str, float]:
    """Where a state leads, and how probable each is."""
    main = state.on_true or state.on_success
    others = [branch.target for branch in state.branches]
    if state.condition:
        others.append(state.on_false or state.on_success)
    shares: dict[str, float] = {}
    for target in filter(None, others):
        shares[target] = shares.get(target, 0.0) + (1 - MAIN_SHARE if main else 1.0) / len(others)
    if main:
        shares[main] = shares.get(main, 0.0) + (MAIN_SHARE if others else 1.0)
    if state.on_error:
        shares[state.on_error] = shares.get(state.on_error, 0.0) + ERROR_SHARE
    return shares


def _leaves(node: TreeNode) -> Iterator[str]:
    """The agents of a tree that goes the way its author names first."""
    if node.kind == "action" and node.agent is not None:
        yield node.agent
    children = node.children
    if node.kind in FIRST_ALONE:
        children = children[:1]
    elif node.kind in FIRST_TWO:
        children = children[:2]
    for child in children:
        yield from _leaves(child)
