"""kill -9 at any moment loses nothing that was acknowledged."""

import random
from pathlib import Path
from signal import SIGKILL

import pytest

from runtime.domain.ids import RunId
from runtime.domain.journal import read
from runtime.domain.run import fold
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from tests.faults.nest import Nest
from tests.runtime.store.samples import NOON_US

CHILD = "tests.faults.store_child"
ROUNDS = 30
KILLS_A_FILE = 3
"""So that a journal is also killed while it goes on from a killed one."""
ENTRIES_AN_APPEND = 2


@pytest.mark.parametrize("file", range(ROUNDS // KILLS_A_FILE))
async def test_nothing_acknowledged_is_lost_and_no_append_is_torn(nest: Nest, tmp_path: Path, file: int) -> None:
    """A caller that was told that its step is recorded will never do it again."""
    chance = random.Random(file)
    acknowledged: dict[RunId, int] = {}
    for kill in range(KILLS_A_FILE):
        told = kill_after(nest, tmp_path, first_run=kill * 1_000_000, lines=chance.randrange(1, 1_500))
        assert told
        acknowledged |= told
        await check(tmp_path, acknowledged)


def kill_after(nest: Nest, folder: Path, *, first_run: int, lines: int) -> dict[RunId, int]:
    """Let a child append until it acknowledged so much, kill it in the middle of more, return all it said."""
    acknowledged: dict[RunId, int] = {}
    with nest.child(str(folder), str(first_run)) as child:
        for count, line in enumerate(child.out, 1):
            run, seq = line.split()
            acknowledged[RunId(run)] = int(seq)
            if count == lines:
                child.kill()  # what it wrote into the pipe until then is still read
        assert -SIGKILL == child.wait()
    return acknowledged


async def check(folder: Path, acknowledged: dict[RunId, int]) -> None:
    with hold(folder, what="test", now_us=NOON_US) as lock:
        database = journal_database(folder, lock=lock)
        await database.start()
        journal = Journal(database)
        verified = await journal.verify()
        found = {summary.run: summary.seq for summary in await journal.runs(limit=1_000_000)}
        newest = [fold(run, [read(row) for row in await journal.read(run)]) for run in list(found)[:16]]
        await database.stop()
    lost = {run: seq for run, seq in acknowledged.items() if found.get(run, 0) < seq}
    assert {} == lost
    assert {} == {run: seq for run, seq in found.items() if seq % ENTRIES_AN_APPEND}
    assert (len(found), sum(found.values())) == verified
    assert [found[state.run] for state in newest] == [state.seq for state in newest]
