"""A process for the kill test: an engine under load that tells its parent what it has promised.

    run(FOLDER, DIARY, BOOT, RUNS, PLAN)

On stdout: `submitted RUN` and `finished RUN STATUS`, each printed only after the engine said so. In DIARY, opened for
appending: `BOOT RUN STEP` whenever an agent starts to act. Ends by itself when RUNS runs have finished. PLAN is
`chain`, a state machine, `tree`, a behaviour tree that halts, repeats and sets time limits, or `parts`, a workflow
whose steps are runs of another one.
"""

from runtime.store import driver

driver.install()

import asyncio  # noqa: E402
import os  # noqa: E402
from pathlib import Path  # noqa: E402

from appliance.bench.workload import chain  # noqa: E402
from runtime.domain.canonical import Json  # noqa: E402
from runtime.domain.ids import AgentId, DefinitionHash  # noqa: E402
from runtime.domain.tree import TreeNode  # noqa: E402
from runtime.domain.workflow import AgentSpec, SubrunSpec, Workflow, subworkflows  # noqa: E402
from runtime.engine.clock import SystemClock  # noqa: E402
from runtime.engine.dispatcher import Dispatcher  # noqa: E402
from runtime.engine.runs import Engine  # noqa: E402
from runtime.planners.sequence import sequence_fsm  # noqa: E402
from runtime.ports import StepContext, StepResult, Task  # noqa: E402
from runtime.store.journal import Journal, journal_database  # noqa: E402
from runtime.store.lock import hold  # noqa: E402

AT_ONCE = 12


def _act(agent: str) -> TreeNode:
    return TreeNode(kind="action", agent=AgentId(agent))


def _tree() -> Workflow:
    first = TreeNode(kind="parallel", children=(_act("a"), _act("b"), _act("c")), limit=1, failures=3)
    limited = TreeNode(kind="timeout", children=(_act("d"),), timeout_ms=3_600_000)
    twice = TreeNode(kind="repeat", children=(limited,), limit=2)
    rest = TreeNode(kind="sequence_with_memory", children=(_act("b"), twice, _act("e")))
    return Workflow(
        name="tree",
        hash=DefinitionHash(f"sha256:{1:064}"),
        agents={AgentId(name): AgentSpec(id=AgentId(name), type="diary") for name in "abcde"},
        planner="behavior_tree",
        tree=TreeNode(kind="sequence", children=(first, rest)),
    )


_PARTS: dict[str, Json] = {"one": None, "each": ["x", "y", "z"]}


def _parts() -> Workflow:
    inner = chain(2)
    agents = {
        AgentId(name): AgentSpec(
            id=AgentId(name), type="workflow", timeout_ms=0, subrun=SubrunSpec(workflow=inner, over=over, at_once=2)
        )
        for name, over in _PARTS.items()
    }
    return Workflow(name="parts", hash=DefinitionHash(f"sha256:{9:064}"), agents=agents, fsm=sequence_fsm([*agents]))


WORKFLOWS = {"chain": chain(5), "tree": _tree(), "parts": _parts()}


def definitions(plan: str) -> dict[DefinitionHash, Workflow]:
    """What a run may be pinned to."""
    workflow = WORKFLOWS[plan]
    return {each.hash: each for each in (workflow, *subworkflows(workflow))}


class DiaryAgent:
    """Notes that it acts, then lets others go first a few times."""

    def __init__(self, diary: int, boot: str) -> None:
        self._diary = diary
        self._boot = boot

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Answer with the step's name."""
        os.write(self._diary, f"{self._boot} {task.run} {task.step}\n".encode())
        for _ in range(20):
            await asyncio.sleep(0)
        return StepResult(output=task.step)


def run(folder: str, diary: str, boot: str, runs: str, plan: str) -> None:
    """Recover what an earlier process left, then keep runs going."""
    asyncio.run(_run(folder, diary, boot, int(runs), plan))


async def _run(folder: str, diary: str, boot: str, runs: int, plan: str) -> None:
    workflow, known = WORKFLOWS[plan], definitions(plan)
    clock = SystemClock()
    database = journal_database(Path(folder), lock=hold(Path(folder), what="kill test", now_us=clock.now_us()))
    await database.start()
    agent = DiaryAgent(os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND), boot)

    async def pinned(definition: DefinitionHash) -> Workflow:
        return known[definition]

    dispatcher = Dispatcher(
        make_agent=lambda spec, folder, sender: agent,
        models=None,  # type: ignore[arg-type]  # the agent asks for none of these
        http=None,  # type: ignore[arg-type]
        tools=lambda _workflow: {},
        clock=clock,
    )
    engine = Engine(store=Journal(database), definitions=pinned, dispatcher=dispatcher, clock=clock)
    await engine.start()
    left = iter(range(runs))

    async def load() -> None:
        for _ in left:
            run = await engine.submit(workflow, None)
            print("submitted", run, flush=True)
            state = await engine.wait(run)
            print("finished", run, state.status, flush=True)

    await asyncio.gather(*(load() for _ in range(AT_ONCE)))
    while engine.health().live_runs:  # what was recovered
        await asyncio.sleep(0)
    await engine.stop()
    await database.stop()
