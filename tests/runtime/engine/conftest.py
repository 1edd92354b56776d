"""An engine over a real journal, with agents that a test scripts and a clock that it moves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId, DefinitionHash
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, Workflow
from runtime.engine.clock import ManualClock, SystemClock
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.runs import Engine
from runtime.errors import NotFound
from runtime.memory.sessions import Sessions
from runtime.ports import Agent, Clock, MemoryStore, Minimiser, ModelAccess, StateStore, StepContext, StepResult, Task
from runtime.store.database import Database
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import DataLock, hold

Behaviour = Callable[[Task], Awaitable[Json]]


class ScriptedAgent:
    """Does what the test says for its id; answers with the task's input otherwise."""

    def __init__(self, spec: AgentSpec, stage: "Stage") -> None:
        self._spec = spec
        self._stage = stage

    async def start(self) -> None:
        self._stage.started.append(self._spec.id)
        if fail := self._stage.failing_starts.get(self._spec.id):
            await fail()

    async def stop(self) -> None:
        self._stage.stopped.append(self._spec.id)
        if self._spec.id in self._stage.failing_stops:
            raise RuntimeError("it does not stop")

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        self._stage.acted.append((task.step, task.attempt))
        behave = self._stage.behaviours.get(self._spec.id)
        output = task.input if behave is None else await behave(task)
        return StepResult(output=output, evidence=self._stage.evidence)


class Stage:
    """Builds engines over one database file, as successive processes would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.clock: Clock = SystemClock()
        self.behaviours: dict[str, Behaviour] = {}
        self.acted: list[tuple[str, int]] = []
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.failing_starts: dict[str, Callable[[], Awaitable[None]]] = {}
        self.failing_stops: set[str] = set()
        self.models: ModelAccess | None = None
        self.memory: MemoryStore | None = None
        self.sessions: Callable[[Minimiser | None], Sessions] | None = None
        self.make_agent: Callable[[AgentSpec], Agent] = lambda spec: ScriptedAgent(spec, self)
        self.evidence: dict[str, Json] | None = None
        self.minimise: Callable[[Path, DataLock], Minimiser] | None = None
        self.workflows: dict[DefinitionHash, Workflow] = {}
        self.trouble: Callable[[Journal], StateStore] = lambda journal: journal
        self._open: list[tuple[Engine, Database, DataLock]] = []

    async def engine(self, *, recover: bool = True) -> Engine:
        lock = hold(self._folder, what="test", now_us=0)
        database = journal_database(self._folder, lock=lock)
        await database.start()

        async def pinned(definition: DefinitionHash) -> Workflow:
            await asyncio.sleep(0)
            if definition not in self.workflows:
                raise NotFound("definition.not_found", f"there is no definition {definition!r} here")
            return self.workflows[definition]

        minimiser = None if self.minimise is None else self.minimise(self._folder, lock)
        dispatcher = Dispatcher(
            make_agent=lambda spec, folder, sender: self.make_agent(spec),
            models=self.models,  # type: ignore[arg-type]  # only the planner's own model is asked
            http=None,  # type: ignore[arg-type]  # scripted agents ask for none
            tools=lambda _workflow: {},
            clock=self.clock,
            minimiser=minimiser,
            memory=self.memory,
            sessions=None if self.sessions is None else self.sessions(minimiser),
        )
        store = self.trouble(Journal(database))
        engine = Engine(store=store, definitions=pinned, dispatcher=dispatcher, clock=self.clock, minimiser=minimiser)
        self._open.append((engine, database, lock))
        await engine.start(recover=recover)
        return engine

    def workflow(self, *states: FsmState, **agent: object) -> Workflow:
        """A workflow over agents named as the states; the last target is final."""
        names = [state.name for state in states if not state.wait_for]
        agents = {AgentId(name): AgentSpec(id=AgentId(name), type="x", **agent) for name in names}  # type: ignore[arg-type]
        fsm = FsmSpec(
            states={state.name: state for state in states},
            initial_state=states[0].name,
            final_states=frozenset({"done"}),
        )
        made = Workflow(name="w", hash=DefinitionHash(f"sha256:{len(self.workflows)}"), agents=agents, fsm=fsm)
        self.workflows[made.hash] = made
        return made

    async def close(self) -> None:
        for engine, database, lock in self._open:
            await engine.stop()
            await database.stop()
            lock.release()
        self._open.clear()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    await stage.close()


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0)


__all__ = ["ManualClock", "Stage", "until"]
