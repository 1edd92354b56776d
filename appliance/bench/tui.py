"""`af bench tui`: the real dashboard over ten thousand runs while a hundred entries a second come in.

The application is the one that `af tui` opens, and draws everything it would send to a terminal; only the server is
played, by bytes such as a server sends. Counted are the CPU of the process, how long a key takes until it is drawn,
how late the event loop is, and how long after an entry came it has been drawn: entries are gathered for a quarter of
a second, so this is that and the drawing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from statistics import median, quantiles
from typing import TYPE_CHECKING

import msgspec

from appliance.bench.engine import Goal, Report, Result
from runtime.domain.canonical import Json
from runtime.domain.command import FinishRun, StartStep
from runtime.domain.event import RunStarted, StepSucceeded, Usage
from runtime.domain.ids import DefinitionHash, RunId, StepId
from runtime.domain.journal import Body, Entry, envelope_of, rfc3339, write
from runtime.engine.clock import SystemClock

if TYPE_CHECKING:
    from tui.unseen import Unseen

LAG_MS = 200.0
CORE_RATIO = 0.30
WARM_UP_S = 2.0
TICK_S = 0.01
KEYS = ("down", "down", "up")
STEPS = ("classify", "search", "draft", "check")
DEFINITION = DefinitionHash("sha256:" + "b" * 64)


class Played:
    """A server of so many runs, in which so many entries a second are written."""

    def __init__(self, *, runs: int, per_s: float, now_us: int) -> None:
        self._runs = [f"r-{number:026x}" for number in range(runs)]
        self._per_s = per_s
        self._now_us = now_us
        self._seq: dict[str, int] = {}
        self.sent: list[tuple[int, float]] = []
        """Number of each entry that was sent, and when."""

    async def ask(self, method: str, target: str, body: Json = None) -> bytes:
        """Answer a request."""
        if target.startswith("/v1/runs?"):
            return self._page(int(target.rpartition("=")[2]) if "before=" in target else 0)
        if target.startswith("/v1/panels/plan/"):
            nodes: list[Json] = [{"name": step, "kind": "agent", "agent": step} for step in STEPS]
            machine: Json = {"title": "", "initial": STEPS[0], "nodes": nodes}
            found: Json = {"workflow": "w", "definition_hash": DEFINITION, "planner": "fsm", "machines": [machine]}
            return msgspec.json.encode(found)
        if target == "/v1/panels/agents":
            agents: list[Json] = [_agent(step, number) for number, step in enumerate(STEPS * 3)]
            return msgspec.json.encode({"agents": agents, "servers": []})
        return b"{}"

    async def follow(self, target: str, after: int | None) -> AsyncIterator[tuple[int, str, bytes]]:
        """The stream of all runs at its pace, or the journal of one."""
        if not target.startswith("/v1/events"):
            run = target.split("/")[3]
            for seq, body in enumerate(_life(run), 1):
                row = write(RunId(run), Entry(seq, self._now_us + seq * 1_000, body))
                yield seq, row.type, envelope_of(row)
            return
        yield -1, "", b"from 0 of 0"
        began_s = time.perf_counter()
        for number, (run, body) in enumerate(self._lives(), 1):
            await asyncio.sleep(max(0.0, began_s + number / self._per_s - time.perf_counter()))
            seq = self._seq[run] = self._seq.get(run, 0) + 1
            at_us = self._now_us + int((time.perf_counter() - began_s) * 1e6)
            row = write(RunId(run), Entry(seq, at_us, body))
            self.sent.append((number, time.perf_counter()))
            yield number, row.type, envelope_of(row)

    def _lives(self) -> Iterator[tuple[str, Body]]:
        """Entries of eight runs at a time, in turns, one run after the other."""
        number = len(self._runs)
        while True:
            at_once = [f"r-{number + more:026x}" for more in range(8)]
            number += 8
            for bodies in zip(*(_life(run) for run in at_once), strict=True):
                yield from zip(at_once, bodies, strict=True)

    def _page(self, first: int) -> bytes:
        page = self._runs[first : first + 1_000]
        lines: list[Json] = [
            {
                "run_id": run,
                "workflow": ("support", "refund", "triage")[number % 3],
                "definition_hash": DEFINITION,
                "status": ("succeeded", "succeeded", "succeeded", "failed", "waiting")[number % 5],
                "created_at": rfc3339(self._now_us - (first + number) * 1_000_000),
                "updated_at": rfc3339(self._now_us - (first + number) * 900_000),
                "entries": 12,
            }
            for number, run in enumerate(page)
        ]
        behind = first + 1_000
        more = f"/v1/runs?limit=1000&before={behind}" if behind < len(self._runs) else None
        return msgspec.json.encode({"runs": lines, "next": more})


def bench(*, runs: int, per_s: float, seconds: float, size: tuple[int, int], report: Report) -> Result:
    """Measure for so many seconds, behind the time that the first list takes."""
    return asyncio.run(_bench(runs, per_s, seconds, size, report=report))


async def _bench(runs: int, per_s: float, seconds: float, size: tuple[int, int], *, report: Report) -> Result:
    from tui.client import Client
    from tui.unseen import Unseen

    clock = SystemClock()
    played = Played(runs=runs, per_s=per_s, now_us=clock.now_us())
    shown: list[float] = []
    told = 0

    def drawn() -> None:
        nonlocal told
        now_s, known = time.perf_counter(), app.link.place or 0
        while told < len(played.sent) and played.sent[told][0] <= known:
            shown.append(now_s - played.sent[told][1])
            told += 1

    app = Unseen(Client(played.ask, played.follow), now_us=clock.now_us, on_drawn=drawn)
    running = asyncio.create_task(app.run_async(size=size, mouse=False))
    report(f"list {runs:,} runs")
    began_s = time.perf_counter()
    while not app.link.has_listed:
        await asyncio.sleep(0.01)
    listed_s = time.perf_counter() - began_s
    await asyncio.sleep(WARM_UP_S)
    report(f"{per_s:g} entries a second for {seconds:g} s on {size[0]}×{size[1]}")
    shown.clear()
    letters = app.written
    keys, late, cpu_ratio = await _watch(app, seconds)
    written = app.written - letters
    app.exit()
    await running
    return _result(
        keys, late, shown, cpu_ratio=cpu_ratio, listed_s=listed_s, letters_per_s=written / seconds, per_s=per_s
    )


async def _watch(app: "Unseen", seconds: float) -> tuple[list[float], list[float], float]:
    """Seconds that keys took, that the loop was late, and the share of a core."""
    keys: list[float] = []
    late: list[float] = []

    async def tick() -> None:
        while True:
            due_s = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            late.append(time.perf_counter() - due_s)

    ticking = asyncio.create_task(tick())
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    number = 0
    while time.perf_counter() - began_s < seconds:
        pressed_s = time.perf_counter()
        await app.press(KEYS[number % len(KEYS)])
        keys.append(time.perf_counter() - pressed_s)
        number += 1
        await asyncio.sleep(1.0)
    cpu_ratio = (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)
    ticking.cancel()
    return keys, late, cpu_ratio


def _result(
    keys: list[float],
    late: list[float],
    shown: list[float],
    *,
    cpu_ratio: float,
    listed_s: float,
    letters_per_s: float,
    per_s: float,
) -> Result:
    row = {
        "core_ratio": cpu_ratio,
        "key_ms_p50": median(keys) * 1e3,
        "key_ms_max": max(keys) * 1e3,
        "loop_late_ms_p99": quantiles(late, n=100)[98] * 1e3,
        "loop_late_ms_max": max(late) * 1e3,
        "entry_shown_ms_p50": median(shown) * 1e3,
        "entry_shown_ms_max": max(shown) * 1e3,
        "entries": float(len(shown)),
        "listed_s": listed_s,
        "written_kb_per_s": letters_per_s / 1e3,
    }
    goals = [
        Goal(name="a key is drawn, ms, the slowest", value=row["key_ms_max"], limit=LAG_MS),
        Goal(name="event loop late, ms, the worst", value=row["loop_late_ms_max"], limit=LAG_MS),
        Goal(name="share of a core", value=cpu_ratio, limit=CORE_RATIO),
    ]
    return Result(rows={"dashboard": row}, goals=goals, notes=[])


def _life(run: str) -> list[Body]:
    """A run of four steps."""
    bodies: list[Body] = [RunStarted(workflow="support", definition=DEFINITION, input={"message": "a question"})]
    for step in STEPS:
        bodies.append(StartStep(step=StepId(step)))
        usage = Usage(input_tokens=120, output_tokens=30, cost_usd_micros=45)
        bodies.append(StepSucceeded(step=StepId(step), output={"text": "an answer"}, usage=usage, duration_ms=80))
    return [*bodies, FinishRun(status="succeeded", state="done")]


def _agent(name: str, number: int) -> Json:
    return {
        "workflow": f"w{number // 4}",
        "agent": name,
        "kind": "llm",
        "health": "busy" if number % 3 else "idle",
        "limit": 16,
        "working": number % 5,
        "queued": 0,
        "answered": number * 100,
        "failed": 0,
        "failed_in_a_row": 0,
        "last_error": "",
        "mean_ms": 800,
        "active_at": "2026-01-31T12:00:00.000000Z",
    }
