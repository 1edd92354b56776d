"""Steps with runs of their own: linked both ways, cancelled with their step, found again after a crash."""

import asyncio

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.command import FinishRun
from runtime.domain.event import CancelRequested, Parent
from runtime.domain.ids import AgentId, RunId, StepId
from runtime.domain.journal import Body, Entry
from runtime.domain.run import RunState
from runtime.domain.tree import TreeNode
from runtime.domain.workflow import FsmState, RetryPolicy, SubrunSpec, Workflow
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.errors import StepFailure
from runtime.planners.lifecycle import planner_for
from runtime.ports import Task
from tests.runtime.engine.conftest import Stage, until

PART = StepId("part")


def outer(stage: Stage, *, over: Json = None, timeout_ms: int = 0, **limits: object) -> Workflow:
    """A workflow whose first step is another workflow, of the one agent `work`, and whose second is `after`."""
    inner = stage.workflow(FsmState(name="work", on_success="done"))
    made = stage.workflow(FsmState(name="part", on_success="after"), FsmState(name="after", on_success="done"))
    agent = msgspec.structs.replace(
        made.agents[AgentId("part")],
        subrun=SubrunSpec(workflow=inner, over=over, **limits),  # type: ignore[arg-type]
        timeout_ms=timeout_ms,
        retry=RetryPolicy(max_attempts=1),
    )
    made = msgspec.structs.replace(made, agents={**made.agents, AgentId("part"): agent})
    stage.workflows[made.hash] = made
    return made


async def subruns(engine: Engine, run: RunId) -> list[RunState]:
    """The states of the runs of the first step."""
    step = (await engine.state(run)).steps[PART]
    return [await engine.state(each) for each in step.runs or ()]


async def part_of(engine: Engine, run: RunId) -> RunState:
    """The one run of the first step, once the step's journal names it and its agent works."""
    while not (parts := await subruns(engine, run)) or not parts[0].open:
        await asyncio.sleep(0)
    return parts[0]


async def replays(engine: Engine, run: RunId, workflow: Workflow) -> bool:
    return replay(run, await engine.entries(run), planner_for(workflow)).divergence is None


async def test_a_workflow_within_a_workflow_is_a_run_that_both_journals_name(stage: Stage) -> None:
    """Its answer is the step's; what it took is its own and stands in the evidence."""
    engine = await stage.engine()
    workflow = outer(stage)
    run = await engine.submit(workflow, {"n": 1}, actor="me", role="clerk")
    state = await engine.wait(run)
    (part,) = await subruns(engine, run)
    assert ("succeeded", {"n": 1}) == (state.status, state.steps[PART].output)
    assert Parent(run=run, step=PART) == part.parent
    assert ("succeeded", "me", "clerk") == (part.status, part.actor, part.role)
    evidence = state.steps[PART].evidence
    assert evidence is not None
    assert part.run == evidence["run"]
    assert await replays(engine, run, workflow)


async def test_the_failure_of_a_part_is_the_failure_of_its_step(stage: Stage) -> None:
    """With the code that says what went wrong, and the run where it did."""
    engine = await stage.engine()
    stage.behaviours["work"] = _breaks
    run = await engine.submit(outer(stage), None)
    state = await engine.wait(run)
    (part,) = await subruns(engine, run)
    assert state.error is not None
    assert ("failed", "x.broken") == (state.status, state.error.code)
    assert part.run in state.error.message


async def test_a_cancelled_run_cancels_its_parts(stage: Stage) -> None:
    """Down to the agent that works."""
    engine = await stage.engine()
    stopped = asyncio.Event()

    async def work(task: Task) -> Json:
        try:
            return await _never(task)
        finally:
            stopped.set()

    stage.behaviours["work"] = work
    run = await engine.submit(outer(stage), None)
    part = await part_of(engine, run)
    await until(lambda: ("work", 1) in stage.acted)
    await engine.cancel(run, "enough")
    await stopped.wait()
    assert "cancelled" == (await engine.ended(part.run)).status


async def test_no_part_outlives_a_run_that_is_cancelled_at_any_moment(stage: Stage) -> None:
    """Also while the part is just beginning."""
    engine = await stage.engine()
    stage.behaviours["work"] = _never
    workflow = outer(stage, over="{{ input }}")
    for turns in range(40):
        run = await engine.submit(workflow, [1, 2])
        for _ in range(turns):
            await asyncio.sleep(0)
        await engine.cancel(run)
    async with asyncio.timeout(60):
        while engine.health().live_runs:
            await asyncio.sleep(0)
    assert {"cancelled"} == {summary.status for summary in await engine.store.runs(limit=1_000)}


