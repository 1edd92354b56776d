"""A process for the kill test of sessions: runs whose agent remembers what was said.

    run(FOLDER, RUNS)

On stdout: `submitted RUN` and `finished RUN`, each printed only after the engine said so. Ends by itself when RUNS runs
have finished.
"""

from runtime.store import driver

driver.install()

import asyncio  # noqa: E402
from pathlib import Path  # noqa: E402

from runtime.agents.llm import LlmAgent  # noqa: E402
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest  # noqa: E402
from runtime.domain.egress import APPLIANCE, Sender  # noqa: E402
from runtime.domain.ids import AgentId, DefinitionHash  # noqa: E402
from runtime.domain.workflow import AgentSpec, Workflow  # noqa: E402
from runtime.engine.clock import SystemClock  # noqa: E402
from runtime.engine.dispatcher import Dispatcher  # noqa: E402
from runtime.engine.runs import Engine  # noqa: E402
from runtime.memory.sessions import Sessions  # noqa: E402
from runtime.planners.sequence import sequence_fsm  # noqa: E402
from runtime.store.journal import Journal, journal_database  # noqa: E402
from runtime.store.lock import hold  # noqa: E402
from runtime.store.memory import Memory  # noqa: E402

AGENT, SESSION = "chat", "s"
MEMORY_FILE = "memory.db"
AT_ONCE = 6
WORKFLOW = Workflow(
    name="chat",
    hash=DefinitionHash(f"sha256:{4:064}"),
    agents={
        AgentId(AGENT): AgentSpec(
            id=AgentId(AGENT),
            type="llm",
            prompt="{{ input.message }}",
            memory={"short_term": {"max_items": 1_000, "cost_budget_tokens": 1_000_000}},
        )
    },
    fsm=sequence_fsm([AgentId(AGENT)]),
)


class Parrot:
    """A model that lets others go first a few times."""

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        """Say it again."""
        for _ in range(20):
            await asyncio.sleep(0)
        said = request.messages[-1].content
        return ChatReply(
            text=said,
            finish_reason="stop",
            input_tokens=1,
            output_tokens=1,
            backend="parrot",
            model="parrot",
            fingerprint="parrot",
        )

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        """Nobody asks for that."""
        raise AssertionError


def run(folder: str, runs: str) -> None:
    """Recover what an earlier process left, then keep runs going."""
    asyncio.run(_run(Path(folder), int(runs)))


async def _run(folder: Path, runs: int) -> None:
    clock = SystemClock()
    lock = hold(folder, what="kill test", now_us=clock.now_us())
    database = journal_database(folder, lock=lock)
    await database.start()
    memory = Memory(folder / MEMORY_FILE, lock=lock)
    await memory.start()

    async def pinned(definition: DefinitionHash) -> Workflow:
        return WORKFLOW

    async def count(request: ChatRequest, sender: Sender) -> int:
        return len(request.messages)

    dispatcher = Dispatcher(
        make_agent=lambda spec, folder, sender: LlmAgent(spec),
        models=Parrot(),
        http=None,  # type: ignore[arg-type]  # the agent asks for none
        tools=lambda _workflow: {},
        clock=clock,
        sessions=Sessions(memory.turns, clock=clock, count=count),
    )
    engine = Engine(store=Journal(database), definitions=pinned, dispatcher=dispatcher, clock=clock)
    await engine.start()
    left = iter(range(runs))

    async def load() -> None:
        for number in left:
            run = await engine.submit(WORKFLOW, {"message": f"m{number}", "session": SESSION})
            print("submitted", run, flush=True)
            await engine.wait(run)
            print("finished", run, flush=True)

    await asyncio.gather(*(load() for _ in range(AT_ONCE)))
    while engine.health().live_runs:  # what was recovered
        await asyncio.sleep(0)
    await engine.stop()
    await memory.stop()
    await database.stop()
