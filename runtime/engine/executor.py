"""The heart: take an event, fold it, decide, append both in one transaction, then carry out the commands.

A run's events are taken one after another. Nothing is carried out, and nobody is told, before the append is
durable; after a crash the same journal gives the same commands, and those unanswered are carried out again.

What a step or a timer has to say is held, and offered to the store again and again, while the store is in trouble:
a full disk costs time, never an answer. Whatever was folded and could not be kept is read back from the journal.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from runtime.domain.canonical import Json
from runtime.domain.command import AwaitSignal, Command, SetTimer, StartStep, StopStep
from runtime.domain.event import (
    ErrorInfo,
    Event,
    RunMigrated,
    RunStarted,
    SignalReceived,
    StepFailed,
    StepSucceeded,
    SubrunStarted,
    SubrunsWaiting,
    TaskMoved,
    TaskTold,
    TimerFired,
)
from runtime.domain.ids import AgentId, RunId, StepId, state_of
from runtime.domain.journal import Entry
from runtime.domain.minimise import of_run
from runtime.domain.run import RunState, StepState, apply, fold
from runtime.domain.workflow import Workflow
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.ended import tell_ended
from runtime.engine.minimise import masked, minimised, no_minimiser
from runtime.engine.promises import tell_late
from runtime.engine.reading import entries_of
from runtime.engine.what_if import Fork
from runtime.errors import AgentFlowError, Unavailable
from runtime.ports import Clock, Minimiser, Planner, StateStore

FIRST_RETRY_US = 1_000_000
LAST_RETRY_US = 30_000_000
"""How long an event waits for a store in trouble: a second, then twice as long each time, up to half a minute."""

Check = Callable[[RunState, Workflow], None]

log = logging.getLogger(__name__)


class LiveRun:
    """A run that this process works on."""

    def __init__(self, state: RunState, workflow: Workflow, planner: Planner) -> None:
        self.state = state
        self.workflow = workflow
        self.planner = planner
        self.fork: Fork | None = None
        """What it goes by where it asks what would have been."""
        self.lock = asyncio.Lock()
        self.steps: dict[StepId, asyncio.Task[None]] = {}
        self.timers: dict[str, asyncio.Task[None]] = {}
        self.notices: dict[tuple[StepId, str], asyncio.Task[None]] = {}
        """The notices of tasks for people that are under way."""
        self.recording: asyncio.Task[object] | None = None
        """The task whose event is on its way to the journal; it is never cut off there."""
        self.is_stale = False
        """Whether the state holds something that was not kept; it is folded again before it is used."""
        self.is_closed = False
        self.settled = _unsettled()
        """Done when the run is final or waits for a person; replaced when a waiting run goes on."""
        self.closed = asyncio.Event()
        """Set when nobody works on the run here any more."""


class Executor:
    """Drives live runs."""

    def __init__(
        self,
        *,
        store: StateStore,
        dispatcher: Dispatcher,
        clock: Clock,
        on_closed: Callable[[RunId], None],
        attempt_subrun: Callable[[LiveRun, StepState], Awaitable[Event]],
        on_part: Callable[[RunState], None],
        minimiser: Minimiser | None = None,
        mask: Callable[[Json], Json] | None = None,
    ) -> None:
        """`on_part`: told of every state of a run that is a part of another. `mask`: takes known secrets out of what
        is written."""
        self._mask = mask
        self._store = store
        self._minimiser = minimiser
        self._dispatcher = dispatcher
        self._clock = clock
        self._on_closed = on_closed
        self._attempt_subrun = attempt_subrun
        self._on_part = on_part
        self._stopping: set[asyncio.Task[None]] = set()

    async def record(
        self, live: LiveRun, event: Event, *, idempotency_key: str | None = None, check: Check | None = None
    ) -> bool:
        """Take an event: decide on it, make both durable, carry out. False when the run is past it.

        `check` raises what speaks against it as the run stands. Must not be cancelled. Raises what `check` and the
        store raise, AgentFlowError when the planner crashes, and Unavailable when the run was closed here before its
        end; nothing of the event is then kept.
        """
        async with live.lock:
            if live.is_closed and not live.state.is_final:
                raise engine_stopped(live.state.run)
            if live.is_stale:
                await self._rewind(live)
            if check is not None:
                check(live.state, live.workflow)
            if not _is_current(live.state, event):
                return False
            live.recording = asyncio.current_task()
            try:
                if self._mask is not None:
                    event = masked(event, self._mask)
                if event.minimised if isinstance(event, RunStarted) else live.state.is_minimised:
                    event = await self._minimised(live, event)
                commands = await self._append(live, event, idempotency_key)
                if isinstance(event, StepSucceeded):
                    await self._dispatcher.keep_turn(live.state.run, event.step)
                if not live.is_closed:  # else the commands are carried out when the run is taken up again
                    self._carry_out_all(live, commands)
            finally:
                live.recording = None
        return True

    async def begin_from(self, live: LiveRun, started: RunStarted, fork: Fork) -> None:
        """Begin a what-if: decide again on what is to be taken as it stands, and go on from there.

        All of it is durable, or nothing, when this returns. Must not be cancelled; raises as `record` does.
        """
        live.fork = fork
        async with live.lock:
            entries: list[Entry] = []
            event: Event | None = started
            while event is not None:
                if started.minimised:
                    event = await self._minimised(live, event)
                entries += self._decide(live, event)[0]
                event = None
                if not live.state.is_final:
                    event = await fork.next_event(live.workflow, live.state, _is_current, partial(self._restored, live))
            await self._store.append(live.state.run, 0, entries)
            if live.state.is_final:
                self._settle(live)
                self.close(live)
            else:
                self.resume(live)

    async def migrate(
        self,
        live: LiveRun,
        workflow: Workflow,
        planner: Planner,
        *,
        event_of: Callable[[RunState], RunMigrated],
    ) -> None:
        """Go by another definition from here on; durable when this returns. `event_of` says what that means in a
        state, or raises what speaks against it."""
        async with live.lock:
            if live.is_closed and not live.state.is_final:
                raise engine_stopped(live.state.run)
            if live.is_stale:
                await self._rewind(live)
            event = event_of(live.state)
            await self._append(live, event, None)
            live.workflow, live.planner = workflow, planner
            running = {new: live.timers.pop(old) for old, new in event.timers.items() if old in live.timers}
            for timer, task in running.items():
                self._end(live, task)
                self._arm(live, timer)

    def resume(self, live: LiveRun) -> None:
        """Carry out again what the journal has scheduled and nobody has answered."""
        self._settle(live)
        for step in live.state.open:
            if live.state.steps[step].status == "running":
                self._start(live, live.state.steps[step])
            elif live.fork is not None:
                self._ask_recording(live, step)
        for timer in live.state.timers:
            self._arm(live, timer)
        self._tell_people(live)

    def close(self, live: LiveRun, error: AgentFlowError | None = None) -> None:
        """Stop working on a run; its journal stays as it is. Whoever waits for its end gets the error."""
        live.is_closed = True
        for tasks in (live.steps, live.timers, live.notices):
            for task in tasks.values():
                self._end(live, task)
            tasks.clear()
        if not live.settled.done():
            _fail(live.settled, error or engine_stopped(live.state.run))
        self._on_closed(live.state.run)
        live.closed.set()

    async def stopped(self) -> None:
        """Wait until every step that was told to stop has stopped."""
        while self._stopping:
            await asyncio.wait(self._stopping)

    async def _rewind(self, live: LiveRun) -> None:
        live.state = fold(live.state.run, await entries_of(self._store, live.state.run))
        live.is_stale = False
        self._settle(live)

    async def _minimised(self, live: LiveRun, event: Event) -> Event:
        if self._minimiser is None:
            raise no_minimiser(f"run {live.state.run!r}")
        tenant = event.tenant if isinstance(event, RunStarted) else live.state.tenant
        return await minimised(event, of_run(tenant, live.state.run), self._minimiser)

    async def _append(self, live: LiveRun, event: Event, idempotency_key: str | None) -> list[Command]:
        expected_seq = live.state.seq
        try:
            entries, commands = self._decide(live, event)
            await self._store.append(
                live.state.run, expected_seq, entries, idempotency_key=idempotency_key, status=live.state.status
            )
        except BaseException:
            live.is_stale = True
            if live.settled.done():  # with a state that may hold what was not kept
                live.settled = _unsettled()
            raise
        return commands

    def _decide(self, live: LiveRun, event: Event) -> tuple[list[Entry], list[Command]]:
        state = live.state
        at_us = max(self._clock.now_us(), state.at_us)
        entries = [Entry(state.seq + 1, at_us, event)]
        apply(state, entries[0])
        try:
            commands = list(live.planner.decide(state, event))
        except Exception as error:
            log.exception("the planner crashed on entry %d of run %s", state.seq, state.run)
            raise _planner_crashed(live, event, error) from None
        for command in commands:
            entries.append(Entry(state.seq + 1, at_us, command))
            apply(state, entries[-1])
        return entries, commands

    def _settle(self, live: LiveRun) -> None:
        is_waiting = live.state.status == "waiting" and not live.state.is_overdue(self._clock.now_us())
        if live.state.is_final or is_waiting:
            if not live.settled.done():
                live.settled.set_result(live.state)
        elif live.settled.done():
            live.settled = _unsettled()
        if live.state.parent:
            self._on_part(live.state)

    def _carry_out_all(self, live: LiveRun, commands: list[Command]) -> None:
        self._settle(live)
        if live.state.is_final:  # whatever else was decided ended with the run
            tell_late(live.workflow, live.state)
            tell_ended(live.state)
            llm = live.workflow.llm
            if llm is not None and llm.keeps_plans and (live.state.status == "failed" or live.state.replans):
                forgetting = asyncio.create_task(self._dispatcher.forget_plans(live.workflow, live.state))
                self._stopping.add(forgetting)
                forgetting.add_done_callback(self._stopping.discard)
            self.close(live)
            return
        for command in commands:
            self._carry_out(live, command)
        if len(live.timers) > len(live.state.timers):
            for timer in live.timers.keys() - live.state.timers.keys():  # of a wait that was answered
                self._end(live, live.timers.pop(timer))
        self._tell_people(live)

    def _tell_people(self, live: LiveRun) -> None:
        """Tell people of the tasks that nobody was told of yet; a what-if tells nobody."""
        if live.state.what_if:
            return
        for step in live.state.open:
            task = live.state.steps[step].task
            for notice in task.untold if task else ():
                if (step, notice) not in live.notices:
                    telling = self._run_notice(live, live.state.steps[step], notice)
                    live.notices[step, notice] = asyncio.create_task(telling)

    async def _run_notice(self, live: LiveRun, step: StepState, notice: str) -> None:
        channels = await self._dispatcher.tell(live.workflow, live.state, step, notice)
        await self.keep(live, TaskTold(step=step.step, notice=notice, channels=channels))
        live.notices.pop((step.step, notice), None)

    def _carry_out(self, live: LiveRun, command: Command) -> None:
        match command:
            case StartStep(step=step):
                self._start(live, live.state.steps[step])
            case AwaitSignal(step=step, timeout_ms=timeout_ms):
                if timeout_ms:
                    self._arm(live, step)
                if live.fork is not None:
                    self._ask_recording(live, step)
            case SetTimer(timer=timer):
                self._arm(live, timer)
            case StopStep(step=step):
                self._stop(live, step)

    def _start(self, live: LiveRun, step: StepState) -> None:
        live.steps[step.step] = asyncio.create_task(self._run_step(live, step))

    def _ask_recording(self, live: LiveRun, step: StepId) -> None:
        live.steps[step] = asyncio.create_task(self._answer_as_recorded(live, step))

    async def _answer_as_recorded(self, live: LiveRun, step: StepId) -> None:
        """Answer a wait as a person did when it was waited for the same."""
        assert live.fork is not None, "the caller has looked"
        signal = await live.fork.signal(live.state, partial(self._restored, live))
        if signal is not None:
            await self.keep(live, signal)
        if live.steps.get(step) is asyncio.current_task():
            del live.steps[step]

    async def _perform(self, live: LiveRun, step: StepState) -> Event:
        await self._clock.sleep_until(step.due_us)
        spec = live.workflow.agents.get(step.agent or AgentId(state_of(step.step)))
        if spec is not None and spec.subrun is not None:
            return await self._attempt_subrun(live, step)
        return await self._dispatcher.attempt(live.workflow, live.state, step)

    async def _attempt(self, live: LiveRun, step: StepState) -> Event:
        if live.fork is None:
            return await self._perform(live, step)
        perform, restore = partial(self._perform, live, step), partial(self._restored, live)
        try:
            return await live.fork.attempt(live.workflow, live.state, step, perform=perform, restore=restore)
        except AgentFlowError as error:
            return StepFailed(step=step.step, error=ErrorInfo(error.code, error.message), attempt=step.attempt)

    async def _restored(self, live: LiveRun, value: Json) -> Json:
        """A value of the run with what its pseudonyms stand for."""
        if not live.state.is_minimised or self._minimiser is None:
            return value
        return await self._minimiser.restored(of_run(live.state.tenant, live.state.run), value)

    async def _run_step(self, live: LiveRun, step: StepState) -> None:
        event = await self._attempt(live, step)
        await self.keep(live, event)
        if live.steps.get(step.step) is asyncio.current_task():  # else the next attempt has its place
            del live.steps[step.step]

    def _stop(self, live: LiveRun, step: StepId) -> None:
        for task in (live.timers.pop(step, None), live.steps.pop(step, None)):
            if task is not None:
                self._end(live, task)

    def _arm(self, live: LiveRun, timer: str) -> None:
        if (before := live.timers.pop(timer, None)) is not None:  # of the person that another one answers in place of
            self._end(live, before)
        live.timers[timer] = asyncio.create_task(self._run_timer(live, timer, live.state.timers[timer]))

    async def _run_timer(self, live: LiveRun, timer: str, due_us: int) -> None:
        await self._clock.sleep_until(due_us)
        await self.keep(live, TimerFired(timer=timer))
        if live.timers.get(timer) is asyncio.current_task():
            del live.timers[timer]

    def _end(self, live: LiveRun, task: asyncio.Task[None]) -> None:
        """Stop a task of a run's, except where it is handing over its event."""
        if task is asyncio.current_task():
            return
        if task is not live.recording:
            task.cancel()
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def keep(self, live: LiveRun, event: Event) -> None:
        """Record an event that nobody else remembers, however long the store takes to be well again."""
        for delay_us in _delays_us():
            try:
                await self.record(live, event)
                return
            except Unavailable as error:
                if live.is_closed:
                    return
                self._hold_up(live, error)
            except AgentFlowError as error:
                log.error("run %s stopped at entry %d: %s", live.state.run, live.state.seq, error)
                self.close(live, error)
                return
            except Exception:  # a mistake of ours: a run must not stand still without a word
                log.exception("run %s stopped at entry %d", live.state.run, live.state.seq)
                self.close(live)
                return
            await self._clock.sleep_until(self._clock.now_us() + delay_us)

    def _hold_up(self, live: LiveRun, error: Unavailable) -> None:
        """Tell those who wait that it will take longer; later ones wait for the next try."""
        log.error("run %s is held up: %s", live.state.run, error)
        held_up, live.settled = live.settled, _unsettled()
        _fail(held_up, error)


