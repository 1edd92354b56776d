"""The plan of a run with the live state of each node, and what is next: states of a machine, a tree, a model's plan."""

from collections.abc import Iterator

import msgspec

from runtime.domain.ids import state_of
from runtime.domain.run import RunState
from tui.journal import status_of
from tui.lines import Line, wrap
from tui.shapes import Machine, Node, PlanShape
from tui.words import one_line, sign, span

LETTERS = {"i": "pending", "r": "running", "s": "succeeded", "f": "failed"}
LEAVES = ("action", "wait")
"""Nodes whose name is that of their steps."""


class _Visit(msgspec.Struct):
    state: str
    times: int = 0
    took: str = ""
    note: str = ""


def plan_lines(shape: PlanShape | None, run: RunState, width: int) -> list[Line]:
    """The plan, drawn for one moment of a run."""
    if shape is None:
        return []
    visits = _visits(run)
    lines: list[Line] = []
    if shape.planner == "llm":
        lines += _model_plan(run, visits, width)
    for machine in shape.machines:
        if machine.title:
            lines += [[], [(machine.title, "head")]]
        if shape.planner == "behavior_tree":
            lines += _tree(machine, run, visits)
        else:
            lines += [line for node in machine.nodes for line in _state(node, visits, _next(machine, run), width)]
    if isinstance(run.replans, list):
        lines += [[], [("changed on the way", "head")]]
        for change in run.replans:
            lines += wrap(f"↻ {change.strategy} in {change.state}: {one_line(change.why)}", width, "warn")
    return lines


def _visits(run: RunState) -> dict[str, _Visit]:
    """What is known of each state, by its name: its latest visit."""
    found: dict[str, _Visit] = {}
    for step in run.steps.values():
        name = state_of(step.step)
        took = span(step.duration_ms) if step.status in ("succeeded", "failed") else ""
        note = step.error.code if step.error is not None and step.status == "failed" else ""
        found[name] = _Visit(status_of(step), run.visits.get(name, 1), took, note)
    for name in run.path:
        if name not in found:
            found[name] = _Visit("succeeded" if not run.is_final or name != run.path[-1] else run.status, 1)
    return found


def _next(machine: Machine, run: RunState) -> dict[str, str]:
    """The states that may follow the ones that the run is in, and how each would be come to."""
    here = {state_of(step) for step in run.open}
    if not here and not run.path and not run.is_final:
        return {machine.initial: "▸ next"}
    edges = [edge for node in machine.nodes if node.name in here for edge in node.leads_to]
    found = {edge.to: "▹ if it fails" for edge in edges if edge.when == "error"}
    return found | {edge.to: "▸ next" for edge in edges if edge.when != "error"}


def _state(node: Node, visits: dict[str, _Visit], coming: dict[str, str], width: int) -> Iterator[Line]:
    visit = visits.get(node.name, _Visit("pending"))
    mark, style = sign(visit.state)
    line: Line = [(f"{mark} ", style), (f"{node.name:<18}", "strong" if visit.times else "")]
    what = f"waits for {node.waits_for}" if node.waits_for else node.agent if node.agent != node.name else node.kind
    line.append((f" {what:<12}", "dim"))
    facts = [f"{visit.times}×"] if visit.times > 1 else []
    facts += [fact for fact in (visit.took, visit.note) if fact]
    if visit.state != "pending":
        line.append((f" {visit.state}", style))
    line.append((f"  {'  '.join(facts)}" if facts else "", "bad" if visit.note else "dim"))
    if node.name in coming and visit.state == "pending":
        way = coming[node.name]
        line.append((f" {way}", "busy" if way.startswith("▸") else "dim"))
    yield line
    ways = "   ".join(_way(edge.to, edge.when) for edge in node.leads_to)
    if ways:
        yield from wrap(f"→ {ways}", width, "dim", indent="   ")


def _way(to: str, when: str) -> str:
    return to if when == "success" else f"{to} [{one_line(when)}]"


def _tree(machine: Machine, run: RunState, visits: dict[str, _Visit]) -> list[Line]:
    letters = run.tree.statuses if isinstance(run.tree, msgspec.Struct) else ""
    lines: list[Line] = []
    for index, node in enumerate(machine.nodes):
        state = _of_node(node, LETTERS.get(letters[index : index + 1], "pending"), run, visits)
        mark, style = sign(state)
        trunk = _trunk(machine.nodes, index)
        name = node.name if node.name != node.kind else ""
        lines.append(
            [
                (trunk, "dim"),
                (f"{mark} ", style),
                (node.kind if not name else one_line(name), "strong" if state != "pending" else ""),
                (f"  {node.kind}" if name else "", "dim"),
                (f"  {state}" if state != "pending" else "", style),
            ]
        )
    return lines


def _of_node(node: Node, kept: str, run: RunState, visits: dict[str, _Visit]) -> str:
    """How a node is; `kept`: as the tree remembers it.

    It forgets how the children of a node came out that is over, which their steps know, and the last tick is not kept.
    """
    if node.kind in LEAVES and node.name in visits:
        return visits[node.name].state
    return run.status if kept == "running" and run.is_final else kept


def _trunk(nodes: list[Node], index: int) -> str:
    """The branches in front of a node: `│  ├─ `."""
    depth = nodes[index].depth
    if depth == 0:
        return ""
    parts = ["├─ " if _has_sibling(nodes, index, depth) else "└─ "]
    for level in range(depth - 1, 0, -1):
        parts.append("│  " if _has_sibling(nodes, index, level) else "   ")
    return "".join(reversed(parts))


def _has_sibling(nodes: list[Node], index: int, depth: int) -> bool:
    """Whether a node at this depth follows under the same parent."""
    for node in nodes[index + 1 :]:
        if node.depth <= depth:
            return node.depth == depth
    return False


def _model_plan(run: RunState, visits: dict[str, _Visit], width: int) -> list[Line]:
    if not isinstance(run.plan, msgspec.Struct):
        return [[("○ ", "dim"), ("the model has made no plan yet", "dim")]]
    plan = run.plan
    made = {"model": "the model's plan", "person": "a person's plan", "fallback": "the sub-plan took over"}[plan.source]
    lines: list[Line] = [[(made, "head"), (f"  {plan.strategy}" if plan.strategy else "", "strong")]]
    for step in plan.steps:
        waits = f"after {', '.join(step.after)}" if step.after else ""
        node = Node(name=step.name, kind="agent", agent=step.agent)
        (line, *_) = _state(node, visits, {}, width)
        lines.append([*line, (f"  {waits}", "dim")])
    return lines
