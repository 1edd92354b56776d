"""The ten-step durable workflow of the engine's benchmark, run in a process of its own.

The workload is the one that the peer scripts run: each step hashes the running state, and is durable before the
next one starts; the final digest is checked. Figures have the peers' names, so that one table can hold all.

    python -m appliance.bench.workload --sequential 20 --concurrent 50
"""

from runtime.store import driver

driver.install()

import argparse  # noqa: E402  # the driver's alias must stand before anything imports sqlite3
import asyncio  # noqa: E402
import gc  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import shutil  # noqa: E402
import statistics  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Awaitable, Callable  # noqa: E402
from pathlib import Path  # noqa: E402

from runtime.domain.canonical import Json  # noqa: E402
from runtime.domain.ids import AgentId, DefinitionHash  # noqa: E402
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState, Workflow  # noqa: E402
from runtime.engine.clock import SystemClock  # noqa: E402
from runtime.engine.dispatcher import Dispatcher  # noqa: E402
from runtime.engine.runs import Engine  # noqa: E402
from runtime.ports import StepContext, StepResult, Task  # noqa: E402
from runtime.store.database import Database  # noqa: E402
from runtime.store.journal import Journal, journal_database  # noqa: E402
from runtime.store.lock import hold  # noqa: E402

PAYLOAD = "x" * 512
STEP_OUTPUT_BYTES = 66
"""What a step's own output takes as JSON: a digest in quotes."""


def chain(steps: int) -> Workflow:
    """A line of `steps` states, each run by the hashing agent over the last output."""
    names = [f"s{index}" for index in range(steps)]
    states = {
        name: FsmState(name=name, on_success=following)
        for name, following in zip(names, [*names[1:], "done"], strict=True)
    }
    agents = {
        AgentId(name): AgentSpec(id=AgentId(name), type="bench", input="{{ response }}", config={"index": index})
        for index, name in enumerate(names)
    }
    fsm = FsmSpec(states=states, initial_state="s0", final_states=frozenset({"done"}))
    return Workflow(name="bench", hash=DefinitionHash(f"sha256:{steps:064}"), agents=agents, fsm=fsm)


class HashingAgent:
    """The step's body: a few microseconds of work, deterministic."""

    def __init__(self, index: int) -> None:
        self._index = index

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Hash the running state."""
        return StepResult(output=work(task.input or "0" * 64, self._index))


def work(digest: Json, index: int) -> str:
    """The digest behind `digest`, as the peer scripts compute it."""
    return hashlib.sha256(f"{index}:{digest}:{PAYLOAD}".encode()).hexdigest()


def reference(steps: int) -> str:
    """The digest of a whole workflow; a run with another one skipped or reordered a step."""
    digest = "0" * 64
    for index in range(steps):
        digest = work(digest, index)
    return digest


async def measure(folder: Path, *, steps: int, sequential: int, concurrent: int, rounds: int) -> dict[str, Json]:
    """Run the workflow one at a time, then many at once; figures per step."""
    clock = SystemClock()
    lock = hold(folder, what="af bench engine", now_us=clock.now_us())
    database = journal_database(folder, lock=lock)
    await database.start()
    engine = _engine(Journal(database), clock)
    await engine.start()
    workflow, expected = chain(steps), reference(steps)

    async def run_one() -> None:
        state = await engine.wait(await engine.submit(workflow, None))
        if state.output != expected:
            raise RuntimeError(f"the final digest is wrong: {state.status} {state.error}")

    async def one_after_another() -> None:
        for _ in range(sequential):
            await run_one()

    async def all_at_once() -> None:
        await asyncio.gather(*(run_one() for _ in range(concurrent)))

    for _ in range(5):
        await run_one()
    gc.collect()
    before = _bytes(folder, database)
    alone = [await _timed(one_after_another, sequential * steps) for _ in range(rounds)]
    together = [await _timed(all_at_once, concurrent * steps) for _ in range(rounds)]
    await engine.stop()
    kept = _bytes(folder, database) - before
    await database.stop()
    lock.release()
    runs = rounds * (sequential + concurrent)
    return {
        "peer": "agentflow",
        "seq_steps_s_best": round(max(rate for rate, _ in alone)),
        "seq_steps_s_median": round(statistics.median(rate for rate, _ in alone)),
        "seq_cpu_us_step": round(min(cpu for _, cpu in alone)),
        "con_steps_s_best": round(max(rate for rate, _ in together)),
        "con_steps_s_median": round(statistics.median(rate for rate, _ in together)),
        "con_cpu_us_step": round(min(cpu for _, cpu in together)),
        "bytes_per_workflow": round(kept / runs),
        "bytes_per_step_beyond_output": round(kept / (runs * steps) - STEP_OUTPUT_BYTES),
        "steps": steps,
    }


def _engine(store: Journal, clock: SystemClock) -> Engine:
    async def no_definitions(definition: DefinitionHash) -> Workflow:
        raise RuntimeError(f"nothing is recovered here: {definition}")

    dispatcher = Dispatcher(
        make_agent=lambda spec, folder, sender: HashingAgent(int(str(spec.config["index"]))),
        models=None,  # type: ignore[arg-type]  # the agent asks for none of these
        http=None,  # type: ignore[arg-type]
        tools=lambda _workflow: {},
        clock=clock,
    )
    return Engine(store=store, definitions=no_definitions, dispatcher=dispatcher, clock=clock)


async def _timed(body: Callable[[], Awaitable[None]], steps: int) -> tuple[float, float]:
    """(steps per second, µs of CPU per step, all threads)."""
    began, cpu = time.perf_counter(), time.process_time()
    await body()
    return steps / (time.perf_counter() - began), (time.process_time() - cpu) * 1e6 / steps


def _bytes(folder: Path, database: Database) -> int:
    """Bytes of the database with its write-ahead log folded in."""
    connection = driver.open_raw(database.path, writer=True)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def arguments(description: str | None) -> argparse.Namespace:
    """The load, as the peer scripts take it, and `--steps`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dir", help="folder for the database (default: the system's temp folder)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--sequential", type=int, default=60)
    parser.add_argument("--concurrent", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """Measure once and print one JSON document."""
    given = arguments(__doc__)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=given.dir))
    try:
        figures = asyncio.run(
            measure(
                folder,
                steps=given.steps,
                sequential=given.sequential,
                concurrent=given.concurrent,
                rounds=given.rounds,
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