def engine_stopped(run: RunId) -> Unavailable:
    """The error for whoever wants something of a run that is no longer worked on here."""
    return Unavailable(
        "engine.stopping", f"the engine stopped before the end of run {run!r}; it goes on when it starts"
    )


def _is_current(state: RunState, event: Event) -> bool:
    """Whether the run still waits for this; a late answer to a stopped step is dropped."""
    if state.is_final:
        return False
    match event:
        case StepSucceeded(step=step, attempt=attempt) | StepFailed(step=step, attempt=attempt):
            return step in state.open and state.steps[step].attempt == attempt
        case SubrunStarted(step=step):
            return step in state.open
        case SubrunsWaiting(step=step, attempt=attempt, waits=waits):
            known = state.steps[step]
            return step in state.open and known.attempt == attempt and waits != (known.waits or ())
        case TimerFired(timer=timer):
            return timer in state.timers
        case TaskMoved(step=step):
            return step in state.open and bool(state.steps[step].task)
        case TaskTold(step=step, notice=notice):
            task = state.steps[step].task
            return step in state.open and bool(task) and notice in task.untold  # type: ignore[union-attr]  # it is set
        case SignalReceived(name=name):
            return name in state.awaited() or name in (state.signals or ())
    return True


def _delays_us() -> Iterator[int]:
    delay_us = FIRST_RETRY_US
    while True:
        yield delay_us
        delay_us = min(2 * delay_us, LAST_RETRY_US)


def _unsettled() -> asyncio.Future[RunState]:
    return asyncio.get_running_loop().create_future()


def _fail(settled: asyncio.Future[RunState], error: AgentFlowError) -> None:
    settled.set_exception(error)
    settled.exception()  # nobody may be waiting


def _planner_crashed(live: LiveRun, event: Event, error: Exception) -> AgentFlowError:
    return AgentFlowError(
        "planner.crashed",
        f"the planner of workflow {live.workflow.name!r} raised {type(error).__name__} on {event.TYPE!r} of run "
        f"{live.state.run!r}; the log has the details. Cancel the run, or start again with a version that decides it",
    )
