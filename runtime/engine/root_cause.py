"""Root cause: what first went wrong on the way to a run's failure, and how one thing led to the next.

A pure query over journals. It walks back from the end: the event that the end was decided on, the step that the event
is of, the event that this step was decided on, and so on to the start. What went wrong on this way is the chain, its
earliest link the first cause: not the last error, which is often a consequence. A step with runs of its own is looked
into, so the first cause may stand in another journal.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from runtime.domain.command import (
    RUN_TIMER,
    AwaitSignal,
    Command,
    FinishRun,
    KeepPlan,
    Replan,
    SetTimer,
    StartStep,
    StopStep,
)
from runtime.domain.event import (
    EVENTS,
    CancelRequested,
    ErrorInfo,
    Event,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    TimerFired,
)
from runtime.domain.human import is_expiry, step_of
from runtime.domain.ids import DefinitionHash, RunId, StepId, state_of
from runtime.domain.journal import Entry
from runtime.domain.plan import PLANNING
from runtime.domain.run import RunState
from runtime.domain.units import span
from runtime.engine.signature import signature_of

Kind = Literal[
    "failed", "refused", "late", "unanswered", "judged", "undecided", "replanned", "cancelled", "interrupted"
]
PAUSE_US = 2_000_000
"""How long nothing may be done with a step that is under way before somebody must have stopped the process."""
REFUSALS = ("budget.", "egress.", "redaction.", "airgap.", "residency.")
"""How the codes of errors begin by which a policy says no."""
REFUSED = frozenset({"model.all_refused", "tool.not_granted", "tool.unknown", "tool.refused", "workflow.refused"})
LATE = frozenset({"step.timeout", "run.timeout", "tree.timeout"})
_ROUND = re.compile(r"\(round [0-9]+ of [0-9]+\)$")


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One run with the runs that its steps have of their own."""

    state: RunState
    entries: Sequence[Entry]
    parts: Mapping[RunId, "History"] = {}


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong."""

    run: RunId
    workflow: str
    definition: DefinitionHash
    seq: int
    at_us: int
    kind: Kind
    error: ErrorInfo
    step: str = ""
    """The state's name, and which visit; empty: it was no step's."""
    agent: str = ""
    times: int = 1
    """How often it happened in a row: attempts, or rounds of a quality gate."""
    then: str = ""
    """What was decided on it, where that was not just to fail: `tried again`, or the step that followed."""

    @property
    def place(self) -> str:
        """Where it happened, as far as that is the same in other runs: `support/answer`."""
        return f"{self.workflow}/{state_of(StepId(self.step))}" if self.step else self.workflow


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed."""

    chain: tuple[Link, ...]
    """From the first cause to the end, each link before what it led to; never empty."""
    pauses: tuple[Link, ...] = ()
    """Times in which nobody worked on the run, which need not have led to anything."""

    @property
    def first(self) -> Link:
        """The first cause."""
        return self.chain[0]

    @property
    def signature(self) -> str:
        """What equal failures have in common."""
        return signature_of(self.first.error, self.first.place, self.first.definition)


class _Beat(msgspec.Struct, frozen=True):
    """An event and what was decided on it."""

    seq: int
    at_us: int
    event: Event
    commands: tuple[Command, ...]


def cause_of(history: History) -> Cause | None:
    """Why the run failed or was cancelled; None for one that has not."""
    if history.state.status not in ("failed", "cancelled"):
        return None
    walk = _Walk(history)
    chain = tuple(walk.chain())
    return Cause(chain=chain, pauses=tuple(walk.pauses)) if chain else None


