"""What a model plans is carried out by the engine: asked once, judged, kept, and never asked again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from runtime.domain.canonical import Json, encode
from runtime.domain.chat import ChatReply, ChatRequest
from runtime.domain.command import KeepPlan
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.event import StepSucceeded
from runtime.domain.ids import AgentId, DefinitionHash, StepId, TenantId
from runtime.domain.plan import QUESTION
from runtime.domain.run import RunState
from runtime.domain.workflow import (
    AgentSpec,
    FsmSpec,
    FsmState,
    LlmPlan,
    ModelSpec,
    ReplanRule,
    RetryPolicy,
    SubrunSpec,
    Workflow,
)
from runtime.engine.replay import replay
from runtime.engine.runs import Engine
from runtime.errors import Refused
from runtime.planners.lifecycle import planner_for
from runtime.ports import ModelAccess, Task
from tests.runtime.engine.conftest import Stage, until
from tests.runtime.memory.word_models import open_memory

ROW: Json = {"steps": [{"agent": "search", "input": "cards"}, {"agent": "write"}]}
BARE: Json = {"steps": ["search", "write"]}
SUB_PLAN = FsmSpec(
    states={"write": FsmState(name="write", on_success="done")}, initial_state="write", final_states=frozenset({"done"})
)


class Model:
    """A model that answers with these texts, in order, and remembers what it was asked."""

    def __init__(self, answers: Sequence[Json | Exception]) -> None:
        self._answers = iter(answers)
        self.asked: list[ChatRequest] = []
        self.senders: list[Sender] = []
        self.hold: asyncio.Event | None = None
        """What it waits for before it answers."""

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        self.asked.append(request)
        self.senders.append(sender)
        if self.hold is not None:
            await self.hold.wait()
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else encode(answer).decode()
        return ChatReply(
            text=text,
            finish_reason="stop",
            input_tokens=9,
            output_tokens=3,
            backend="model.x",
            model="m",
            fingerprint="f",
        )


def planned(stage: Stage, *answers: Json | Exception, **spec: object) -> tuple[Workflow, Model]:
    """A workflow of two agents, and the model that plans it."""
    model = Model(answers)
    stage.models = cast("ModelAccess", model)
    agents = {AgentId(name): AgentSpec(id=AgentId(name), type="x", role=f"can {name}") for name in ("search", "write")}
    asker = AgentSpec(
        id=AgentId("plan"), type="llm", prompt=QUESTION, model=ModelSpec(name="m"), retry=RetryPolicy(max_attempts=1)
    )
    llm = replace(LlmPlan(asker=asker, agents=tuple(agents), fallback=SUB_PLAN), **spec)
    made = Workflow(
        name="w", hash=DefinitionHash(f"sha256:{len(stage.workflows)}"), agents=agents, planner="llm", llm=llm
    )
    stage.workflows[made.hash] = made
    return made, model


async def run(engine: Engine, workflow: Workflow, given: Json, tenant: str = "default") -> RunState:
    return await engine.wait(await engine.submit(workflow, given, tenant=TenantId(tenant)))


def prompts(model: Model) -> list[str]:
    return [request.messages[-1].content for request in model.asked]


async def test_the_model_is_told_the_goal_the_agents_and_the_schema(stage: Stage) -> None:
    """On behalf of the run, and held to the schema while it answers."""
    workflow, model = planned(stage, ROW)
    state = await run(await stage.engine(), workflow, {"goal": "find my card"})
    assert "succeeded" == state.status
    (prompt,) = prompts(model)
    for part in ("find my card", "- search: can search", "- write: can write", '"maxItems": 10'):
        assert part in prompt
    assert model.asked[0].schema is not None
    assert (state.run, "plan", "plan") == (model.senders[0].run, model.senders[0].step, model.senders[0].agent)


async def test_a_model_need_not_be_held_to_the_schema(stage: Stage) -> None:
    workflow, model = planned(stage, ROW, is_constrained=False)
    await run(await stage.engine(), workflow, {"goal": "x"})
    assert model.asked[0].schema is None


async def test_a_step_is_given_what_its_plan_says(stage: Stage) -> None:
    """As data: a template in it is not rendered. Without, it is given the run's input."""
    given: dict[str, Json] = {}

    async def note(task: Task) -> Json:
        given[task.agent] = task.input
        return "ok"

    stage.behaviours = {"search": note, "write": note}
    workflow, _ = planned(stage, {"steps": [{"agent": "search", "input": "{{ input.goal }}"}, {"agent": "write"}]})
    await run(await stage.engine(), workflow, {"goal": "x"})
    assert {"search": "{{ input.goal }}", "write": {"goal": "x"}} == given


async def test_a_bad_plan_is_asked_for_again_with_its_faults(stage: Stage) -> None:
    workflow, model = planned(stage, {"steps": ["sing"]}, ROW)
    state = await run(await stage.engine(), workflow, {"goal": "x"})
    assert ["plan", "plan", "search", "write"] == state.path
    first, second = model.asked
    assert first.messages == second.messages[:1]
    assert '{"steps": ["sing"]}' == second.messages[1].content
    assert "step 1 names agent nothing; allowed are search, write" in second.messages[2].content


