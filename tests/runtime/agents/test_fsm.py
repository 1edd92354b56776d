"""An fsm agent decides over what the run has found."""

import msgspec
import pytest

from runtime.agents.fsm import FsmAgent
from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec, FsmSpec, FsmState
from runtime.errors import StepFailure
from runtime.ports import Task
from tests.runtime.agents import tasks

MODERATION = FsmSpec(
    states={
        "collect": FsmState(name="collect", on_success="decide"),
        "decide": FsmState(name="decide", condition="all_checks_passed", on_true="approve", on_false="weigh"),
        "weigh": FsmState(name="weigh", condition="text.severity > 0.8", on_true="ban", on_false="review"),
    },
    initial_state="collect",
    final_states=frozenset({"approve", "ban", "review"}),
)


def task(**data: Json) -> Task:
    return msgspec.structs.replace(tasks.task({"all_checks_passed": False}), data=data)


def agent() -> FsmAgent:
    return FsmAgent(AgentSpec(id=AgentId("judge"), type="fsm", fsm=MODERATION))


async def test_it_finds_outputs_by_name_and_names_the_final_state() -> None:
    result = await agent().act(task(steps={"text": {"severity": 0.9}}), None)  # type: ignore[arg-type]  # it needs none
    assert result.output == {"decision": "ban", "path": ["collect", "decide", "weigh", "ban"]}


async def test_the_last_output_wins_over_the_input() -> None:
    result = await agent().act(task(response={"all_checks_passed": True}), None)  # type: ignore[arg-type]  # it needs none
    assert result.output == {"decision": "approve", "path": ["collect", "decide", "approve"]}


async def test_a_condition_that_cannot_be_decided_fails_the_step() -> None:
    with pytest.raises(StepFailure, match="text"):
        await agent().act(task(), None)  # type: ignore[arg-type]  # it needs none
