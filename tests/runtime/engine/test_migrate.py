"""A run goes by the definition it began with until somebody moves it, and is moved only where it has a place."""

import asyncio

import msgspec
import pytest

from appliance.loader import check_bytes
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatReply
from runtime.domain.event import RunMigrated
from runtime.domain.ids import AgentId
from runtime.domain.workflow import FsmState, Workflow
from runtime.engine.clock import ManualClock
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
    assert ("the run has already been cancelled",) == (await engine.migration(run, following)).refusals
    with pytest.raises(Conflict):
        await engine.migrate(run, following)


def tree(stage: Stage, definition: str) -> Workflow:
    """A workflow of agents a to d that a tree plans."""
    agents = "agents: {a: {type: llm}, b: {type: llm}, c: {type: llm}, d: {type: llm}}"
    workflow = check_bytes(
        f"name: w\n{agents}\nplanner: {{type: behavior_tree, root: {definition}}}\n".encode()
    ).workflow
    assert workflow is not None
    stage.workflows[workflow.hash] = workflow
    return workflow


ROW = "{type: sequence, children: [{type: action, agent: a}, LIMITED, {type: action, agent: c}]}"
LIMITED = "{type: timeout, timeout: 9s, child: {type: wait, wait_for: go}}"


async def test_a_run_in_the_middle_of_a_tree_takes_along_what_it_remembers(stage: Stage) -> None:
    """Nodes come before and behind it; the time limit that runs goes on by the name that it has there."""
    stage.clock = clock = ManualClock()
    engine = await stage.engine()
    first = tree(stage, ROW.replace("LIMITED", LIMITED))
    both = "{type: parallel_all, children: [{type: inverter, child: DO d}}, DO b}]}".replace(
        "DO", "{type: action, agent:"
    )
    following = tree(stage, ROW.replace("LIMITED", f"{both}, {LIMITED}, {both}"))
    late, early = await engine.submit(first, None), await engine.submit(first, None)
    for run in (late, early):
        await engine.wait(run)
        assert ["timeout:2"] == list((await engine.state(run)).timers)
        move = await engine.migrate(run, following)
        assert ("the behaviour tree changes", {"timeout:2": "timeout:6"}) == (move.changes[0], move.timers)
        assert ["timeout:6"] == list((await engine.state(run)).timers)
    await stage.close()
    engine = await stage.engine()
    await engine.signal(early, "go")
    state = await engine.wait(early)
    assert ("failed", ["a", "go", "d", "b"]) == (state.status, state.path)  # the inverter fails the second pair
    clock.advance(9)
    ended = await engine.ended(late)
    assert ("failed", "tree.timeout") == (ended.status, ended.error.code if ended.error else "")
    for run in (late, early):
        assert await replays(engine, run, first, following)


async def test_a_live_runs_time_limit_is_armed_under_its_new_name(stage: Stage) -> None:
    """It would fire under one that nobody knows any more."""
    stage.clock = clock = ManualClock()
    engine = await stage.engine()
    first = tree(stage, ROW.replace("LIMITED", LIMITED))
    row = ROW.replace("LIMITED", LIMITED)
    following = tree(stage, f"{{type: selector, children: [{row}, {{type: action, agent: d}}]}}")
    refused = await engine.submit(first, None)
    await engine.wait(refused)
    with pytest.raises(Conflict, match=r"node 'sequence' \(sequence\) is under way, and does not exist there"):
        await engine.migrate(refused, following)
    longer = tree(stage, ROW.replace("LIMITED", f"{{type: action, agent: b}}, {LIMITED}"))
    await engine.migrate(refused, longer)
    clock.advance(9)
    assert "failed" == (await engine.ended(refused)).status
    assert await replays(engine, refused, first, longer)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (ROW.replace("LIMITED, ", ""), "node 'timeout' .timeout. is under way, and does not exist there"),
        (ROW.replace("LIMITED", LIMITED.replace("go", "stop")), "is under way, and does not exist there"),
        ("{type: action, agent: a}", "node 'sequence' .sequence. is under way, and does not exist there"),
        (ROW.replace("{type: action, agent: a}, LIMITED", LIMITED), "node 'a' .action. remembers what it came to"),
    ],
)
async def test_a_tree_that_lacks_what_is_under_way_is_refused(stage: Stage, there: str, why: str) -> None:
    """By the name of the node."""
    engine = await stage.engine()
    run = await engine.submit(tree(stage, ROW.replace("LIMITED", LIMITED)), None)
    await engine.wait(run)
    with pytest.raises(Conflict, match=why):
        await engine.migrate(run, tree(stage, there))


async def test_a_run_keeps_its_kind_of_plan(stage: Stage) -> None:
    """Where it is by one says nothing of where it would be by another."""
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(ASK, WORK), None)
    with pytest.raises(Conflict, match="a run keeps its kind of plan"):
        await engine.migrate(run, tree(stage, "{type: wait, wait_for: yes}"))


async def test_a_run_of_a_models_plan_keeps_it(stage: Stage) -> None:
    """Where its agents are there, and none of it needs what is gone."""
    engine = await stage.engine()
    source = """
name: w
agents: {a: {type: llm}, b: {type: llm}}
planner: {type: llm, model: m, agents: [a, b], max_steps: 5}
"""
    first, following, without = (
        check_bytes(text.encode()).workflow
        for text in (
            source,
            source.replace("5", "6"),
            source.replace("b: {type: llm}", "c: {type: llm}").replace("[a, b]", "[a]"),
        )
    )
    assert first is not None
    assert following is not None
    assert without is not None
    stage.workflows |= {each.hash: each for each in (first, following, without)}
    gate = asyncio.Event()

    async def work(task: Task) -> Json:
        await gate.wait()
        return "worked"

    class Plans:
        async def complete(self, request: object, *, sender: object = None) -> ChatReply:
            text = '{"steps": ["a", "b"]}'
            return ChatReply(
                text=text,
                finish_reason="stop",
                input_tokens=1,
                output_tokens=1,
                backend="x",
                model="m",
                fingerprint="f",
            )

    await stage.close()
    stage.models = Plans()  # type: ignore[assignment]  # all that a planner asks
    stage.behaviours["a"] = work
    engine = await stage.engine()
    run = await engine.submit(first, None)
    await until(lambda: ("a", 1) in stage.acted)
    with pytest.raises(Conflict, match="agent 'b', which step 'b' of the run's plan needs, does not exist there"):
        await engine.migrate(run, without)
    await engine.migrate(run, following)
    gate.set()
    assert ["plan", "a", "b"] == (await engine.wait(run)).path
    assert await replays(engine, run, first, following)
