"""What callers of the engine are promised, over a real journal."""

import asyncio

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId
from runtime.domain.workflow import FsmState, RetryPolicy
from runtime.engine.clock import ManualClock
from runtime.engine.replay import replay
from runtime.errors import Conflict, Invalid, NotFound, StepFailure, Unavailable
from runtime.planners.lifecycle import planner_for
from runtime.ports import Task
from tests.runtime.engine.conftest import Stage, until

A_TO_DONE = FsmState(name="a", on_success="done")


async def fail_at_first(task: Task) -> Json:
    if task.attempt == 1:
        raise StepFailure("x.busy", "try again", retryable=True)
    return {"attempt": task.attempt}


async def never(task: Task) -> Json:
    await asyncio.Event().wait()
    return None


async def test_a_run_is_durable_when_submit_returns_and_replays_clean(stage: Stage) -> None:
    engine = await stage.engine()
    workflow = stage.workflow(FsmState(name="a", on_success="b"), FsmState(name="b", on_success="done"))
    run = await engine.submit(workflow, {"n": 1})
    assert (await engine.store.run(run)).workflow == "w"
    state = await engine.wait(run)
    assert state.status == "succeeded"
    assert state.output == {"n": 1}
    assert state.path == ["a", "b", "done"]
    found = replay(run, await engine.entries(run), planner_for(workflow))
    assert found.divergence is None
    assert msgspec.to_builtins(found.state) == msgspec.to_builtins(state)


async def test_replay_names_the_first_diverging_entry(stage: Stage) -> None:
    engine = await stage.engine()
    workflow = stage.workflow(FsmState(name="a", on_success="b"), FsmState(name="b", on_success="done"))
    run = await engine.submit(workflow, None)
    await engine.wait(run)
    shorter = stage.workflow(FsmState(name="a", on_success="done"), FsmState(name="b", on_success="done"))
    found = replay(run, await engine.entries(run), planner_for(shorter))
    assert found.divergence is not None
    assert found.divergence.seq == 4
    assert "step.scheduled" in found.divergence.recorded
    assert "run.finished" in found.divergence.decided


async def test_a_retryable_failure_is_tried_again_after_its_back_off(stage: Stage) -> None:
    clock = stage.clock = ManualClock()
    engine = await stage.engine()
    stage.behaviours["a"] = fail_at_first
    workflow = stage.workflow(A_TO_DONE, retry=RetryPolicy(initial_ms=60_000, max_ms=60_000, jitter_ratio=0))
    run = await engine.submit(workflow, None)
    await until(lambda: stage.acted == [("a", 1)])
    while (await engine.state(run)).steps["a"].attempt != 2:  # type: ignore[index]  # a plain name is a first visit
        await asyncio.sleep(0)
    assert stage.acted == [("a", 1)]
    clock.advance(60)
    state = await engine.wait(run)
    assert stage.acted == [("a", 1), ("a", 2)]
    assert state.output == {"attempt": 2}


async def test_a_step_that_takes_too_long_is_stopped_and_fails(stage: Stage) -> None:
    engine = await stage.engine()
    stage.behaviours["a"] = never
    state = await engine.wait(
        await engine.submit(stage.workflow(A_TO_DONE, timeout_ms=20, retry=RetryPolicy(max_attempts=1)), None)
    )
    assert state.status == "failed"
    assert state.error is not None
    assert state.error.code == "step.timeout"


async def test_cancel_stops_the_work_and_is_final(stage: Stage) -> None:
    engine = await stage.engine()
    stopped = asyncio.Event()

    async def until_cancelled(task: Task) -> Json:
        try:
            return await never(task)
        finally:
            stopped.set()

    stage.behaviours["a"] = until_cancelled
    run = await engine.submit(stage.workflow(A_TO_DONE), None)
    await until(lambda: len(stage.acted) == 1)
    await engine.cancel(run, "enough")
    await stopped.wait()
    assert (await engine.wait(run)).status == "cancelled"
    with pytest.raises(Conflict):
        await engine.cancel(run)


async def test_a_waiting_run_goes_on_with_its_signal_also_in_a_later_process(stage: Stage) -> None:
    ask = FsmState(name="ask", wait_for="answer", on_success="a")
    workflow = stage.workflow(ask, A_TO_DONE)
    first = await stage.engine()
    run = await first.submit(workflow, None)
    assert (await first.wait(run)).status == "waiting"
    with pytest.raises(Conflict, match="waits for: answer"):
        await first.signal(run, "other")
    await stage.close()
    second = await stage.engine()
    await second.signal(run, "answer", {"ok": True})
    state = await second.wait(run)
    assert state.status == "succeeded"
    assert state.path == ["ask", "a", "done"]


async def test_a_stopped_engine_takes_up_its_runs_at_the_next_start_without_repeating_results(stage: Stage) -> None:
    workflow = stage.workflow(FsmState(name="a", on_success="b"), FsmState(name="b", on_success="done"))
    stage.behaviours["b"] = never
    first = await stage.engine()
    run = await first.submit(workflow, None)
    await until(lambda: ("b", 1) in stage.acted)
    await stage.close()
    assert stage.stopped == ["a", "b"]
    del stage.behaviours["b"]
    second = await stage.engine()
    assert (await second.wait(run)).status == "succeeded"
    assert stage.acted == [("a", 1), ("b", 1), ("b", 1)]


