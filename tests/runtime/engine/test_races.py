"""Two things at once: each order that they can happen in leaves a run that is right."""

import asyncio

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import DefinitionHash
from runtime.domain.workflow import FsmState, Workflow
from runtime.engine.clock import ManualClock
from runtime.errors import Conflict, Invalid, Unavailable
from runtime.ports import Task
from tests.runtime.engine.conftest import Stage, until
from tests.runtime.engine.trouble import TroubledJournal

A_TO_B = FsmState(name="a", on_success="b")
B_TO_DONE = FsmState(name="b", on_success="done")
ASK_TO_B = FsmState(name="ask", wait_for="answer", on_success="b")


async def never(task: Task) -> Json:
    await asyncio.Event().wait()
    return None


async def test_a_caller_that_goes_away_does_not_leave_its_event_half_done(stage: Stage) -> None:
    """A closed connection, a Ctrl-C or a time limit cancels the caller, not what it has asked for."""
    stage.trouble = TroubledJournal
    engine = await stage.engine()
    store = engine.store
    assert isinstance(store, TroubledJournal)
    run = await engine.submit(stage.workflow(ASK_TO_B, B_TO_DONE), None)
    store.gate.clear()
    signalling = asyncio.create_task(engine.signal(run, "answer"))
    await until(lambda: store.waiting == 1)
    signalling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await signalling
    store.gate.set()
    await until(lambda: stage.acted == [("b", 1)])
    assert (await engine.wait(run)).status == "succeeded"


async def test_a_step_that_ends_while_the_engine_stops_is_kept_and_starts_nothing_new(stage: Stage) -> None:
    """An agent that starts behind the stop would be stopped by nobody."""
    stage.trouble = TroubledJournal
    engine = await stage.engine()
    store = engine.store
    assert isinstance(store, TroubledJournal)
    may_answer = asyncio.Event()

    async def answer(task: Task) -> Json:
        await may_answer.wait()
        return 1

    stage.behaviours["a"] = answer
    workflow = stage.workflow(A_TO_B, B_TO_DONE)
    run = await engine.submit(workflow, None)
    store.gate.clear()
    may_answer.set()
    await until(lambda: store.waiting == 1)
    stopping = asyncio.create_task(engine.stop())
    await asyncio.sleep(0)
    store.gate.set()
    await stopping
    state = await engine.state(run)
    assert list(state.open) == ["b"]
    assert stage.started == stage.stopped == ["a"]
    await stage.close()
    assert (await (await stage.engine()).wait(run)).status == "succeeded"
    assert stage.acted == [("a", 1), ("b", 1)]


async def test_a_stopped_engine_takes_up_nothing_for_a_late_signal(stage: Stage) -> None:
    """The steps that it would start outlive the engine."""
    engine = await stage.engine()
    run = await engine.submit(stage.workflow(ASK_TO_B, B_TO_DONE), None)
    await engine.stop()
    for late in (engine.signal(run, "answer"), engine.cancel(run)):
        with pytest.raises(Unavailable, match=r"engine\.stopping"):
            await late
    assert engine.health().live_runs == 0
    assert (await engine.state(run)).status == "waiting"


async def test_whoever_waits_hears_that_the_engine_stops(stage: Stage) -> None:
    """A cancellation would look as if the caller itself had been cancelled."""
    engine = await stage.engine()
    stage.behaviours["a"] = never
    run = await engine.submit(stage.workflow(A_TO_B, B_TO_DONE), None)
    waiting = asyncio.create_task(engine.wait(run))
    await until(lambda: stage.acted == [("a", 1)])
    await engine.stop()
    with pytest.raises(Unavailable, match="goes on"):
        await waiting


@pytest.mark.parametrize("callers", [2, 20])
async def test_many_signals_at_once_to_a_run_of_an_earlier_process_are_one(stage: Stage, callers: int) -> None:
    """Each of them finds the run not taken up yet; one opens it for all, and one is heard."""
    first = await stage.engine()
    run = await first.submit(stage.workflow(ASK_TO_B, B_TO_DONE), None)
    await stage.close()
    engine = await stage.engine(recover=False)

    async def signal(number: int) -> str:
        for _ in range(number):  # each a little later, so that some come between the steps of the opening
            await asyncio.sleep(0)
        try:
            await engine.signal(run, "answer", number)
        except Conflict as conflict:
            return conflict.code
        return "heard"

    told = sorted(await asyncio.gather(*map(signal, range(callers))))
    assert told.count("heard") == 1
    assert set(told) <= {"heard", "run.not_awaited", "run.final"}
    await engine.wait(run)
    assert stage.acted == [("b", 1)]


async def test_signals_during_recovery_find_the_run_that_is_being_recovered(stage: Stage) -> None:
    """Whoever is first, the run is opened once."""
    first = await stage.engine()
    workflow = stage.workflow(ASK_TO_B, B_TO_DONE)
    runs = [await first.submit(workflow, None) for _ in range(5)]
    await stage.close()
    engine = await stage.engine(recover=False)
    recovering = asyncio.create_task(engine.start())
    await asyncio.gather(*(engine.signal(run, "answer") for run in runs))
    await recovering
    assert {"succeeded"} == {(await engine.wait(run)).status for run in runs}
    assert len(stage.acted) == len(runs)


