"""kill -9 at random moments under load: what others charge never exceeds a hard budget."""

import random
import threading
from pathlib import Path
from signal import SIGKILL

from runtime.store import charges
from runtime.store.journal import journal_database
from tests.faults.budget_child import LIMIT, MOST
from tests.faults.nest import Nest

CHILD = "tests.faults.budget_child"
KILLS = 12


async def test_kills_never_make_room_that_was_already_charged_for(nest: Nest, tmp_path: Path) -> None:
    """The till is the other side's; it knows nothing of our crashes."""
    moments = random.Random(20261125)
    folder, till = tmp_path / "data", tmp_path / "till"
    till.touch()
    for boot in range(KILLS):
        _run(nest, folder, till, boot, kill_after_s=moments.uniform(0.0, 0.1))
    killed_with = _charged(till)
    assert 0 < killed_with < LIMIT, "the kills came before the budget was used up"
    _run(nest, folder, till, KILLS, kill_after_s=None)

    charged, counted = _charged(till), await _counted(folder)
    assert charged <= counted <= LIMIT
    assert LIMIT - counted < MOST, "it is used up to the last call that fits"


def _run(nest: Nest, folder: Path, till: Path, seed: int, *, kill_after_s: float | None) -> None:
    with nest.child(str(folder), str(till), str(seed)) as child:
        assert "started\n" == child.out.readline()
        if kill_after_s is None:
            assert 0 == child.wait()
            return
        alarm = threading.Timer(kill_after_s, child.kill)
        alarm.start()
        child.out.read()
        alarm.cancel()
        assert child.wait() in (0, -SIGKILL)


def _charged(till: Path) -> int:
    return sum(map(int, till.read_text().split()))


async def _counted(folder: Path) -> int:
    database = journal_database(folder, lock=None)
    await database.start()
    lines = await database.read(lambda c: charges.spending_by(c, "tenant", (0, 2**62)))
    await database.stop()
    return sum(line.usd_micros for line in lines)
