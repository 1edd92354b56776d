"""A process for the kill test: an engine whose run comes to a task for people, and is killed while it waits.

    run(FOLDER)

On stdout: `waiting RUN` once the task is durable, then nothing; it waits until it is killed.
"""

from runtime.store import driver

driver.install()

import asyncio  # noqa: E402  # the driver's alias must stand before anything imports sqlite3
from pathlib import Path  # noqa: E402

from runtime.agents.human_task import HumanTaskAgent  # noqa: E402
from runtime.domain.human import Level, Terms  # noqa: E402
from runtime.domain.ids import AgentId, DefinitionHash  # noqa: E402
from runtime.domain.workflow import AgentSpec, Workflow  # noqa: E402
from runtime.engine.dispatcher import Dispatcher  # noqa: E402
from runtime.engine.runs import Engine  # noqa: E402
from runtime.planners.sequence import sequence_fsm  # noqa: E402
from runtime.ports import Clock  # noqa: E402
from runtime.store.journal import Journal, journal_database  # noqa: E402
from runtime.store.lock import hold  # noqa: E402

TERMS = Terms(
    role="clerk",
    chain=(Level("boss", 14_400_000), Level("chief", 14_400_000)),
    reminders_ms=(3_600_000,),
    channels=("log",),
)
AGENT = AgentSpec(id=AgentId("ask"), type="human_task", terms=TERMS, timeout_ms=0)
WORKFLOW = Workflow(
    name="w", hash=DefinitionHash(f"sha256:{7:064}"), agents={AGENT.id: AGENT}, fsm=sequence_fsm([AGENT.id])
)


def engine_over(store: Journal, clock: Clock) -> Engine:
    """An engine that knows this workflow alone."""

    async def pinned(definition: DefinitionHash) -> Workflow:
        return WORKFLOW

    dispatcher = Dispatcher(
        make_agent=lambda spec, folder, sender: HumanTaskAgent(spec),
        models=None,  # type: ignore[arg-type]  # nobody asks one
        http=None,  # type: ignore[arg-type]
        tools=lambda _workflow: {},
        clock=clock,
    )
    return Engine(store=store, definitions=pinned, dispatcher=dispatcher, clock=clock)


def run(folder: str) -> None:
    """Come to the task, say so, and wait to be killed."""
    asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> None:
    from runtime.engine.clock import SystemClock

    with hold(folder, what="test", now_us=0) as lock:
        database = journal_database(folder, lock=lock)
        await database.start()
        engine = engine_over(Journal(database), SystemClock())
        await engine.start()
        run = await engine.submit(WORKFLOW, None)
        await engine.wait(run)
        print(f"waiting {run}", flush=True)
        await asyncio.Event().wait()
