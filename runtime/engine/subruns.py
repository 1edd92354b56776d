"""Steps whose work is runs of their own: a workflow within a workflow, or one run for each item of a list.

A sub-run is bound to its step by an idempotency key, so after a crash the step finds the runs it has. Both journals
name each other. Sub-runs go on while the engine is stopped and started again, and are cancelled when their step is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import nullcontext
from typing import Protocol

import msgspec

from runtime.agents.templates import Template
from runtime.domain.canonical import Json, kind_in_words
from runtime.domain.event import (
    NO_USAGE,
    ErrorInfo,
    Event,
    Parent,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    SubrunsWaiting,
    SubrunWait,
)
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId, state_of
from runtime.domain.minimise import of_run
from runtime.domain.run import RunState, StepState
from runtime.domain.workflow import AgentSpec, SubrunSpec, Workflow, attempt_limits
from runtime.engine.answer import answer_of
from runtime.engine.executor import LiveRun
from runtime.errors import AgentFlowError, Conflict, StepFailure, Unavailable
from runtime.planners.llm import given_to
from runtime.planners.map import MAX_ITEMS, Outcome, answer, lost
from runtime.planners.scope import scope
from runtime.ports import Clock, Minimiser

RETRY_US = 1_000_000
"""How long a sub-run that cannot begin waits for a store in trouble."""
MOST_NAMED = 10
"""How many runs a message names."""

log = logging.getLogger(__name__)


class Host(Protocol):
    """What the engine does for sub-runs."""

    async def begin_subrun(self, workflow: Workflow, given: Json, of: RunState, parent: Parent, key: str) -> RunId:
        """The run with this key, begun where there is none; durable when this returns."""

    async def ended(self, run: RunId) -> RunState:
        """The final state, once there is one. Raises what keeps the run from going on here."""

    async def note_subrun(self, live: LiveRun, event: SubrunStarted | SubrunsWaiting) -> None:
        """Write down in its parent's journal that there is a sub-run, or waits; durable when this returns."""

    async def cancel(self, run: RunId, reason: str = "", *, actor: str = "") -> None:
        """Stop a run. Raises Conflict when it is final."""

    def in_background(self, work: Coroutine[object, object, None]) -> None:
        """Do this whatever becomes of the caller."""


