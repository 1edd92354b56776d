"""What a run remembers of its tree, in terms of another tree: nodes that remember something must be there too. Pure.

Nodes are the same when they are of one kind and, where they have a name, an agent or a signal, of the same. Their
order may not change; nodes may come anywhere, and those may go that remember nothing.
"""

from difflib import SequenceMatcher

from runtime.domain.command import TREE_TIMERS
from runtime.domain.ids import step_id
from runtime.domain.tree import TreeMemory, TreeNode
from runtime.planners.tree.frame import IDLE, RUNNING, Frame
from runtime.planners.tree.tick import NEW

_PLACED = frozenset(
    {"sequence", "sequence_with_memory", "async_sequence", "selector", "async_fallback", "if_then_else"}
)
"""Nodes whose first counter is the place of a child, from 0; of a conditional_selector it counts from 1."""


class Moved:
    """What a tree remembers, moved to another one."""

    def __init__(self, old: TreeNode, new: TreeNode, memory: TreeMemory) -> None:
        self.refusals: list[str] = []
        """Why it cannot be; empty: it can."""
        self.timers: dict[str, str] = {}
        """Names of timers that are set → their names there."""
        self._old = _frame(memory, old)
        self._new = _frame(NEW, new)
        self._align(old, new, 0, 0)
        self.memory = self._new.memory()
        """What it remembers there."""

    def _align(self, old: TreeNode, new: TreeNode, before: int, after: int) -> None:
        if _signature(old) != _signature(new):
            self._lost(old, before)
            return
        self._new.status[after] = self._old.status[before]
        self._new.a[after], self._new.b[after] = self._old.a[before], self._old.b[before]
        if old.kind == "timeout" and self._old.a[before]:
            count = self._old.b[before]
            self.timers[step_id(f"{TREE_TIMERS}{before}", count)] = step_id(f"{TREE_TIMERS}{after}", count)
        olds, news = _children(old, before), _children(new, after)
        pairs = _pairs(old, new)
        for at, there in pairs.items():
            self._align(olds[at][0], news[there][0], olds[at][1], news[there][1])
        for at, (child, place) in enumerate(olds):
            if at not in pairs:
                self._lost(child, place)
        self._keep_place(old, before, after, pairs)

    def _keep_place(self, old: TreeNode, before: int, after: int, pairs: dict[int, int]) -> None:
        """The child that is due, by its number there."""
        first = 1 if old.kind == "conditional_selector" else 0
        at = self._old.a[before] - first
        is_placed = old.kind in _PLACED and (at > 0 or self._old.status[before] == RUNNING)
        if not (is_placed or (first and at >= 0)):
            return
        if at in pairs:
            self._new.a[after] = pairs[at] + first
        else:
            self.refusals.append(f"the child of {old.leaf!r} that is due does not exist there")

    def _lost(self, node: TreeNode, place: int) -> None:
        """A node that is not there: it may go when neither it nor anything below it remembers anything."""
        for number, each in enumerate(node.nodes(), start=place):
            if self._old.status[number] != IDLE or self._old.a[number] or self._old.b[number]:
                what = "is under way" if self._old.status[number] == RUNNING else "remembers what it came to"
                self.refusals.append(f"node {each.leaf!r} ({each.kind}) {what}, and does not exist there")
                return


def _pairs(old: TreeNode, new: TreeNode) -> dict[int, int]:
    """Which child is which, in order."""
    if len(old.children) == len(new.children) == 1:
        return {0: 0}
    olds, news = (
        [(_signature(child), node.expressions[at : at + 1]) for at, child in enumerate(node.children)]
        for node in (old, new)
    )
    blocks = SequenceMatcher(None, olds, news, autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in blocks for n in range(block.size)}


def _signature(node: TreeNode) -> tuple[str, ...]:
    if node.kind in ("action", "wait"):
        return (node.kind, node.leaf, node.signal)
    below = _signature(node.children[0]) if len(node.children) == 1 and not node.name else ()
    return (node.kind, node.name, *below)


def _children(node: TreeNode, place: int) -> list[tuple[TreeNode, int]]:
    """The children with their places in the order of the definition."""
    found = []
    place += 1
    for child in node.children:
        found.append((child, place))
        place += sum(1 for _ in child.nodes())
    return found


def _frame(memory: TreeMemory, root: TreeNode) -> Frame:
    size = sum(1 for _ in root.nodes())
    return Frame(memory, size, answer=lambda frame, index: IDLE, holds=lambda text: False)
