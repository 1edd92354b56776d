"""What a behaviour tree decides is carried out: agents at once, halted agents cancelled, time limits over a restart."""

import asyncio

from msgspec.structs import replace

from runtime.domain.canonical import Json
from runtime.domain.event import TimerFired
from runtime.domain.ids import AgentId, DefinitionHash, StepId
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import AgentSpec, ReplanRule, Workflow
from runtime.engine.clock import ManualClock
from runtime.engine.replay import replay
from runtime.errors import StepFailure
from runtime.planners.lifecycle import planner_for
from runtime.ports import Task
from tests.runtime.engine.conftest import Stage, until


def act(agent: str) -> TreeNode:
    return TreeNode(kind="action", agent=AgentId(agent))


def planned(stage: Stage, tree: TreeNode) -> Workflow:
    """A workflow over the agents that the tree names."""
    agents = {node.agent: AgentSpec(id=node.agent, type="x") for node in tree.nodes() if node.agent is not None}
    made = Workflow(
        name="w",
        hash=DefinitionHash(f"sha256:{len(stage.workflows)}"),
        agents=agents,
        planner="behavior_tree",
        tree=tree,
    )
    stage.workflows[made.hash] = made
    return made


async def never(task: Task) -> Json:
    await asyncio.Event().wait()
    return None


async def test_agents_of_a_parallel_work_at_the_same_time(stage: Stage) -> None:
    """Each waits for the other; one after another would wait for ever."""
    begun = {"a": asyncio.Event(), "b": asyncio.Event()}

    async def meet(task: Task) -> Json:
        begun[task.agent].set()
        await begun["b" if task.agent == "a" else "a"].wait()
        return task.agent

    stage.behaviours = {"a": meet, "b": meet}
    engine = await stage.engine()
    workflow = planned(stage, TreeNode(kind="parallel", children=(act("a"), act("b"))))
    async with asyncio.timeout(60):
        state = await engine.wait(await engine.submit(workflow, None))
    assert "succeeded" == state.status


async def test_a_halted_agent_is_really_cancelled(stage: Stage) -> None:
    """It holds a bulkhead, a model or a socket as long as it is not."""
    cancelled = asyncio.Event()

    async def slow(task: Task) -> Json:
        try:
            return await never(task)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def quick(task: Task) -> Json:
        await until(lambda: ("slow", 1) in stage.acted)
        return "first"

    stage.behaviours = {"slow": slow, "quick": quick}
    engine = await stage.engine()
    either = TreeNode(kind="parallel", children=(act("slow"), act("quick")), limit=1, failures=2)
    state = await engine.wait(
        await engine.submit(planned(stage, TreeNode(kind="sequence", children=(either, act("after")))), None)
    )
    async with asyncio.timeout(60):
        await cancelled.wait()
    assert ("succeeded", "stopped") == (state.status, state.steps[StepId("slow")].status)


async def test_a_time_limit_holds_over_a_restart(stage: Stage) -> None:
    """It was set before the first process went, and passes while there is none."""
    clock = stage.clock = ManualClock()
    stage.behaviours = {"a": never}
    limited = TreeNode(kind="timeout", children=(act("a"),), timeout_ms=60_000)
    workflow = planned(stage, TreeNode(kind="selector", children=(limited, act("b"))))
    engine = await stage.engine()
    run = await engine.submit(workflow, None)
    await stage.close()

    clock.advance(61)
    engine = await stage.engine()
    state = await engine.wait(run)
    assert ("succeeded", ["a", "b"]) == (state.status, state.path)
    assert replay(run, await engine.entries(run), planner_for(workflow)).divergence is None


async def test_a_time_limit_that_was_taken_back_does_not_fire(stage: Stage) -> None:
    clock = stage.clock = ManualClock()
    stage.behaviours = {"b": never}
    limited = TreeNode(kind="timeout", children=(act("a"),), timeout_ms=60_000)
    workflow = planned(stage, TreeNode(kind="sequence", children=(limited, act("b"), act("c"))))
    engine = await stage.engine()
    run = await engine.submit(workflow, None)
    await until(lambda: ("b", 1) in stage.acted)
    clock.advance(3_600)
    stage.behaviours = {}
    await engine.wait(await engine.submit(planned(stage, act("a")), None))  # by then whatever was due has been recorded
    assert not [entry for entry in await engine.entries(run) if isinstance(entry.body, TimerFired)]


async def test_a_tree_goes_on_where_another_process_left_it(stage: Stage) -> None:
    """With its place, its count of attempts and its halted steps; what was answered is not asked again."""
    stage.behaviours = {"b": never}
    again = TreeNode(kind="repeat", children=(act("a"),), limit=2)
    workflow = planned(stage, TreeNode(kind="sequence", children=(again, act("b"), act("c"))))
    engine = await stage.engine()
    run = await engine.submit(workflow, None)
    await until(lambda: ("b", 1) in stage.acted)
    await stage.close()

    stage.behaviours = {}
    stage.acted.clear()
    engine = await stage.engine()
    state = await engine.wait(run)
    assert [("b", 1), ("c", 1)] == stage.acted
    assert ("succeeded", ["a", "a", "b", "c"]) == (state.status, state.path)


async def test_a_tree_waits_for_a_person_over_a_restart(stage: Stage) -> None:
    """Lists of runs say so as soon as nothing else is under way, and the time limit goes on."""
    stage.clock = clock = ManualClock()
    root = TreeNode(
        kind="parallel_all",
        limit=1,
        children=(
            act("a"),
            TreeNode(kind="wait", signal="go", timeout_ms=60_000),
            TreeNode(kind="wait", signal="stop"),
        ),
    )
    workflow = planned(stage, root)
    engine = await stage.engine()
    run = await engine.submit(workflow, None)
    assert "waiting" == (await engine.wait(run)).status
    assert ["waiting"] == [each.status for each in await engine.store.runs()]
    await stage.close()
    engine = await stage.engine()
    await engine.signal(run, "go", {"approved": True})
    assert ["waiting"] == [each.status for each in await engine.store.runs()]
    await engine.signal(run, "stop")
    state = await engine.wait(run)
    assert ("succeeded", {}) == (state.status, state.timers)
    assert replay(run, await engine.entries(run), planner_for(workflow)).divergence is None
    assert clock.now_us() >= 0


async def test_a_tree_is_planned_anew_over_a_restart(stage: Stage) -> None:
    """Ticked again behind its back-off, then handed to another agent; both are in the journal."""
    stage.clock = clock = ManualClock()

    async def breaks(task: Task) -> Json:
        raise StepFailure("x.broken", "it broke")

    stage.behaviours = {"a": breaks}
    rules = (
        ReplanRule(on="agent_failure", strategy="conservative", backoff_ms=5_000),
        ReplanRule(on="agent_failure", strategy="escalation", to="b"),
    )
    workflow = replace(planned(stage, node_of(act("a"), act("b"))), replan=rules)
    stage.workflows[workflow.hash] = workflow
    engine = await stage.engine()
    run = await engine.submit(workflow, "given")
    while not (await engine.state(run)).timers:
        await asyncio.sleep(0)
    await stage.close()
    engine = await stage.engine()
    clock.advance(5)
    state = await engine.wait(run)
    assert ("succeeded", "given") == (state.status, state.output)
    assert ["a", "a", "b"] == state.path
    assert ["conservative", "escalation"] == [change.strategy for change in state.replans or ()]
    assert replay(run, await engine.entries(run), planner_for(workflow)).divergence is None


def node_of(*children: TreeNode) -> TreeNode:
    return TreeNode(kind="sequence", children=children)
