"""What-ifs: runs that set out from another one, take its answers where they fit, and have no effect."""

import asyncio

import msgspec
import pytest

from runtime.domain.canonical import Json, encode, parse
from runtime.domain.event import StepSucceeded, WhatIf
from runtime.domain.ids import AgentId, RunId, StepId
from runtime.domain.journal import write
from runtime.domain.minimise import Holder
from runtime.domain.run import RunState
from runtime.domain.workflow import FsmState, RetryPolicy, SubrunSpec, Workflow
from runtime.engine.compare import compare, spent
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.engine.what_if import Change, change_of, changed
from runtime.errors import Invalid, StepFailure
from runtime.planners.lifecycle import planner_for
from runtime.ports import Task
from tests.runtime.engine.conftest import Stage, until

DONE = "done"


def line(stage: Stage) -> Workflow:
    """`look`, `sort`, `answer`, one after another; each is given what the one before has answered."""
    made = stage.workflow(
        FsmState(name="look", on_success="sort"),
        FsmState(name="sort", condition="response.known", on_true="answer", on_false="ask"),
        FsmState(name="answer", on_success=DONE),
        FsmState(name="ask", wait_for="person", on_success=DONE),
        retry=RetryPolicy(max_attempts=1),
    )
    inputs = {"look": "{{ input.text }}", "sort": "{{ steps.look }}", "answer": "{{ steps.look }}"}
    agents = {name: msgspec.structs.replace(spec, type="llm", input=inputs[name]) for name, spec in made.agents.items()}
    return known(stage, msgspec.structs.replace(made, agents=agents))


def known(stage: Stage, workflow: Workflow) -> Workflow:
    stage.workflows[workflow.hash] = workflow
    return workflow


def answering(stage: Stage, **answers: Json) -> None:
    """What agents answer from now on."""
    for name, answer in answers.items():

        async def behave(_: Task, answer: Json = answer) -> Json:
            if isinstance(answer, dict) and "fails" in answer:
                raise StepFailure(str(answer["fails"]), "as the test wants it")
            return answer

        stage.behaviours[name] = behave


async def supposed(engine: Engine, run: RunId, workflow: Workflow, **what: object) -> RunState:
    """The what-if of a run once it has settled; `changes` as for the command."""
    changes = [msgspec.to_builtins(change_of(place, value)) for place, value in what.pop("changes", {}).items()]  # type: ignore[attr-defined]
    values = {"changes": changes, "script": what.pop("script", {})}
    what_if = WhatIf(run=run, values=values, **{"at": 0, **what})  # type: ignore[arg-type]
    return await engine.wait(await engine.submit_what_if(workflow, what_if, actor="me"))


async def ran(stage: Stage, engine: Engine, workflow: Workflow, **answers: Json) -> RunId:
    """A run that has settled."""
    usual: dict[str, Json] = {"look": "hits", "sort": {"known": True}, "answer": "fine"}
    answering(stage, **{**usual, **answers})
    run = await engine.submit(workflow, {"text": "q"})
    await engine.wait(run)
    stage.acted.clear()
    return run


async def test_what_is_supposed_of_a_result_changes_what_follows(stage: Stage) -> None:
    """And what came before is not asked again; the new run's journal is its own and replays clean."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    state = await supposed(engine, run, workflow, changes={"sort.result.known": False})
    assert ("waiting", {"known": False}, ["look", "sort", "ask"]) == (
        state.status,
        state.steps[StepId("sort")].output,
        state.path,
    )
    assert [] == stage.acted
    assert state.what_if
    assert (run, 5, "me") == (state.what_if.run, state.what_if.at, state.actor)
    assert "succeeded" == (await engine.state(run)).status
    entries = await engine.entries(state.run)
    assert replay(state.run, entries, planner_for(workflow)).divergence is None


async def test_only_what_is_asked_something_else_is_asked_again(stage: Stage) -> None:
    """`sort` and `answer` read what `look` has said; when that is the same after all, they are not asked."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    same = await supposed(engine, run, workflow, changes={"input.text": "other"})
    assert [("look", 1)] == stage.acted
    assert "succeeded" == same.status
    assert (await supposed(engine, run, workflow, changes={"look.result": "more"})).status == "succeeded"
    assert [("look", 1), ("sort", 1), ("answer", 1)] == stage.acted


