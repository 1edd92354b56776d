"""A definition's plan as a list of nodes that a screen can draw: the states of a machine, or the nodes of a tree."""

from collections.abc import Iterator

import msgspec

from runtime.domain.ids import DefinitionHash
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import FsmSpec, FsmState, Workflow


class EdgeView(msgspec.Struct, frozen=True, kw_only=True):
    """A way from one state to another."""

    to: str
    when: str
    """`success`, `error`, or the condition."""


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One state, or one node of a tree."""

    name: str
    """Of a state its name; of a node of a tree what the author calls it, or its agent, or its condition."""
    kind: str
    """Of a state `agent`, `wait`, `decide` or `final`; of a node of a tree its own."""
    depth: int = 0
    """Of a node of a tree: how far below the root."""
    agent: str = ""
    waits_for: str = ""
    """The signal that a state waits for."""
    leads_to: list[EdgeView] = []


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """One machine, or one tree."""

    title: str
    """Empty; of a plan that a model makes, what the machine is for."""
    initial: str
    nodes: list[NodeView]


class PlanShapeView(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of a definition."""

    workflow: str
    definition_hash: DefinitionHash
    planner: str
    """`fsm`, `behavior_tree` or `llm`."""
    machines: list[MachineView]
    """One; of a model's plan those that may carry it out, or stand in for it, which may be none."""


def plan_shape(workflow: Workflow) -> PlanShapeView:
    """The document."""
    return PlanShapeView(
        workflow=workflow.name,
        definition_hash=workflow.hash,
        planner=workflow.planner,
        machines=list(_machines(workflow)),
    )


def _machines(workflow: Workflow) -> Iterator[MachineView]:
    if workflow.tree is not None:
        yield MachineView(title="", initial=workflow.tree.leaf, nodes=list(_nodes(workflow.tree, 0)))
    if workflow.fsm is not None:
        yield _machine(workflow, workflow.fsm, "")
    if workflow.llm is not None:
        if workflow.llm.execution is not None:
            yield _machine(workflow, workflow.llm.execution, "carries out what the model chose")
        if workflow.llm.fallback is not None:
            yield _machine(workflow, workflow.llm.fallback, "the sub-plan, where the model's is of no use")


def _machine(workflow: Workflow, machine: FsmSpec, title: str) -> MachineView:
    reached = list(_in_reach(machine))
    ordered = [*reached, *(name for name in machine.states if name not in set(reached))]
    nodes = [_state(workflow, machine, name) for name in ordered]
    return MachineView(title=title, initial=machine.initial_state, nodes=nodes)


def _in_reach(machine: FsmSpec) -> Iterator[str]:
    """States in the order in which a run that goes well meets them."""
    waiting, behind, seen = [machine.initial_state], list[str](), set[str]()
    while waiting or behind:
        name = waiting.pop(0) if waiting else behind.pop(0)
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in machine.states:
            on_error = machine.states[name].on_error
            waiting = [target for target in machine.states[name].targets() if target != on_error] + waiting
            behind += [on_error] if on_error else []


def _state(workflow: Workflow, machine: FsmSpec, name: str) -> NodeView:
    state = machine.states.get(name, FsmState(name=name))
    agent = state.agent or (name if name in workflow.agents else "")
    kind = "wait" if state.wait_for else "agent" if agent else "final" if name in machine.final_states else "decide"
    return NodeView(
        name=name,
        kind=kind,
        agent="" if state.wait_for else agent,
        waits_for=state.wait_for,
        leads_to=[] if name in machine.final_states else list(_edges(state)),
    )


def _edges(state: FsmState) -> Iterator[EdgeView]:
    for branch in state.branches:
        yield EdgeView(to=branch.target, when=branch.condition)
    if state.condition:
        yield EdgeView(to=state.on_true, when=state.condition)
        yield EdgeView(to=state.on_false, when=f"not ({state.condition})")
    if state.gate is not None:
        yield EdgeView(to=state.gate.back_to, when=f"score below {state.gate.threshold:g}")
        if state.gate.otherwise:
            yield EdgeView(to=state.gate.otherwise, when=f"refused {state.gate.max_rounds} times")
    if state.on_success:
        yield EdgeView(to=state.on_success, when="success")
    if state.on_error:
        yield EdgeView(to=state.on_error, when="error")


def _nodes(node: TreeNode, depth: int) -> Iterator[NodeView]:
    yield NodeView(name=node.leaf, kind=node.kind, depth=depth, agent=node.agent or "")
    for child in node.children:
        yield from _nodes(child, depth + 1)
