"""How often the disk is made to sync, counted by the kernel."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

APPENDS = """
import asyncio, pathlib, sys
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold
from tests.runtime.store.samples import begin, run_id, step
async def produce(journal, number, appends):
    await begin(journal, number)
    for seq in range(2, 2 * appends, 2):
        await journal.append(run_id(number), seq, step(seq))
async def main(folder, producers, appends):
    with hold(folder, what="test", now_us=0) as lock:
        database = journal_database(folder, lock=lock)
        await database.start()
        journal = Journal(database)
        await asyncio.gather(*(produce(journal, number, appends) for number in range(producers)))
        await database.stop()
asyncio.run(main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
"""
OPENING_AND_CLOSING = 30
"""Syncs of making the file, its schema and its first log, and of folding the log in at the end; counted: 14."""


def syncs(folder: Path, producers: int, appends: int) -> int:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace to count syncs")
    traced = [strace, "-f", "-c", "-e", "trace=fsync,fdatasync", sys.executable, "-c", APPENDS]
    ended = subprocess.run(
        [*traced, str(folder), str(producers), str(appends)], capture_output=True, text=True, check=False, timeout=120
    )
    if "ptrace" in ended.stderr:
        pytest.skip("this machine does not let tests trace")
    assert 0 == ended.returncode, ended.stderr
    calls = re.findall(r"^\s*\S+\s+\S+\s+\S+\s+(\d+)\s.*(?:fsync|fdatasync)$", ended.stderr, re.MULTILINE)
    return sum(int(count) for count in calls)


def test_a_lone_append_costs_one_sync(folder: Path) -> None:
    """Less would not be durable; more would be twice as slow on a slow disk."""
    assert 200 <= syncs(folder, 1, 200) <= 200 + OPENING_AND_CLOSING


def test_fifty_producers_share_their_syncs(folder: Path) -> None:
    """Fifty appends at a time make one batch."""
    assert syncs(folder, 50, 40) <= 0.1 * 50 * 40 + OPENING_AND_CLOSING
