"""Appends with sixteen producers until it is killed, and reports what it was told is durable.

    run(FOLDER, FIRST_RUN)

Each acknowledgement is one line on standard output, `run seq`, written at once.
"""

import asyncio
import os
from pathlib import Path

from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from tests.runtime.store.samples import NOON_US, begin, run_id, step

PRODUCERS = 16
STEPS_A_RUN = 20


def run(folder: str, first_run: str) -> None:
    """Append until somebody ends it."""
    asyncio.run(_run(Path(folder), int(first_run)))


async def _run(folder: Path, first_run: int) -> None:
    lock = hold(folder, what="test", now_us=NOON_US)
    database = journal_database(folder, lock=lock)
    await database.start()
    journal = Journal(database)
    async with asyncio.TaskGroup() as group:
        for producer in range(PRODUCERS):
            group.create_task(_produce(journal, first_run + producer))


async def _produce(journal: Journal, number: int) -> None:
    while True:
        await begin(journal, number)
        _acknowledge(number, 2)
        for seq in range(2, 2 * STEPS_A_RUN, 2):
            _acknowledge(number, await journal.append(run_id(number), seq, step(seq, output={"n": number})))
        number += PRODUCERS


def _acknowledge(number: int, seq: int) -> None:
    os.write(1, f"{run_id(number)} {seq}\n".encode())  # one write of few bytes: whole, or not at all
