"""The engine: starts, watches, signals and cancels runs, and takes up after a crash where the journal ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from runtime.domain.canonical import Json, encode
from runtime.domain.event import CancelRequested, RunStarted, SignalReceived
from runtime.domain.ids import DEFAULT_TENANT, DefinitionHash, RunId, TenantId
from runtime.domain.journal import Entry, read
from runtime.domain.run import RunState, fold
from runtime.domain.schema import Schema
from runtime.domain.workflow import Workflow
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.executor import Executor, LiveRun
from runtime.errors import AgentFlowError, Conflict, Invalid, Refused, Unavailable
from runtime.planners.lifecycle import planner_for
from runtime.ports import Clock, Planner, StateStore

MAX_INPUT_BYTES = 10 * 1_048_576
"""Canonical bytes of a run's input or a signal's payload."""

DefinitionSource = Callable[[DefinitionHash], Awaitable[Workflow]]
"""Finds the workflow that a run is pinned to. Raises NotFound."""

log = logging.getLogger(__name__)


class EngineHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine is doing."""

    is_accepting: bool
    live_runs: int
    running_steps: int


class Engine:
    """One process's engine over one store."""

    def __init__(
        self, *, store: StateStore, definitions: DefinitionSource, dispatcher: Dispatcher, clock: Clock
    ) -> None:
        self.store = store
        self._definitions = definitions
        self._dispatcher = dispatcher
        self._clock = clock
        self._live: dict[RunId, LiveRun] = {}
        self._planners: dict[DefinitionHash, Planner] = {}
        self._executor = Executor(store=store, dispatcher=dispatcher, clock=clock, on_closed=self._forget)
        self._is_accepting = False

    async def start(self, *, recover: bool = True) -> int:
        """Accept runs; take up every unfinished one when `recover` is set. Returns how many were taken up."""
        self._is_accepting = True
        return await self._recover() if recover else 0

    async def stop(self, grace_s: float = 0.0) -> None:
        """Accept nothing more, give running steps `grace_s` seconds, then stop them; they go on at the next start."""
        self._is_accepting = False
        steps = [task for live in self._live.values() for task in live.steps.values()]
        if steps and grace_s > 0:
            await asyncio.wait(steps, timeout=grace_s)
        for live in list(self._live.values()):
            self._executor.close(live)
        await self._executor.stopped()
        await self._dispatcher.stop()

    async def submit(
        self,
        workflow: Workflow,
        input: Json,  # the field's name in every format
        *,
        tenant: TenantId = DEFAULT_TENANT,
        actor: str = "",
        idempotency_key: str | None = None,
    ) -> RunId:
        """Start a run; durable when this returns.

        Raises Invalid for an input that is too large or against the workflow's schema, Refused or Unavailable for
        what this workflow needs and cannot have here, Conflict when the idempotency key is taken.
        """
        if not self._is_accepting:
            raise Unavailable("engine.stopping", "the engine takes no new runs; it is stopping or not started")
        _check_size(input, "input")
        _check_runnable(workflow)
        _check_input(workflow, input)
        live = LiveRun(RunState(run=self._clock.new_run_id()), workflow, self._planner(workflow))
        self._live[live.state.run] = live
        started = RunStarted(workflow=workflow.name, definition=workflow.hash, input=input, tenant=tenant, actor=actor)
        await self._executor.record(live, started, idempotency_key=idempotency_key)
        return live.state.run

    async def wait(self, run: RunId) -> RunState:
        """The state once the run is final or waits for a signal. Raises NotFound, or what stopped the run here."""
        live = self._live.get(run)
        if live is None:
            return await self.state(run)
        return await asyncio.shield(live.settled)

    async def state(self, run: RunId) -> RunState:
        """The state now. Raises NotFound or Corrupt."""
        live = self._live.get(run)
        if live is None or live.lock.locked():  # what is being appended stands in the live state, and isn't durable
            return fold(run, await self.entries(run))
        return live.state

    async def entries(self, run: RunId) -> list[Entry]:
        """The whole journal of one run. Raises NotFound or Corrupt."""
        await self.store.run(run)
        entries: list[Entry] = []
        while rows := await self.store.read(run, after_seq=len(entries)):
            entries.extend(read(row) for row in rows)
        return entries

    async def signal(self, run: RunId, name: str, payload: Json = None, *, actor: str = "") -> None:
        """Answer a waiting step; durable when this returns. Raises Conflict when the run does not wait for it."""
        _check_size(payload, "payload")
        live = await self._open(run)
        if not await self._executor.record(live, SignalReceived(name=name, payload=payload, actor=actor)):
            awaited = ", ".join(sorted(live.state.awaited()))
            raise Conflict(
                "run.not_awaited",
                f"run {run!r} is {live.state.status} and does not wait for signal {name!r}"
                + (f"; it waits for: {awaited}" if awaited else ""),
            )

    async def cancel(self, run: RunId, reason: str = "", *, actor: str = "") -> None:
        """Stop a run and what it is doing; durable when this returns. Raises Conflict when it is already final."""
        live = await self._open(run)
        if not await self._executor.record(live, CancelRequested(reason=reason, actor=actor)):
            raise Conflict("run.final", f"run {run!r} has already {live.state.status}")

    def health(self) -> EngineHealth:
        """A look at the engine now."""
        running = sum(len(live.steps) for live in self._live.values())
        return EngineHealth(is_accepting=self._is_accepting, live_runs=len(self._live), running_steps=running)

    async def _recover(self) -> int:
        taken_up = 0
        before: RunId | None = None
        while page := await self.store.runs(status=("running", "waiting"), limit=500, before=before):
            for summary in page:
                try:
                    await self._open(summary.run)
                    taken_up += 1
                except AgentFlowError as error:
                    log.error("run %s cannot go on: %s", summary.run, error)
            before = page[-1].run
        return taken_up

    async def _open(self, run: RunId) -> LiveRun:
        """The live run, taken up from its journal when this process does not work on it yet."""
        live = self._live.get(run)
        if live is not None:
            return live
        state = fold(run, await self.entries(run))
        if state.is_final:
            raise Conflict("run.final", f"run {run!r} has already {state.status}")
        workflow = await self._definitions(state.definition)
        live = self._live.get(run)  # somebody else may have opened it meanwhile
        if live is None:
            live = self._live[run] = LiveRun(state, workflow, self._planner(workflow))
            self._executor.resume(live)
        return live

    def _planner(self, workflow: Workflow) -> Planner:
        if workflow.hash not in self._planners:
            self._planners[workflow.hash] = planner_for(workflow)
        return self._planners[workflow.hash]

    def _forget(self, run: RunId) -> None:
        self._live.pop(run, None)


def _check_size(value: Json, what: str) -> None:
    size = len(encode(value))
    if size > MAX_INPUT_BYTES:
        raise Invalid(f"run.{what}_too_large", f"the {what} has {size:,} bytes; the limit is {MAX_INPUT_BYTES:,}")


def _check_input(workflow: Workflow, value: Json) -> None:
    fault = Schema(workflow.input_schema).fault(value) if workflow.input_schema is not None else ""
    if fault:
        raise Invalid(
            "run.input_invalid", f"the input does not fit input_schema of workflow {workflow.name!r}: {fault}"
        )


def _check_runnable(workflow: Workflow) -> None:
    refusals = [str(problem) for problem in workflow.problems if problem.severity == "refusal"]
    if refusals:
        listing = "\n".join(f"  {refusal}" for refusal in refusals)
        raise Refused("workflow.refused", f"workflow {workflow.name!r} loads but may not run here:\n{listing}")