async def test_a_part_that_takes_too_long_is_cancelled(stage: Stage) -> None:
    """Before its step fails, so that nothing goes on behind it."""
    engine = await stage.engine()
    stage.behaviours["work"] = _never
    run = await engine.submit(outer(stage, timeout_ms=30), None)
    state = await engine.wait(run)
    (part,) = await subruns(engine, run)
    assert state.error is not None
    assert ("step.timeout", "cancelled") == (state.error.code, part.status)


async def test_a_restart_finds_the_part_and_begins_no_other(stage: Stage) -> None:
    """An engine that stops leaves both runs as they are."""
    engine = await stage.engine()
    stage.behaviours["work"] = _never
    workflow = outer(stage)
    run = await engine.submit(workflow, {"n": 1})
    await until(lambda: ("work", 1) in stage.acted)
    await stage.close()
    del stage.behaviours["work"]
    engine = await stage.engine()
    state = await engine.wait(run)
    (part,) = await subruns(engine, run)
    assert ("succeeded", "succeeded") == (state.status, part.status)
    assert 2 == len(await engine.store.runs())
    assert await replays(engine, run, workflow)


async def test_a_part_whose_step_has_ended_is_cancelled_at_the_next_start(stage: Stage) -> None:
    """A crash may come between the end of the step and that of the part."""
    engine = await stage.engine()
    stage.behaviours["work"] = _never
    run = await engine.submit(outer(stage), None)
    part = await part_of(engine, run)
    await stage.close()
    engine = await stage.engine(recover=False)
    state = await engine.state(run)
    ended: list[Body] = [CancelRequested(reason="enough"), FinishRun(status="cancelled")]
    entries = [Entry(state.seq + place, state.at_us, body) for place, body in enumerate(ended, 1)]
    await engine.store.append(run, state.seq, entries, status="cancelled")  # as far as it came
    assert "running" == (await engine.state(part.run)).status
    await stage.close()
    engine = await stage.engine()
    assert "cancelled" == (await engine.state(part.run)).status


async def test_a_part_may_wait_for_a_person(stage: Stage) -> None:
    """The step goes on when somebody has answered the part."""
    engine = await stage.engine()
    inner = stage.workflow(
        FsmState(name="ask", wait_for="yes", on_success="work"), FsmState(name="work", on_success="done")
    )
    workflow = outer(stage)
    agent = workflow.agents[AgentId("part")]
    agent = msgspec.structs.replace(agent, subrun=SubrunSpec(workflow=inner))
    workflow = msgspec.structs.replace(workflow, agents={**workflow.agents, AgentId("part"): agent})
    run = await engine.submit(workflow, None)
    await engine.signal((await part_of(engine, run)).run, "yes", 7)
    assert "succeeded" == (await engine.wait(run)).status


async def test_a_map_runs_each_item_and_answers_in_the_order_of_the_list(stage: Stage) -> None:
    """However they end; no more than so many at a time."""
    engine = await stage.engine()
    under_way, most = 0, 0
    are_two = asyncio.Event()

    async def work(task: Task) -> Json:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            are_two.set()
        await are_two.wait()
        assert isinstance(task.input, int)
        for _ in range(50 - 10 * task.input):
            await asyncio.sleep(0)
        under_way -= 1
        return task.input

    stage.behaviours["work"] = work
    workflow = outer(stage, over="{{ input.list }}", at_once=2)
    run = await engine.submit(workflow, {"list": [0, 1, 2, 3, 4]})
    state = await engine.wait(run)
    assert {"results": [0, 1, 2, 3, 4], "errors": [], "succeeded": 5, "failed": 0} == state.steps[PART].output
    assert (5, 2) == (len(await subruns(engine, run)), most)
    assert await replays(engine, run, workflow)