class _Walk:
    """One journal, walked back from its end."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._beats = _beats(history.entries)
        self._begun: dict[tuple[str, int], int] = {}
        """(step, attempt) → the beat in which it was decided on."""
        self._agents: dict[tuple[str, int], str] = {}
        self._due_us: dict[str, int] = {}
        self._signals: dict[str, AwaitSignal] = {}
        self._answers: dict[int, str] = {}
        """Beat of a signal → the step that it answered."""
        self.pauses: list[Link] = []
        for number, beat in enumerate(self._beats):
            self._note(number, beat)

    def chain(self) -> list[Link]:
        """The links, first to last."""
        links: list[Link] = []
        number: int | None = len(self._beats) - 1
        while number is not None:
            links = [*self._links(number), *links]
            number = self._before(number)
        return _merged(links)

    def _note(self, number: int, beat: _Beat) -> None:
        if isinstance(beat.event, SignalReceived):
            waiting = [step for step, wait in self._signals.items() if wait.signal == beat.event.name]
            if waiting:
                self._answers[number] = waiting[-1]
                del self._signals[waiting[-1]]
        for command in beat.commands:
            if isinstance(command, StartStep):
                self._begun[command.step, command.attempt] = number
                self._agents[command.step, command.attempt] = command.agent or state_of(command.step)
                self._due_us[f"{command.step}/{command.attempt}"] = beat.at_us + command.delay_ms * 1_000
            elif isinstance(command, AwaitSignal):
                self._begun[command.step, command.attempt] = number
                self._signals[command.step] = command
                self._due_us[command.step] = beat.at_us + command.timeout_ms * 1_000
            elif isinstance(command, SetTimer):
                self._due_us[command.timer] = beat.at_us + command.delay_ms * 1_000

    def _before(self, number: int) -> int | None:
        """The beat in which the step of this beat's event was decided on."""
        match self._beats[number].event:
            case StepFailed(step=step, attempt=attempt) | StepSucceeded(step=step, attempt=attempt):
                return self._begun.get((step, attempt))
            case TimerFired(timer=timer) if step_of(timer):
                return self._last_begun(step_of(timer))
            case TimerFired(timer=timer) if timer != RUN_TIMER:
                return self._begun.get((timer, 1))
            case TimerFired():
                return next((self._last_begun(step) for step in self._open_at(self._beats[number].seq)), None)
            case SignalReceived():
                return self._last_begun(self._answers.get(number, ""))
        return None

    def _links(self, number: int) -> list[Link]:
        """What went wrong in one beat: nothing in most."""
        beat = self._beats[number]
        match beat.event:
            case StepFailed(step=step, attempt=attempt, error=error):
                self._look_for_pause(beat, f"{step}/{attempt}", beat.event.duration_ms)
                agent = self._agents.get((step, attempt), "")
                link = self._link(beat, _kind(error), error, step=step, agent=agent)
                return [*self._within(step, attempt), link]
            case StepSucceeded(step=step, attempt=attempt):
                self._look_for_pause(beat, f"{step}/{attempt}", beat.event.duration_ms)
                return self._judged(beat, step, self._agents.get((step, attempt), ""))
            case SignalReceived():
                return self._judged(beat, self._answers.get(number, ""), "")
            case TimerFired(timer=timer):
                return self._timed_out(beat, timer)
            case CancelRequested(reason=reason, actor=actor):
                said = f"{actor or 'somebody'} cancelled the run" + (f": {reason}" if reason else "")
                return [self._link(beat, "cancelled", ErrorInfo("run.cancelled", said))]
            case RunStarted() if finish := _failing(beat):
                return [self._link(beat, "undecided", _error_of(finish))]
        return []

    def _judged(self, beat: _Beat, step: str, agent: str) -> list[Link]:
        """An answer that was not good enough, or on which nothing could be decided."""
        finish, why = _failing(beat), _why(beat.commands)
        if finish is not None:
            error = _error_of(finish)
            kind: Kind = "judged" if error.code.startswith(("quality.", "gate.", "replan.")) else "undecided"
            if kind == "undecided" and finish.state and finish.state != state_of(StepId(step)):
                step, agent = finish.state, ""  # a state that only decides, behind the step
            return [self._link(beat, kind, error, step=step, agent=agent)]
        if any(isinstance(command, Replan) for command in beat.commands):
            return [self._link(beat, "replanned", ErrorInfo("plan.changed", why), step=step, agent=agent)]
        if _ROUND.search(why):
            return [self._link(beat, "judged", ErrorInfo("quality.below_threshold", why), step=step, agent=agent)]
        if state_of(StepId(step)) == PLANNING and _asks_again(beat.commands):
            return [self._link(beat, "judged", ErrorInfo("plan.refused", why), step=step, agent=agent)]
        return []

    def _timed_out(self, beat: _Beat, timer: str) -> list[Link]:
        late_us = beat.at_us - self._due_us.get(timer, beat.at_us)
        slept = self._pause(beat, late_us) if late_us >= PAUSE_US else None
        wait = self._signals.get(timer)
        if timer == RUN_TIMER:
            finish = _failing(beat)
            error = ErrorInfo("run.timeout", "the run took too long") if finish is None else _error_of(finish)
            busy = self._open_at(beat.seq)
            told = ErrorInfo(
                error.code, f"{error.message}; under way then: {', '.join(busy)}" if busy else error.message
            )
            links = [self._link(beat, "late", told, step=busy[0] if busy else "")]
        elif (task := self._signals.get(step_of(timer))) is not None:
            links = [self._link(beat, "unanswered", _expired(task), step=task.step)] if is_expiry(timer) else []
        elif wait is not None:
            limit_s = wait.timeout_ms / 1_000
            said = f"nobody answered with signal {wait.signal!r} within {limit_s:g} s"
            links = [self._link(beat, "unanswered", ErrorInfo("wait.timeout", said), step=timer)]
        else:
            links = [
                self._link(beat, "late", ErrorInfo("tree.timeout", f"the time limit of {timer!r} passed"), step=timer)
            ]
        return [slept, *links] if slept is not None else links

    def _open_at(self, seq: int) -> list[str]:
        """The steps that were under way before an entry."""
        open_steps: dict[str, None] = {}
        for number, beat in enumerate(self._beats):
            if beat.seq >= seq:
                break
            if isinstance(beat.event, StepFailed | StepSucceeded):
                open_steps.pop(beat.event.step, None)
            open_steps.pop(self._answers.get(number, ""), None)
            for command in beat.commands:
                if isinstance(command, StartStep | AwaitSignal):
                    open_steps[command.step] = None
                elif isinstance(command, StopStep):
                    open_steps.pop(command.step, None)
        return list(open_steps)

    def _last_begun(self, step: str) -> int | None:
        return max((beat for (begun, _), beat in self._begun.items() if begun == step), default=None)

    def _within(self, step: StepId, attempt: int) -> tuple[Link, ...]:
        """The chain of the run that made a step fail, where it has runs of its own."""
        known = self._history.state.steps[step].runs or ()
        failed = [
            part
            for run in known
            if (part := self._history.parts.get(run)) is not None and _attempt_of(part) == attempt
            if part.state.status == "failed" or (part.state.status == "cancelled" and len(known) == 1)
        ]
        found = cause_of(min(failed, key=lambda part: part.state.ended_us)) if failed else None
        return () if found is None else found.chain

    def _look_for_pause(self, beat: _Beat, due: str, duration_ms: int) -> None:
        idle_us = beat.at_us - duration_ms * 1_000 - self._due_us.get(due, beat.at_us)
        if idle_us >= PAUSE_US:
            self.pauses.insert(0, self._pause(beat, idle_us))

    def _pause(self, beat: _Beat, idle_us: int) -> Link:
        said = f"nobody worked on the run for {_words(idle_us)}: the process was stopped, or had crashed"
        return self._link(beat, "interrupted", ErrorInfo("run.interrupted", said))

    def _link(self, beat: _Beat, kind: Kind, error: ErrorInfo, *, step: str = "", agent: str = "") -> Link:
        state = self._history.state
        return Link(
            run=state.run,
            workflow=state.workflow,
            definition=state.definition,
            seq=beat.seq,
            at_us=beat.at_us,
            kind=kind,
            error=error,
            step=step,
            agent=agent,
            then=_then(beat.commands, step),
        )