class Subruns:
    """Carries out attempts at steps that have runs of their own."""

    def __init__(
        self,
        host: Host,
        *,
        definitions: Callable[[DefinitionHash], Awaitable[Workflow]],
        clock: Clock,
        minimiser: Minimiser | None,
    ) -> None:
        self._host = host
        self._definitions = definitions
        self._clock = clock
        self._minimiser = minimiser
        self._under_way: dict[tuple[RunId, StepId], _Attempt] = {}

    def saw(self, part: RunState) -> None:
        """Take notice of how a run stands that is a part of another, so that the other one says that it waits."""
        if not part.parent:
            return
        attempt = self._under_way.get((part.parent.run, part.parent.step))
        if attempt is not None and attempt.number == part.parent.attempt and attempt.saw(part):
            self._host.in_background(self._note(attempt))

    async def goes_on(self, outer: LiveRun, step: StepId, part: RunId) -> None:
        """Have the outer run say that it waits no longer for its part, where it says so; durable when this returns."""
        attempt = self._under_way.get((outer.state.run, step))
        async with attempt.noting if attempt is not None else nullcontext():
            async with outer.lock:  # what is on its way to the journal is kept by now
                known = outer.state.steps[step]
            if any(wait.run == part for wait in known.waits or ()):
                await self._host.note_subrun(outer, SubrunsWaiting(step=step, attempt=known.attempt))

    async def attempt(self, live: LiveRun, step: StepState) -> Event:
        """Try the step once; the event says how it ended.

        Cancelling this leaves the runs as they are, unless the step has ended.
        """
        attempt = _Attempt(live, step)
        self._under_way[live.state.run, attempt.step] = attempt
        try:
            return await self._attempt(attempt)
        finally:
            if self._under_way.get((live.state.run, attempt.step)) is attempt:
                del self._under_way[live.state.run, attempt.step]

    async def _attempt(self, attempt: "_Attempt") -> Event:
        live = attempt.live
        started_us = self._clock.now_us()
        try:
            try:
                async with asyncio.timeout(attempt.timeout_s) as bound:
                    output = await self._act(attempt)
            except TimeoutError:
                if not bound.expired():
                    raise
                raise _too_late(attempt) from None
        except asyncio.CancelledError:
            if not attempt.is_wanted:
                self._host.in_background(self._cancel_all(attempt))
            raise
        except AgentFlowError as error:
            failure = ErrorInfo(error.code, error.message, error.retryable)
        except Exception as error:  # one step must not take the engine down
            log.exception("step %s of run %s crashed", attempt.step, live.state.run)
            failure = ErrorInfo("agent.crashed", f"{type(error).__name__} in step {attempt.step!r}; see the log")
        else:
            return StepSucceeded(
                step=attempt.step,
                output=output,
                attempt=attempt.number,
                duration_ms=(self._clock.now_us() - started_us) // 1_000,
                evidence=attempt.evidence(),
            )
        await self._cancel_all(attempt)
        duration_ms = (self._clock.now_us() - started_us) // 1_000
        return StepFailed(step=attempt.step, error=failure, attempt=attempt.number, duration_ms=duration_ms)

    async def _act(self, attempt: "_Attempt") -> Json:
        workflow = await self._definitions(attempt.subrun.workflow.hash)
        given = await self._given(attempt)
        attempt.total = len(given)
        if attempt.subrun.over is None:
            outcome = await self._one(attempt, workflow, given[0], 0)
            if isinstance(outcome, ErrorInfo):
                raise StepFailure(outcome.code, outcome.message, retryable=outcome.retryable)
            return outcome
        return await self._all(attempt, workflow, given)

    async def _all(self, attempt: "_Attempt", workflow: Workflow, given: Sequence[Json]) -> Json:
        """Run each item, so many at a time, until all have ended or too many have failed."""
        outcomes: list[Outcome | None] = [None] * len(given)
        places = asyncio.Semaphore(attempt.subrun.at_once)

        async def work(number: int) -> None:
            async with places:
                outcomes[number] = outcome = await self._one(attempt, workflow, given[number], number)
            if not isinstance(outcome, ErrorInfo):
                return
            failure = lost(outcomes, len(given), attempt.subrun.min_success_ratio)
            if failure is not None:
                raise StepFailure(failure.code, failure.message, retryable=failure.retryable)

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(len(given)):
                    group.create_task(work(number))
        except BaseExceptionGroup as failures:
            known = failures.subgroup(AgentFlowError)
            if known is None:
                raise
            raise _first(known) from None
        return answer(outcomes)

    async def _one(self, attempt: "_Attempt", workflow: Workflow, given: Json, number: int) -> Outcome:
        run = await self._begin(attempt, workflow, given, number)
        if run not in (attempt.live.state.steps[attempt.step].runs or ()):
            await self._host.note_subrun(attempt.live, SubrunStarted(step=attempt.step, run=run))
        await self._note(attempt)  # it may have come to wait before it was known here
        state = await self._host.ended(run)
        attempt.ended[run] = state
        if attempt.total > 1:
            await self._note(attempt)
        error = state.error
        if state.status == "succeeded":
            return await self._restored(state, answer_of(workflow, state))
        said = await self._restored(state, "" if error is None else error.message)
        message = f"run {run} of workflow {workflow.name!r} has {state.status}: {said}"
        if state.status == "cancelled" or error is None:
            return ErrorInfo("subrun.cancelled", message)
        return ErrorInfo(error.code, message, error.retryable)

    async def _note(self, attempt: "_Attempt") -> None:
        """Write down that all runs under way wait, or no longer do."""
        async with attempt.noting:
            waits = attempt.news()
            if waits is not None and attempt.is_wanted:
                noted = SubrunsWaiting(step=attempt.step, attempt=attempt.number, waits=waits)
                await self._host.note_subrun(attempt.live, noted)

    async def _begin(self, attempt: "_Attempt", workflow: Workflow, given: Json, number: int) -> RunId:
        parent = Parent(run=attempt.live.state.run, step=attempt.step, attempt=attempt.number)
        key = f"subrun/{parent.run}/{parent.step}/{parent.attempt}/{number}"
        while True:
            try:
                beginning = self._host.begin_subrun(workflow, given, attempt.live.state, parent, key)
                return await attempt.begin(number, beginning)
            except Unavailable as error:
                if not error.retryable:
                    raise
                log.warning("a sub-run of run %s is held up: %s", parent.run, error)
            await self._clock.sleep_until(self._clock.now_us() + RETRY_US)

    async def _given(self, attempt: "_Attempt") -> list[Json]:
        """The inputs of the runs: one, or one for each item."""
        state, spec, subrun = attempt.live.state, attempt.spec, attempt.subrun
        over = None if subrun.over is None else Template(subrun.over)
        shape = None if spec.input is None else Template(spec.input)
        names = (over.names if over else frozenset()) | (shape.names if shape else frozenset())
        data, given = scope(state, names, attempt.step), given_to(state, attempt.step)
        if state.is_minimised:
            assert self._minimiser is not None, "the engine has refused the run otherwise"
            restored = await self._minimiser.restored(of_run(state.tenant, state.run), [data, given])
            assert isinstance(restored, list), "restoring keeps the shape"
            data, given = restored[0], restored[1]  # type: ignore[assignment]  # it keeps the shape
        if over is None:
            return [given if shape is None else shape.render(data)]
        items = over.render(data)
        if not isinstance(items, list) or len(items) > MAX_ITEMS:
            found = f"{len(items):,} items" if isinstance(items, list) else kind_in_words(items)
            raise StepFailure(
                "map.not_a_list",
                f"'over' of agent {spec.id!r} must give a list of up to {MAX_ITEMS:,} items; it gave {found}",
            )
        if shape is None:
            return items
        return [shape.render({**data, "item": item, "index": number}) for number, item in enumerate(items)]

    async def _restored(self, state: RunState, said: Json) -> Json:
        """What a sub-run says, with the values of its own pseudonyms; the parent keeps it as it keeps all else."""
        if not state.is_minimised or self._minimiser is None:
            return said
        return await self._minimiser.restored(of_run(state.tenant, state.run), said)

    async def _cancel_all(self, attempt: "_Attempt") -> None:
        """Cancel the runs of an attempt that have not ended, those that are just beginning included."""
        await attempt.begun()
        for run in attempt.open_runs():
            try:
                await self._host.cancel(run, why_ended(attempt.live.state.run, attempt.step))
            except Conflict:  # it has ended meanwhile
                continue
            except AgentFlowError as error:
                log.error("run %s could not be cancelled; it is when the engine starts: %s", run, error)


