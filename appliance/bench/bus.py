"""`af bench bus`: how long an entry takes from its append to a subscriber's hands, durable in between.

Durable as the setting `durability` says: `full` syncs before anything is handed over, `normal` has it survive a killed
process. Each has its floor, the same without journal and bus: one insert with its commit over the bare driver in the
same mode, then an asyncio.Queue. All run in turns, and the pass in which the bus was fastest is shown with its floor:
other programs on the machine only ever make a pass slower. The floor does one at a time, as fast as the rate and the
disk allow; what the bus gets comes at the rate whatever is under way.

Both are as in a server that has been at work for a while: in its event loop, uvloop's, and with a write-ahead log that
has had its full length once and began anew. A file that still grows takes a sync nearly twice as long.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from threading import Thread
from typing import Any

import uvloop

from appliance.bench.engine import Goal, Result
from runtime.bus.local import LocalBus
from runtime.domain.bus import Delivery
from runtime.domain.command import StartStep
from runtime.domain.event import RunStarted, StepSucceeded
from runtime.domain.ids import DEFAULT_TENANT, DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.engine.clock import SystemClock
from runtime.engine.relay import Relay
from runtime.store import driver
from runtime.store.database import Durability
from runtime.store.folding import PAGES, REST_PAGES
from runtime.store.journal import Journal, journal_database
from runtime.store.lock import hold

RUNS = 100
"""They take turns, so that no append waits for another of its own run."""
OUTPUT = "x" * 200
PATIENCE_S = 60
_WARM_S = 0.3
_BALLAST_BYTES = 2**20
_BALLAST_ROWS = REST_PAGES * 4096 // _BALLAST_BYTES + 2
"""Enough to have the log reach its full length."""
_FIGURES = ("p50 ms", "p99 ms")
_MODES: tuple[Durability, ...] = ("full", "normal")
_LOST = "lost or out of order"

Report = Callable[[str], None]
Say = Callable[[int], Coroutine[None, None, None]]
Figures = dict[str, float]


def bench(*, rate: int, seconds: float, passes: int, folder: Path, report: Report) -> Result:
    """Measure so many turns of so many seconds."""
    rows: dict[str, Figures] = {}
    lost = 0.0
    for mode in _MODES:
        turns: list[tuple[Figures, Figures]] = []
        for number in range(passes):
            turn: list[Figures] = []
            for name, measure in (("floor", _floor), ("bus", _bus)):
                report(f"{mode}, pass {number + 1} of {passes}: {name}")
                with tempfile.TemporaryDirectory(dir=folder) as place:
                    turn.append(uvloop.run(measure(Path(place), rate, seconds, mode)))
            turns.append((turn[1], turn[0]))
            lost += turn[1][_LOST]
        own, bare = min(turns, key=lambda pair: pair[0]["p50 ms"])
        ratios = {f"{figure.removesuffix(' ms')} ÷ floor": own[figure] / bare[figure] for figure in _FIGURES}
        rows |= {mode: own | ratios, f"{mode} floor": bare}
    own, bare = rows["full"], rows["full floor"]
    goals = [
        Goal(name="ms from append to handler, synced, p50", value=own["p50 ms"], limit=0.3),
        Goal(name="ms from append to handler, synced, p99", value=own["p99 ms"], limit=5),
        Goal(name="messages a second", value=own["messages a second"], limit=0.95 * rate, at_least=True),
        Goal(name="messages lost or out of order", value=lost, limit=0),
    ]
    notes = [f"the pass with the lowest median of {passes} is shown; what else runs here makes the others slower"]
    if bare["p50 ms"] > 0.2:
        sync = f"{bare['p50 ms']:.2f} ms"
        notes.append(f"one bare insert takes {sync} here, most of it the disk's sync: read the ratios to the floor")
    return Result(rows=rows, goals=goals, notes=notes)


class _Watched:
    """What was appended when, and how long it took to arrive."""

    def __init__(self) -> None:
        self.hops: list[float] = []
        self.under_way: dict[tuple[RunId, int], float] = {}
        self.wrong = 0
        self._last: dict[RunId, int] = {}

    async def take(self, delivery: Delivery) -> None:
        """The subscriber's handler."""
        at, envelope = time.perf_counter(), delivery.envelope
        began = self.under_way.pop((envelope.run, envelope.seq), None)
        if began is None or envelope.seq <= self._last.get(envelope.run, 0):
            self.wrong += 1
            return
        self._last[envelope.run] = envelope.seq
        self.hops.append(at - began)

    async def all_taken(self) -> None:
        """Wait for what is under way."""
        async with asyncio.timeout(PATIENCE_S):
            while self.under_way:
                await asyncio.sleep(0.01)


