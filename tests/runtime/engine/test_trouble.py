"""A store in trouble costs time: no answer is lost, no step repeated, nobody left waiting without a word."""

import asyncio

import pytest

from runtime.domain.canonical import Json
from runtime.domain.workflow import FsmState
from runtime.engine.clock import ManualClock
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.errors import AgentFlowError, Conflict, StoreFull, Unavailable
from runtime.planners.lifecycle import planner_for
from runtime.ports import Task
from tests.runtime.engine.conftest import Stage, until
from tests.runtime.engine.trouble import TroubledJournal

A_TO_DONE = FsmState(name="a", on_success="done")
ASK_TO_A = FsmState(name="ask", wait_for="answer", on_success="a", timeout_ms=60_000)


async def troubled(stage: Stage) -> tuple[Engine, TroubledJournal]:
    stage.trouble = TroubledJournal
    engine = await stage.engine()
    assert isinstance(engine.store, TroubledJournal)
    return engine, engine.store


def answers_when_told(stage: Stage, output: Json) -> asyncio.Event:
    """Agent `a` answers once this is set."""
    told = asyncio.Event()

    async def answer(_task: Task) -> Json:
        await told.wait()
        return output

    stage.behaviours["a"] = answer
    return told


async def test_an_answer_waits_for_room_on_the_disk_and_is_not_asked_for_again(stage: Stage) -> None:
    """A model's answer may have cost a minute and a cent."""
    clock = stage.clock = ManualClock()
    engine, store = await troubled(stage)
    may_answer = answers_when_told(stage, {"n": 1})
    workflow = stage.workflow(A_TO_DONE)
    run = await engine.submit(workflow, None)
    store.is_full = True
    waiting = asyncio.create_task(engine.wait(run))
    may_answer.set()
    with pytest.raises(StoreFull):
        await waiting
    assert (await engine.state(run)).status == "running"
    later = asyncio.create_task(engine.wait(run))
    for seconds in (1, 2, 4, 8, 16, 30, 30):
        refusals = len(store.refused)
        clock.advance(seconds - 0.001)
        await asyncio.sleep(0)
        assert len(store.refused) == refusals
        clock.advance(0.001)
        await until(lambda refusals=refusals: len(store.refused) > refusals)  # type: ignore[misc]  # bound now
        with pytest.raises(StoreFull):
            await later
        later = asyncio.create_task(engine.wait(run))
        await asyncio.sleep(0)
    store.is_full = False
    clock.advance(30)
    state = await later
    assert (state.status, state.output) == ("succeeded", {"n": 1})
    assert stage.acted == [("a", 1)]
    assert replay(run, await engine.entries(run), planner_for(workflow)).divergence is None


async def test_a_mistake_in_the_store_leaves_nobody_waiting(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The run is not worked on any more, and says so; it goes on when the engine starts again."""
    engine, store = await troubled(stage)
    may_answer = answers_when_told(stage, {"n": 1})
    run = await engine.submit(stage.workflow(A_TO_DONE), None)
    waiting = asyncio.create_task(engine.wait(run))
    store.bug = LookupError("a mistake")
    may_answer.set()
    with pytest.raises(Unavailable, match="goes on when it starts"):
        await waiting
    assert f"run {run} stopped at entry" in caplog.text
    with pytest.raises(LookupError):
        await engine.submit(stage.workflow(A_TO_DONE), None)
    assert 0 == engine.health().live_runs


async def test_a_signal_that_could_not_be_kept_leaves_the_run_waiting(stage: Stage) -> None:
    """Whoever signalled was told; they signal again when there is room."""
    engine, store = await troubled(stage)
    run = await engine.submit(stage.workflow(ASK_TO_A, A_TO_DONE), None)
    store.is_full = True
    with pytest.raises(StoreFull):
        await engine.signal(run, "answer", 1)
    assert (await engine.state(run)).status == "waiting"
    assert (await engine.wait(run)).status == "waiting"
    assert stage.acted == []
    store.is_full = False
    with pytest.raises(Conflict, match="waits for: answer"):
        await engine.signal(run, "other")
    await engine.signal(run, "answer", 2)
    state = await engine.wait(run)
    assert state.status == "succeeded"
    assert state.steps["ask"].output == 2  # type: ignore[index]  # a plain name is a first visit


async def test_a_cancellation_that_could_not_be_kept_stops_nothing(stage: Stage) -> None:
    """What was not promised does not happen."""
    engine, store = await troubled(stage)
    may_answer = answers_when_told(stage, "done")
    run = await engine.submit(stage.workflow(A_TO_DONE), None)
    await until(lambda: stage.acted == [("a", 1)])
    store.is_full = True
    with pytest.raises(StoreFull):
        await engine.cancel(run)
    store.is_full = False
    may_answer.set()
    assert (await engine.wait(run)).output == "done"
    assert stage.acted == [("a", 1)]


async def test_a_timer_that_could_not_be_kept_fires_again(stage: Stage) -> None:
    """A wait must not last for ever because the disk was full when it ended."""
    clock = stage.clock = ManualClock()
    engine, store = await troubled(stage)
    run = await engine.submit(stage.workflow(ASK_TO_A, A_TO_DONE), None)
    store.is_full = True
    await asyncio.sleep(0)
    clock.advance(60)
    await until(lambda: store.refused == ["timer.fired"])
    store.is_full = False
    clock.advance(1)
    while (state := await engine.wait(run)).status == "waiting":
        await asyncio.sleep(0)
    assert state.error is not None
    assert state.error.code == "wait.timeout"


async def test_a_run_that_could_not_be_started_is_not_there(stage: Stage) -> None:
    """Nothing of it lives on in the engine."""
    engine, store = await troubled(stage)
    store.is_full = True
    with pytest.raises(StoreFull):
        await engine.submit(stage.workflow(A_TO_DONE), None)
    assert engine.health().live_runs == 0
    assert await store.runs() == []


async def test_an_engine_stops_at_once_while_events_wait_for_the_disk(stage: Stage) -> None:
    """The next start runs the step again: its answer was never kept."""
    stage.clock = ManualClock()
    engine, store = await troubled(stage)
    workflow = stage.workflow(A_TO_DONE)
    run = await engine.submit(workflow, None)
    store.is_full = True
    with pytest.raises(StoreFull):
        await engine.wait(run)
    await stage.close()
    state = await (await stage.engine()).wait(run)
    assert state.status == "succeeded"
    assert stage.acted == [("a", 1), ("a", 1)]


async def test_a_planner_that_crashes_is_told_to_those_who_wait_and_the_run_can_be_cancelled(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word the run would be running for ever, with nothing that runs."""
    engine = await stage.engine()
    may_answer = asyncio.Event()

    async def answer(task: Task) -> Json:
        await may_answer.wait()
        return 1

    def crash(*_: object) -> None:
        raise ZeroDivisionError

    stage.behaviours["a"] = answer
    # a bug that nobody has written yet
    monkeypatch.setattr("runtime.planners.fsm.FsmPlanner._succeeded", crash)
    run = await engine.submit(stage.workflow(A_TO_DONE), None)
    waiting = asyncio.create_task(engine.wait(run))
    may_answer.set()
    with pytest.raises(AgentFlowError, match=r"planner\.crashed.*ZeroDivisionError"):
        await waiting
    assert engine.health().live_runs == 0
    assert (await engine.state(run)).status == "running"
    await engine.cancel(run)
    assert (await engine.wait(run)).status == "cancelled"
