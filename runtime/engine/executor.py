"""The heart: take an event, fold it, decide, append both in one transaction, then carry out the commands.

A run's events are taken one after another. Nothing is carried out, and nobody is told, before the append is
durable; after a crash the same journal gives the same commands, and those unanswered are carried out again.
"""

import asyncio
import logging
from collections.abc import Callable

from runtime.domain.command import AwaitSignal, Command, FinishRun, SetTimer, StartStep, StopStep
from runtime.domain.event import Event, SignalReceived, StepFailed, StepSucceeded, TimerFired
from runtime.domain.ids import RunId, StepId
from runtime.domain.journal import Entry
from runtime.domain.run import RunState, StepState, apply
from runtime.domain.workflow import Workflow
from runtime.engine.dispatcher import Dispatcher
from runtime.errors import AgentFlowError
from runtime.ports import Clock, Planner, StateStore

log = logging.getLogger(__name__)


class LiveRun:
    """A run that this process works on."""

    def __init__(self, state: RunState, workflow: Workflow, planner: Planner) -> None:
        self.state = state
        self.workflow = workflow
        self.planner = planner
        self.lock = asyncio.Lock()
        self.steps: dict[StepId, asyncio.Task[None]] = {}
        self.timers: dict[str, asyncio.Task[None]] = {}
        self.settled: asyncio.Future[RunState] = asyncio.get_running_loop().create_future()
        """Done when the run is final or waits for a person; replaced when a waiting run goes on."""


class Executor:
    """Drives live runs."""

    def __init__(
        self, *, store: StateStore, dispatcher: Dispatcher, clock: Clock, on_closed: Callable[[RunId], None]
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock
        self._on_closed = on_closed
        self._stopping: set[asyncio.Task[None]] = set()

    async def record(self, live: LiveRun, event: Event, *, idempotency_key: str | None = None) -> bool:
        """Take an event: decide on it, make both durable, carry out. False when the run is past it.

        Raises what the store raises; the run is then closed here and goes on from its journal later.
        """
        async with live.lock:
            if not _is_current(live.state, event):
                return False
            expected_seq = live.state.seq
            entries = self._decide(live, event)
            try:
                await self._store.append(live.state.run, expected_seq, entries, idempotency_key=idempotency_key)
            except AgentFlowError as error:
                self.close(live, error)
                raise
            self._settle(live)
            for entry in entries[1:]:
                self._carry_out(live, entry.body)  # type: ignore[arg-type]  # commands stand behind the event
        return True

    def resume(self, live: LiveRun) -> None:
        """Carry out again what the journal has scheduled and nobody has answered."""
        self._settle(live)
        for step in live.state.open:
            if live.state.steps[step].status == "running":
                self._start(live, live.state.steps[step])
        for timer in live.state.timers:
            self._arm(live, timer)

    def close(self, live: LiveRun, error: AgentFlowError | None = None) -> None:
        """Stop working on a run; its journal stays as it is."""
        for task in (*live.steps.values(), *live.timers.values()):
            if task is not asyncio.current_task():
                task.cancel()
                self._stopping.add(task)
                task.add_done_callback(self._stopping.discard)
        live.steps.clear()
        live.timers.clear()
        if not live.settled.done():
            if error is None:
                live.settled.cancel()
            else:
                live.settled.set_exception(error)
                live.settled.exception()  # nobody may be waiting
        self._on_closed(live.state.run)

    async def stopped(self) -> None:
        """Wait until every step that was told to stop has stopped."""
        while self._stopping:
            await asyncio.wait(self._stopping)

    def _decide(self, live: LiveRun, event: Event) -> list[Entry]:
        state = live.state
        at_us = max(self._clock.now_us(), state.at_us)
        entries = [Entry(state.seq + 1, at_us, event)]
        apply(state, entries[0])
        for command in live.planner.decide(state, event):
            entries.append(Entry(state.seq + len(entries), at_us, command))
        for entry in entries[1:]:
            apply(state, entry)
        return entries

    def _settle(self, live: LiveRun) -> None:
        if live.state.is_final or live.state.status == "waiting":
            if not live.settled.done():
                live.settled.set_result(live.state)
        elif live.settled.done():
            live.settled = asyncio.get_running_loop().create_future()

    def _carry_out(self, live: LiveRun, command: Command) -> None:
        match command:
            case StartStep(step=step):
                self._start(live, live.state.steps[step])
            case AwaitSignal(step=step, timeout_ms=timeout_ms):
                if timeout_ms:
                    self._arm(live, step)
            case SetTimer(timer=timer):
                self._arm(live, timer)
            case StopStep(step=step):
                self._stop(live, step)
            case FinishRun():
                self.close(live)

    def _start(self, live: LiveRun, step: StepState) -> None:
        live.steps[step.step] = asyncio.create_task(self._run_step(live, step))

    async def _run_step(self, live: LiveRun, step: StepState) -> None:
        await self._clock.sleep_until(step.due_us)
        event = await self._dispatcher.attempt(live.workflow, live.state, step)
        live.steps.pop(step.step, None)
        await self._record_quietly(live, event)

    def _stop(self, live: LiveRun, step: StepId) -> None:
        timer = live.timers.pop(step, None)
        if timer is not None and timer is not asyncio.current_task():
            timer.cancel()
        task = live.steps.pop(step, None)
        if task is not None:
            task.cancel()
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def _arm(self, live: LiveRun, timer: str) -> None:
        live.timers[timer] = asyncio.create_task(self._run_timer(live, timer, live.state.timers[timer]))

    async def _run_timer(self, live: LiveRun, timer: str, due_us: int) -> None:
        await self._clock.sleep_until(due_us)
        live.timers.pop(timer, None)
        await self._record_quietly(live, TimerFired(timer=timer))

    async def _record_quietly(self, live: LiveRun, event: Event) -> None:
        """For tasks that nobody awaits: a store that fails has closed the run, and its waiters know why."""
        try:
            await self.record(live, event)
        except AgentFlowError as error:
            log.error("run %s stopped at entry %d: %s", live.state.run, live.state.seq, error)


def _is_current(state: RunState, event: Event) -> bool:
    """Whether the run still waits for this; a late answer to a stopped step is dropped."""
    if state.is_final:
        return False
    match event:
        case StepSucceeded(step=step, attempt=attempt) | StepFailed(step=step, attempt=attempt):
            return step in state.open and state.steps[step].attempt == attempt
        case TimerFired(timer=timer):
            return timer in state.timers
        case SignalReceived(name=name):
            return name in state.awaited()
    return True
