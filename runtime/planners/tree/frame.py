"""What a tick works on: the status and the counters of every node, and what the leaves come to. Pure.

A node is compiled to two functions over a frame, one that ticks it and one that halts it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from runtime.domain.event import ErrorInfo
from runtime.domain.tree import TreeMemory, TreeNode

Status: TypeAlias = int
IDLE: Final = 0
RUNNING: Final = 1
SUCCESS: Final = 2
FAILURE: Final = 3
SKIPPED: Final = 4
"""Told to the parent, never remembered."""

LETTERS = "irsf"
"""Of the statuses that are remembered, in their order."""
_NUMBERED = bytes.maketrans(LETTERS.encode(), bytes(range(len(LETTERS))))
_SPELT = bytes.maketrans(bytes(range(len(LETTERS))), LETTERS.encode())

Answer = Callable[["Frame", int], Status]
"""What a leaf comes to; it starts now when its status is idle, and may mark what it starts in its first counter."""
Holds = Callable[[str], bool | ErrorInfo]
"""Whether a condition holds, or why that cannot be said."""


class Act(NamedTuple):
    """Something that a tick wants done, in order."""

    node: int
    what: str
    """`start`, `running` or `halt` for a leaf; `arm` or `disarm` for a time limit."""
    status: Status = IDLE
    """What a leaf that was started or ticked came to."""
    mark: int = 0
    """Of a leaf: what was marked when it started; of a time limit: how often it has been set."""
    why: str = ""
    """The expression that led to a leaf."""


class Frame:
    """One tick's working copy of the memory; it belongs to the tick that made it."""

    __slots__ = ("a", "acts", "answer", "b", "fault", "fired", "holds", "is_woken", "status", "undecided", "why")

    def __init__(
        self, memory: TreeMemory, size: int, *, answer: Answer, holds: Holds, fired: frozenset[int] = frozenset()
    ) -> None:
        self.status: list[Status] = list(memory.statuses.encode().translate(_NUMBERED)) or [IDLE] * size
        self.a = [0] * size
        self.b = [0] * size
        for node, first, second in memory.counters:
            self.a[node] = first
            self.b[node] = second
        self.answer = answer
        self.holds = holds
        self.fired = fired
        """Time limits that have passed."""
        self.begin()

    def begin(self) -> None:
        """Get ready for a tick; what the last one wanted done is forgotten."""
        self.acts: list[Act] = []
        self.is_woken = False
        """Whether a node wants the next tick at once."""
        self.undecided = 0
        """Conditions that could not be decided in this tick."""
        self.fault: int | ErrorInfo | None = None
        """The leaf that failed last in this tick, or why a condition could not be decided."""
        self.why = ""

    def memory(self) -> TreeMemory:
        """What is to be remembered."""
        counters = [
            [node, first, second]
            for node, (first, second) in enumerate(zip(self.a, self.b, strict=True))
            if first or second
        ]
        return TreeMemory(bytes(self.status).translate(_SPELT).decode(), counters)


Tick = Callable[[Frame], Status]
Halt = Callable[[Frame], None]


class Compiled(NamedTuple):
    """A node, ready to be ticked."""

    place: int
    """In the order of the definition, from 0."""
    node: TreeNode
    tick: Tick
    halt: Halt


def reset(frame: Frame, children: tuple[Compiled, ...]) -> None:
    """Halt the children that run, and make all of them idle."""
    status = frame.status
    for child in children:
        if status[child[0]] == RUNNING:
            child[3](frame)
        status[child[0]] = IDLE


def reset_one(frame: Frame, child: Compiled) -> None:
    """The same for one."""
    if frame.status[child[0]] == RUNNING:
        child[3](frame)
    frame.status[child[0]] = IDLE


def halting(index: int, children: tuple[Compiled, ...], *, forgets: bool = True) -> Halt:
    """How a node that has children is halted; `forgets`: whether its counters start again."""

    def halt(frame: Frame) -> None:
        if forgets:
            frame.a[index] = frame.b[index] = 0
        reset(frame, children)
        frame.status[index] = IDLE

    return halt