async def test_an_engine_that_is_stopped_during_its_start_leaves_nothing_behind(stage: Stage) -> None:
    """Ctrl-C at the start of a server with many runs."""
    stage.behaviours["a"] = never
    first = await stage.engine()
    workflow = stage.workflow(A_TO_B, B_TO_DONE)
    for _ in range(20):
        await first.submit(workflow, None)
    await stage.close()
    engine = await stage.engine(recover=False)
    starting = asyncio.create_task(engine.start())
    await until(lambda: engine.health().live_runs > 3)
    await engine.stop()
    assert await starting < 20
    assert engine.health().live_runs == 0


async def test_a_run_whose_definition_is_gone_can_be_cancelled(stage: Stage) -> None:
    """Otherwise it would be listed as running for ever."""
    first = await stage.engine()
    workflow = stage.workflow(ASK_TO_B, B_TO_DONE)
    run = await first.submit(workflow, None)
    await stage.close()
    del stage.workflows[workflow.hash]
    engine = await stage.engine()
    with pytest.raises(Invalid, match=r"definition\.not_found"):
        await engine.signal(run, "answer")
    await engine.cancel(run, "gone")
    assert (await engine.wait(run)).status == "cancelled"
    with pytest.raises(Conflict, match="already been cancelled"):
        await engine.cancel(run)


async def test_one_run_that_cannot_be_taken_up_does_not_keep_the_others(stage: Stage) -> None:
    """Whatever is wrong with it: a bug in reading one definition must not keep a server from starting."""

    class Broken(dict[DefinitionHash, Workflow]):
        def __getitem__(self, definition: DefinitionHash) -> Workflow:
            if definition == broken.hash:
                raise ZeroDivisionError
            return super().__getitem__(definition)

    first = await stage.engine()
    stage.behaviours["a"] = never
    broken, whole = stage.workflow(A_TO_B, B_TO_DONE), stage.workflow(A_TO_B, B_TO_DONE)
    runs = [await first.submit(workflow, None) for workflow in (whole, broken, whole)]
    await stage.close()
    del stage.behaviours["a"]
    stage.workflows = Broken(stage.workflows)
    engine = await stage.engine()
    assert "succeeded" == (await engine.wait(runs[0])).status == (await engine.wait(runs[2])).status
    assert (await engine.state(runs[1])).status == "running"


async def test_an_answered_wait_leaves_no_timer_behind(stage: Stage) -> None:
    """A run that asks a hundred times a day, with a day's patience each, would hold a hundred."""
    stage.clock = ManualClock()
    engine = await stage.engine()
    ask = FsmState(
        name="ask", wait_for="answer", timeout_ms=86_400_000, condition="response", on_true="ask", on_false="done"
    )
    run = await engine.submit(stage.workflow(ask), None)
    before = len(asyncio.all_tasks())
    for _ in range(20):
        await engine.signal(run, "answer", True)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_the_time_limit_of_a_run_holds_behind_a_state_that_is_called_run(stage: Stage) -> None:
    """The timer of the whole run has that name as well."""
    clock = stage.clock = ManualClock()
    engine = await stage.engine()
    stage.behaviours["b"] = never
    workflow = stage.workflow(FsmState(name="run", on_success="b"), B_TO_DONE)
    workflow = msgspec.structs.replace(workflow, timeout_ms=5_000)
    stage.workflows[workflow.hash] = workflow
    run = await engine.submit(workflow, None)
    await until(lambda: stage.acted == [("run", 1), ("b", 1)])
    clock.advance(6)
    state = await engine.wait(run)
    assert state.error is not None
    assert state.error.code == "run.timeout"


@pytest.mark.parametrize("number", [1.0, 1e20, -0.0, [2.0, {"a": 3.0}]])
async def test_a_number_decides_alike_before_and_after_a_restart(stage: Stage, number: Json) -> None:
    """JSON spells 1.0 as 1, and CEL multiplies one of them by 2.0 and not the other."""
    condition = FsmState(name="a", condition="input == 1 && input * 2.0 > 1.0", on_true="b", on_false="b", on_error="b")
    ask = FsmState(name="ask", wait_for="answer", on_success="a")
    workflow = stage.workflow(ask, condition, B_TO_DONE)
    first = await stage.engine()
    live = await first.submit(workflow, number)
    restarted = await first.submit(workflow, number)
    await first.signal(live, "answer", number)
    state = await first.wait(live)
    await stage.close()
    second = await stage.engine()
    await second.signal(restarted, "answer", number)
    again = await second.wait(restarted)
    assert {name: (step.why, repr(step.output)) for name, step in state.steps.items()} == {
        name: (step.why, repr(step.output)) for name, step in again.steps.items()
    }
