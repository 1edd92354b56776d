"""The engine: starts, watches, signals and cancels runs, and takes up after a crash where the journal ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import msgspec

from runtime.domain.canonical import Json, encode
from runtime.domain.cost import Estimate
from runtime.domain.event import (
    CancelRequested,
    Parent,
    RunMigrated,
    RunStarted,
    SignalReceived,
    SubrunStarted,
    SubrunsWaiting,
    TaskMoved,
    WhatIf,
)
from runtime.domain.ids import DEFAULT_TENANT, DefinitionHash, RunId, StepId, TenantId
from runtime.domain.journal import Entry
from runtime.domain.minimise import of_run
from runtime.domain.run import RunState, fold, how_it_ended
from runtime.domain.trace import traceparent as context_for
from runtime.domain.workflow import Workflow, asks_to_minimise
from runtime.engine.admission import check_input, check_runnable, kept
from runtime.engine.bulkhead import AgentLoad
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.executor import Check, Executor, LiveRun, engine_stopped
from runtime.engine.forks import Forks, part_of_what_if
from runtime.engine.migrate import Migration, migration, moved
from runtime.engine.minimise import no_minimiser, restored, said_by, saying
from runtime.engine.reading import entries_of
from runtime.engine.recovery import take_up_unfinished
from runtime.engine.subruns import Subruns, part_awaiting, why_ended
from runtime.engine.what_if import Fork
from runtime.errors import AgentFlowError, Conflict, Unavailable
from runtime.memory.short_term import started_in
from runtime.planners.lifecycle import planner_for, planner_without_plan
from runtime.policies.human import Person, check_answer, check_move, check_signal, open_task
from runtime.ports import Clock, Minimiser, Planner, StateStore

DefinitionSource = Callable[[DefinitionHash], Awaitable[Workflow]]
"""Finds the workflow that a run is pinned to. Raises NotFound."""

NOTICE_GRACE_S = 5.0
"""How long `stop` waits for people to be told."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class EngineHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine is doing."""

    is_accepting: bool
    live_runs: int
    running_steps: int


