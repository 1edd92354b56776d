"""A model that may call tools: asked, its calls made, their answers told, and asked again, so often at most.

Every call goes the way of all calls. What a rule refuses ends the step; what the model got wrong, or what failed in
the tool, is told to the model, which may do better.
"""

import json
import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from runtime.domain.canonical import Json, parse
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, ToolCall, ToolOffer
from runtime.domain.event import Usage
from runtime.domain.tool import ToolSpec
from runtime.errors import Invalid, StepFailure
from runtime.ports import StepContext

DEFAULT_TURNS = 8
"""How often a model is asked in one step, where nobody says."""
MAX_TOLD_CHARS = 100_000
"""Of one answer of a tool; what is longer is cut before the model reads it."""

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


async def converse(request: ChatRequest, ctx: StepContext, *, agent: str, turns: int) -> tuple[ChatReply, Usage]:
    """The model's last answer, and what all of its answers took. Raises StepFailure where it never comes to one."""
    named = names_of(ctx.offered())
    request = replace(request, tools=tuple(_offer(name, spec) for name, spec in named.items()))
    usage = Usage()
    for _ in range(turns):
        reply = await ctx.models.complete(request)
        usage = usage.plus(used(reply))
        if not reply.tool_calls:
            return reply, usage
        told = [ChatMessage("assistant", reply.text, tool_calls=reply.tool_calls)]
        for call in reply.tool_calls:
            answer = await _answer(call, named, ctx)
            told.append(ChatMessage("tool", answer, tool_call_id=call.id))
        request = replace(request, messages=(*request.messages, *told))
    raise StepFailure(
        "llm.too_many_turns",
        f"agent {agent!r}: the model was asked {turns} times and wanted a tool each time; raise config.max_turns, or "
        "say in the prompt when to stop",
        retryable=False,
    )


def used(reply: ChatReply) -> Usage:
    """What an answer took; nothing where it was kept from an equal question."""
    return Usage() if reply.usage == "kept" else Usage(reply.input_tokens, reply.output_tokens)


def names_of(specs: Sequence[ToolSpec]) -> dict[str, ToolSpec]:
    """Tools by the names that models can say: letters, digits, dashes and underscores."""
    named: dict[str, ToolSpec] = {}
    for spec in specs:
        name = _UNFIT.sub("_", spec.id)[:60]
        number = next(number for number in range(1, len(specs) + 1) if _numbered(name, number) not in named)
        named[_numbered(name, number)] = spec
    return named


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def _offer(name: str, spec: ToolSpec) -> ToolOffer:
    return ToolOffer(name=name, description=spec.description, parameters=spec.input_schema)


async def _answer(call: ToolCall, named: Mapping[str, ToolSpec], ctx: StepContext) -> str:
    """What the model is told of its call."""
    try:
        arguments = parse(call.arguments or "{}")
    except Invalid as error:
        return _fault("tool.arguments", f"the arguments are no JSON: {error.message}")
    if not isinstance(arguments, dict):
        return _fault("tool.arguments", "the arguments must be a JSON object")
    try:
        output = await ctx.call_tool(named[call.name].id, arguments)
    except (Invalid, StepFailure) as error:
        if error.retryable:
            raise
        return _fault(error.code, error.message)
    return json.dumps(output, ensure_ascii=False)[:MAX_TOLD_CHARS]


def _fault(code: str, message: str) -> str:
    fault: Json = {"error": {"code": code, "message": message}}
    return json.dumps(fault, ensure_ascii=False)
