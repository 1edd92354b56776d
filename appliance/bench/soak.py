"""`af bench soak`: fifty workflows at once, for as long as one likes; memory, files, the loop's lag, and every journal.

The appliance is the real one, with its store on the disk, in a folder of its own. The models are scripted, so that
what is measured is the appliance. Some agents fail and are tried again, some wait for a signal, some are functions in
worker processes, some are runs of their own.
"""

import asyncio
import gc
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.bench.engine import Goal, Result
from appliance.config.settings import Settings
from appliance.wiring import Appliance
from runtime.domain.ids import RunId
from runtime.domain.journal import Entry, read
from runtime.domain.workflow import Workflow
from runtime.engine.replay import definitions_of, replay
from runtime.errors import AgentFlowError
from runtime.planners.lifecycle import planner_for
from runtime.ports import Planner

SAMPLE_S = 2.0
LAG_TICK_S = 0.02
PAUSE_MS = 400
"""How long a scripted answer takes: fifty runs at once are then some sixty a second."""
SETTLED_RATIO = 0.3
"""Part of the time after which memory counts: caches are full, and allocators have grown."""
FLAT_RATIO, LAG_P99_MS, FILES_MORE = 1.05, 100.0, 20.0

CHAIN = f"""
name: soak-chain
agents:
  first: {{type: llm, prompt: "{{{{ input.text }}}}", model: {{provider: scripted, answers: [{{text: one, delay_ms: {PAUSE_MS}}}]}}}}
  second: {{type: llm, prompt: "{{{{ steps.first.text }}}}", model: {{provider: scripted, answers: [{{text: two, delay_ms: {PAUSE_MS}}}]}}}}
  third: {{type: custom, handler: "steps.py:join", input: "{{{{ steps.second.text }}}}"}}
"""  # noqa: E501  # YAML
FAILS = f"""
name: soak-fails
agents:
  shaky:
    type: llm
    prompt: x
    retry: {{max_attempts: 2, initial: 100ms}}
    model: {{provider: scripted, answers: [{{error: {{code: model.busy, retryable: true}}, delay_ms: {PAUSE_MS}}}]}}
  rescue: {{type: llm, prompt: x, model: {{provider: scripted, answers: [{{text: saved, delay_ms: {PAUSE_MS}}}]}}}}
planner:
  type: fsm
  definition:
    initial_state: shaky
    states:
      shaky: {{on_success: done, on_error: rescue}}
      rescue: {{on_success: done}}
    final_states: [done]
"""
WAITS = """
name: soak-waits
agents:
  after: {type: llm, prompt: x, model: {provider: scripted, answers: [thanks]}}
planner:
  type: fsm
  definition:
    initial_state: person
    states:
      person: {wait_for: resolved, on_success: after}
      after: {on_success: done}
    final_states: [done]
"""
PARTS = f"""
name: soak-parts
agents:
  each:
    type: map
    over: "{{{{ input.items }}}}"
    workflow:
      name: part
      agents:
        one: {{type: llm, prompt: "{{{{ input }}}}", model: {{provider: scripted, answers: [{{text: part, delay_ms: {PAUSE_MS}}}]}}}}
"""  # noqa: E501  # YAML
STEPS = "def join(given, ctx):\n    return {'joined': [given] * 3}\n"
DOCUMENTS = {"soak-chain": CHAIN, "soak-fails": FAILS, "soak-waits": WAITS, "soak-parts": PARTS}

Report = Callable[[str], None]


class _Sample(msgspec.Struct, frozen=True):
    at_s: float
    resident_mb: float
    files: int


class _Watch:
    """What the process takes, and how late its event loop is."""

    def __init__(self) -> None:
        self.samples: list[_Sample] = []
        self.late_ms: list[float] = []

    async def sample(self) -> None:
        """For ever."""
        began_s = time.monotonic()
        while True:
            self.samples.append(_Sample(time.monotonic() - began_s, resident_mb(), open_files()))
            await asyncio.sleep(SAMPLE_S)

    async def listen(self) -> None:
        """For ever: ask to be woken, and see how late it comes."""
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(LAG_TICK_S)
            self.late_ms.append((time.monotonic() - before_s - LAG_TICK_S) * 1_000)


def bench(*, settings: Settings, minutes: float, at_once: int, folder: Path, report: Report) -> Result:
    """Run for so long, then replay every journal. `folder`: where a folder is made for it, and removed again."""
    place = Path(tempfile.mkdtemp(prefix="soak-", dir=folder))
    try:
        own = msgspec.structs.replace(
            settings, data=place / "data", socket=place / "af.sock", drain_s=30.0, minimise="off", budgets=()
        )
        return asyncio.run(_measure(own, place, minutes=minutes, at_once=at_once, report=report))
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _measure(settings: Settings, place: Path, *, minutes: float, at_once: int, report: Report) -> Result:
    appliance = Appliance(settings, what="af bench soak")
    await appliance.start(recover=False)
    watch, ended = _Watch(), Counter[str]()
    try:
        workflows = [await _workflow(appliance, place, name) for name in DOCUMENTS]
        watching = [asyncio.create_task(watch.sample()), asyncio.create_task(watch.listen())]
        until_s = time.monotonic() + minutes * 60
        said = asyncio.create_task(_say(report, watch, ended, until_s))
        clients = [_client(appliance, workflows, number, until_s, ended) for number in range(at_once)]
        await asyncio.gather(*clients)
        for task in (*watching, said):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        report(f"replaying {ended.total():,} runs and their parts")
        runs, faults = await _replayed(appliance)
        await appliance.store.verify()
    finally:
        await appliance.stop()
    return _result(watch, ended, runs, faults)


