"""kill -9 while a task waits for people: it is there again, its times go on, and it is answered once."""

import asyncio
from pathlib import Path
from signal import SIGKILL

import pytest

from runtime.domain.canonical import Json
from runtime.domain.event import TaskTold
from runtime.domain.ids import RunId, StepId
from runtime.engine.clock import ManualClock, SystemClock
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.errors import Conflict, Refused
from runtime.planners.lifecycle import planner_for
from runtime.policies.human import Person
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from tests.faults.human_child import WORKFLOW, engine_over
from tests.faults.nest import Nest

CHILD = "tests.faults.human_child"
ASK = StepId("ask")
ANSWER: Json = {"decision": "approve"}


async def test_a_task_survives_the_process_that_opened_it(nest: Nest, tmp_path: Path) -> None:
    """Weeks later the next role is asked, with all its time; who was told is told once, whenever the crash came."""
    with nest.child(str(tmp_path)) as child:
        word, name = child.out.readline().split()
        child.kill()
        assert ("waiting", -SIGKILL) == (word, child.wait())
    run = RunId(name)
    clock = ManualClock()
    clock.advance((SystemClock().now_us() - clock.now_us()) / 1e6 + 21 * 86_400)
    with hold(tmp_path, what="test", now_us=0) as lock:
        database = journal_database(tmp_path, lock=lock)
        await database.start()
        engine = engine_over(Journal(database), clock)
        try:
            assert 1 == await engine.start()
            await _comes_to(engine, run, level=1)
            with pytest.raises(Refused):
                await engine.answer_task(run, ASK, ANSWER, Person("max", "chief"))
            clock.advance(14_400)
            await _comes_to(engine, run, level=2)
            await engine.answer_task(run, ASK, ANSWER, Person("max", "chief"))
            ended = await engine.wait(run)
            assert ("succeeded", ANSWER) == (ended.status, ended.output)
            with pytest.raises(Conflict):
                await engine.answer_task(run, ASK, ANSWER, Person("max", "chief"))
            entries = await engine.entries(run)
        finally:
            await engine.stop()
            await database.stop()
    assert replay(run, entries, planner_for(WORKFLOW)).divergence is None
    told = [entry.body.notice for entry in entries if isinstance(entry.body, TaskTold)]
    assert len(told) == len(set(told))
    assert {"opened:0", "escalated:1"} <= set(told)


async def _comes_to(engine: Engine, run: RunId, *, level: int) -> None:
    """Until the task is at a level, and everybody was told."""
    async with asyncio.timeout(60):
        while True:
            task = (await engine.state(run)).steps[ASK].task
            if task and task.level == level and not task.untold:
                return
            await asyncio.sleep(0)
