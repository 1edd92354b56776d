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
    CancelRequested,
    ErrorInfo,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    TimerFired,
    Usage,
)
from runtime.domain.human import is_expiry, step_of
from runtime.domain.ids import DefinitionHash, RunId, StepId, state_of
from runtime.domain.journal import Entry
from runtime.domain.plan import PLANNING
from runtime.domain.run import RunState
from runtime.domain.units import span
from runtime.engine.beats import Beat, beats_of, counted_along
from runtime.engine.signature import signature_of
from runtime.policies.refusals import is_refusal

Kind = Literal[
    "failed", "refused", "late", "unanswered", "judged", "undecided", "replanned", "cancelled", "interrupted"
]
PAUSE_US = 2_000_000
"""How long nothing may be done with a step that is under way before somebody must have stopped the process."""
GOOD_PART = 10
"""One part in so many of what ran out: tries that took as much had a share in it."""
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


def cause_of(history: History) -> Cause | None:
    """Why the run failed or was cancelled; None for one that has not."""
    if history.state.status not in ("failed", "cancelled"):
        return None
    walk = _Walk(history)
    chain = tuple(walk.chain())
    return Cause(chain=chain, pauses=tuple(walk.pauses)) if chain else None


class _Walk:
    """One journal, walked back from its end."""

    def __init__(self, history: History, *, out_of: str = "") -> None:
        """`out_of`: the step whose time was over when the run, a part of it, was stopped."""
        self._history = history
        self._out_of = out_of
        self._beats = beats_of(history.entries)
        self._begun: dict[tuple[str, int], int] = {}
        """(step, attempt) → the beat in which it was decided on."""
        self._agents: dict[tuple[str, int], str] = {}
        self._due_us: dict[str, int] = {}
        self._signals: dict[str, AwaitSignal] = {}
        self._answers: dict[int, str] = {}
        """Beat of a signal → the step that it answered."""
        self._along = counted_along(self._beats)
        self.pauses: list[Link] = []
        for number, beat in enumerate(self._beats):
            self._note(number, beat)

    def chain(self) -> list[Link]:
        """The links, first to last, without what was made good before the run failed of something else."""
        found = {number: self._links(number) for number in self._way()}
        kept: list[Link] = []
        good: set[tuple[str, str]] = set()
        for number, links in reversed(found.items()):
            who = self._subject(number)
            if not links:
                good.add(who)
            elif who in good and who[0]:
                kept = [*links, *kept] if self._took_much(who, found) else kept
            elif not (kept and self._is_answered(number, links[-1]) and _is_of_itself(kept[0])):
                kept = [*links, *kept]
        return _merged(kept)

    def _way(self) -> list[int]:
        """The beats on the way to the end, in order: each that led to one of them, or counted along with it."""
        way: set[int] = set()
        ahead = [len(self._beats) - 1]
        while ahead:
            number = ahead.pop()
            if number not in way:
                way.add(number)
                before = self._before(number)
                ahead += [*self._along[number], *([] if before is None else [before])]
        return sorted(way)

    def _subject(self, number: int) -> tuple[str, str]:
        """Of which state a beat is, and of which agent."""
        match self._beats[number].event:
            case StepFailed(step=step, attempt=attempt) | StepSucceeded(step=step, attempt=attempt):
                return state_of(step), self._agents.get((step, attempt), "")
            case TimerFired(timer=timer):
                return state_of(StepId(step_of(timer) or timer)), ""
            case SignalReceived():
                return state_of(StepId(self._answers.get(number, ""))), ""
        return "", ""

    def _is_answered(self, number: int, link: Link) -> bool:
        """Whether the step has an answer all the same: of an agent that took over, or of the other items."""
        event = self._beats[number].event
        if link.kind in ("judged", "replanned") or not isinstance(event, StepFailed | StepSucceeded | TimerFired):
            return False
        step = step_of(event.timer) or event.timer if isinstance(event, TimerFired) else event.step
        return any(isinstance(each.event, StepSucceeded) and each.event.step == step for each in self._beats[number:])

    def _took_much(self, who: tuple[str, str], found: Mapping[int, Sequence[Link]]) -> bool:
        """Whether tries that were made good took a good part of the time, money or steps that ran out in the end."""
        last = len(self._beats) - 1
        code = found[last][-1].error.code if found[last] else ""
        if code in LATE:
            taken = {number: beat.at_us - self._begun_us(number) for number, beat in enumerate(self._beats)}
            total = self._beats[last].at_us - self._beats[0].at_us
        elif code.startswith("budget."):
            taken = {number: _paid(beat, self._history.state.usage) for number, beat in enumerate(self._beats)}
            total = sum(taken.values())
        elif code == "plan.too_long":
            taken, total = dict.fromkeys(found, 1), len(found)
        else:
            return False
        tries = sum(taken[number] for number in found if found[number] and self._subject(number) == who)
        return tries > 0 and tries * GOOD_PART >= total

    def _begun_us(self, number: int) -> int:
        before = self._before(number)
        return self._beats[number if before is None else before].at_us

    def _note(self, number: int, beat: Beat) -> None:
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
            case TimerFired(timer=timer) if timer in self._signals:
                return self._begun.get((timer, 1))
            case TimerFired(timer=timer) if timer != RUN_TIMER:
                return next((self._last_begun(step) for step in _halted(self._beats[number])), None)
            case TimerFired() | CancelRequested():
                return next((self._last_begun(step) for step in self._open_at(self._beats[number].seq)), None)
            case SignalReceived():
                return self._last_begun(self._answers.get(number, ""))
        return None

    def _links(self, number: int) -> list[Link]:
        """What went wrong in one beat: nothing in most."""
        beat = self._beats[number]
        match beat.event:
            case StepFailed(step=step, attempt=attempt, error=error):
                self._look_for_pause(beat, step, attempt)
                agent = self._agents.get((step, attempt), "")
                link = self._link(beat, _kind(error), error, step=step, agent=agent)
                return [*self._within(step, attempt, link.kind), link]
            case StepSucceeded(step=step, attempt=attempt):
                self._look_for_pause(beat, step, attempt)
                lost = self._lost(step, attempt)
                if self._along[number] and beat.failing:  # not its answer was it, but those that had failed before
                    step = StepId("")
                return lost or self._judged(beat, step, self._agents.get((step, attempt), ""))
            case SignalReceived():
                return self._judged(beat, self._answers.get(number, ""), "")
            case TimerFired(timer=timer):
                return self._timed_out(beat, timer)
            case CancelRequested() if self._out_of:
                told = f"the time of step {self._out_of!r} was over"
                return self._stopped(beat, "step.timeout", told, busy=self._open_at(beat.seq))
            case CancelRequested(reason=reason, actor=actor):
                said = f"{actor or 'somebody'} cancelled the run" + (f": {reason}" if reason else "")
                return [self._link(beat, "cancelled", ErrorInfo("run.cancelled", said))]
            case RunStarted() if finish := beat.failing:
                return [self._link(beat, "undecided", _error_of(finish))]
        return []

    def _judged(self, beat: Beat, step: str, agent: str) -> list[Link]:
        """An answer that was not good enough, or on which nothing could be decided."""
        finish, why = beat.failing, _why(beat.commands)
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

    def _timed_out(self, beat: Beat, timer: str) -> list[Link]:
        late_us = beat.at_us - self._due_us.get(timer, beat.at_us)
        slept = self._pause(beat, late_us) if late_us >= PAUSE_US else None
        wait = self._signals.get(timer)
        if timer == RUN_TIMER:
            finish = beat.failing
            error = ErrorInfo("run.timeout", "the run took too long") if finish is None else _error_of(finish)
            links = self._stopped(beat, error.code, error.message, busy=self._open_at(beat.seq))
        elif (task := self._signals.get(step_of(timer))) is not None:
            links = [self._link(beat, "unanswered", _expired(task), step=task.step)] if is_expiry(timer) else []
        elif wait is not None:
            limit_s = wait.timeout_ms / 1_000
            said = f"nobody answered with signal {wait.signal!r} within {limit_s:g} s"
            links = [self._link(beat, "unanswered", ErrorInfo("wait.timeout", said), step=timer)]
        else:
            told = f"the time limit of {timer!r} passed"
            links = self._stopped(beat, "tree.timeout", told, busy=_halted(beat), place=timer)
        if slept is None:
            return links
        if not self._is_at_work(beat.seq):  # whoever was asked had until then to answer, whether a process ran or not
            self.pauses.append(slept)
            return links
        return [slept, *links]

    def _is_at_work(self, seq: int) -> bool:
        """Whether anything but waits was under way before an entry."""
        return any(step not in self._signals for step in self._open_at(seq))

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

    def _stopped(self, beat: Beat, code: str, message: str, *, busy: Sequence[str], place: str = "") -> list[Link]:
        """A time limit that ended what was under way, in the runs of steps too; `place`: whose limit it was."""
        told = f"{message}; under way then: {', '.join(busy)}" if busy else message
        link = self._link(beat, "late", ErrorInfo(code, told), step=busy[0] if busy else place)
        within = self._within(StepId(busy[0]), self._latest(busy[0]), "late") if busy else ()
        return [*within, link]

    def _within(self, step: StepId, attempt: int, kind: Kind) -> tuple[Link, ...]:
        """The chain of the run that made a step fail, where it has runs of its own."""
        parts = self._parts(step, attempt)
        if failed := [part for part in parts if part.state.status == "failed" or _was_cancelled_by_hand(part)]:
            found = cause_of(min(failed, key=lambda part: part.state.ended_us))
            return () if found is None else found.chain
        stopped = [part for part in parts if part.state.status == "cancelled"] if kind == "late" else []
        return tuple(_Walk(stopped[0], out_of=step).chain()) if stopped else ()

    def _lost(self, step: StepId, attempt: int) -> list[Link]:
        """The first of the items that failed, of a step that has its answer without them."""
        failed = [part for part in self._parts(step, attempt) if part.state.status == "failed"]
        found = cause_of(min(failed, key=lambda part: part.state.ended_us)) if failed else None
        if found is None:
            return []
        *way, last = found.chain
        return [*way, msgspec.structs.replace(last, then=f"{step} went on without it")]

    def _parts(self, step: StepId, attempt: int) -> list[History]:
        known = self._history.state.steps[step].runs or ()
        parts = [self._history.parts[run] for run in known if run in self._history.parts]
        return [part for part in parts if _attempt_of(part) == attempt]

    def _latest(self, step: str) -> int:
        return max((attempt for begun, attempt in self._begun if begun == step), default=1)

    def _look_for_pause(self, beat: Beat, step: StepId, attempt: int) -> None:
        if self._parts(step, attempt) or not isinstance(beat.event, StepFailed | StepSucceeded):
            return  # it may have waited, and their own journals tell
        worked_us = beat.event.duration_ms * 1_000
        idle_us = beat.at_us - worked_us - self._due_us.get(f"{step}/{attempt}", beat.at_us)
        if idle_us >= PAUSE_US:
            self.pauses.append(self._pause(beat, idle_us))

    def _pause(self, beat: Beat, idle_us: int) -> Link:
        said = f"nobody worked on the run for {_words(idle_us)}: the process was stopped, or had crashed"
        return self._link(beat, "interrupted", ErrorInfo("run.interrupted", said))

    def _link(self, beat: Beat, kind: Kind, error: ErrorInfo, *, step: str = "", agent: str = "") -> Link:
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
    if is_refusal(error.code):
        return "refused"
    return "late" if error.code in LATE else "failed"


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


