"""Publishes and takes until it is killed; says what was acknowledged, and what was taken.

    run(FOLDER, FIRST_RUN)

`p RUN SEQ` when an append returned, `t RUN SEQ` when the taker has done its work: each one line, written at once.
"""

import asyncio
import os
from pathlib import Path

from runtime.domain.bus import Delivery, Terms
from runtime.domain.ids import DEFAULT_TENANT
from runtime.store.journal import Journal
from tests.runtime.bus.samples import open_bus
from tests.runtime.store.samples import begin, run_id, step

PRODUCERS = 8


def run(folder: str, first_run: str) -> None:
    """Publish and take until somebody ends it."""
    asyncio.run(_run(Path(folder), int(first_run)))


async def _run(folder: Path, first_run: int) -> None:
    async with open_bus(folder) as (bus, journal):
        terms = Terms(at_once=4, back_off_s=(0.005,))
        await bus.subscribe(DEFAULT_TENANT, "runs.>", _take, consumer="c", start=0, terms=terms)
        async with asyncio.TaskGroup() as group:
            for producer in range(PRODUCERS):
                group.create_task(_produce(journal, first_run + producer))


async def _produce(journal: Journal, number: int) -> None:
    await begin(journal, number)
    _say(f"p {run_id(number)} 2")
    seq = 2
    while True:
        seq = await journal.append(run_id(number), seq, step(seq))
        _say(f"p {run_id(number)} {seq}")
        await asyncio.sleep(0.002)


async def _take(delivery: Delivery) -> None:
    found = delivery.envelope
    if delivery.attempt == 1 and found.seq % 7 == 0:
        raise OSError("not this time")
    await asyncio.sleep(0.001)
    _say(f"t {found.run} {found.seq}")


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one write of few bytes: whole, or not at all
