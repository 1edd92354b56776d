"""kill -9 between publishing and acknowledging: everything arrives, in order per run, again where it must."""

import asyncio
import random
from collections import defaultdict
from pathlib import Path
from signal import SIGKILL

from runtime.domain.ids import DEFAULT_TENANT
from tests.faults.nest import Nest
from tests.runtime.bus.samples import Taker, open_bus

CHILD = "tests.faults.bus_child"
KILLS = 5


async def test_a_kill_loses_no_message_and_keeps_the_order(nest: Nest, tmp_path: Path) -> None:
    """A consumer that was told of half a run would act on half of it."""
    chance = random.Random(7)
    published: dict[str, int] = {}
    taken: defaultdict[str, list[int]] = defaultdict(list)
    for kill in range(KILLS):
        for kind, run, seq in killed_after(nest, tmp_path, first_run=kill * 1_000, lines=chance.randrange(50, 400)):
            if kind == "p":
                published[run] = seq
            else:
                taken[run].append(seq)
    rest = Taker()
    async with open_bus(tmp_path) as (bus, _):
        head = max(view.lag + view.cursor for view in await bus.consumers())
        await bus.subscribe(DEFAULT_TENANT, "runs.>", rest, consumer="c")
        while bus.counts()[0].cursor < head:
            await asyncio.sleep(0.01)
    for delivery in rest.deliveries:
        taken[delivery.envelope.run].append(delivery.envelope.seq)
    for run, seq in published.items():
        assert set(range(1, seq + 1)) <= set(taken[run]), run
    for run, order in taken.items():
        assert first_times(order) == sorted(set(order)), run


def killed_after(nest: Nest, folder: Path, *, first_run: int, lines: int) -> list[tuple[str, str, int]]:
    """What a child said until it was killed."""
    said: list[tuple[str, str, int]] = []
    with nest.child(str(folder), str(first_run)) as child:
        for count, line in enumerate(child.out, 1):
            kind, run, seq = line.split()
            said.append((kind, run, int(seq)))
            if count == lines:
                child.kill()  # what it wrote into the pipe until then is still read
        assert -SIGKILL == child.wait()
    return said


def first_times(order: list[int]) -> list[int]:
    """What was taken, without what came again."""
    return list(dict.fromkeys(order))
