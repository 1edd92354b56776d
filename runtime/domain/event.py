"""What happened to a run: the facts that a journal keeps and that replay feeds back in.

A journal is a sequence of entries. Each append holds one fact and the commands that were decided on it
(`runtime.domain.command`). Fields at their default are not written.
"""

from typing import ClassVar, Literal, TypeAlias

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.cost import Estimate
from runtime.domain.exec_profile import Used
from runtime.domain.ids import DefinitionHash, RunId, StepId, TenantId
from runtime.domain.tree import TreeMemory


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something failed, as data."""

    code: str
    """Stable, such as `step.timeout`."""
    message: str
    retryable: bool = False


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step consumed."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd_micros: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """The sum of both."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd_micros + other.cost_usd_micros,
        )


NO_USAGE = Usage()


class Parent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The step that a run is a part of."""

    run: RunId
    step: StepId
    attempt: int = 1


Answers = Literal["recorded", "scripted", "live"]


class WhatIf(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a run supposes that asks what would have been; it has no effect on anything outside."""

    run: RunId
    """The run that it sets out from."""
    at: int
    """Up to this entry of that run's journal, what happened is taken as it stands."""
    answers: Answers = "live"
    """What answers where nothing recorded fits: the agents, a script, or what was recorded for another input."""
    live_tools: bool = False
    """Whether tools and requests have their effect all the same."""
    values: Json = None
    """`changes`, a list of [step or `input`, path, value], and `script`, from states to outcomes, as they were given;
    may hold people's data."""


WHAT_IF = "what-if/"
"""What stands before a workflow's name in costs, metrics and the audit log, where a what-if did it."""


class Reused(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where an answer was taken from, in place of asking again."""

    run: RunId
    seq: int
    is_other_input: bool = False
    """Whether it was an answer to something else."""


class RunStarted(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody asked for a run; always the first entry."""

    TYPE: ClassVar[str] = "run.started"
    workflow: str
    definition: DefinitionHash
    input: Json
    tenant: TenantId = TenantId("default")
    actor: str = ""
    """Who asked: an API key's name, `cli`, a trigger; empty when unknown."""
    minimised: bool = False
    """Whether pseudonyms stand in this journal in place of people's data."""
    role: str = ""
    """The role of who asked, which budgets go by; empty: none."""
    estimate: Estimate | None = None
    """What the run was expected to take, where somebody asked before."""
    parent: Parent | None = None
    """The step of another run that asked for this one; None: nobody but the actor did."""
    what_if: WhatIf | None = None
    """What it supposes; None: it is a run like any other."""
    traceparent: str = ""
    """The W3C trace context that whoever asked came with; empty: none."""
    session: str = ""
    """Hash of the name of the session, where agents remember it and the name may not stand in the input."""


class ToolUse(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One call of a tool that a step made, as the journal tells of it: never what it was given or answered."""

    tool: str
    outcome: str
    """`ok`, `not_called` in a what-if, or the code of the refusal or the failure."""
    arguments: str = ""
    """SHA-256 of the canonical arguments, of a minimised run as they would be kept; empty: they are no JSON."""
    profile: str = ""
    """Hash of the profile that it ran under; empty: it was refused before there was one."""
    driver: str = ""
    """The sandbox that held it; empty: it ran inside the appliance."""
    is_cached: bool = False
    cost_usd_micros: int = 0
    wall_ms: int = 0
    used: Used | None = None
    """What its programs took; None: no sandbox ran any to its end."""


class StepSucceeded(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An agent answered."""

    TYPE: ClassVar[str] = "step.succeeded"
    step: StepId
    output: Json
    attempt: int = 1
    usage: Usage = NO_USAGE
    duration_ms: int = 0
    evidence: dict[str, Json] | None = None
    """What answered and why it can be believed: backend, model, engine fingerprint, scores."""
    reused: Reused | None = None
    """Where the answer was taken from, in a run that asks what would have been; None: the agent was asked."""
    calls: tuple[ToolUse, ...] = ()
    """The tools that the agent called, in order."""


class StepFailed(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An agent's attempt failed, ran out of time, or could not start."""

    TYPE: ClassVar[str] = "step.failed"
    step: StepId
    error: ErrorInfo
    attempt: int = 1
    usage: Usage = NO_USAGE
    duration_ms: int = 0
    reused: Reused | None = None
    """Where the failure was taken from; None: it happened in this run."""
    calls: tuple[ToolUse, ...] = ()
    """The tools that the agent had called by then, in order."""


class SubrunStarted(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A step has a run of its own; the run's first entry names the step."""

    TYPE: ClassVar[str] = "subrun.started"
    step: StepId
    run: RunId


class SubrunWait(msgspec.Struct, frozen=True):
    """A run of a step that waits for somebody."""

    run: RunId
    signals: tuple[str, ...]
    """What it waits for, in runs of its own steps too."""


class SubrunsWaiting(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All runs that a step has under way wait for somebody, or one of them goes on."""

    TYPE: ClassVar[str] = "subrun.waiting"
    step: StepId
    attempt: int = 1
    waits: tuple[SubrunWait, ...] = ()
    """Empty: one of them goes on."""


class TimerFired(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A timer that a command set came due."""

    TYPE: ClassVar[str] = "timer.fired"
    timer: str


class SignalReceived(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A person or another program answered a waiting step."""

    TYPE: ClassVar[str] = "signal.received"
    name: str
    payload: Json = None
    actor: str = ""
    role: str = ""
    """In what role the person answered; empty: in none."""


class TaskMoved(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A task for people passed into somebody's hands, or out of them."""

    TYPE: ClassVar[str] = "task.moved"
    step: StepId
    how: Literal["taken", "assigned", "returned"]
    person: str = ""
    """Who has it now; empty: nobody."""
    actor: str = ""
    role: str = ""
    note: str = ""
    """What was said with it; may hold people's data."""


class TaskTold(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """People were told of a task that is theirs, or could not be."""

    TYPE: ClassVar[str] = "task.told"
    step: StepId
    notice: str
    """Which of its notices, such as `opened:0`, `reminder:0:1`, `escalated:1`."""
    channels: dict[str, str] = {}
    """How it went over each channel: `ok`, or the code of what kept it from arriving."""


class CancelRequested(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody wants the run stopped."""

    TYPE: ClassVar[str] = "cancel.requested"
    reason: str = ""
    actor: str = ""


class RunMigrated(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody moved the run to another definition, which decides from here on."""

    TYPE: ClassVar[str] = "run.migrated"
    workflow: str
    definition: DefinitionHash
    previous: DefinitionHash
    actor: str = ""
    tree: TreeMemory | None = None
    """What its behaviour tree remembers, in terms of the new one; None: no tree has been ticked."""
    timers: dict[str, str] = {}
    """Timers of the tree that are set, and what they are called from here on."""


Event: TypeAlias = (
    RunStarted
    | StepSucceeded
    | StepFailed
    | SubrunStarted
    | SubrunsWaiting
    | TimerFired
    | SignalReceived
    | TaskMoved
    | TaskTold
    | CancelRequested
    | RunMigrated
)
EVENTS: tuple[type[Event], ...] = (
    RunStarted,
    StepSucceeded,
    StepFailed,
    SubrunStarted,
    SubrunsWaiting,
    TimerFired,
    SignalReceived,
    TaskMoved,
    TaskTold,
    CancelRequested,
    RunMigrated,
)
