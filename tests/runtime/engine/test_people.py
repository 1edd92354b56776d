"""Tasks for people in an engine whose clock a test moves."""

import asyncio
from pathlib import Path

from runtime.agents.human_task import HumanTaskAgent
from runtime.domain.event import TimerFired
from runtime.domain.human import Level, Terms
from runtime.domain.ids import AgentId, DefinitionHash, RunId, StepId
from runtime.domain.workflow import AgentSpec, Workflow
from runtime.engine.clock import ManualClock
from runtime.engine.dispatcher import Dispatcher
from runtime.engine.runs import Engine
from runtime.planners.sequence import sequence_fsm
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold

ANN, BOB = AgentId("ann"), AgentId("bob")


async def test_who_answers_in_anothers_place_has_all_their_time(tmp_path: Path) -> None:
    """The times of both have one name; those of the first must not end those of the second."""
    first = Terms(role="clerk", chain=(Level("boss", 5_000),), expires_ms=1_000)
    second = Terms(role="clerk", chain=(Level("boss", 10_000),))
    agents = {
        ANN: AgentSpec(id=ANN, type="human_task", terms=first, timeout_ms=1_000, fallback_agent=BOB),
        BOB: AgentSpec(id=BOB, type="human_task", terms=second, timeout_ms=0),
    }
    workflow = Workflow(name="w", hash=DefinitionHash(f"sha256:{7:064}"), agents=agents, fsm=sequence_fsm([ANN]))
    clock = ManualClock()
    began_us = clock.now_us()

    async def pinned(_: DefinitionHash) -> Workflow:
        return workflow

    with hold(tmp_path, what="test", now_us=0) as lock:
        database = journal_database(tmp_path, lock=lock)
        await database.start()
        dispatcher = Dispatcher(
            make_agent=lambda spec, folder, sender: HumanTaskAgent(spec),
            models=None,  # type: ignore[arg-type]  # nobody asks one
            http=None,  # type: ignore[arg-type]
            tools=lambda _workflow: {},
            clock=clock,
        )
        engine = Engine(store=Journal(database), definitions=pinned, dispatcher=dispatcher, clock=clock)
        await engine.start()
        try:
            run = await engine.submit(workflow, None)
            await engine.wait(run)
            for seconds in (1, 4, 6):
                clock.advance(seconds)
                await _comes_to(engine, run, timers=1 if seconds < 6 else 2)
            told = await engine.entries(run)
        finally:
            await engine.stop()
            await database.stop()
    fired = [entry.at_us - began_us for entry in told if isinstance(entry.body, TimerFired)]
    assert [1_000_000, 11_000_000] == fired


async def _comes_to(engine: Engine, run: RunId, *, timers: int) -> None:
    """Until so many timers have fired, and the second one is asked."""
    async with asyncio.timeout(60):
        while True:
            entries = await engine.entries(run)
            step = (await engine.state(run)).steps[StepId("ann")]
            if step.agent == BOB and timers <= sum(isinstance(entry.body, TimerFired) for entry in entries):
                return