async def _workflow(appliance: Appliance, place: Path, name: str) -> Workflow:
    folder = place / name
    folder.mkdir()
    (folder / "workflow.yaml").write_text(DOCUMENTS[name])
    (folder / "steps.py").write_text(STEPS)
    return await appliance.workflows.find(str(folder), allow_paths=True)


async def _client(
    appliance: Appliance, workflows: Sequence[Workflow], number: int, until_s: float, ended: Counter[str]
) -> None:
    """One run after another, of each workflow in turn."""
    turn = number
    engine = appliance.engine
    while time.monotonic() < until_s:
        workflow = workflows[turn % len(workflows)]
        turn += 1
        run = await engine.submit(workflow, {"text": f"run {turn} of client {number}", "items": ["a", "b", "c"]})
        state = await engine.wait(run)
        if state.status == "waiting":
            await asyncio.sleep(PAUSE_MS / 1_000)
            await engine.signal(run, "resolved", {"by": number})
            state = await engine.wait(run)
        ended[state.status] += 1


async def _say(report: Report, watch: _Watch, ended: Counter[str], until_s: float) -> None:
    while True:
        await asyncio.sleep(30)
        if watch.samples:
            last = watch.samples[-1]
            left_s = max(0, until_s - time.monotonic())
            report(f"{ended.total():,} runs, {last.resident_mb:.0f} MB, {last.files} files, {left_s / 60:.1f} min left")


async def _replayed(appliance: Appliance) -> tuple[int, list[str]]:
    """Every run of the store, decided again; what did not come out the same."""
    planners: dict[str, Planner] = {}
    faults: list[str] = []
    count, before = 0, None
    while page := await appliance.store.runs(limit=500, before=before):
        for summary in page:
            count += 1
            fault = await _fault_of(appliance, summary.run, planners)
            if fault:
                faults.append(fault)
        before = page[-1].run
    return count, faults


async def _fault_of(appliance: Appliance, run: RunId, planners: dict[str, Planner]) -> str:
    try:
        entries: list[Entry] = []
        while rows := await appliance.store.read(run, after_seq=len(entries)):
            entries.extend(map(read, rows))
        for definition in definitions_of(entries):
            if definition not in planners:
                planners[definition] = planner_for(await appliance.workflows.pinned(definition))
        found = replay(run, entries, planners[definitions_of(entries)[0]])
    except AgentFlowError as error:
        return f"{run}: {error.code}"
    if not found.state.is_final:
        return f"{run}: not final"
    return str(found.divergence) if found.divergence else ""


def _result(watch: _Watch, ended: Counter[str], runs: int, faults: Sequence[str]) -> Result:
    settled = watch.samples[int(len(watch.samples) * SETTLED_RATIO) :] or watch.samples
    half = max(1, len(settled) // 2)
    early = statistics.median(sample.resident_mb for sample in settled[:half])
    late = statistics.median(sample.resident_mb for sample in settled[half:] or settled)
    files = [sample.files for sample in settled]
    late_ms = sorted(watch.late_ms) or [0.0]
    p99_ms = late_ms[min(len(late_ms) - 1, int(len(late_ms) * 0.99))]
    row = {
        "minutes": watch.samples[-1].at_s / 60,
        "runs": float(ended.total()),
        "runs_succeeded": float(ended["succeeded"]),
        "runs_with_parts": float(runs),
        "runs_per_s": ended.total() / max(1.0, watch.samples[-1].at_s),
        "resident_mb_first": watch.samples[0].resident_mb,
        "resident_mb_settled": early,
        "resident_mb_last": late,
        "files_least": float(min(files)),
        "files_most": float(max(files)),
        "lag_ms_p50": statistics.median(late_ms),
        "lag_ms_p99": p99_ms,
        "lag_ms_most": late_ms[-1],
    }
    goals = [
        Goal(name="memory, second half of the time over the first", value=late / early, limit=FLAT_RATIO),
        Goal(name="open files, most over least", value=max(files) - min(files), limit=FILES_MORE),
        Goal(name="lag of the event loop, p99 in ms", value=p99_ms, limit=LAG_P99_MS),
        Goal(name="runs that did not succeed", value=float(ended.total() - ended["succeeded"]), limit=0),
        Goal(name="journals that do not replay clean", value=float(len(faults)), limit=0),
    ]
    return Result(rows={"agentflow": row}, goals=goals, notes=list(faults[:5]))


def resident_mb() -> float:
    """Memory of this process in RAM, after a collection, so that garbage is not taken for a leak."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    """Descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))