def _halted(beat: Beat) -> list[str]:
    return [command.step for command in beat.commands if isinstance(command, StopStep)]


def _attempt_of(part: History) -> int:
    return part.state.parent.attempt if part.state.parent else 1


def _was_cancelled_by_hand(part: History) -> bool:
    """Whether somebody asked for it, and not the step that it is a part of, which had ended."""
    return part.state.status == "cancelled" and any(
        isinstance(entry.body, CancelRequested) and entry.body.actor for entry in part.entries
    )


def _is_of_itself(link: Link) -> bool:
    """Whether no answer of a step before can have led to this, however poor it was."""
    return link.kind not in ("failed", "judged", "undecided", "replanned") or link.error.retryable


def _paid(beat: Beat, all_of_it: Usage) -> int:
    """What a step cost: money, or tokens where nothing of the run has a price."""
    if not isinstance(beat.event, StepFailed | StepSucceeded):
        return 0
    usage = beat.event.usage
    return usage.cost_usd_micros if all_of_it.cost_usd_micros else usage.input_tokens + usage.output_tokens


def _expired(task: AwaitSignal) -> ErrorInfo:
    terms = task.terms
    people = " or ".join(terms.roles_at(len(terms.chain))) or terms.assignee if terms is not None else ""
    limit = f" within {span(terms.expires_ms)}" if terms is not None and terms.expires_ms else ""
    return ErrorInfo("human.expired", f"nobody answered the task{f' for {people}' if people else ''}{limit}")