class _Attempt:
    """One attempt under way, and its runs."""

    def __init__(self, live: LiveRun, step: StepState) -> None:
        self.live = live
        self.step: StepId = step.step
        self.number = step.attempt
        self.spec: AgentSpec = live.workflow.agents[step.agent or AgentId(state_of(step.step))]
        assert self.spec.subrun is not None, "the executor has looked"
        self.subrun: SubrunSpec = self.spec.subrun
        self.runs: dict[int, RunId] = {}
        self.ended: dict[RunId, RunState] = {}
        self.total = 1
        """How many runs there are to be."""
        self.noting = asyncio.Lock()
        self._awaited: dict[RunId, tuple[str, ...]] = {}
        """What its runs wait for; empty: it goes on, or has ended."""
        self._beginning: dict[int, asyncio.Task[RunId]] = {}
        timeout_ms = attempt_limits(live.workflow, state_of(step.step), self.spec.id).timeout_ms
        self.timeout_s = timeout_ms / 1_000 if timeout_ms else None

    @property
    def is_wanted(self) -> bool:
        """Whether the run still waits for this attempt; so it does when the engine just stops."""
        state = self.live.state
        return not state.is_final and self.step in state.open and state.steps[self.step].attempt == self.number

    def saw(self, part: RunState) -> bool:
        """Take notice of how a run of it stands; whether that is news."""
        awaited = tuple(part.awaits()) if part.status == "waiting" else ()
        is_news = self._awaited.get(part.run) != awaited
        self._awaited[part.run] = awaited
        return is_news and not part.is_final  # what comes of its end is said where that is taken in

    def news(self) -> tuple[SubrunWait, ...] | None:
        """What its runs wait for where all wait, nothing where one no longer does; None: as it is written down."""
        written: tuple[SubrunWait, ...] = self.live.state.steps[self.step].waits or ()
        under_way = [run for run in self.runs.values() if run not in self.ended]
        places = min(self.subrun.at_once, self.total - len(self.ended))
        waits = tuple(SubrunWait(run, signals) for run in under_way if (signals := self._awaited.get(run)))
        if waits and len(waits) >= places:
            return waits if waits != written else None
        # runs that have not been looked at since a crash are taken to wait as they did
        goes_on = any(self._awaited.get(wait.run) == () for wait in written)
        return () if goes_on else None

    async def begin(self, number: int, beginning: Coroutine[object, object, RunId]) -> RunId:
        """Begin a run; it is known of even when nobody waits for it any more."""
        task = self._beginning[number] = asyncio.create_task(beginning)
        self.runs[number] = run = await asyncio.shield(task)
        return run

    async def begun(self) -> None:
        """Wait for runs that were beginning."""
        outcomes = await asyncio.gather(*self._beginning.values(), return_exceptions=True)
        found = zip(self._beginning, outcomes, strict=True)
        self.runs |= {number: RunId(run) for number, run in found if not isinstance(run, BaseException)}

    def open_runs(self) -> Iterable[RunId]:
        """Those that have begun, here or before a crash, and have not ended as far as is known."""
        known = dict.fromkeys([*self.runs.values(), *(self.live.state.steps[self.step].runs or ())])
        return [run for run in known if run not in self.ended]

    def evidence(self) -> dict[str, Json]:
        """Which runs answered, and what they took: it counts as theirs."""
        usage = NO_USAGE
        for state in self.ended.values():
            usage = usage.plus(state.usage)
        took: Json = msgspec.to_builtins(usage)
        if self.subrun.over is None:
            return {"run": self.runs[0], "usage": took}
        return {"runs": len(self.runs), "usage": took}