def _words(us: int) -> str:
    seconds = us // 1_000_000
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3_600} h"


def _beats(entries: Sequence[Entry]) -> list[_Beat]:
    beats: list[_Beat] = []
    for entry in entries:
        if isinstance(entry.body, EVENTS):
            beats.append(_Beat(entry.seq, entry.at_us, entry.body, ()))
        elif beats:
            beats[-1] = msgspec.structs.replace(beats[-1], commands=(*beats[-1].commands, entry.body))
    return beats


def _merged(links: Sequence[Link]) -> list[Link]:
    """Attempts and rounds that came to the same thing as one link: the first of them, and how many there were."""
    merged: list[Link] = []
    for link in links:
        last = merged[-1] if merged else None
        if last is not None and _alike(last) == _alike(link):
            merged[-1] = msgspec.structs.replace(last, times=last.times + 1, then=link.then)
        else:
            merged.append(link)
    return merged


def _alike(link: Link) -> tuple[object, ...]:
    return (link.run, link.kind, link.error.code, state_of(StepId(link.step)), link.agent)


def _kind(error: ErrorInfo) -> Kind:
    if error.code.startswith(REFUSALS) or error.code in REFUSED:
        return "refused"
    return "late" if error.code in LATE else "failed"


def _failing(beat: _Beat) -> FinishRun | None:
    last = beat.commands[-1] if beat.commands else None
    return last if isinstance(last, FinishRun) and last.status != "succeeded" else None


def _error_of(finish: FinishRun) -> ErrorInfo:
    return finish.error or ErrorInfo("run.failed", "the run ended without saying why")


def _why(commands: Sequence[Command]) -> str:
    return next((command.why for command in commands if _has_why(command)), "")  # type: ignore[union-attr]  # those have one


def _has_why(command: Command) -> bool:
    return isinstance(command, StartStep | AwaitSignal | Replan | KeepPlan | FinishRun) and bool(command.why)


def _asks_again(commands: Sequence[Command]) -> bool:
    return not any(isinstance(command, KeepPlan) and command.plan.source != "fallback" for command in commands)


def _then(commands: Sequence[Command], step: str) -> str:
    """What was done about it, in a word or two."""
    return ", ".join(_acts(commands, step))


def _acts(commands: Sequence[Command], step: str) -> Iterator[str]:
    for command in commands:
        match command:
            case Replan(strategy=strategy):
                yield f"replanned: {strategy}"
            case KeepPlan(plan=plan) if plan.source == "fallback":
                yield "the sub-plan took over"
            case StartStep(step=again, attempt=attempt) if again == step and attempt > 1:
                yield "tried again" if command.agent is None or not command.why else f"{command.agent} took over"
            case StartStep(step=other):
                yield other
            case AwaitSignal(step=other):
                yield f"a person in {other}"


def _attempt_of(part: History) -> int:
    return part.state.parent.attempt if part.state.parent else 1


def _expired(task: AwaitSignal) -> ErrorInfo:
    terms = task.terms
    people = " or ".join(terms.roles_at(len(terms.chain))) or terms.assignee if terms is not None else ""
    limit = f" within {span(terms.expires_ms)}" if terms is not None and terms.expires_ms else ""
    return ErrorInfo("human.expired", f"nobody answered the task{f' for {people}' if people else ''}{limit}")
