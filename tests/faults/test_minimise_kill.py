"""kill -9 in the middle of minimised runs: no value gets a second pseudonym, none is lost, and none is written."""

import random
import re
import threading
from pathlib import Path
from signal import SIGKILL

from runtime.domain.ids import DEFAULT_TENANT, RunId
from runtime.domain.journal import Entry, read, write
from runtime.engine.replay import replay
from runtime.planners.lifecycle import planner_for
from runtime.store.journal import Journal, journal_database
from runtime.store.vaults import Vaults
from tests.faults.minimise_child import ANNA, STEPS, WORKFLOW
from tests.faults.nest import Nest

CHILD = "tests.faults.minimise_child"
KILLS = 12
MORE_THAN_IT_GETS_TO = 1_000_000


async def test_kills_lose_no_value_and_name_none_twice(nest: Nest, tmp_path: Path) -> None:
    """What stands in the journal after any crash is about the same people as before it, and can be restored."""
    moments = random.Random(20261125)
    folder = tmp_path / "data"
    for _ in range(KILLS):
        _run_and_kill(nest, folder, after_s=moments.uniform(0.0, 0.08))
        assert ANNA.encode() not in _bytes_of(folder)
    with nest.child(str(folder), "6") as child:
        child.out.read()
        assert 0 == child.wait()
    assert ANNA.encode() not in _bytes_of(folder)
    assert b"@example.org" not in _bytes_of(folder)

    runs = await _journals(folder)
    assert len(runs) > KILLS, "the load was too light to mean anything"
    vaults = Vaults(folder, lock=None, key=None)
    vault = await vaults.of(DEFAULT_TENANT)
    for run, entries in runs.items():
        found = replay(run, entries, planner_for(WORKFLOW))
        assert (None, "succeeded") == (found.divergence, found.state.status)
        named = _named(run, entries)
        known = {each.core: each.value for each in (await vault.known(run)).pseudonyms}
        assert STEPS + 1 == len(named) == len({known[core] for core in named}), "each person has one pseudonym"
    await vaults.stop()


def _named(run: RunId, entries: list[Entry]) -> set[str]:
    text = b"".join(write(run, entry).data for entry in entries).decode()
    return set(re.findall(r"<(EMAIL_[0-9]+_[A-Z2-7]{4})>", text))


def _bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def _journals(folder: Path) -> dict[RunId, list[Entry]]:
    database = journal_database(folder, lock=None)
    await database.start()
    store = Journal(database)
    runs = {each.run: [read(row) for row in await store.read(each.run)] for each in await store.runs(limit=100_000)}
    await database.stop()
    return runs


def _run_and_kill(nest: Nest, folder: Path, *, after_s: float) -> None:
    """Start a child and kill it `after_s` behind its first promise."""
    with nest.child(str(folder), str(MORE_THAN_IT_GETS_TO)) as child:
        child.out.readline()
        timer = threading.Timer(after_s, child.kill)
        timer.start()
        child.out.read()
        timer.cancel()
        assert -SIGKILL == child.wait()
