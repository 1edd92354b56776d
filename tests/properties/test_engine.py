"""The engine under whatever comes in whatever order: answers, failures, signals, timers, cancellations, a full disk
and restarts. After every move, what stands in the journal is what the engine shows, it replays, and no run is stuck.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.domain.canonical import Json
from runtime.domain.event import CancelRequested, SignalReceived
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry, read
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow
from runtime.engine.clock import ManualClock
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.errors import Conflict, StepFailure, StoreFull
from runtime.planners.lifecycle import planner_for
from runtime.ports import StepContext, StepResult, Task
from runtime.store.volatile import VolatileStore
from tests.properties.plans import WORKFLOWS
from tests.properties.values import VALUES, is_same

T = TypeVar("T")

OUTPUTS: st.SearchStrategy[Json] = VALUES | st.sampled_from([1, 1.0, 1e20, "x", {"n": 1.0}, {"n": 0.25}, float("nan")])
GIVEN = OUTPUTS.filter(lambda value: value == value)
USUAL: list[Json] = [1, "x", {"n": 1.0}, {"n": 0.25}]
MOST_RUNS = 3
TURNS = 40
"""Rounds of the loop behind every move: more than any move takes to come to rest."""


class FillableStore(VolatileStore):
    """A store whose disk can be full."""

    is_full = False

    async def append(
        self,
        run: RunId,
        expected_seq: int,
        entries: Sequence[Entry],
        *,
        idempotency_key: str | None = None,
        status: str | None = None,
    ) -> int:
        await asyncio.sleep(0)  # others come in between, as they do in front of a disk
        if self.is_full:
            raise StoreFull("store.full", "the disk is full")
        return await super().append(run, expected_seq, entries, idempotency_key=idempotency_key, status=status)


class PuppetAgent:
    """Answers when the machine says so."""

    def __init__(self, acting: dict[tuple[RunId, StepId, int], asyncio.Future[Json]]) -> None:
        self._acting = acting

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        place = (task.run, task.step, task.attempt)
        assert place not in self._acting, "one attempt runs twice at once"
        answer = self._acting[place] = asyncio.get_running_loop().create_future()
        try:
            return StepResult(output=await answer)
        finally:
            del self._acting[place]


class EngineMachine(RuleBasedStateMachine):
    """One store, one clock, and an engine that is restarted now and then."""

    @initialize(workflow=WORKFLOWS, given=GIVEN)
    def begin(self, workflow: Workflow, given: Json) -> None:
        self.loop = asyncio.new_event_loop()
        self.workflow = workflow
        self.planner = planner_for(workflow)
        self.store = FillableStore()
        self.clock = ManualClock()
        self.acting: dict[tuple[RunId, StepId, int], asyncio.Future[Json]] = {}
        self.runs: list[RunId] = []
        self.promised: list[tuple[RunId, type]] = []
        self.engine = self.boot()
        self.submit(given)

    def boot(self) -> Engine:
        async def pinned(definition: DefinitionHash) -> Workflow:
            await asyncio.sleep(0)
            return self.workflow

        dispatcher = Dispatcher(
            make_agent=lambda spec, folder, sender: PuppetAgent(self.acting),
            models=None,  # type: ignore[arg-type]  # a puppet asks for none of these
            http=None,  # type: ignore[arg-type]
            tools=lambda _workflow: {},
            clock=self.clock,
        )
        engine = Engine(store=self.store, definitions=pinned, dispatcher=dispatcher, clock=self.clock)
        self.do(engine.start())
        return engine

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something, then let everything come to rest."""

        async def whole() -> T:
            try:
                return await work
            finally:
                for _ in range(TURNS):
                    await asyncio.sleep(0)

        return self.loop.run_until_complete(whole())

    async def rest(self) -> None:
        """Only let time pass in the loop."""

    def look(self, work: Coroutine[Any, Any, T]) -> T:
        """Look at something that is at rest."""
        return self.loop.run_until_complete(work)

    @precondition(lambda self: len(self.runs) < MOST_RUNS)
    @rule(given=GIVEN)
    def submit(self, given: Json) -> None:
        try:
            self.runs.append(self.do(self.engine.submit(self.workflow, given)))
        except StoreFull:
            assert self.store.is_full

    @precondition(lambda self: self.acting)
    @rule(data=st.data(), output=OUTPUTS)
    def an_agent_answers(self, data: st.DataObject, output: Json) -> None:
        self.an_acting(data).set_result(output)
        self.do(self.rest())

    @precondition(lambda self: self.acting)
    @rule(output=st.sampled_from(USUAL))
    def every_agent_answers(self, output: Json) -> None:
        for answer in [*self.acting.values()]:
            answer.set_result(output)
        self.do(self.rest())

    @precondition(lambda self: self.acting)
    @rule(output=st.sampled_from(USUAL), rounds=st.integers(2, 5))
    def agents_go_on_answering(self, output: Json, rounds: int) -> None:
        for _ in range(rounds):
            self.every_agent_answers(output)

    @precondition(lambda self: self.acting)
    @rule(data=st.data(), retryable=st.booleans())
    def an_agent_fails(self, data: st.DataObject, retryable: bool) -> None:
        self.an_acting(data).set_exception(StepFailure("x.broke", "it broke", retryable=retryable))
        self.do(self.rest())

    @precondition(lambda self: self.acting)
    @rule(data=st.data(), error=st.sampled_from([ZeroDivisionError(), SystemExit(), asyncio.CancelledError()]))
    def an_agent_crashes(self, data: st.DataObject, error: BaseException) -> None:
        self.an_acting(data).set_exception(error)
        self.do(self.rest())

    @precondition(lambda self: self.acting)
    @rule(data=st.data(), output=OUTPUTS)
    def an_agent_answers_while_the_run_is_cancelled(self, data: st.DataObject, output: Json) -> None:
        run = data.draw(st.sampled_from(self.runs))
        self.an_acting(data).set_result(output)
        self.ask(run, self.engine.cancel(run), CancelRequested)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), name=st.sampled_from(["answer", "ask", "approve"]), payload=VALUES)
    def signal(self, data: st.DataObject, name: str, payload: Json) -> None:
        run = data.draw(st.sampled_from(self.runs))
        self.ask(run, self.engine.signal(run, name, payload), SignalReceived)

    @precondition(lambda self: any(self.awaited()))
    @rule(data=st.data(), payload=GIVEN)
    def an_awaited_signal(self, data: st.DataObject, payload: Json) -> None:
        run, name = data.draw(st.sampled_from(self.awaited()))
        self.ask(run, self.engine.signal(run, name, payload), SignalReceived)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), payload=VALUES)
    def signal_and_cancel_at_once(self, data: st.DataObject, payload: Json) -> None:
        run = data.draw(st.sampled_from(self.runs))
        both = (self.engine.signal(run, "answer", payload), self.engine.cancel(run))
        self.do(_all_of(data.draw(st.permutations(both))))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.runs))
        self.ask(run, self.engine.cancel(run), CancelRequested)

    @rule(seconds=st.sampled_from([0.05, 1, 6, 31, 90]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.do(self.rest())

    @precondition(lambda self: not self.store.is_full)
    @rule()
    def the_disk_fills(self) -> None:
        self.store.is_full = True

    @precondition(lambda self: self.store.is_full)
    @rule()
    def the_disk_has_room_again(self) -> None:
        self.store.is_full = False
        self.time_passes(31)

    @rule()
    def restart(self) -> None:
        self.do(self.engine.stop())
        assert not self.acting, "an agent outlived its engine"
        assert self.engine.health().live_runs == 0
        self.engine = self.boot()

    def an_acting(self, data: st.DataObject) -> asyncio.Future[Json]:
        return self.acting[data.draw(st.sampled_from(sorted(self.acting)))]

    def awaited(self) -> list[tuple[RunId, str]]:
        """The signals that are waited for."""
        states = [self.look(self.engine.state(run)) for run in self.runs]
        return [(state.run, name) for state in states for name in state.awaited()]

    def ask(self, run: RunId, work: Coroutine[Any, Any, None], kind: type) -> None:
        """Ask for something; when it is promised, it is remembered."""
        try:
            self.do(work)
        except Conflict:
            return
        except StoreFull:
            assert self.store.is_full
            return
        self.promised.append((run, kind))

    @invariant()
    def every_run_is_what_its_journal_says_and_none_is_stuck(self) -> None:
        """Deciding again gives the same commands, and the same state to the kind of each number."""
        for run in getattr(self, "runs", ()):
            entries = [read(row) for row in self.look(self.store.read(run))]
            found = replay(run, entries, self.planner)
            assert found.divergence is None, str(found.divergence)
            state = self.look(self.engine.state(run))
            assert is_same(msgspec.to_builtins(found.state), msgspec.to_builtins(state))
            for kind in [kind for of, kind in self.promised if of == run]:
                assert any(isinstance(entry.body, kind) for entry in entries)
            self.require_not_stuck(state)

    def require_not_stuck(self, state: RunState) -> None:
        """It is final, or waits for somebody, or something is under way."""
        live = self.engine._live.get(state.run)
        assert state.is_final == (live is None)
        if live is None:
            assert not any(run == state.run for run, _, _ in self.acting)
            return
        running = {step for step in state.open if state.steps[step].status == "running"}
        assert state.open
        assert (state.status == "waiting") == (not running)
        assert live.steps.keys() == running
        assert live.timers.keys() == state.timers.keys()

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.do(self.engine.stop())
            left_behind = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            self.loop.close()
            assert left_behind == []


async def _all_of(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        assert outcome is None or isinstance(outcome, (Conflict, StoreFull)), repr(outcome)


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=30, stateful_step_count=30, suppress_health_check=list(HealthCheck))
