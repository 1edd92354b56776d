"""A process for the kill test: callers with one hard budget, and a till that notes what each call charges.

    run(FOLDER, TILL, SEED)

In TILL, opened for appending: one line of micro-dollars for each call that was made, written while it is under way.
Ends by itself when the budget has no room for another call.
"""

import asyncio
import os
import random
from pathlib import Path

from runtime.domain.cost import Budget
from runtime.domain.egress import CostBound, Sender
from runtime.engine.clock import SystemClock
from runtime.errors import Refused
from runtime.store.budgets import Budgets
from runtime.store.journal import journal_database
from runtime.store.lock import hold

LIMIT = 20_000
MOST = 10
AT_ONCE = 16
BUDGET = Budget(scope=(("tenant", "*"),), per="month", usd_micros=LIMIT, set_by="the test")
BOUND = CostBound(usd_micros=MOST, input_tokens=1, item="model:cloud/large", payee="cloud.example:443")


def run(folder: str, till: str, seed: str) -> None:
    """Call until nothing more fits."""
    notes = os.open(till, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    asyncio.run(_run(Path(folder), notes, random.Random(int(seed))))


async def _run(folder: Path, till: int, chance: random.Random) -> None:
    clock = SystemClock()
    database = journal_database(folder, lock=hold(folder, what="kill test", now_us=clock.now_us()))
    await database.start()
    budgets = Budgets(database, clock.now_us, (BUDGET,))
    await budgets.start()
    os.write(1, b"started\n")

    async def call() -> None:
        while True:
            try:
                settle = await budgets.reserve(Sender(), BOUND)
            except Refused as refused:
                if refused.retryable:  # others may give something back
                    await asyncio.sleep(0)
                    continue
                return
            charged = chance.randint(1, MOST)
            os.write(till, f"{charged}\n".encode())
            await asyncio.sleep(0)
            pending = settle(CostBound(usd_micros=charged))
            assert pending is not None, "what costs money is written down"
            await pending

    await asyncio.gather(*(call() for _ in range(AT_ONCE)))
    await budgets.stop()
    await database.stop()