async def _bus(folder: Path, rate: int, seconds: float, mode: Durability) -> Figures:
    clock, watched = SystemClock(), _Watched()
    runs = [RunId(f"r-{number:026d}") for number in range(RUNS)]
    with hold(folder, what="bench", now_us=0) as lock:
        database = journal_database(folder, lock=lock, durability=mode)
        await database.start()
        journal = Journal(database)
        bus = LocalBus(journal.messages, clock)
        await Relay(journal.messages, bus.begin, bus.deliver).start()
        for _ in range(_BALLAST_ROWS):
            await database.write(lambda connection: _ballast(connection.execute))
        while not await database.aside(_is_folded):
            await asyncio.sleep(0.05)
        started = RunStarted(workflow="bench", definition=DefinitionHash("sha256:" + "0" * 64), input=None)
        begun: tuple[Body, ...] = (started, StartStep(step=StepId("draft")))
        for run in runs:
            await journal.append(run, 0, [Entry(seq, clock.now_us(), body) for seq, body in enumerate(begun, 1)])

        async def say(number: int) -> None:
            run, seq = runs[number % RUNS], 3 + number // RUNS
            watched.under_way[run, seq] = time.perf_counter()
            body = StepSucceeded(step=StepId("draft"), output=OUTPUT)
            await journal.append(run, seq - 1, [Entry(seq, clock.now_us(), body)])

        await bus.subscribe(DEFAULT_TENANT, "runs.*.*.step.succeeded", watched.take, consumer="bench")
        per_s, cpu_s = await _at_rate(say, rate, seconds)
        await watched.all_taken()
        await bus.stop()
        await database.stop()
    measured = _figures(watched.hops[int(rate * _WARM_S) :], per_s, cpu_s)
    return measured | {_LOST: float(watched.wrong)}


async def _floor(folder: Path, rate: int, seconds: float, mode: Durability) -> Figures:
    connection = driver.open_raw(folder / "floor.db", sync="FULL" if mode == "full" else "NORMAL")
    connection.execute("CREATE TABLE entry(seq INTEGER PRIMARY KEY, at REAL, data TEXT)")
    for _ in range(_BALLAST_ROWS):
        _ballast(connection.execute)
    queue: asyncio.Queue[float] = asyncio.Queue()
    taken = asyncio.Semaphore()
    hops: list[float] = []

    async def take() -> None:
        while True:
            began = await queue.get()
            hops.append(time.perf_counter() - began)
            taken.release()

    async def say(number: int) -> None:
        await taken.acquire()
        began = time.perf_counter()
        connection.execute("INSERT INTO entry VALUES(?,?,?)", (number, began, OUTPUT))
        queue.put_nowait(began)

    taking = asyncio.create_task(take())
    per_s, cpu_s = await _at_rate(say, rate, seconds)
    await taken.acquire()
    taking.cancel()
    connection.close()
    return _figures(hops[int(rate * _WARM_S) :], per_s, cpu_s)


def _ballast(execute: Callable[..., object]) -> None:
    execute("CREATE TABLE IF NOT EXISTS ballast(data BLOB)")
    execute("INSERT INTO ballast VALUES(zeroblob(?))", (_BALLAST_BYTES,))


def _is_folded(connection: Any) -> bool:  # noqa: ANN401  # the driver is runtime/store's to name
    """Whether the log is in the file; what is left of folding it is no part of what is measured."""
    _busy, pages, folded = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
    return bool(pages - folded < PAGES)


async def _at_rate(say: Say, rate: int, seconds: float) -> tuple[float, float]:
    """Say something so often, whoever is still at it; how many a second, and the CPU seconds of each."""
    loop, all_said = asyncio.get_running_loop(), asyncio.Event()
    saying: set[asyncio.Task[None]] = set()
    total = int(rate * seconds)
    began, cpu = time.perf_counter(), time.process_time()

    def say_those(first: int, due: int) -> None:
        for number in range(first, due):
            task = loop.create_task(say(number))
            saying.add(task)
            task.add_done_callback(saying.discard)
        if due == total:
            all_said.set()

    def keep_time() -> None:  # in a thread: the loop's own timers go by whole milliseconds
        number = 0
        while number < total:
            due = min(total, int((time.perf_counter() - began) * rate) + 1)
            loop.call_soon_threadsafe(say_those, number, due)
            number = due
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))

    Thread(target=keep_time, name="bench-clock", daemon=True).start()
    await all_said.wait()
    await asyncio.gather(*saying)
    return total / (time.perf_counter() - began), (time.process_time() - cpu) / total


def _figures(hops: list[float], per_s: float, cpu_s: float) -> Figures:
    measured = sorted(hops)
    return {
        "p50 ms": measured[len(measured) // 2] * 1e3,
        "p99 ms": measured[len(measured) * 99 // 100] * 1e3,
        "worst ms": measured[-1] * 1e3,
        "messages a second": per_s,
        "µs of CPU per message": cpu_s * 1e6,
    }
