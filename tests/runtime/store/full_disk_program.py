"""Appends until the disk takes no more, makes room, appends again, and prints what it was told.

    python -m tests.runtime.store.full_disk_program FOLDER disk|limit

`disk`: FOLDER is on a small file system, and room is made by removing a file there. `limit`: the size of files is
limited for this process, and room is made by raising the limit.
"""

import asyncio
import json
import resource
import sys
from pathlib import Path

from runtime.errors import StoreFull
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from tests.runtime.store.samples import NOON_US, begin, run_id, step

BALLAST_BYTES = 400_000
PRODUCERS = 8


async def main(folder: Path, kind: str) -> None:
    with hold(folder, what="test", now_us=NOON_US) as lock:
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(BALLAST_BYTES))
        database = journal_database(folder, lock=lock)
        await database.start()
        journal = Journal(database)
        ends = [0] * PRODUCERS
        if kind == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        refusals = await asyncio.gather(*(_append_until_full(journal, number, ends) for number in range(PRODUCERS)))
        full = [await journal.verify(), list(ends)]
        backup = await _back_up(journal, folder / "copy.db")
        copies = [path.name for path in folder.glob("copy.db*")]
        if kind == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            ballast.unlink()
        for number in range(PRODUCERS):
            ends[number] = await journal.append(run_id(number), ends[number], step(ends[number]))
        checked = await journal.verify()
        await database.stop()
    found = [(await _reread(folder, number)) for number in range(PRODUCERS)]
    print(
        json.dumps(
            {
                "refusals": refusals,
                "full": full,
                "checked": checked,
                "ends": ends,
                "found": found,
                "backup": backup,
                "copies": copies,
            }
        )
    )


async def _append_until_full(journal: Journal, number: int, ends: list[int]) -> str:
    try:
        await begin(journal, number)
        ends[number] = 2
        while True:
            ends[number] = await journal.append(
                run_id(number), ends[number], step(ends[number], output={"note": "x" * 1_000})
            )
    except StoreFull as error:
        return str(error)


async def _back_up(journal: Journal, target: Path) -> str:
    try:
        await journal.backup(target)
    except StoreFull as error:
        return str(error)
    return "there was room for a copy"


async def _reread(folder: Path, number: int) -> int:
    database = journal_database(folder, lock=None)
    await database.start()
    try:
        return (await Journal(database).run(run_id(number))).seq
    finally:
        await database.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
