"""Behaviour trees as types: what a tree's definition means, and what a run remembers of its tree.

Nodes mean what those of BehaviorTree.CPP v4 mean; `appliance/docs/trees.md` says where this differs.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from runtime.domain.ids import AgentId

NodeKind = Literal[
    "sequence",
    "sequence_with_memory",
    "async_sequence",
    "reactive_sequence",
    "selector",
    "reactive_fallback",
    "async_fallback",
    "parallel",
    "parallel_all",
    "if_then_else",
    "while_do_else",
    "conditional_selector",
    "inverter",
    "force_success",
    "force_failure",
    "retry_until_successful",
    "repeat",
    "keep_running_until_failure",
    "run_once",
    "timeout",
    "subtree",
    "always_success",
    "always_failure",
    "condition",
    "action",
    "wait",
]

MAX_NODES = 1_000
"""Nodes of one tree: what a run remembers of them stands in its journal after each decision."""


class TreeNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node, with all below it."""

    kind: NodeKind
    name: str = ""
    """What the author calls it; of an action or a wait, also the name of its steps."""
    agent: AgentId | None = None
    """Of an action: who acts."""
    signal: str = ""
    """Of a wait: what it waits for."""
    check: str = ""
    """Of a condition: the CEL or JSONPath text."""
    children: tuple["TreeNode", ...] = ()
    expressions: tuple[str, ...] = ()
    """Of a conditional_selector: the condition of each child; empty for the default."""
    limit: int = -1
    """Of a parallel: successes that make it succeed; of a parallel_all: failures that make it fail; of a retry or
    repeat: how often. Below 0 a threshold counts from the number of children (-1: all), and a retry has no end."""
    failures: int = 1
    """Of a parallel: failures that make it fail; below 0 counted from the number of children."""
    then_skip: bool = True
    """Of a run_once: whether it is skipped when it has run; otherwise it answers as it did."""
    timeout_ms: int = 0
    """Of a timeout, or of a wait; 0: a wait without end."""

    @property
    def leaf(self) -> str:
        """What a leaf is called: by its own name, its agent, its signal or its condition."""
        return self.name or self.agent or self.signal or self.check or self.kind

    def nodes(self) -> Iterator["TreeNode"]:
        """This node and all below it, in the order of the definition."""
        yield self
        for child in self.children:
            yield from child.nodes()


class TreeMemory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tree remembers between two ticks."""

    statuses: str = ""
    """A letter for each node, in the order of the definition: `i`dle, `r`unning, `s`uccess, `f`ailure."""
    counters: list[list[int]] = []
    """[node, first, second] of the nodes that count something; what they count depends on their kind."""
