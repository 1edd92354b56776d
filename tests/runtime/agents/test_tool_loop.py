"""A model that calls tools: what it is offered and told, and how it comes to an end."""

import json
from collections.abc import Sequence
from typing import NoReturn

import pytest

from runtime.agents.llm import LlmAgent
from runtime.agents.tool_loop import names_of
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatReply, ChatRequest, EmbedRequest, ToolCall
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.event import Usage
from runtime.domain.ids import AgentId
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import AgentSpec
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from runtime.ports import StepResult
from tests.runtime.agents.tasks import Context, task

LOOK_UP = ToolSpec(id="crm.look_up", kind="tool.x", description="Find a card.", input_schema={"type": "object"})


class Models:
    """Answers with these calls, then with a text."""

    def __init__(self, *turns: str | tuple[str, str]) -> None:
        self.turns = list(turns)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        self.requests.append(request)
        turn = self.turns[min(len(self.requests), len(self.turns)) - 1]
        calls = () if isinstance(turn, str) else (ToolCall(id="c", name=turn[0], arguments=turn[1]),)
        return ChatReply(
            text=turn if isinstance(turn, str) else "",
            tool_calls=calls,
            finish_reason="tool_calls" if calls else "stop",
            input_tokens=10,
            output_tokens=1,
            backend="model.b",
            model="m",
            fingerprint="f",
        )

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> NoReturn:
        raise AssertionError("nobody may ask for vectors here")


class Desk(Context):
    """A context with one tool, which answers or raises this."""

    def __init__(self, models: Models, answer: Json | AgentFlowError) -> None:
        super().__init__(models)
        self.answer = answer
        self.calls: list[tuple[str, dict[str, Json]]] = []

    def offered(self) -> Sequence[ToolSpec]:
        return [LOOK_UP]

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:  # type: ignore[override]  # it answers
        self.calls.append((tool, arguments))
        if isinstance(self.answer, AgentFlowError):
            raise self.answer
        return self.answer


async def acted(desk: Desk, **config: Json) -> StepResult:
    spec = AgentSpec(id=AgentId("a"), type="llm", prompt="Where is it?", tools=(LOOK_UP.id,), config=config)
    return await LlmAgent(spec).act(task({}), desk)


async def test_a_model_is_offered_the_tools_and_told_what_they_answer() -> None:
    """And everything that it took is counted."""
    models = Models(("crm_look_up", '{"card": 7}'), "On its way.")
    desk = Desk(models, {"status": "sent"})
    result = await acted(desk)
    assert ([("crm.look_up", {"card": 7})], {"text": "On its way."}, Usage(20, 2)) == (
        desk.calls, result.output, result.usage,
    )  # fmt: skip
    offered, told = models.requests[0].tools[0], models.requests[1].messages[-2:]
    assert ("crm_look_up", "Find a card.") == (offered.name, offered.description)
    assert (["assistant", "tool"], '{"status": "sent"}', "c") == (
        [turn.role for turn in told], told[1].content, told[1].tool_call_id,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"card": NaN}'])
async def test_arguments_that_are_no_object_are_told_to_the_model(arguments: str) -> None:
    models = Models(("crm_look_up", arguments), "Sorry.")
    desk = Desk(models, None)
    await acted(desk)
    assert ([], "tool.arguments") == (desk.calls, json.loads(models.requests[1].messages[-1].content)["error"]["code"])


@pytest.mark.parametrize("fault", [Invalid("tool.arguments", "no card"), StepFailure("code.failed", "it broke")])
async def test_what_the_model_can_mend_is_told_to_it(fault: AgentFlowError) -> None:
    models = Models(("crm_look_up", "{}"), "Sorry.")
    await acted(Desk(models, fault))
    assert {"error": {"code": fault.code, "message": fault.message}} == json.loads(
        models.requests[1].messages[-1].content
    )


@pytest.mark.parametrize("fault", [Refused("tool.not_for_role", "no"), Unavailable("x.down", "down")])
async def test_what_no_model_can_mend_ends_the_step(fault: AgentFlowError) -> None:
    """A model must not talk its way around a rule, nor be asked while something is down."""
    with pytest.raises(type(fault)):
        await acted(Desk(Models(("crm_look_up", "{}")), fault))


async def test_a_model_that_never_stops_is_stopped() -> None:
    models = Models(("crm_look_up", "{}"))
    with pytest.raises(StepFailure, match="asked 3 times"):
        await acted(Desk(models, None), max_turns=3)
    assert 3 == len(models.requests)
    with pytest.raises(Invalid, match="from 1 to 100"):
        await acted(Desk(models, None), max_turns=0)


def test_names_are_ones_that_models_can_say_and_differ() -> None:
    specs = [ToolSpec(id=name, kind="tool.x") for name in ("a.b", "a_b", "a/b", "x" * 80)]
    names = names_of(specs)
    assert (["a_b", "a_b_2", "a_b_3", "x" * 60], [spec.id for spec in specs]) == (
        list(names), [spec.id for spec in names.values()],
    )  # fmt: skip
