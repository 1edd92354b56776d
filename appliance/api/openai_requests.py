"""From an OpenAI chat request to ours: what is taken, what is refused because ignoring it would answer wrongly."""

from collections.abc import Sequence
from typing import Literal

from appliance.api.openai_errors import unsupported
from appliance.api.openai_images import image_of
from appliance.api.openai_shapes import CompletionMessage, CompletionRequest, OfferedTool, ResponseFormat
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest, Image, ToolCall, ToolOffer

DEFAULT_MAX_TOKENS = 1_024
MAX_STOPS = 64
"""Each is looked for after every token."""
SEEDS = 2**32 - 1
"""How many seeds the engines tell apart."""
CHOICES = frozenset({"auto", "none", "required"})
ROLES: dict[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


def chat_request(asked: CompletionRequest) -> ChatRequest:
    """The request as every backend takes it. Raises Invalid for what cannot be honoured."""
    _check(asked)
    tools = tuple(map(_offer, asked.tools or ()))
    return ChatRequest(
        model=asked.model,
        messages=_messages(asked.messages),
        max_tokens=asked.max_completion_tokens or asked.max_tokens or DEFAULT_MAX_TOKENS,
        temperature=asked.temperature or 0.0,
        seed=(asked.seed or 0) % SEEDS,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        schema=_schema(asked.response_format),
        tools=tools,
        tool_choice=_choice(asked, tools),
    )


def _check(asked: CompletionRequest) -> None:
    if asked.n not in (None, 1):
        raise unsupported("n", "there is one answer to a request; ask several times with different seeds")
    if isinstance(asked.stop, list) and len(asked.stop) > MAX_STOPS:
        raise unsupported("stop", f"{len(asked.stop):,} texts; send up to {MAX_STOPS}")
    if asked.logprobs:
        raise unsupported("logprobs", "no backend here gives them")
    if asked.functions or asked.function_call not in (None, "none"):
        raise unsupported("functions", "they are of an older API; offer them as tools")


def _messages(messages: Sequence[CompletionMessage]) -> tuple[ChatMessage, ...]:
    turns = tuple(map(_message, messages))
    asked_for: set[str] = set()
    for turn in turns:
        asked_for |= {call.id for call in turn.tool_calls}
        if turn.role == "tool" and turn.tool_call_id not in asked_for:
            raise unsupported(
                "messages", f"a result of the call {turn.tool_call_id!r}, which no assistant's turn before it asks for"
            )
    return turns


def _message(message: CompletionMessage) -> ChatMessage:
    role = ROLES.get(message.role)
    if role is None:
        raise unsupported("messages", "the role 'function' is of an older API; send results as role 'tool'")
    if message.tool_calls and role != "assistant":
        raise unsupported("messages", f"calls of tools in a turn of role {message.role!r}; they are an assistant's")
    return ChatMessage(
        role,
        _text(message),
        tool_calls=tuple(
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in message.tool_calls or ()
        ),
        tool_call_id=(message.tool_call_id or "") if role == "tool" else "",
        images=_images(message),
    )


def _text(message: CompletionMessage) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type not in ("text", "image_url"):
            raise unsupported("messages", f"a part of type {part.type[:40]!r}; text and image_url are read")
    return "".join(part.text for part in message.content if part.type == "text")


def _images(message: CompletionMessage) -> tuple[Image, ...]:
    if message.content is None or isinstance(message.content, str):
        return ()
    parts = [part for part in message.content if part.type == "image_url"]
    if parts and message.role != "user":
        raise unsupported("messages", f"a picture in a turn of role {message.role!r}; only users show pictures")
    return tuple(image_of(part.image_url.url if part.image_url else "") for part in parts)


def _offer(tool: OfferedTool) -> ToolOffer:
    if tool.type != "function" or tool.function is None:
        raise unsupported("tools", f"a tool of type {tool.type[:40]!r}; tools are of type function, with a function")
    if tool.function.name in CHOICES:
        raise unsupported("tools", f"the name {tool.function.name!r}, which means something else in tool_choice")
    return ToolOffer(
        name=tool.function.name,
        description=tool.function.description or "",
        parameters=tool.function.parameters or {},
    )


def _choice(asked: CompletionRequest, tools: Sequence[ToolOffer]) -> str:
    choice = asked.tool_choice
    if choice is None or isinstance(choice, str):
        if choice == "required" and not tools:
            raise unsupported("tool_choice", "'required' without tools to choose from")
        return choice or "auto"
    name = choice.function.name if choice.type == "function" and choice.function else None
    if name not in {tool.name for tool in tools}:
        raise unsupported("tool_choice", f"it names no function of tools: {(name or choice.type)[:128]!r}")
    return str(name)


def _schema(form: ResponseFormat | None) -> dict[str, Json] | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return {"type": "object"}
    if form.json_schema is None or form.json_schema.schema is None:
        raise unsupported("response_format", "json_schema without a schema; give json_schema.schema")
    return form.json_schema.schema