async def test_the_run_timer_survives_a_restart(stage: Stage) -> None:
    clock = stage.clock = ManualClock()
    stage.behaviours["a"] = never
    workflow = msgspec.structs.replace(stage.workflow(A_TO_DONE), timeout_ms=5_000)
    stage.workflows[workflow.hash] = workflow
    run = await (await stage.engine()).submit(workflow, None)
    await stage.close()
    clock.advance(6)
    state = await (await stage.engine()).wait(run)
    assert state.error is not None
    assert state.error.code == "run.timeout"


async def test_one_idempotency_key_starts_one_run(stage: Stage) -> None:
    engine = await stage.engine()
    workflow = stage.workflow(A_TO_DONE)
    run = await engine.submit(workflow, None, idempotency_key="k")
    with pytest.raises(Conflict):
        await engine.submit(workflow, None, idempotency_key="k")
    assert await engine.store.run_by_key("k") == run
    assert len(await engine.store.runs()) == 1


async def test_an_agent_that_crashes_fails_its_step_and_not_the_engine(stage: Stage) -> None:
    async def crash(task: Task) -> Json:
        raise ZeroDivisionError("secret")

    engine = await stage.engine()
    stage.behaviours["a"] = crash
    workflow = stage.workflow(A_TO_DONE)
    state = await engine.wait(await engine.submit(workflow, None))
    assert state.error is not None
    assert state.error.code == "agent.crashed"
    assert "secret" not in state.error.message


@pytest.mark.parametrize("output", [float("nan"), "x" * 2_000_000, 2**70])
async def test_an_output_that_cannot_be_kept_fails_the_step(stage: Stage, output: Json) -> None:
    async def answer(task: Task) -> Json:
        return output

    engine = await stage.engine()
    stage.behaviours["a"] = answer
    state = await engine.wait(await engine.submit(stage.workflow(A_TO_DONE), None))
    assert state.status == "failed"


async def test_an_output_against_its_schema_fails_the_step(stage: Stage) -> None:
    engine = await stage.engine()
    workflow = stage.workflow(A_TO_DONE, output_schema={"type": "object"}, retry=RetryPolicy(max_attempts=1))
    assert (await engine.wait(await engine.submit(workflow, {}))).status == "succeeded"
    state = await engine.wait(await engine.submit(workflow, "text"))
    assert state.error is not None
    assert state.error.code == "step.output_invalid"


async def test_an_input_against_the_workflows_schema_starts_nothing(stage: Stage) -> None:
    engine = await stage.engine()
    schema: dict[str, Json] = {"type": "object", "required": ["message"]}
    workflow = msgspec.structs.replace(stage.workflow(A_TO_DONE), input_schema=schema)
    with pytest.raises(Invalid, match="input_schema"):
        await engine.submit(workflow, {})
    assert await engine.store.runs() == []


async def test_an_agents_concurrency_is_never_exceeded(stage: Stage) -> None:
    at_once: list[int] = [0, 0]

    async def count(task: Task) -> Json:
        at_once[0] += 1
        at_once[1] = max(at_once)
        for _ in range(5):
            await asyncio.sleep(0)
        at_once[0] -= 1
        return None

    engine = await stage.engine()
    stage.behaviours["a"] = count
    workflow = stage.workflow(A_TO_DONE, concurrency=3)
    runs = await asyncio.gather(*(engine.submit(workflow, None) for _ in range(20)))
    await asyncio.gather(*(engine.wait(run) for run in runs))
    assert at_once[1] == 3


async def test_one_agent_serves_every_run_of_its_definition(stage: Stage) -> None:
    engine = await stage.engine()
    workflow = stage.workflow(A_TO_DONE)
    first = await engine.wait(await engine.submit(workflow, None))
    second = await engine.wait(await engine.submit(workflow, None))
    assert {first.status, second.status} == {"succeeded"}
    assert stage.started == ["a"]


async def test_unknown_runs_and_a_stopped_engine_are_said_so(stage: Stage) -> None:
    engine = await stage.engine()
    with pytest.raises(NotFound):
        await engine.wait(RunId("r-none"))
    await engine.stop()
    with pytest.raises(Unavailable):
        await engine.submit(stage.workflow(A_TO_DONE), None)


async def test_a_run_with_a_time_limit_may_end_in_its_first_decision(stage: Stage) -> None:
    """Its timer is set and over in one append."""
    engine = await stage.engine()
    decide = FsmState(name="decide", condition="input == 1", on_true="done", on_false="a")
    workflow = msgspec.structs.replace(stage.workflow(decide, A_TO_DONE), timeout_ms=5_000, agents={})
    run = await engine.submit(workflow, 1)
    state = await engine.wait(run)
    assert (state.status, state.path, state.timers) == ("succeeded", ["decide", "done"], {})
    assert engine.health().live_runs == 0


async def test_a_wait_whose_time_ran_out_while_nobody_ran_is_over_when_it_is_taken_up(stage: Stage) -> None:
    """Who takes the run up is told of that, and not that it waits."""
    stage.clock = clock = ManualClock()
    ask = FsmState(name="ask", wait_for="answer", timeout_ms=2_000, on_success="done")
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(ask), {})
    assert "waiting" == (await engine.wait(run)).status
    await stage.close()
    clock.advance(10)
    engine = await stage.engine()
    async with asyncio.timeout(60):
        assert "failed" == (await engine.wait(run)).status
