"""Tools for a model that knows of none: the choice between them and an answer is a JSON Schema that steers it. Pure.

{"tool": "look_up", "arguments": {"card": 7}}     or     {"answer": "It is on its way."}
"""

import json
import re

from msgspec.structs import replace

from models.answers import offered
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, ToolCall

_INTRODUCTION = (
    'You can use tools. To use one, write {"tool": NAME, "arguments": {…}}. To answer without one, write '
    '{"answer": TEXT}. Use a tool only when its description fits. The tools:'
)
_OPENED = re.compile(r'\s*\{\s*"answer"\s*:\s*"')
_ENDINGS = 12
"""Characters at the end of a text that was cut which may be half an escape."""


def steered(request: ChatRequest) -> ChatRequest:
    """The request as a model without tools can answer it; the same where it neither offers nor tells of any."""
    turns = tuple(map(_told, request.messages))
    if not offered(request):
        return replace(request, messages=turns, tools=(), tool_choice="auto")
    introduction = ChatMessage("system", _introduction(request))
    if turns[0].role == "system":
        introduction = ChatMessage("system", f"{turns[0].content}\n\n{introduction.content}")
        turns = turns[1:]
    return replace(
        request, messages=(introduction, *turns), tools=(), tool_choice="auto", schema=_choices(request), stop=()
    )


def chosen(reply: ChatReply, request: ChatRequest) -> ChatReply:
    """What the model chose to do with a request that offered tools: the call, or the answer as its text.

    An answer that was cut keeps the text that it has; a call that was cut is none, and stays what it is.
    """
    try:
        found = json.loads(reply.text)
    except ValueError:
        return _cut(reply, request)
    if not isinstance(found, dict):
        return reply
    if "tool" in found:
        arguments = json.dumps(found.get("arguments", {}), ensure_ascii=False)
        call = ToolCall(id="call_0", name=str(found["tool"]), arguments=arguments)
        return replace(reply, text="", tool_calls=(call,), finish_reason="tool_calls")
    answer = found.get("answer", "")
    return replace(reply, text=answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))


def _choices(request: ChatRequest) -> dict[str, Json]:
    wanted = [tool for tool in request.tools if tool.name == request.tool_choice] or list(request.tools)
    ways: list[Json] = [
        _object(tool={"const": tool.name}, arguments=tool.parameters or {"type": "object"}) for tool in wanted
    ]
    if request.tool_choice == "auto":
        ways.append(_object(answer=request.schema or {"type": "string"}))
    return {"anyOf": ways}


def _object(**properties: Json) -> dict[str, Json]:
    required: list[Json] = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _introduction(request: ChatRequest) -> str:
    lines = [
        f"- {tool.name}: {tool.description} {json.dumps(tool.parameters, ensure_ascii=False)}" for tool in request.tools
    ]
    return "\n".join([_INTRODUCTION, *lines])


def _told(turn: ChatMessage) -> ChatMessage:
    """A turn in words: templates of models without tools know nothing else."""
    if turn.role == "tool":
        return ChatMessage("user", f"The tool answered: {turn.content}")
    if not turn.tool_calls:
        return turn
    calls = [json.dumps({"tool": call.name, "arguments": call.arguments}) for call in turn.tool_calls]
    return ChatMessage(turn.role, "\n".join(filter(None, [turn.content, *calls])))


def _cut(reply: ChatReply, request: ChatRequest) -> ChatReply:
    opened = _OPENED.match(reply.text)
    if opened is None or request.schema is not None:
        return reply
    text = reply.text[opened.end() :]
    for length in range(len(text), max(-1, len(text) - _ENDINGS), -1):
        try:
            return replace(reply, text=json.loads(f'"{text[:length]}"'))
        except ValueError:
            continue
    return reply
