"""Tasks for people: whose they are, how they pass from hand to hand, and the timers that move them on. Pure.

A task is a step that waits. It is offered to a role, taken by a person, and comes to an answer; each time its time runs
out it goes to the next role of its chain, and at last it expires.
"""

from typing import ClassVar, Literal

import msgspec

HUMAN_TIMERS = "human:"
"""What the names of a task's timers begin with; no step's name can."""

TaskStatus = Literal["created", "assigned", "in_progress", "escalated", "completed", "expired", "cancelled"]
"""`created`: offered to a role; `assigned`: a person is named; `in_progress`: a person has taken it; `escalated`: its
time ran out and nobody has it since; the other three are final."""


class Level(msgspec.Struct, frozen=True, omit_defaults=True):
    """One role of an escalation chain."""

    role: str
    after_ms: int
    """How long the level before has had by then."""


class Terms(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Whose a task is, and how: what its definition said when it was opened."""

    DECISIONS: ClassVar[tuple[str, ...]] = ("approve", "reject")
    role: str = ""
    """Who may take it; empty, with no other role and no assignee: anybody."""
    backup: str = ""
    """A role that may take it as well, and is told of it with the first reminder."""
    assignee: str = ""
    """The person who is named when it is opened; empty: nobody."""
    decisions: tuple[str, ...] = DECISIONS
    """What may be decided."""
    chain: tuple[Level, ...] = ()
    reminders_ms: tuple[int, ...] = ()
    """How long after it came to a level people are reminded."""
    channels: tuple[str, ...] = ()
    """How people are told."""
    expires_ms: int = 0
    """How long it is open at most; 0: without end."""
    on_expiry: str = ""
    """What is decided when its time is up; empty: the step fails."""

    def roles_at(self, level: int) -> tuple[str, ...]:
        """Who may answer it at a level of its chain; empty: anybody."""
        named = (self.role, self.backup, *(each.role for each in self.chain[:level]))
        return tuple(dict.fromkeys(role for role in named if role))


class TaskState(msgspec.Struct, omit_defaults=True):
    """Where a task is now."""

    terms: Terms
    level: int = 0
    """How often its time ran out; it never grows less."""
    assignee: str = ""
    taken_by: str = ""
    moves: int = 0
    outcome: Literal["", "completed", "expired"] = ""
    decided_by: str = ""
    """Who answered it; empty: nobody did."""
    untold: list[str] = []
    """The notices that nobody has been told of yet."""
    told: dict[str, dict[str, str]] = {}
    """How each notice went, by channel."""

    def offer(self) -> None:
        """Open it."""
        self.assignee = self.terms.assignee
        self._tell("opened:0")

    def fire(self, timer: str) -> None:
        """A timer of it has come due: people are reminded, or it goes to the next level."""
        kind, level, number = parts_of(timer)
        if kind == "escalate" and level == self.level:
            self.level = level + 1
            self.assignee = self.taken_by = ""
            self._tell(f"escalated:{self.level}")
        elif kind == "remind" and level == self.level:
            self._tell(f"reminder:{level}:{number}")

    def move(self, how: str, person: str) -> None:
        """It passes into a person's hands, or out of them."""
        self.moves += 1
        self.taken_by = person if how == "taken" else ""
        self.assignee = person if how == "assigned" else "" if how == "returned" else self.assignee
        if how == "assigned":
            self._tell(f"assigned:{self.moves}")

    def _tell(self, notice: str) -> None:
        if self.terms.channels:
            self.untold = [*self.untold, notice]

    def tell(self, notice: str, channels: dict[str, str]) -> None:
        """People were told, or could not be."""
        self.untold = [each for each in self.untold if each != notice]
        self.told = {**self.told, notice: channels}


def status_of(task: TaskState, *, is_open: bool) -> TaskStatus:
    """The status of a task; `is_open`: whether its step still waits."""
    if task.outcome:
        return task.outcome
    if not is_open:
        return "cancelled"
    if task.taken_by:
        return "in_progress"
    if task.assignee:
        return "assigned"
    return "escalated" if task.level else "created"


def timers_at(terms: Terms, level: int, step: str) -> dict[str, int]:
    """The timers that are set when a task comes to a level, and how long each runs, in milliseconds."""
    timers = {
        f"{HUMAN_TIMERS}remind:{level}:{number}:{step}": delay_ms
        for number, delay_ms in enumerate(terms.reminders_ms, start=1)
    }
    if terms.expires_ms and not level:
        timers[f"{HUMAN_TIMERS}expire:0:0:{step}"] = terms.expires_ms
    if level < len(terms.chain):
        timers[f"{HUMAN_TIMERS}escalate:{level}:0:{step}"] = terms.chain[level].after_ms
    return timers


def parts_of(timer: str) -> tuple[str, int, int]:
    """What a task's timer does, at which level, and its number there."""
    _, kind, level, number, _ = timer.split(":", 4)
    return kind, int(level), int(number)


def step_of(timer: str) -> str:
    """The step whose task a timer is for; empty: it is no such timer."""
    return timer.split(":", 4)[4] if timer.startswith(HUMAN_TIMERS) else ""


def is_expiry(timer: str) -> bool:
    """Whether a timer ends a task."""
    return timer.startswith(f"{HUMAN_TIMERS}expire:")


def is_end(timer: str) -> bool:
    """Whether a timer ends a task, or takes it to the next level."""
    return timer.startswith((f"{HUMAN_TIMERS}expire:", f"{HUMAN_TIMERS}escalate:"))


def audience(task: TaskState, notice: str) -> tuple[str, ...]:
    """Whom a notice is for: the person who has the task, else the roles whose turn it is."""
    kind = notice.partition(":")[0]
    if person := task.taken_by or task.assignee:
        return (person,)
    terms = task.terms
    if task.level:
        return (terms.chain[task.level - 1].role,)
    named = (terms.role, terms.backup) if kind == "reminder" else (terms.role or terms.backup,)
    return tuple(role for role in named if role)
