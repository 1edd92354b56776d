"""What a planner wants done. Commands stand in the journal behind the event they were decided on."""

from typing import ClassVar, Literal, TypeAlias

import msgspec

from runtime.domain.event import ErrorInfo
from runtime.domain.human import Terms
from runtime.domain.ids import AgentId, StepId
from runtime.domain.plan import Plan
from runtime.domain.tree import TreeMemory

RUN_TIMER = "run"
"""The timer that bounds the whole run; every other timer is named after the step, or the node of a tree, it bounds."""
TREE_TIMERS = "timeout:"
"""What the names of a tree's timers begin with; no step's name can."""
TREE_AGAIN = "again:"
"""What the names of timers begin with that a tree waits for before it is ticked again; no step's name can."""


class StartStep(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Have an agent act."""

    TYPE: ClassVar[str] = "step.scheduled"
    step: StepId
    agent: AgentId | None = None
    """None when it is the agent of the state's own name."""
    attempt: int = 1
    delay_ms: int = 0
    """How long to wait first, counted from the entry's time; the back-off of a retry."""
    via: tuple[str, ...] = ()
    """States passed through on the way here that only decide."""
    why: str = ""
    """The condition that led here; empty for a plain on_success."""


class AwaitSignal(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Wait until somebody signals; the payload becomes the step's output."""

    TYPE: ClassVar[str] = "signal.awaited"
    step: StepId
    signal: str
    timeout_ms: int = 0
    """0: wait without end."""
    via: tuple[str, ...] = ()
    why: str = ""
    agent: AgentId | None = None
    """The agent whose task it is; None: that of the state's own name, or no agent's."""
    attempt: int = 1
    terms: Terms | None = None
    """Whose task it is and how; None: anybody may answer with anything."""


class SetTimer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Fire a timer `delay_ms` after the entry's time."""

    TYPE: ClassVar[str] = "timer.set"
    timer: str
    delay_ms: int


class StopStep(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Stop a step that is running or waiting."""

    TYPE: ClassVar[str] = "step.stopped"
    step: StepId


class KeepTree(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Keep what a behaviour tree remembers until its next tick."""

    TYPE: ClassVar[str] = "tree.kept"
    memory: TreeMemory
    stopped: tuple[str, ...] = ()
    """Timers of the tree that are no longer needed."""


class KeepPlan(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Go by a plan from now on: a model's or a person's that the guard let through, or the declared sub-plan."""

    TYPE: ClassVar[str] = "plan.kept"
    plan: Plan
    why: str = ""
    """Why the sub-plan takes over."""


class Listen(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Take these signals at any time from now on, whatever the run does."""

    TYPE: ClassVar[str] = "signals.taken"
    signals: tuple[str, ...]


class Replan(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Go another way than the plan would; the commands behind this say which."""

    TYPE: ClassVar[str] = "plan.changed"
    trigger: str
    strategy: str
    state: str
    """Where the plan would have given up; work that a gate refused: where it is done again."""
    to: str = ""
    """The state that is entered instead; empty: the same one, or a person is asked."""
    why: str


class FinishRun(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """End the run; always its last entry. Its output is the last step's."""

    TYPE: ClassVar[str] = "run.finished"
    status: Literal["succeeded", "failed", "cancelled"]
    state: str = ""
    """The final state; empty when the run ended outside its plan."""
    error: ErrorInfo | None = None
    via: tuple[str, ...] = ()
    why: str = ""


Command: TypeAlias = StartStep | AwaitSignal | SetTimer | StopStep | KeepTree | KeepPlan | Listen | Replan | FinishRun
COMMANDS: tuple[type[Command], ...] = (
    StartStep,
    AwaitSignal,
    SetTimer,
    StopStep,
    KeepTree,
    KeepPlan,
    Listen,
    Replan,
    FinishRun,
)