@pytest.mark.parametrize("at", range(1, 7))
async def test_without_a_change_every_point_leads_to_the_same_end(stage: Stage, at: int) -> None:
    """Deciding again from any entry is what the journal says already."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    state = await supposed(engine, run, workflow, at=at)
    entries, origin = await engine.entries(state.run), await engine.entries(run)
    found = compare(await engine.state(run), origin, state, entries)
    assert (None, {"equal"}) == (found.parting, {pair.verdict for pair in found.steps})
    assert [] == stage.acted
    assert 0 == spent(state).input_tokens


async def test_a_failure_behind_the_point_is_tried_again_and_one_before_it_is_not(stage: Stage) -> None:
    """The one is what somebody wants to see mended, the other is what happened."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow, answer={"fails": "model.gone"})
    answering(stage, answer="mended")
    again = await supposed(engine, run, workflow, at=5)
    assert ("succeeded", "mended", [("answer", 1)]) == (again.status, again.output, stage.acted)
    kept = await supposed(engine, run, workflow, at=7, changes={"ask.result.x": 1})
    assert ("failed", [("answer", 1)]) == (kept.status, stage.acted)


async def test_a_step_that_failed_may_be_supposed_to_have_answered(stage: Stage) -> None:
    """Nobody is asked."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow, look={"fails": "model.gone"})
    state = await supposed(engine, run, workflow, changes={"look.result.text": "hits", "sort.result": {"known": False}})
    assert ("waiting", {"text": "hits"}, []) == (state.status, state.steps[StepId("look")].output, stage.acted)


async def test_another_definition_asks_those_who_are_others(stage: Stage) -> None:
    """An agent whose prompt is another one is another agent; its neighbours are not."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    sort = msgspec.structs.replace(workflow.agents[AgentId("sort")], role="a careful clerk")
    agents = {**workflow.agents, AgentId("sort"): sort}
    other = known(stage, msgspec.structs.replace(workflow, agents=agents, hash="sha256:other"))
    answering(stage, sort={"known": False})
    state = await supposed(engine, run, other)
    assert ([("sort", 1)], ["look", "sort", "ask"]) == (stage.acted, state.path)
    assert "sha256:other" == state.definition


async def test_models_answer_as_asked_for(stage: Stage) -> None:
    """Not at all: with what they said to something else, or by a script; where there is neither, the step fails."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    recorded = await supposed(engine, run, workflow, changes={"look.result": "more"}, answers="recorded")
    reused = recorded.steps[StepId("answer")].reused
    assert reused
    assert ("succeeded", True, []) == (recorded.status, reused.is_other_input, stage.acted)
    scripted = await supposed(
        engine, run, workflow, changes={"input.text": "x"}, answers="scripted", script={"look": {"output": "hits"}}
    )
    assert ("succeeded", []) == (scripted.status, stage.acted)
    unsaid = await supposed(engine, run, workflow, changes={"input.text": "x"}, answers="scripted")
    assert unsaid.error is not None
    assert "what_if.not_scripted" == unsaid.error.code


async def test_a_person_who_was_asked_the_same_need_not_answer_again(stage: Stage) -> None:
    """And one who was asked something else must."""
    engine, workflow = await stage.engine(), line(stage)
    answering(stage, look="hits", sort={"known": False})
    run = await engine.submit(workflow, {"text": "q"})
    await engine.wait(run)
    await engine.signal(run, "person", {"yes": True}, actor="ada")
    await engine.wait(run)
    same = await supposed(engine, run, workflow, at=3)
    while not (same := await engine.state(same.run)).is_final:
        await asyncio.sleep(0)
    assert ("succeeded", {"yes": True}) == (same.status, same.output)
    other = await supposed(engine, run, workflow, changes={"sort.result.why": "because"})
    assert "waiting" == other.status


async def test_a_what_if_goes_on_after_a_crash_as_what_it_is(stage: Stage) -> None:
    """What it has taken it does not take twice, and what it supposes is in its journal."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    hanging = asyncio.Event()

    async def hang(_: Task) -> Json:
        await hanging.wait()
        return "late"

    stage.behaviours["answer"] = hang
    what_if = WhatIf(run=run, at=0, values={"changes": [["look", [], "more"]]})
    fork = await engine.submit_what_if(workflow, what_if)
    await until(lambda: ("answer", 1) in stage.acted)
    await stage.close()
    hanging.set()
    engine = await stage.engine()
    state = await engine.wait(fork)
    assert ("succeeded", "late", "more") == (state.status, state.output, state.steps[StepId("look")].output)
    assert ["run", "what_if"] == sorted(each.kind for each in await engine.store.runs())


