"""From an OpenAI chat request to ours: what is taken, what is refused because ignoring it would answer wrongly."""

from typing import Literal

from appliance.api.openai_errors import unsupported
from appliance.api.openai_shapes import CompletionMessage, CompletionRequest, ResponseFormat
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest

DEFAULT_MAX_TOKENS = 1_024
SEEDS = 2**32 - 1
"""How many seeds the engines tell apart."""
ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def chat_request(asked: CompletionRequest) -> ChatRequest:
    """The request as every backend takes it. Raises Invalid for what cannot be honoured."""
    _check(asked)
    return ChatRequest(
        model=asked.model,
        messages=tuple(map(_message, asked.messages)),
        max_tokens=asked.max_completion_tokens or asked.max_tokens or DEFAULT_MAX_TOKENS,
        temperature=asked.temperature or 0.0,
        seed=(asked.seed or 0) % SEEDS,
        stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
        schema=_schema(asked.response_format),
    )


def _check(asked: CompletionRequest) -> None:
    if asked.n not in (None, 1):
        raise unsupported("n", "there is one answer to a request; ask several times with different seeds")
    if asked.logprobs:
        raise unsupported("logprobs", "no backend here gives them")
    if (asked.tools and asked.tool_choice != "none") or asked.functions:
        raise unsupported("tools", "no backend here calls tools; use a workflow, whose agents do")


def _message(message: CompletionMessage) -> ChatMessage:
    role = ROLES.get(message.role)
    if role is None or message.tool_calls:
        raise unsupported("messages", "calls of tools and their results cannot be part of a conversation here")
    return ChatMessage(role, _text(message))


def _text(message: CompletionMessage) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type != "text":
            raise unsupported("messages", f"a part of type {part.type[:40]!r}; the models here read text alone")
    return "".join(part.text for part in message.content)


def _schema(form: ResponseFormat | None) -> dict[str, Json] | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return {"type": "object"}
    if form.json_schema is None or form.json_schema.schema is None:
        raise unsupported("response_format", "json_schema without a schema; give json_schema.schema")
    return form.json_schema.schema
