"""kill -9 of an appliance while everything comes in that triggers act on: each has one run, and none is lost."""

import json
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from signal import SIGKILL

from runtime.domain.event import RunStarted
from runtime.domain.journal import read
from runtime.store.journal import Journal, journal_database
from tests.faults.nest import Nest

CHILD = "tests.faults.trigger_child"
KILLS = 5
KINDS = ("file", "mail", "message", "request")


async def test_what_triggers_act_on_has_one_run_whatever_is_killed(nest: Nest, tmp_path: Path) -> None:
    """A lost order is a lost customer, and one that is handled twice another."""
    chance = random.Random(20261126)
    acknowledged = dict.fromkeys(KINDS, 0)
    for _ in range(KILLS):
        first = {kind: number + 1 for kind, number in acknowledged.items()}
        with nest.child(str(tmp_path), json.dumps(first)) as child:
            lines = chance.randrange(20, 200)
            for count, line in enumerate(child.out, 1):
                kind, number = line.split()
                acknowledged[kind] = int(number)
                if count == lines:
                    child.kill()  # what it wrote into the pipe until then is still read
            assert -SIGKILL == child.wait()
    with nest.child(str(tmp_path), "{}") as child:
        child.out.read()
        assert 0 == child.wait()

    runs = await _inputs(tmp_path)
    assert {} == {given: count for given, count in runs.items() if count > 1}
    wanted = {f"{kind} {number}" for kind, upto in acknowledged.items() for number in range(1, upto + 1)}
    assert set() == wanted - {*runs}
    assert min(acknowledged.values()) > KILLS, "the load was too light to mean anything"
    times = sorted(datetime.fromisoformat(given.split()[1]) for given in runs if given.startswith("time "))
    assert times == [times[0] + timedelta(seconds=n) for n in range(len(times))]


async def _inputs(folder: Path) -> Counter[str]:
    """What the runs were started for."""
    database = journal_database(folder, lock=None)
    await database.start()
    journal = Journal(database)
    found: Counter[str] = Counter()
    for run in await journal.runs(limit=1_000_000):
        started = read((await journal.read(run.run, limit=1))[0]).body
        assert isinstance(started, RunStarted), "a journal starts with RunStarted"
        found[str(started.input)] += 1
    await database.stop()
    return found