@pytest.mark.parametrize("answers", [("No.", "No!"), (Refused("egress.zone", "not there"),)], ids=["bad", "refused"])
async def test_the_sub_plan_takes_over(stage: Stage, answers: tuple[Json | Exception, ...]) -> None:
    workflow, _ = planned(stage, *answers)
    engine = await stage.engine()
    state = await run(engine, workflow, {"goal": "x"})
    assert ("succeeded", ["write", "done"]) == (state.status, state.path[-2:])
    entries = await engine.entries(state.run)
    (kept,) = [entry.body for entry in entries if isinstance(entry.body, KeepPlan)]
    assert "fallback" == kept.plan.source
    assert kept.why


async def test_a_person_plans_where_the_model_does_not(stage: Stage) -> None:
    workflow, _ = planned(stage, "No.", fallback=None, repairs=0)
    engine = await stage.engine()
    state = await run(engine, workflow, {"goal": "x"})
    assert ["plan"] == list(state.awaited())
    await engine.signal(state.run, "plan", BARE)
    assert "succeeded" == (await engine.wait(state.run)).status


async def test_another_process_goes_on_without_asking_again(stage: Stage) -> None:
    """The plan is in the journal; the model that made it is gone."""

    async def never(task: Task) -> Json:
        await asyncio.Event().wait()
        return None

    stage.behaviours = {"write": never}
    workflow, _ = planned(stage, ROW)
    engine = await stage.engine()
    submitted = await engine.submit(workflow, {"goal": "x"})
    await until(lambda: ("write", 1) in stage.acted)
    await stage.close()

    stage.behaviours, stage.models = {}, cast("ModelAccess", Model([]))
    engine = await stage.engine()
    state = await engine.wait(submitted)
    assert ("succeeded", ["plan", "search", "write"]) == (state.status, state.path)
    assert replay(submitted, await engine.entries(submitted), planner_for(workflow)).divergence is None


async def test_another_process_asks_in_the_same_words(stage: Stage) -> None:
    """What comes back from the journal has its keys in another order; a model would answer something else."""
    workflow, first = planned(stage)
    first.hold = asyncio.Event()
    engine = await stage.engine()
    submitted = await engine.submit(workflow, {"topic": "x", "amount": 1, "deep": {"z": 1, "a": 2}})
    await until(lambda: bool(first.asked))
    await stage.close()

    second = Model([ROW])
    stage.models = cast("ModelAccess", second)
    await (await stage.engine()).wait(submitted)
    assert prompts(first) == prompts(second)


async def test_replay_asks_nobody_and_decides_the_same(stage: Stage) -> None:
    workflow, model = planned(stage, {"steps": ["sing"]}, ROW)
    engine = await stage.engine()
    state = await run(engine, workflow, {"goal": "x"})
    found = replay(state.run, await engine.entries(state.run), planner_for(workflow))
    assert (None, 2) == (found.divergence, len(model.asked))


async def test_another_guard_shows_in_replay(stage: Stage) -> None:
    """A plan that would be refused today is no plan that was made."""
    workflow, _ = planned(stage, ROW)
    engine = await stage.engine()
    state = await run(engine, workflow, {"goal": "x"})
    assert workflow.llm is not None
    stricter = replace(workflow, llm=replace(workflow.llm, max_steps=1))
    found = replay(state.run, await engine.entries(state.run), planner_for(stricter))
    assert found.divergence is not None
    assert "plan.kept" in found.divergence.recorded


async def test_a_plan_is_used_again_for_its_class_and_tenant(stage: Stage) -> None:
    """It is recorded like any other answer, and the decisions are the same."""
    asker = AgentSpec(
        id=AgentId("plan"),
        type="llm",
        prompt=QUESTION,
        model=ModelSpec(),
        input={"goal": None, "class": "{{ input.kind }}"},
    )
    workflow, model = planned(stage, BARE, BARE, BARE, keeps_plans=True, asker=asker)
    engine = await stage.engine()
    first = await run(engine, workflow, {"goal": "x", "kind": "refund"})
    again = await run(engine, workflow, {"goal": "y", "kind": "refund"})
    assert 1 == len(model.asked)
    assert first.plan == again.plan
    (answered,) = [
        entry.body
        for entry in await engine.entries(again.run)
        if isinstance(entry.body, StepSucceeded) and entry.body.step == "plan"
    ]
    assert (BARE, ["plan_cache"]) == (answered.output, list(answered.evidence or {}))
    await run(engine, workflow, {"goal": "x", "kind": "other"})
    await run(engine, workflow, {"goal": "x", "kind": "refund"}, tenant="another")
    assert 3 == len(model.asked)


