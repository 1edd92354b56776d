"""kill -9 at random moments under load: every promise that was made before is kept after."""

import random
import threading
from pathlib import Path
from signal import SIGKILL

import pytest

from runtime.domain.command import FinishRun, StopStep
from runtime.domain.event import RunStarted, StepSucceeded
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.journal import Entry, read
from runtime.engine.replay import replay
from runtime.planners.lifecycle import planner_for
from runtime.store.journal import Journal, journal_database
from tests.faults.engine_child import definitions
from tests.faults.nest import Nest

CHILD = "tests.faults.engine_child"
MORE_THAN_IT_GETS_TO = 1_000_000
PLANS = ("chain", "tree", "parts")
SLOW = (pytest.mark.slow, pytest.mark.bound_s(1_200))


@pytest.mark.parametrize(
    ("plan", "kills"),
    [("chain", 28), ("tree", 12), ("parts", 12), *(pytest.param(plan, 100, marks=SLOW) for plan in PLANS)],
)
async def test_kills_lose_no_promise_and_repeat_no_recorded_step(
    nest: Nest, tmp_path: Path, plan: str, kills: int
) -> None:
    """An acknowledged run is never lost, an announced end stays, and a step with a recorded result never runs again.

    In the middle of a behaviour tree as well: what it remembers is there again, and what it halted stays halted.
    """
    moments = random.Random(20261122)
    folder, diary = tmp_path / "data", tmp_path / "diary"
    journals = _Journals(folder)
    promised: list[str] = []
    recorded_before: list[int] = []
    interrupted: set[RunId] = set()
    for boot in range(kills):
        await journals.read_on()
        recorded_before.append(len(journals.answered))
        interrupted |= journals.unfinished()
        promised += _run_and_kill(
            nest, _arguments(folder, diary, boot, MORE_THAN_IT_GETS_TO, plan), after_s=moments.uniform(0.0, 0.06)
        )
    await journals.read_on()
    recorded_before.append(len(journals.answered))
    assert len(interrupted) > kills // 4, "too few kills came in the middle of a run"
    promised += _run_to_the_end(nest, _arguments(folder, diary, kills, 20, plan))
    await journals.read_on()

    planners = {each: planner_for(workflow) for each, workflow in definitions(plan).items()}
    states = {run: replay(run, entries, planners[_pinned(entries)]) for run, entries in journals.runs.items()}
    assert all(found.divergence is None for found in states.values())
    assert {found.state.status for found in states.values()} == {"succeeded"}
    for line in promised:
        word, run, *status = line.split()
        assert RunId(run) in states, line
        assert word == "submitted" or status == ["succeeded"]
    assert len(states) > 2 * kills, "the load was too light to mean anything"

    assert len(journals.answered) == len(set(journals.answered)), "a step was answered twice"
    answered_at = {step: number for number, step in enumerate(journals.answered)}
    for line in diary.read_text().splitlines():
        boot_number, run, step = line.split()
        recorded = answered_at[RunId(run), StepId(step)] < recorded_before[int(boot_number)]
        assert not recorded, f"{step} of {run} ran again in boot {boot_number}"


def _pinned(entries: list[Entry]) -> DefinitionHash:
    first = entries[0].body
    assert isinstance(first, RunStarted)
    return first.definition


class _Journals:
    """What the file holds, read on between two processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cursor = 0
        self.runs: dict[RunId, list[Entry]] = {}
        self.answered: list[tuple[RunId, StepId]] = []
        """Steps with a recorded result, or stopped, in the order of their commits."""

    def unfinished(self) -> set[RunId]:
        """Runs whose end is not there."""
        return {run for run, entries in self.runs.items() if not isinstance(entries[-1].body, FinishRun)}

    async def read_on(self) -> None:
        if not self._folder.exists():
            return
        database = journal_database(self._folder, lock=None)
        await database.start()
        store = Journal(database)
        head = await store.head()
        if head > self._cursor:
            async for cursor, row in store.follow(self._cursor):
                self._cursor = cursor
                entry = read(row)
                self.runs.setdefault(row.run, []).append(entry)
                if isinstance(entry.body, StepSucceeded | StopStep):
                    self.answered.append((row.run, entry.body.step))
                if self._cursor >= head:
                    break
        await database.stop()


def _run_and_kill(nest: Nest, arguments: list[str], *, after_s: float) -> list[str]:
    """Start a child, kill it `after_s` behind its first promise; whole lines that it printed."""
    with nest.child(*arguments) as child:
        first = child.out.readline()
        timer = threading.Timer(after_s, child.kill)
        timer.start()
        rest = child.out.read()
        timer.cancel()
        assert -SIGKILL == child.wait()
    return [line for line in (first + rest).split("\n")[:-1] if line]


def _run_to_the_end(nest: Nest, arguments: list[str]) -> list[str]:
    with nest.child(*arguments) as child:
        said = child.out.read().splitlines()
        assert 0 == child.wait()
    return said


def _arguments(folder: Path, diary: Path, boot: int, runs: int, plan: str) -> list[str]:
    return [str(folder), str(diary), str(boot), str(runs), plan]
