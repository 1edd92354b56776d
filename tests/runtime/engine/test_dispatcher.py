"""Whatever an agent does becomes an event that can be kept, and nothing of it stays behind."""

import asyncio

import pytest

from runtime.domain.canonical import MAX_DEPTH, Json
from runtime.domain.run import RunState
from runtime.domain.workflow import FsmState, RetryPolicy
from runtime.engine.dispatcher import MAX_MESSAGE_CHARS
from runtime.errors import Invalid, StepFailure, Unavailable
from runtime.ports import Task
from tests.runtime.engine.conftest import Behaviour, Stage

A_TO_DONE = FsmState(name="a", on_success="done")
B_TO_DONE = FsmState(name="b", on_success="done")


def nested(levels: int) -> Json:
    value: Json = []
    for _ in range(levels - 1):
        value = [value]
    return value


async def run_with(stage: Stage, behaviour: Behaviour, given: Json = None) -> RunState:
    engine = await stage.engine()
    stage.behaviours["a"] = behaviour
    workflow = stage.workflow(A_TO_DONE, retry=RetryPolicy(max_attempts=1))
    async with asyncio.timeout(60):
        return await engine.wait(await engine.submit(workflow, given))


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), SystemExit(3), GeneratorExit(), TimeoutError(), BaseException()]
)
async def test_whatever_an_agent_raises_fails_its_step(stage: Stage, error: BaseException) -> None:
    """A cancellation that nobody asked for is one of something that the agent waited for."""

    async def fail(task: Task) -> Json:
        raise error

    state = await run_with(stage, fail)
    assert state.error is not None
    assert state.error.code == "agent.crashed"


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 10_000])
async def test_an_output_of_any_depth_is_kept_or_fails_its_step(stage: Stage, levels: int) -> None:
    """The entry around it is one level of its own."""

    async def answer(task: Task) -> Json:
        return nested(levels)

    state = await run_with(stage, answer)
    assert state.status == ("succeeded" if levels < MAX_DEPTH else "failed")


async def test_an_input_or_payload_that_is_nested_too_deep_starts_and_changes_nothing(stage: Stage) -> None:
    engine = await stage.engine()
    workflow = stage.workflow(FsmState(name="ask", wait_for="answer", on_success="done"))
    run = await engine.submit(workflow, None)
    with pytest.raises(Invalid, match="nested deeper"):
        await engine.submit(workflow, nested(MAX_DEPTH))
    with pytest.raises(Invalid, match="nested deeper"):
        await engine.signal(run, "answer", nested(MAX_DEPTH))
    with pytest.raises(Invalid, match="surrogate"):
        await engine.cancel(run, "\udcff")
    assert (await engine.wait(run)).status == "waiting"
    await engine.signal(run, "answer")
    assert (await engine.wait(run)).status == "succeeded"


async def test_evidence_that_cannot_be_kept_fails_the_step(stage: Stage) -> None:
    """A score that is not a number would otherwise hold up the run for ever."""
    stage.evidence = {"score": float("nan")}

    async def answer(task: Task) -> Json:
        return 1

    state = await run_with(stage, answer)
    assert state.error is not None
    assert state.error.code == "json.not_canonical"


async def test_an_error_is_cut_and_mended_before_it_is_kept(stage: Stage) -> None:
    """User code writes codes and messages of its own."""

    async def fail(task: Task) -> Json:
        raise StepFailure("x" * 1_000_000, "\ud800" + "x" * 1_000_000)

    state = await run_with(stage, fail)
    assert state.error is not None
    assert state.error.message.startswith("?xxx")
    assert len(state.error.message) == MAX_MESSAGE_CHARS
    assert len(state.error.code) == 100


async def test_an_agent_that_does_not_start_fails_its_step_and_is_stopped(stage: Stage) -> None:
    """What its start has taken so far is released, and the next attempt starts another."""

    async def fail() -> None:
        raise Unavailable("x.down", "not up yet")

    engine = await stage.engine()
    stage.failing_starts["a"] = fail
    workflow = stage.workflow(A_TO_DONE, retry=RetryPolicy(max_attempts=1))
    state = await engine.wait(await engine.submit(workflow, None))
    assert state.error is not None
    assert state.error.code == "x.down"
    assert (stage.started, stage.stopped) == (["a"], ["a"])
    del stage.failing_starts["a"]
    assert (await engine.wait(await engine.submit(workflow, 1))).output == 1


async def test_an_agent_that_is_still_starting_is_stopped_with_the_engine(stage: Stage) -> None:
    """Its worker process would outlive the engine."""
    is_starting = asyncio.Event()

    async def never() -> None:
        is_starting.set()
        await asyncio.Event().wait()

    engine = await stage.engine()
    stage.failing_starts["a"] = never
    await engine.submit(stage.workflow(A_TO_DONE), None)
    await is_starting.wait()
    await engine.stop()
    assert stage.stopped == ["a"]


async def test_an_agent_that_does_not_stop_keeps_no_other_from_stopping(stage: Stage) -> None:
    engine = await stage.engine()
    stage.failing_stops.add("a")
    workflow = stage.workflow(FsmState(name="a", on_success="b"), B_TO_DONE)
    await engine.wait(await engine.submit(workflow, None))
    await engine.stop()
    assert stage.stopped == ["a", "b"]


async def test_an_answer_behind_its_time_limit_is_tried_again(stage: Stage) -> None:
    """A time-out is worth a retry, and the attempt that ran out of time has stopped by then."""
    under_way: list[int] = []

    async def slow_at_first(task: Task) -> Json:
        under_way.append(task.attempt)
        try:
            if task.attempt == 1:
                await asyncio.Event().wait()
            assert under_way == [2]
            return task.attempt
        finally:
            under_way.remove(task.attempt)

    engine = await stage.engine()
    stage.behaviours["a"] = slow_at_first
    retry = RetryPolicy(max_attempts=2, initial_ms=1, max_ms=1)
    state = await engine.wait(await engine.submit(stage.workflow(A_TO_DONE, timeout_ms=20, retry=retry), None))
    assert state.output == 2
