"""A run goes by the definition it began with until somebody moves it, and is moved only where it has a place."""

import asyncio

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.event import RunMigrated
from runtime.domain.ids import AgentId
from runtime.domain.workflow import FsmState, Workflow
from runtime.engine.replay import definitions_of, replay
from runtime.engine.runs import Engine
from runtime.errors import Conflict
from runtime.planners.lifecycle import planner_for
from runtime.ports import Task
from tests.runtime.engine.conftest import Stage, until

ASK = FsmState(name="ask", wait_for="yes", on_success="work")
WORK = FsmState(name="work", on_success="done")


def first_and_next(stage: Stage) -> tuple[Workflow, Workflow]:
    """A workflow, and a version of it that checks the work."""
    first = stage.workflow(ASK, WORK)
    return first, stage.workflow(
        ASK, FsmState(name="work", on_success="check"), FsmState(name="check", on_success="done")
    )


async def replays(engine: Engine, run: str, *workflows: Workflow) -> bool:
    planners = {each.hash: planner_for(each) for each in workflows}
    entries = await engine.entries(run)  # type: ignore[arg-type]  # an id
    first = planners[definitions_of(entries)[0]]
    return replay(run, entries, first, others=planners).divergence is None  # type: ignore[arg-type]  # an id


async def test_a_changed_definition_never_touches_a_run_in_flight(stage: Stage) -> None:
    """Not even over a restart with the new one at hand, until the run is moved."""
    engine = await stage.engine()
    first, following = first_and_next(stage)
    kept, moved = await engine.submit(first, None), await engine.submit(first, None)
    await stage.close()
    engine = await stage.engine()
    move = await engine.migrate(moved, following, actor="me")
    for run in (kept, moved):
        await engine.signal(run, "yes")
    assert ["ask", "work", "done"] == (await engine.wait(kept)).path
    assert ["ask", "work", "check", "done"] == (await engine.wait(moved)).path
    assert ("agent 'check' comes" in move.changes, "state 'work' changes" in move.changes) == (True, True)
    assert RunMigrated(workflow="w", definition=following.hash, previous=first.hash, actor="me") in [
        entry.body for entry in await engine.entries(moved)
    ]
    assert await replays(engine, moved, first, following)
    assert await replays(engine, kept, first)


async def test_what_would_change_is_said_without_changing_it(stage: Stage) -> None:
    """A dry run leaves the journal as it is."""
    engine = await stage.engine()
    first, following = first_and_next(stage)
    run = await engine.submit(first, None)
    before = await engine.entries(run)
    move = await engine.migration(run, following)
    assert (first.hash, following.hash, ()) == (move.previous, move.definition, move.refusals)
    assert ("state 'work' changes", "state 'check' comes", "agent 'check' comes") == move.changes
    assert before == await engine.entries(run)


async def test_an_attempt_under_way_goes_on_and_the_new_definition_decides_on_its_answer(stage: Stage) -> None:
    """Also when nobody works on the run at the moment of the move."""
    engine = await stage.engine()
    gate = asyncio.Event()

    async def work(task: Task) -> Json:
        await gate.wait()
        return "worked"

    stage.behaviours["work"] = work
    first, following = first_and_next(stage)
    live, idle = await engine.submit(first, None), await engine.submit(first, None)
    for run in (live, idle):
        await engine.signal(run, "yes")
    await until(lambda: 2 == len(stage.acted))
    await engine.migrate(live, following)
    await stage.close()
    engine = await stage.engine(recover=False)
    await engine.migrate(idle, following)
    assert 0 == engine.health().running_steps, "to move a run does not start it"
    await stage.close()
    gate.set()
    engine = await stage.engine()
    for run in (live, idle):
        assert ["ask", "work", "check", "done"] == (await engine.wait(run)).path
        assert await replays(engine, run, first, following)


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ((FsmState(name="other", wait_for="yes", on_success="work"), WORK), "state 'ask', where the run is, does not"),
        ((FsmState(name="ask", wait_for="no", on_success="work"), WORK), "does not wait for that there"),
        ((FsmState(name="ask", on_success="work"), WORK), "does not wait for that there"),
    ],
)
async def test_a_run_without_a_place_there_stays(stage: Stage, states: tuple[FsmState, ...], why: str) -> None:
    """It goes on as it began."""
    engine = await stage.engine()
    first = stage.workflow(ASK, WORK)
    run = await engine.submit(first, None)
    there = stage.workflow(*states)
    (refusal,) = (await engine.migration(run, there)).refusals
    assert why in refusal
    with pytest.raises(Conflict, match="stays as it is"):
        await engine.migrate(run, there)
    await engine.signal(run, "yes")
    assert ("succeeded", first.hash) == ((await engine.wait(run)).status, (await engine.state(run)).definition)


async def test_an_agent_at_work_must_be_there(stage: Stage) -> None:
    """Its state alone is not enough."""
    engine = await stage.engine()
    gate = asyncio.Event()

    async def work(task: Task) -> Json:
        await gate.wait()
        return None

    stage.behaviours["work"] = work
    run = await engine.submit(stage.workflow(WORK), None)
    there = stage.workflow(FsmState(name="work", agent=AgentId("other"), on_success="done"))
    there = msgspec.structs.replace(there, agents={AgentId("other"): there.agents[AgentId("work")]})
    (refusal,) = (await engine.migration(run, there)).refusals
    assert "agent 'work', which works in state 'work', does not exist there" == refusal
    gate.set()
    await engine.wait(run)


async def test_a_final_run_and_the_same_definition_are_refused(stage: Stage) -> None:
    """There is nothing to move."""
    engine = await stage.engine()
    first, following = first_and_next(stage)
    run = await engine.submit(first, None)
    assert ("the run is pinned to this definition already",) == (await engine.migration(run, first)).refusals
    await engine.cancel(run)
    assert ("the run has already cancelled",) == (await engine.migration(run, following)).refusals
    with pytest.raises(Conflict):
        await engine.migrate(run, following)
