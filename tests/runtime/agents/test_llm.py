"""What a step of the llm agent says it used, by where its answer came from."""

from typing import Literal, NoReturn

import pytest

from runtime.agents.llm import LlmAgent
from runtime.domain.chat import ChatReply, ChatRequest, EmbedRequest
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.event import Usage
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec
from tests.runtime.agents.tasks import Context, task


class Models:
    """Answers always the same, and says where from."""

    def __init__(self, usage: Literal["counted", "kept"]) -> None:
        self._usage = usage

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        return ChatReply(
            text="hello",
            finish_reason="stop",
            input_tokens=7,
            output_tokens=2,
            backend="model.peer",
            model="m",
            fingerprint="f",
            usage=self._usage,
        )

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> NoReturn:
        raise AssertionError("nobody may ask for vectors here")


@pytest.mark.parametrize(("source", "used"), [("counted", Usage(7, 2)), ("kept", Usage())])
async def test_a_kept_answer_used_nothing(source: Literal["counted", "kept"], used: Usage) -> None:
    """A run's usage is what was really taken, and nobody was asked."""
    agent = LlmAgent(AgentSpec(id=AgentId("say"), type="llm", prompt="x"))
    result = await agent.act(task({}), Context(Models(source)))
    assert result.usage == used
    assert result.evidence is not None
    assert result.evidence.get("usage", "counted") == source