class Engine:
    """One process's engine over one store."""

    def __init__(
        self,
        *,
        store: StateStore,
        definitions: DefinitionSource,
        dispatcher: Dispatcher,
        clock: Clock,
        minimiser: Minimiser | None = None,
        mask: Callable[[Json], Json] | None = None,
    ) -> None:
        """`minimiser`: None for an engine that keeps what it is given. `mask`: takes known secrets out of it."""
        self.store = store
        self._minimiser = minimiser
        self._definitions = definitions
        self._dispatcher = dispatcher
        self._clock = clock
        self._live: dict[RunId, LiveRun] = {}
        self._opening: dict[RunId, asyncio.Task[None]] = {}
        self._recording: set[asyncio.Task[Any]] = set()
        self._planners: dict[DefinitionHash, Planner] = {}
        self._subruns = Subruns(self, definitions=definitions, clock=clock, minimiser=minimiser)
        self._executor = Executor(
            store=store,
            dispatcher=dispatcher,
            clock=clock,
            on_closed=self._forget,
            attempt_subrun=self._subruns.attempt,
            on_part=self._subruns.saw,
            minimiser=minimiser,
            mask=mask,
        )
        self._forks = Forks(self.restored, definitions)
        self._is_accepting = False
        self._is_working = False

    async def start(self, *, recover: bool = True) -> int:
        """Accept runs; take up every unfinished one when `recover` is set. Returns how many were taken up."""
        await self._dispatcher.settle_turns(self.state)
        self._is_accepting = self._is_working = True
        if not recover:
            return 0
        return await take_up_unfinished(self, take_up=self._open, is_working=lambda: self._is_working)

    async def stop(self, grace_s: float = 0.0) -> None:
        """Accept nothing more, give running steps `grace_s` seconds, then stop them; they go on at the next start.

        Notices to people have a few seconds in any case: who runs one workflow and is done should have told them.
        """
        self._is_accepting = False
        steps = [task for live in self._live.values() for task in live.steps.values()]
        if steps and grace_s > 0:
            await asyncio.wait(steps, timeout=grace_s)
        if notices := [task for live in self._live.values() for task in live.notices.values()]:
            await asyncio.wait(notices, timeout=NOTICE_GRACE_S)
        self._is_working = False
        for live in list(self._live.values()):
            self._executor.close(live)
        await self._executor.stopped()
        while under_way := {*self._recording, *self._opening.values()}:
            await asyncio.wait(under_way)
        await self._dispatcher.stop()

    async def submit(
        self,
        workflow: Workflow,
        input: Json,  # the field's name in every format
        *,
        tenant: TenantId = DEFAULT_TENANT,
        actor: str = "",
        role: str = "",
        estimate: Estimate | None = None,
        traceparent: str = "",
        idempotency_key: str | None = None,
    ) -> RunId:
        """Start a run; durable when this returns.

        Raises Invalid for an input that is too large or against the workflow's schema, Refused or Unavailable for
        what this workflow needs and cannot have here, Conflict when the idempotency key is taken.
        """
        if not self._is_accepting:
            raise Unavailable("engine.stopping", "the engine takes no new runs; it is stopping or not started")
        is_minimised = self._is_minimised(workflow)
        started = RunStarted(
            workflow=workflow.name,
            definition=workflow.hash,
            input=input,
            tenant=tenant,
            actor=actor,
            minimised=is_minimised,
            session=started_in(workflow, input) if is_minimised else "",
            role=role,
            estimate=estimate,
            traceparent=traceparent,
        )
        return await self._submit(workflow, started, idempotency_key)

    async def submit_what_if(self, workflow: Workflow, what_if: WhatIf, *, actor: str = "", role: str = "") -> RunId:
        """Start a what-if of a run that goes by `workflow`; durable when this returns, with all that it takes over.

        Raises NotFound for no such run, Invalid for what cannot be supposed, and what `submit` raises.
        """
        if not self._is_accepting:
            raise Unavailable("engine.stopping", "the engine takes no new runs; it is stopping or not started")
        check_runnable(workflow)
        started, fork = await self._forks.begin(
            workflow, what_if, actor=actor, role=role, is_minimised=self._is_minimised(workflow)
        )
        check_input(workflow, started.input)
        live = LiveRun(RunState(run=self._clock.new_run_id()), workflow, self._planner(workflow))
        self._live[live.state.run] = live
        await self._to_the_end(self._begin_fork(live, started, fork))
        return live.state.run

    async def begin_subrun(self, workflow: Workflow, given: Json, of: RunState, parent: Parent, key: str) -> RunId:
        """The run with this key, begun where there is none, as a part of another run; durable when this returns."""
        return await self._to_the_end(self._begin_subrun(workflow, given, of, parent, key))

    async def ended(self, run: RunId) -> RunState:
        """The final state, once there is one. Raises NotFound, or what keeps the run from going on here."""
        state = await self.state(run)
        if state.is_final:
            return state
        try:
            live = await self._open(run)
        except Conflict:  # it has ended meanwhile
            return await self.state(run)
        self._subruns.saw(live.state)
        await live.closed.wait()
        state = await self.state(run)
        if not state.is_final:
            raise engine_stopped(run) if not live.settled.done() else live.settled.exception() or engine_stopped(run)
        return state

    async def note_subrun(self, live: LiveRun, event: SubrunStarted | SubrunsWaiting) -> None:
        """Write down in its parent's journal that there is a sub-run, or waits; durable when this returns."""
        await self._to_the_end(self._executor.keep(live, event))
        if live.is_closed:
            raise asyncio.CancelledError

    def in_background(self, work: Coroutine[object, object, None]) -> None:
        """Do this whatever becomes of the caller; `stop` waits for it."""
        task = asyncio.create_task(work)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def wait(self, run: RunId) -> RunState:
        """The state once the run is final or waits for a signal; as it is when nobody works on the run here.

        Raises NotFound, or what stops the run here or holds it up.
        """
        live = self._live.get(run)
        if live is None or live.is_stale:
            state = await self.state(run)
            if live is None or state.is_final or state.status == "waiting":
                return state
        return await asyncio.shield(live.settled)

    async def state(self, run: RunId) -> RunState:
        """The state now. Raises NotFound or Corrupt."""
        live = self._live.get(run)
        # what is being appended, or could not be, stands in the live state, and isn't durable
        if live is None or live.lock.locked() or live.is_stale:
            return fold(run, await self.entries(run))
        return live.state

    async def entries(self, run: RunId) -> list[Entry]:
        """The whole journal of one run. Raises NotFound or Corrupt."""
        return await entries_of(self.store, run)

    async def restored(self, run: RunId) -> list[Entry]:
        """The whole journal of one run with the values that its pseudonyms stand for, those that are still there."""
        entries = await self.entries(run)
        state = fold(run, entries)
        if not state.is_minimised:
            return entries
        return await restored(entries, of_run(state.tenant, run), self._minimising(f"run {run!r}"))

    async def kept(self, run: RunId, value: Json) -> Json:
        """Something of a run as it may be kept beside its journal: minimised where the run is."""
        state = await self.state(run)
        if not state.is_minimised:
            return value
        return await self._minimising(f"run {run!r}").kept(of_run(state.tenant, run), value)

    async def is_input(self, run: RunId, started: RunStarted, input: Json) -> bool:
        """Whether a run was asked for with this input; a minimised one whose values were purged cannot tell."""
        asked = msgspec.structs.replace(started, input=input)
        if started.minimised:
            minimiser = self._minimising(f"run {run!r}")
            asked = saying(asked, await minimiser.compared(of_run(started.tenant, run), said_by(asked)))
        return encode(started.input) == encode(asked.input)

    async def signal(self, run: RunId, name: str, payload: Json = None, *, actor: str = "", role: str = "") -> None:
        """Answer a waiting step, of the run or of a run of its steps; durable when this returns.

        Raises Conflict when nothing of it waits for that, or more than one run of its steps; of a task for people as
        `check_answer` does.
        """
        received = SignalReceived(name=name, payload=kept(payload, "payload"), actor=actor, role=role)
        await self._to_the_end(self._signal(run, received, partial(check_signal, received=received)))

    async def answer_task(self, run: RunId, step: StepId, payload: Json, by: Person) -> None:
        """Answer a task for people; durable when this returns. Raises NotFound, and as `check_answer`."""
        known, _ = open_task(await self.state(run), step)
        received = SignalReceived(name=known.signal, payload=kept(payload, "payload"), actor=by.name, role=by.role)
        await self._to_the_end(self._signal(run, received, partial(check_answer, step=step, received=received)))

    async def move_task(self, run: RunId, moved: TaskMoved) -> None:
        """Have a task pass into a person's hands, or out of them; durable when this returns. Raises as `check_move`."""
        open_task(await self.state(run), moved.step)
        await self._to_the_end(self._move_task(run, moved))

    async def cancel(self, run: RunId, reason: str = "", *, actor: str = "") -> None:
        """Stop a run and what it is doing; durable when this returns. Raises Conflict when it is already final."""
        await self._to_the_end(self._cancel(run, CancelRequested(reason=reason, actor=actor)))

    async def migration(self, run: RunId, to: Workflow) -> Migration:
        """What moving a run to another definition would change, and what speaks against it. Raises NotFound."""
        state = await self.state(run)
        return migration(await self._definitions(state.definition), to, state)

    async def migrate(self, run: RunId, to: Workflow, *, actor: str = "") -> Migration:
        """Move a run to another definition; durable when this returns. Raises Conflict with what speaks against it."""
        return await self._to_the_end(self._migrate(run, to, actor))

    def health(self) -> EngineHealth:
        """A look at the engine now."""
        running = sum(len(live.steps) for live in self._live.values())
        return EngineHealth(is_accepting=self._is_accepting, live_runs=len(self._live), running_steps=running)

    def live(self) -> list[RunState]:
        """The runs that it works on, as they are now: to be looked at without a pause, for they go on changing."""
        return [live.state for live in self._live.values()]

    def loads(self) -> list[AgentLoad]:
        """How busy every agent is that a run has needed since the start."""
        return self._dispatcher.loads()

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work that a caller's cancellation must not stop: what was decided would never be carried out."""
        task = asyncio.create_task(work)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
        return await asyncio.shield(task)

    async def _begin_subrun(self, workflow: Workflow, given: Json, of: RunState, parent: Parent, key: str) -> RunId:
        begun = await self.store.run_by_key(key)
        if begun is not None:
            return begun
        self._require_working(parent.run)
        is_minimised = bool(of.is_minimised) or self._is_minimised(workflow)
        started = RunStarted(
            workflow=workflow.name,
            definition=workflow.hash,
            input=given,
            tenant=of.tenant,
            actor=of.actor,
            minimised=is_minimised,
            session=started_in(workflow, given, of.session or "") if is_minimised else "",
            role=of.role or "",
            traceparent=context_for(parent.run, parent.step, of.traceparent) if of.traceparent else "",
            parent=parent,
            what_if=part_of_what_if(of),
        )
        return await self._submit(workflow, started, key)

    async def _submit(self, workflow: Workflow, started: RunStarted, idempotency_key: str | None) -> RunId:
        started = msgspec.structs.replace(started, input=kept(started.input, "input"))
        check_runnable(workflow)
        check_input(workflow, started.input)
        live = LiveRun(RunState(run=self._clock.new_run_id()), workflow, self._planner(workflow))
        if started.what_if is not None:
            live.fork = await self._forks.recorded(started.what_if)
        self._live[live.state.run] = live
        await self._to_the_end(self._begin(live, started, idempotency_key))
        return live.state.run

    async def _begin(self, live: LiveRun, started: RunStarted, idempotency_key: str | None) -> None:
        await self._begun(live, self._executor.record(live, started, idempotency_key=idempotency_key))

    async def _begin_fork(self, live: LiveRun, started: RunStarted, fork: Fork) -> None:
        await self._begun(live, self._executor.begin_from(live, started, fork))

    async def _begun(self, live: LiveRun, beginning: Awaitable[object]) -> None:
        try:
            await beginning
        except Exception as error:  # whatever it is, nobody works on the run
            self._executor.close(live, error if isinstance(error, AgentFlowError) else None)
            raise

    async def _signal(self, run: RunId, received: SignalReceived, check: Check) -> None:
        live = await self._open(run)
        await self._open_outer(live.state)
        if await self._executor.record(live, received, check=check):
            await self._outer_goes_on(live.state)
        else:
            await self._signal(part_awaiting(live.state, received.name), received, check)

    async def _move_task(self, run: RunId, moved: TaskMoved) -> None:
        live = await self._open(run)
        await self._executor.record(live, moved, check=partial(check_move, moved=moved))

    async def _open_outer(self, part: RunState) -> None:
        """Work on the runs that it is a part of too, where that can be: they go on when it has ended."""
        try:
            while part.parent:
                part = (await self._open(part.parent.run)).state
        except AgentFlowError as error:
            log.warning("a run that run %s is a part of does not go on here: %s", part.run, error)

    async def _outer_goes_on(self, part: RunState) -> None:
        """Have the runs that it is a part of say that they wait no longer; durable when this returns."""
        while part.parent and (outer := self._live.get(part.parent.run)) is not None:
            await self._subruns.goes_on(outer, part.parent.step, part.run)
            part = outer.state

    async def _migrate(self, run: RunId, to: Workflow, actor: str) -> Migration:
        while run not in self._live and (opening := self._opening.get(run)) is not None:
            await asyncio.wait({opening})
        live, move = self._live.get(run), await self.migration(run, to)
        event_of = partial(moved, await self._definitions(move.previous), to, actor=actor)
        if live is not None:
            await self._executor.migrate(live, to, self._planner(to), event_of=event_of)
        else:
            await self._alone(run, self._migrate_idle(run, to, event_of))
        return move

    async def _migrate_idle(self, run: RunId, to: Workflow, event_of: Callable[[RunState], RunMigrated]) -> None:
        """Move a run that nobody works on: nothing of it is started."""
        state = await self._unfinished(run)
        idle = LiveRun(state, to, planner_without_plan())
        await self._executor.migrate(idle, to, self._planner(to), event_of=event_of)

    async def _cancel(self, run: RunId, requested: CancelRequested) -> None:
        while run not in self._live and (opening := self._opening.get(run)) is not None:
            await asyncio.wait({opening})
        live = self._live.get(run)
        if live is None:
            await self._alone(run, self._cancel_idle(run, requested))
        elif not await self._executor.record(live, requested):
            raise _already_final(live.state)

    async def _cancel_idle(self, run: RunId, requested: CancelRequested) -> None:
        """Cancel a run that nobody works on: nothing of it is started, and its definition need not load any more."""
        state = await self._unfinished(run)
        pinned = Workflow(name=state.workflow, hash=state.definition)
        parts = {part: step for step in state.open for part in state.steps[step].runs or ()}
        await self._executor.record(LiveRun(state, pinned, planner_without_plan()), requested)
        for part, step in parts.items():
            try:
                await self.cancel(part, why_ended(run, step))
            except AgentFlowError as error:  # it has ended, or is when the engine starts
                log.debug("run %s was not cancelled with run %s: %s", part, run, error)

    async def _open(self, run: RunId) -> LiveRun:
        """The live run, taken up from its journal, by one caller for all, when this process has not done so yet."""
        while (live := self._live.get(run)) is None:
            opening = self._opening.get(run)
            await (self._alone(run, self._take_up(run)) if opening is None else asyncio.shield(opening))
        return live

    async def _alone(self, run: RunId, work: Coroutine[Any, Any, None]) -> None:
        """Work on a run that is not live; others wait for its end, and whoever waits may go away."""

        async def alone() -> None:
            try:
                await work
            finally:
                del self._opening[run]

        task = self._opening[run] = asyncio.create_task(alone())
        await asyncio.shield(task)

    async def _take_up(self, run: RunId) -> None:
        state = await self._unfinished(run)
        workflow = await self._definitions(state.definition)
        live = LiveRun(state, workflow, self._planner(workflow))
        live.fork = await self._forks.of(state)
        self._require_working(run)
        self._live[run] = live
        self._executor.resume(live)

    async def _unfinished(self, run: RunId) -> RunState:
        self._require_working(run)
        state = fold(run, await self.entries(run))
        if state.is_final:
            raise _already_final(state)
        if (await self.store.run(run)).kind == "imported":
            raise Conflict("run.imported", f"run {run!r} was imported, and is only looked at")
        return state

    def _require_working(self, run: RunId) -> None:
        if not self._is_working:
            raise engine_stopped(run)

    def _is_minimised(self, workflow: Workflow) -> bool:
        if asks_to_minimise(workflow):
            self._minimising(f"workflow {workflow.name!r}")
            return True
        return self._minimiser is not None and self._minimiser.is_always

    def _minimising(self, what: str) -> Minimiser:
        if self._minimiser is None:
            raise no_minimiser(what)
        return self._minimiser

    def _planner(self, workflow: Workflow) -> Planner:
        if workflow.hash not in self._planners:
            self._planners[workflow.hash] = planner_for(workflow)
        return self._planners[workflow.hash]

    def _forget(self, run: RunId) -> None:
        self._live.pop(run, None)


def _already_final(state: RunState) -> Conflict:
    return Conflict("run.final", f"run {state.run!r} has already {how_it_ended(state)}")
