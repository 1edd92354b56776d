"""A model that calls tools in the place of the local one: what it is offered, it calls."""

from collections.abc import AsyncIterator, Sequence

from models.gateway import Gateway
from models.scripted import ScriptedBackend
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.chat import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    Image,
    ModelInfo,
    ToolCall,
    ToolCallPiece,
    ToolOffer,
)
from runtime.domain.egress import Cleared

ARGUMENTS = '{"city": "Ljubljana", "days": 3}'
PIECE = 5
"""Characters of a streamed piece of arguments."""


class Tooling(ScriptedBackend):
    """Calls each tool that it may choose, once; answers `It says: …` to results; remembers what it was asked."""

    def __init__(self, id: str = "model.llama_cpp") -> None:
        super().__init__(())
        self.id = id
        self.asked: list[ChatRequest] = []

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        asked = cleared.payload
        self.asked.append(asked)
        calls = _calls(asked)
        text = "" if calls else _answer(asked)
        return ChatReply(
            text=text,
            finish_reason="tool_calls" if calls else "stop",
            input_tokens=7,
            output_tokens=3,
            tool_calls=calls,
            backend=self.id,
            model=asked.model,
            fingerprint="tooling",
        )

    async def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """Word by word, arguments in pieces; of the model `whole` calls come with the reply alone."""
        reply = await self.complete(cleared)
        for number, word in enumerate(reply.text.split(" ") if reply.text else ()):
            yield ChatChunk(text=word if number == 0 else f" {word}")
        for index, call in enumerate(reply.tool_calls if reply.model != "whole" else ()):
            yield ChatChunk(tool_call=ToolCallPiece(index=index, id=call.id, name=call.name))
            for start in range(0, len(call.arguments), PIECE):
                yield ChatChunk(tool_call=ToolCallPiece(index=index, arguments=call.arguments[start : start + PIECE]))
        yield ChatChunk(reply=reply)

    def describe(self) -> Sequence[ModelInfo]:
        return [ModelInfo(backend=self.id, model="caller", zone="local", context_tokens=512, is_loaded=True)]


def tooling_gateway(model: Tooling) -> Gateway:
    """The gateway with this model, and scripted vectors."""
    return Gateway([model, Tooling("model.onnx")], Guard(EgressPolicy()))


def _calls(asked: ChatRequest) -> tuple[ToolCall, ...]:
    if asked.messages[-1].role == "tool" or asked.tool_choice == "none":
        return ()
    named = [tool for tool in asked.tools if asked.tool_choice in ("auto", "required", tool.name)]
    return tuple(_call(tool, index) for index, tool in enumerate(named))


def _call(tool: ToolOffer, index: int) -> ToolCall:
    return ToolCall(id=f"call_{index}", name=tool.name, arguments=ARGUMENTS)


def _answer(asked: ChatRequest) -> str:
    if asked.schema is not None:
        return '{"city": "Ljubljana", "days": 3}'
    last = asked.messages[-1]
    return f"It says: {last.content}" if last.role == "tool" else _seen(last.images)


def _seen(images: Sequence[Image]) -> str:
    return f"I see {len(images)} pictures." if images else "Hello there."