async def test_equal_questions_share_a_plan_with_its_inputs(stage: Stage) -> None:
    """And only those: what a step is given belongs to its goal."""
    workflow, model = planned(stage, ROW, ROW, keeps_plans=True)
    engine = await stage.engine()
    for goal in ("x", "x", "y"):
        assert "succeeded" == (await run(engine, workflow, {"goal": goal})).status
    assert 2 == len(model.asked)


async def test_a_bad_plan_is_not_kept(stage: Stage) -> None:
    workflow, model = planned(stage, "No.", "No.", BARE, repairs=0, keeps_plans=True)
    engine = await stage.engine()
    for _ in range(3):
        await run(engine, workflow, {"goal": "x"})
    assert 3 == len(model.asked)


async def test_a_repaired_plan_is_kept_for_the_question(stage: Stage) -> None:
    """Not for the question with the faults behind it, which nobody asks first."""
    workflow, model = planned(stage, "No.", BARE, keeps_plans=True)
    engine = await stage.engine()
    for _ in range(2):
        assert "succeeded" == (await run(engine, workflow, {"goal": "x"})).status
    assert 2 == len(model.asked)


async def test_a_workflow_within_is_given_what_the_plan_says(stage: Stage) -> None:
    """Its run starts with the step's input, as an agent would."""
    inner = stage.workflow(FsmState(name="work", on_success="done"))
    workflow, _ = planned(stage, ROW)
    part = replace(workflow.agents[AgentId("search")], subrun=SubrunSpec(workflow=inner), timeout_ms=0)
    workflow = replace(workflow, agents={**workflow.agents, AgentId("search"): part})
    stage.workflows[workflow.hash] = workflow
    state = await run(await stage.engine(), workflow, {"goal": "x"})
    assert ("succeeded", "cards") == (state.status, state.steps[StepId("search")].output)


async def test_a_model_that_plans_anew_is_told_what_happened(stage: Stage) -> None:
    """Not the plan that is kept for such goals: that one failed. A bad answer is repaired as ever."""

    async def breaks(task: Task) -> Json:
        raise Refused("x.broken", "the index is away")

    stage.behaviours = {"search": breaks}
    workflow, model = planned(stage, BARE, {"steps": ["sing"]}, {"steps": ["write"]}, keeps_plans=True)
    workflow = replace(workflow, replan=(ReplanRule(on="agent_failure", strategy="adaptive"),))
    stage.workflows[workflow.hash] = workflow
    engine = await stage.engine()
    state = await run(engine, workflow, {"goal": "x"})
    assert ("succeeded", ["plan", "search", "plan", "plan", "write"]) == (state.status, state.path)
    _, anew, repair = model.asked
    assert "The plan before this one was given up: x.broken in search: adaptive (1 of 1)" in anew.messages[0].content
    assert "the index is away" in anew.messages[0].content
    assert 1 == len(anew.messages)
    assert anew.messages == repair.messages[:1]
    assert "step 1 names agent nothing" in repair.messages[2].content
    assert replay(state.run, await engine.entries(state.run), planner_for(workflow)).divergence is None


async def test_a_kept_plan_survives_a_restart_for_its_tenant_and_definition(stage: Stage, tmp_path: Path) -> None:
    """The next process asks nobody; another tenant, another class and another definition ask."""
    async with open_memory(tmp_path / "memory") as memory:
        stage.memory = memory
        workflow, model = planned(stage, BARE, BARE, BARE, BARE, keeps_plans=True)
        await run(await stage.engine(), workflow, {"goal": "x"})
        await stage.close()
        engine = await stage.engine()
        state = await run(engine, workflow, {"goal": "x"})
        assert (1, "succeeded") == (len(model.asked), state.status)
        assert ["plan_cache"] == list(state.steps[StepId("plan")].evidence or {})
        await run(engine, workflow, {"goal": "x"}, tenant="another")
        await run(engine, workflow, {"goal": "y"})
        other = replace(workflow, hash=DefinitionHash("sha256:other"))
        stage.workflows[other.hash] = other
        await run(engine, other, {"goal": "x"})
        assert 4 == len(model.asked)


async def test_a_plan_by_which_a_run_failed_is_forgotten(stage: Stage, tmp_path: Path) -> None:
    """Here and in what is kept over a restart; it would lead every later run to the same end."""

    async def breaks(task: Task) -> Json:
        raise Refused("x.broken", "the index is away")

    async with open_memory(tmp_path / "memory") as memory:
        stage.memory = memory
        stage.behaviours = {"search": breaks}
        workflow, model = planned(stage, BARE, BARE, {"steps": ["write"]}, keeps_plans=True)
        engine = await stage.engine()
        assert "failed" == (await run(engine, workflow, {"goal": "x"})).status
        await stage.close()
        engine = await stage.engine()
        assert "failed" == (await run(engine, workflow, {"goal": "x"})).status
        await engine.stop()
        await stage.close()
        engine = await stage.engine()
        assert "succeeded" == (await run(engine, workflow, {"goal": "x"})).status
        assert 3 == len(model.asked)
