"""A process for the kill test of minimisation: runs whose every step says something about somebody.

    run(FOLDER, RUNS)

On stdout: `submitted RUN` and `finished RUN`, each printed only after the engine said so. Ends by itself when RUNS runs
have finished.
"""

from runtime.store import driver

driver.install()

import asyncio  # noqa: E402
from pathlib import Path  # noqa: E402

from appliance.bench.workload import chain  # noqa: E402
from redaction.minimise import VaultMinimiser  # noqa: E402
from redaction.presets import PRESETS  # noqa: E402
from runtime.domain.ids import DefinitionHash  # noqa: E402
from runtime.domain.workflow import Workflow  # noqa: E402
from runtime.engine.clock import SystemClock  # noqa: E402
from runtime.engine.dispatcher import Dispatcher  # noqa: E402
from runtime.engine.runs import Engine  # noqa: E402
from runtime.ports import StepContext, StepResult, Task  # noqa: E402
from runtime.store.journal import Journal, journal_database  # noqa: E402
from runtime.store.lock import hold  # noqa: E402
from runtime.store.vaults import Vaults  # noqa: E402

STEPS = 5
WORKFLOW = chain(STEPS)
AT_ONCE = 6
ANNA = "anna.kovacs@example.com"


class Writer:
    """Names the customer of the run and one more person a step."""

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Answer; what came in must be the value, whatever was killed in between."""
        assert f"I am {ANNA}" == task.data["input"], "an agent was given a pseudonym"
        return StepResult(output=f"{ANNA} was told by {task.state}@example.org")


def run(folder: str, runs: str) -> None:
    """Recover what an earlier process left, then keep runs going."""
    asyncio.run(_run(Path(folder), int(runs)))


async def _run(folder: Path, runs: int) -> None:
    clock = SystemClock()
    lock = hold(folder, what="kill test", now_us=clock.now_us())
    database = journal_database(folder, lock=lock)
    await database.start()
    vaults = Vaults(folder, lock=lock, key=None)
    policy = PRESETS["default"].patterns_only()
    minimiser = VaultMinimiser(
        vaults, is_always=True, policies={"journal": policy, "memory": policy}, now_us=clock.now_us
    )

    async def pinned(definition: DefinitionHash) -> Workflow:
        return WORKFLOW

    dispatcher = Dispatcher(
        make_agent=lambda spec, folder, sender: Writer(),
        models=None,  # type: ignore[arg-type]  # the agent asks for none of these
        http=None,  # type: ignore[arg-type]
        tools=lambda _workflow: {},
        clock=clock,
        minimiser=minimiser,
    )
    engine = Engine(
        store=Journal(database), definitions=pinned, dispatcher=dispatcher, clock=clock, minimiser=minimiser
    )
    await engine.start()
    left = iter(range(runs))

    async def load() -> None:
        for _ in left:
            run = await engine.submit(WORKFLOW, f"I am {ANNA}")
            print("submitted", run, flush=True)
            await engine.wait(run)
            print("finished", run, flush=True)

    await asyncio.gather(*(load() for _ in range(AT_ONCE)))
    while engine.health().live_runs:  # what was recovered
        await asyncio.sleep(0)
    await engine.stop()
    minimiser.stop()
    await vaults.stop()
    await database.stop()