def _first(group: BaseExceptionGroup[AgentFlowError]) -> AgentFlowError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _too_late(attempt: _Attempt) -> StepFailure:
    limit_s = attempt.timeout_s or 0
    return StepFailure(
        "step.timeout",
        f"step {attempt.step!r} took over {limit_s:g} s; raise 'timeout' of its state or agent",
        retryable=True,
    )


def why_ended(run: RunId, step: StepId) -> str:
    """The reason for which the run of a step is cancelled that goes on without it."""
    return f"step {step} of run {run} has ended"


def is_orphan(parent: Parent, state: RunState) -> bool:
    """Whether the step that a run is a part of, in its run's `state`, has ended without it."""
    step = state.steps.get(parent.step)
    return step is None or state.is_final or parent.step not in state.open or step.attempt != parent.attempt


def part_awaiting(state: RunState, signal: str) -> RunId:
    """The one run of its steps that waits for a signal. Raises Conflict where there is none, or more than one."""
    parts = state.awaited_within().get(signal, [])
    if len(parts) == 1:
        return parts[0]
    if parts:
        raise Conflict(
            "run.awaited_by_several",
            f"{len(parts)} runs of the steps of run {state.run!r} wait for signal {signal!r}; answer each by itself: "
            + ", ".join(parts[:MOST_NAMED])
            + ("" if len(parts) <= MOST_NAMED else ", …"),
        )
    awaited = ", ".join(state.awaits())
    raise Conflict(
        "run.not_awaited",
        f"run {state.run!r} is {state.status} and does not wait for signal {signal!r}"
        + (f"; it waits for: {awaited}" if awaited else ""),
    )