async def test_runs_of_steps_are_what_ifs_too(stage: Stage) -> None:
    """A step that is asked something else has a run of its own, which supposes the same."""
    engine = await stage.engine()
    inner = stage.workflow(FsmState(name="work", on_success=DONE))
    made = stage.workflow(FsmState(name="part", on_success=DONE), retry=RetryPolicy(max_attempts=1))
    part = msgspec.structs.replace(made.agents[AgentId("part")], subrun=SubrunSpec(workflow=inner), timeout_ms=0)
    workflow = known(stage, msgspec.structs.replace(made, agents={AgentId("part"): part}))
    run = await engine.submit(workflow, {"n": 1})
    await engine.wait(run)
    again = await supposed(engine, run, workflow, at=1)
    assert ("succeeded", None) == (again.status, again.steps[StepId("part")].runs or None)
    other = await supposed(engine, run, workflow, changes={"input.n": 2})
    parts = other.steps[StepId("part")].runs or []
    state = await engine.state(parts[0])
    assert state.what_if
    assert (run, {"n": 2}) == (state.what_if.run, state.output)


async def test_what_cannot_be_supposed_is_refused_before_anything_begins(stage: Stage) -> None:
    """Rather than a what-if of something else."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    refused: list[tuple[dict[str, object], str]] = [
        ({"at": 8}, "what_if.nothing"),
        ({"at": 7}, "what_if.nothing"),
        ({"at": 99}, "run.no_such_point"),
        ({"changes": {"nobody.result": 1}}, "what_if.change"),
        ({"changes": {"look.result.text": 1}}, "what_if.change"),
    ]
    for what, code in refused:
        with pytest.raises(Invalid, match=code):
            await supposed(engine, run, workflow, **what)
    assert 1 == len(await engine.store.runs())


def test_places_are_read_and_put() -> None:
    """Keys that are not there are made; items of lists are counted."""
    assert Change("a", ("b", "0"), 1) == change_of("a.result.b.0", 1)
    assert Change("input", (), 1) == change_of("input", 1)
    assert {"b": [1, 3], "c": {"d": 4}} == changed(
        {"b": [1, 2]}, [Change("a", ("b", "1"), 3), Change("a", ("c", "d"), 4)]
    )
    for text in ("a", "a.b", "a.result.", ".result", "a.result..b", ""):
        with pytest.raises(Invalid):
            change_of(text, 1)
    for path in (("b", "2"), ("b", "x"), ("n", "m")):
        with pytest.raises(Invalid):
            changed({"b": [1, 2], "n": 1}, [Change("a", path, 1)])


async def test_taken_answers_say_where_they_come_from(stage: Stage) -> None:
    """So that nobody counts them twice."""
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow)
    state = await supposed(engine, run, workflow, at=1)
    taken = [entry.body.reused for entry in await engine.entries(state.run) if isinstance(entry.body, StepSucceeded)]
    assert [(run, 3), (run, 5), (run, 7)] == [(each.run, each.seq) for each in taken if each is not None]


class Swapping:
    """A minimiser of one address, whose pseudonym is another one in every run."""

    is_always = True

    def _pseudonym(self, holder: Holder) -> str:
        return f"<EMAIL_1_{holder.name[-4:].upper()}>"

    async def kept(self, holder: Holder, value: Json) -> Json:
        return parse(encode(value).replace(b"zoe@example.com", self._pseudonym(holder).encode()))

    async def compared(self, holder: Holder, value: Json) -> Json:
        return await self.kept(holder, value)

    async def restored(self, holder: Holder, value: Json) -> Json:
        return parse(encode(value).replace(self._pseudonym(holder).encode(), b"zoe@example.com"))


async def test_a_minimised_run_is_supposed_over_what_its_pseudonyms_stand_for(stage: Stage) -> None:
    """Its answers fit as if it had none, the two compare as equal, and neither journal holds the address."""
    stage.minimise = lambda _folder, _lock: Swapping()
    engine, workflow = await stage.engine(), line(stage)
    run = await ran(stage, engine, workflow, look="of zoe@example.com")
    state = await supposed(engine, run, workflow, changes={"input.more": "zoe@example.com"})
    assert ("succeeded", []) == (state.status, stage.acted)
    origin, fork = await engine.entries(run), await engine.entries(state.run)
    found = compare(await engine.state(run), origin, state, fork)
    assert {"equal"} == {pair.verdict for pair in found.steps}
    assert b"zoe" not in b"".join(write(state.run, entry).data for entry in fork)
    assert replay(state.run, fork, planner_for(workflow)).divergence is None
