"""A tree, compiled once, and the pure tick: memory and what the leaves come to → new memory and what is to be done."""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from runtime.domain.event import ErrorInfo
from runtime.domain.tree import TreeMemory, TreeNode
from runtime.planners.tree import controls, decorators
from runtime.planners.tree.frame import (
    FAILURE,
    IDLE,
    RUNNING,
    SUCCESS,
    Act,
    Answer,
    Compiled,
    Frame,
    Halt,
    Holds,
    Status,
    Tick,
)

NEW = TreeMemory()
"""What a tree that was never ticked remembers."""


class Tree(NamedTuple):
    """A compiled tree."""

    root: Compiled
    nodes: tuple[TreeNode, ...]
    """By their places in the order of the definition."""


class Ticked(NamedTuple):
    """What a tick came to."""

    memory: TreeMemory
    status: Status
    acts: list[Act]
    is_woken: bool
    """Whether a node wants the next tick at once."""
    fault: int | ErrorInfo | None
    """The node that failed last, or why a condition could not be decided."""


def compile_tree(root: TreeNode, *, is_scripted: bool = False) -> Tree:
    """Compile a tree; `is_scripted`: its conditions are leaves that answer like actions."""
    return Tree(_compile(root, count(), is_scripted=is_scripted), tuple(root.nodes()))


def tick(
    tree: Tree, memory: TreeMemory, *, answer: Answer, holds: Holds, fired: frozenset[int] = frozenset()
) -> Ticked:
    """Tick a tree once. Equal arguments give equal results, as far as `answer` and `holds` do.

    `fired`: the time limits that have passed.
    """
    frame = Frame(memory, len(tree.nodes), answer=answer, holds=holds, fired=fired)
    status = tick_frame(tree, frame)
    return Ticked(frame.memory(), status, frame.acts, frame.is_woken, frame.fault)


def tick_frame(tree: Tree, frame: Frame) -> Status:
    """The same on a working copy."""
    status = tree.root.tick(frame)
    if status in (SUCCESS, FAILURE):
        frame.status[0] = IDLE
    return status


def halt_frame(tree: Tree, frame: Frame) -> None:
    """Halt all that runs."""
    if frame.status[0] == RUNNING:
        tree.root.halt(frame)


def _compile(node: TreeNode, places: Iterator[int], *, is_scripted: bool) -> Compiled:
    index = next(places)
    children = tuple(_compile(child, places, is_scripted=is_scripted) for child in node.children)
    if len(children) == 1 and node.kind in _DECORATORS:
        made = _decorator(node, index, children[0])
    elif children:
        made = _control(node, index, children)
    else:
        made = _leaf(node, index, is_scripted=is_scripted)
    return Compiled(index, node, *made)


def _control(node: TreeNode, index: int, children: tuple[Compiled, ...]) -> tuple[Tick, Halt]:
    match node.kind:
        case "sequence":
            return controls.ordered(index, children, goes_on=SUCCESS)
        case "sequence_with_memory":
            return controls.ordered(index, children, goes_on=SUCCESS, keeps_place=True, yields=True)
        case "async_sequence":
            return controls.ordered(index, children, goes_on=SUCCESS, yields=True)
        case "async_fallback":
            return controls.ordered(index, children, goes_on=FAILURE, yields=True)
        case "selector":
            return controls.ordered(index, children, goes_on=FAILURE)
        case "reactive_sequence":
            return controls.reactive(index, children, goes_on=SUCCESS)
        case "reactive_fallback":
            return controls.reactive(index, children, goes_on=FAILURE)
        case "parallel":
            return controls.parallel(index, children, successes=node.limit, failures=node.failures)
        case "parallel_all":
            return controls.parallel_all(index, children, failures=node.limit)
        case "if_then_else":
            return controls.if_then_else(index, children)
        case "while_do_else":
            return controls.while_do_else(index, children)
    return controls.conditional_selector(index, children, expressions=node.expressions)


_DECORATORS = frozenset(
    {
        "inverter",
        "force_success",
        "force_failure",
        "retry_until_successful",
        "repeat",
        "keep_running_until_failure",
        "run_once",
        "timeout",
        "subtree",
    }
)


def _decorator(node: TreeNode, index: int, child: Compiled) -> tuple[Tick, Halt]:
    match node.kind:
        case "inverter":
            return decorators.inverter(index, child)
        case "force_success":
            return decorators.forced(index, child, status=SUCCESS)
        case "force_failure":
            return decorators.forced(index, child, status=FAILURE)
        case "retry_until_successful":
            return decorators.retry_until_successful(index, child, attempts=node.limit)
        case "repeat":
            return decorators.repeat(index, child, times=node.limit)
        case "keep_running_until_failure":
            return decorators.keep_running_until_failure(index, child)
        case "run_once":
            return decorators.run_once(index, child, then_skip=node.then_skip)
        case "subtree":
            return decorators.subtree(index, child)
    return decorators.timeout(index, child)


def _leaf(node: TreeNode, index: int, *, is_scripted: bool) -> tuple[Tick, Halt]:
    if node.kind in ("action", "wait") or (node.kind == "condition" and is_scripted):
        return _action(index)
    if node.kind == "condition":
        return _condition(index, node.check), _forget(index)
    return _constant(index, SUCCESS if node.kind == "always_success" else FAILURE), _forget(index)


def _action(index: int) -> tuple[Tick, Halt]:
    """A leaf that may take its time: it is started once, then asked until it has an answer, which it then keeps."""

    def run(frame: Frame) -> Status:
        was = frame.status[index]
        if was > RUNNING:
            return was
        status = frame.answer(frame, index)
        frame.acts.append(Act(index, "running" if was else "start", status, frame.a[index], "" if was else frame.why))
        if status != RUNNING:
            frame.a[index] = 0
        if status == FAILURE:
            frame.fault = index
        frame.status[index] = status
        return status

    def halt(frame: Frame) -> None:
        frame.acts.append(Act(index, "halt", mark=frame.a[index]))
        frame.a[index] = 0
        frame.status[index] = IDLE

    return run, halt


def _condition(index: int, text: str) -> Tick:
    def run(frame: Frame) -> Status:
        verdict = frame.holds(text)
        if verdict is True:
            frame.status[index] = SUCCESS
            return SUCCESS
        if verdict is False:
            frame.fault = index
        else:
            frame.undecided += 1
            frame.fault = verdict
        frame.status[index] = FAILURE
        return FAILURE

    return run


def _constant(index: int, status: Status) -> Tick:
    def run(frame: Frame) -> Status:
        frame.status[index] = status
        if status == FAILURE:
            frame.fault = index
        return status

    return run


def _forget(index: int) -> Halt:
    def halt(frame: Frame) -> None:
        frame.status[index] = IDLE

    return halt
