"""Runs of steps that wait for a person: the outer run says so, for whom, and hands the answer on."""

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.event import SubrunsWaiting
from runtime.domain.ids import AgentId, RunId
from runtime.domain.run import RunState, fold
from runtime.domain.workflow import FsmState, SubrunSpec, Workflow
from runtime.engine.runs import Engine
from runtime.errors import Conflict
from tests.runtime.engine.conftest import Stage
from tests.runtime.engine.test_subruns import outer, replays, subruns


def asking(stage: Stage, *, over: Json = None, at_once: int = 4) -> Workflow:
    """A workflow whose first step is another workflow, which asks somebody for `yes` before it works."""
    inner = stage.workflow(
        FsmState(name="ask", wait_for="yes", on_success="work"), FsmState(name="work", on_success="done")
    )
    return within(stage, inner, over=over, at_once=at_once)


def within(stage: Stage, inner: Workflow, *, over: Json = None, at_once: int = 4) -> Workflow:
    made = outer(stage)
    spec = SubrunSpec(workflow=inner, over=over, at_once=at_once)
    agent = msgspec.structs.replace(made.agents[AgentId("part")], subrun=spec)
    made = msgspec.structs.replace(
        made, hash=f"{made.hash}-{inner.hash}", agents={**made.agents, AgentId("part"): agent}
    )
    stage.workflows[made.hash] = made
    return made


async def noted(engine: Engine, run: RunId) -> list[list[str]]:
    """What each entry about waiting says: the signals."""
    bodies = [entry.body for entry in await engine.entries(run)]
    return [[s for wait in body.waits for s in wait.signals] for body in bodies if isinstance(body, SubrunsWaiting)]


async def test_the_outer_run_waits_while_its_part_does(stage: Stage) -> None:
    """Nobody finds a run that waits for him while it says that it runs."""
    engine = await stage.engine()
    workflow = asking(stage)
    run = await engine.submit(workflow, {"n": 1})
    state = await engine.wait(run)
    (part,) = await subruns(engine, run)
    assert ("waiting", ["yes"], {"yes": [part.run]}) == (state.status, state.awaits(), state.awaited_within())
    assert ["waiting", "waiting"] == [each.status for each in await engine.store.runs()]
    await engine.signal(part.run, "yes", 7)
    assert "succeeded" == (await engine.ended(run)).status
    assert ["yes"] in await noted(engine, run)
    assert await replays(engine, run, workflow)
    assert msgspec.to_builtins(fold(run, await engine.entries(run))) == msgspec.to_builtins(await engine.state(run))


async def test_an_answer_to_the_outer_run_reaches_the_part(stage: Stage) -> None:
    """However deep it is."""
    engine = await stage.engine()
    run = await engine.submit(within(stage, asking(stage)), None)
    state = await engine.wait(run)
    assert ("waiting", ["yes"]) == (state.status, state.awaits())
    await engine.signal(run, "yes", 7, actor="ada")
    assert "succeeded" == (await engine.ended(run)).status
    with pytest.raises(Conflict, match="already succeeded"):
        await engine.signal(run, "yes")


async def test_another_signal_is_refused_with_what_the_parts_wait_for(stage: Stage) -> None:
    """The message leads to the right one."""
    engine = await stage.engine()
    run = await engine.submit(asking(stage), None)
    await engine.wait(run)
    with pytest.raises(Conflict, match="does not wait for signal 'no'; it waits for: yes"):
        await engine.signal(run, "no")


async def test_of_several_parts_each_is_answered_by_itself(stage: Stage) -> None:
    """It would be a guess which one is meant."""
    engine = await stage.engine()
    workflow = asking(stage, over="{{ input }}")
    run = await engine.submit(workflow, [1, 2])
    await engine.wait(run)
    first, second = await subruns(engine, run)
    with pytest.raises(Conflict, match="2 runs of the steps") as refused:
        await engine.signal(run, "yes")
    assert first.run in refused.value.message
    await engine.signal(first.run, "yes")
    await engine.ended(first.run)
    assert {"yes": [second.run]} == (await engine.wait(run)).awaited_within()
    await engine.signal(run, "yes")
    assert {"succeeded": 2} == _counted([await engine.ended(each.run) for each in (first, second)])
    assert "succeeded" == (await engine.ended(run)).status
    assert await replays(engine, run, workflow)


async def test_a_map_whose_other_items_go_on_does_not_wait(stage: Stage) -> None:
    """Each of a thousand items would wake up whoever waits for the run."""
    engine = await stage.engine()
    choice = FsmState(name="sort", condition="input.n == 0", on_true="ask", on_false="work")
    inner = stage.workflow(
        choice, FsmState(name="ask", wait_for="yes", on_success="work"), FsmState(name="work", on_success="done")
    )
    workflow = within(stage, inner, over="{{ input }}", at_once=2)
    run = await engine.submit(workflow, [{"n": number} for number in range(9)])
    state = await engine.wait(run)
    assert "waiting" == state.status
    assert [["yes"]] == await noted(engine, run)
    assert 9 == len(await subruns(engine, run))
    await engine.signal(run, "yes")
    assert "succeeded" == (await engine.ended(run)).status
    assert await replays(engine, run, workflow)


async def test_a_restart_finds_that_it_waits_and_says_nothing_twice(stage: Stage) -> None:
    """And the answer goes on where it was."""
    engine = await stage.engine()
    workflow = asking(stage)
    run = await engine.submit(workflow, None)
    await engine.wait(run)
    seq = (await engine.state(run)).seq
    await stage.close()
    engine = await stage.engine()
    assert ("waiting", seq) == ((state := await engine.wait(run)).status, state.seq)
    await engine.signal(run, "yes")
    assert "succeeded" == (await engine.ended(run)).status
    assert await replays(engine, run, workflow)


def _counted(states: list[RunState]) -> dict[str, int]:
    statuses = [str(state.status) for state in states]
    return {status: statuses.count(status) for status in statuses}


async def test_an_answer_to_a_part_alone_lets_the_outer_run_go_on(stage: Stage) -> None:
    """Where nobody has worked on it in this process: it would say for ever that it waits."""
    engine = await stage.engine()
    run = await engine.submit(within(stage, asking(stage)), None)
    await engine.wait(run)
    (middle,) = await subruns(engine, run)
    (part,) = await subruns(engine, middle.run)
    await stage.close()
    engine = await stage.engine(recover=False)
    await engine.signal(part.run, "yes")
    assert {"succeeded": 3} == _counted([await engine.ended(each) for each in (part.run, middle.run, run)])


async def test_runs_of_steps_end_with_a_run_that_is_cancelled_while_nobody_works_on_it(stage: Stage) -> None:
    """Else people go on being asked what nobody waits for."""
    engine = await stage.engine()
    run = await engine.submit(within(stage, asking(stage)), None)
    await engine.wait(run)
    await stage.close()
    engine = await stage.engine(recover=False)
    await engine.cancel(run, "not needed", actor="ada")
    assert ["cancelled"] * 3 == [each.status for each in await engine.store.runs()]