async def test_a_map_goes_on_without_items_that_fail_while_enough_succeed(stage: Stage) -> None:
    """Their places stay, and the errors say which."""
    engine = await stage.engine()
    stage.behaviours["work"] = _odd_ones_break
    run = await engine.submit(outer(stage, over="{{ input }}", min_success_ratio=0.5), [0, 1, 2])
    output = (await engine.wait(run)).steps[PART].output
    assert isinstance(output, dict)
    assert ([0, None, 2], 2, 1) == (output["results"], output["succeeded"], output["failed"])
    assert isinstance(output["errors"], list)
    assert isinstance(output["errors"][0], dict)
    assert (1, "x.broken") == (output["errors"][0]["index"], output["errors"][0]["code"])


async def test_a_map_that_can_no_longer_succeed_cancels_the_rest(stage: Stage) -> None:
    """Without a ratio, one failure is too many."""
    engine = await stage.engine()

    async def work(task: Task) -> Json:
        return await (_breaks if task.input == 1 else _never)(task)

    stage.behaviours["work"] = work
    run = await engine.submit(outer(stage, over="{{ input }}"), [0, 1, 2])
    state = await engine.wait(run)
    assert state.error is not None
    assert ("failed", "map.items_failed") == (state.status, state.error.code)
    assert {"failed": 1, "cancelled": 2} == _counted(await subruns(engine, run))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "it gave nothing"),
        ("text", "it gave a text"),
        ({"a": 1}, "it gave a mapping"),
        (3, "it gave a number"),
        (True, "it gave true or false"),
        (list(range(1_001)), "it gave 1,001 items"),
    ],
)
async def test_a_map_over_no_list_fails_its_step(stage: Stage, given: Json, said: str) -> None:
    """And over one that is too long."""
    engine = await stage.engine()
    state = await engine.wait(await engine.submit(outer(stage, over="{{ input }}"), given))
    assert state.error is not None
    assert ("map.not_a_list", True) == (state.error.code, state.error.message.endswith(said)), state.error.message


async def test_a_map_over_an_empty_list_has_no_runs(stage: Stage) -> None:
    """And succeeds."""
    engine = await stage.engine()
    state = await engine.wait(await engine.submit(outer(stage, over="{{ input }}"), []))
    assert {"results": [], "errors": [], "succeeded": 0, "failed": 0} == state.steps[PART].output


async def test_a_restart_in_the_middle_of_a_map_runs_what_is_left(stage: Stage) -> None:
    """An item that had answered is not run again."""
    engine = await stage.engine()

    async def work(task: Task) -> Json:
        return task.input if task.input == 0 else await _never(task)

    stage.behaviours["work"] = work
    run = await engine.submit(outer(stage, over="{{ input }}", at_once=2), [0, 1, 2])
    await until(lambda: 3 == len(stage.acted))
    await stage.close()
    del stage.behaviours["work"]
    acted = len(stage.acted)
    engine = await stage.engine()
    output = (await engine.wait(run)).steps[PART].output
    assert isinstance(output, dict)
    assert [0, 1, 2] == output["results"]
    assert [("work", 1), ("work", 1), ("after", 1)] == stage.acted[acted:]
    assert {"succeeded": 3} == _counted(await subruns(engine, run))


def _counted(states: list[RunState]) -> dict[str, int]:
    statuses = [str(state.status) for state in states]
    return {status: statuses.count(status) for status in statuses}


async def _breaks(task: Task) -> Json:
    raise StepFailure("x.broken", "it broke")


async def _never(task: Task) -> Json:
    await asyncio.Event().wait()
    raise AssertionError


async def _odd_ones_break(task: Task) -> Json:
    return await _breaks(task) if task.input == 1 else task.input


async def test_a_halted_action_of_a_tree_cancels_its_part(stage: Stage) -> None:
    """Steps with runs of their own stand in every kind of plan."""
    engine = await stage.engine()
    stage.behaviours["work"] = _never
    made = outer(stage)
    first = TreeNode(kind="parallel", children=(_action("part"), _action("after")), limit=1, failures=2)
    workflow = msgspec.structs.replace(made, planner="behavior_tree", tree=first, fsm=None)
    stage.workflows[workflow.hash] = workflow
    gate = asyncio.Event()

    async def after(task: Task) -> Json:
        await gate.wait()
        return "first"

    stage.behaviours["after"] = after
    run = await engine.submit(workflow, None)
    part = await part_of(engine, run)
    gate.set()
    assert "first" == (await engine.wait(run)).output
    assert "cancelled" == (await engine.ended(part.run)).status
    assert await replays(engine, run, workflow)


def _action(agent: str) -> TreeNode:
    return TreeNode(kind="action", agent=AgentId(agent))
