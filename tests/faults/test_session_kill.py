"""kill -9 while agents remember: a step that succeeded has one turn after any crash, and no other step has one."""

import random
import threading
from pathlib import Path
from signal import SIGKILL

from runtime.domain.event import StepSucceeded
from runtime.domain.ids import DEFAULT_TENANT, RunId, StepId
from runtime.domain.journal import read
from runtime.domain.memory import Session
from runtime.store.journal import Journal, journal_database
from runtime.store.memory import Memory
from tests.faults.nest import Nest
from tests.faults.session_child import AGENT, MEMORY_FILE, SESSION, WORKFLOW

CHILD = "tests.faults.session_child"
KILLS = 16
MORE_THAN_IT_GETS_TO = 1_000_000


async def test_a_step_that_succeeded_has_one_turn_whatever_was_killed(nest: Nest, tmp_path: Path) -> None:
    """Those of a killed process too, between the answer, its journal and its turn."""
    moments = random.Random(20261127)
    folder = tmp_path / "data"
    interrupted = 0
    for _ in range(KILLS):
        _run_and_kill(nest, folder, after_s=moments.uniform(0.0, 0.06))
        interrupted += await _offered(folder)
    assert interrupted, "no kill came between an answer and its turn, so this proves nothing"
    with nest.child(str(folder), "6") as child:
        child.out.read()
        assert 0 == child.wait()
    answered, turns = await _answered(folder), await _turns(folder)
    assert len(answered) > KILLS, "the load was too light to mean anything"
    assert sorted(turns) == sorted(answered)
    assert 0 == await _offered(folder)


def _run_and_kill(nest: Nest, folder: Path, *, after_s: float) -> None:
    """Start a child and kill it `after_s` behind its first promise."""
    with nest.child(str(folder), str(MORE_THAN_IT_GETS_TO)) as child:
        child.out.readline()
        timer = threading.Timer(after_s, child.kill)
        timer.start()
        child.out.read()
        timer.cancel()
        assert -SIGKILL == child.wait()


async def _answered(folder: Path) -> list[tuple[RunId, StepId]]:
    """The steps that the journal says succeeded."""
    database = journal_database(folder, lock=None)
    await database.start()
    store = Journal(database)
    runs = [each.run for each in await store.runs(limit=100_000)]
    bodies = [(run, read(row).body) for run in runs for row in await store.read(run)]
    await database.stop()
    return [(run, body.step) for run, body in bodies if isinstance(body, StepSucceeded)]


async def _turns(folder: Path) -> list[tuple[RunId, StepId]]:
    memory = Memory(folder / MEMORY_FILE, lock=None)
    await memory.start()
    session = Session(tenant=DEFAULT_TENANT, workflow=WORKFLOW.name, agent=AGENT, name=SESSION)
    found = await memory.turns.of(session)
    await memory.stop()
    return [(turn.run, turn.step) for turn in found]


async def _offered(folder: Path) -> int:
    memory = Memory(folder / MEMORY_FILE, lock=None)
    await memory.start()
    found = await memory.turns.offered()
    await memory.stop()
    return len(found)
