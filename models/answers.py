"""What every chat backend checks: that a request can be asked at all, and that an answer keeps its schema."""

import re
from collections.abc import Iterable, Iterator

from runtime.domain.canonical import digest, encode, parse
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest
from runtime.domain.schema import Schema
from runtime.errors import Invalid, StepFailure

MAX_PROMPT_BYTES = 4 * 1_048_576
"""Longer prompts are refused before they are tokenised: no context here holds a tenth of it."""
MAX_SCHEMA_BYTES = 262_144
"""Of all schemas of a request: reading so much takes 40 ms of everybody's time."""
MAX_SEED = 2**32 - 2
"""The engines read 2^32 - 1 as "choose one"."""
MAX_TOOLS = 128
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif")

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_request(request: ChatRequest) -> None:
    """Raise Invalid for what no chat backend can answer."""
    if not request.messages:
        raise Invalid("model.no_messages", f"a request to model {request.model!r} has no messages")
    check_texts(request.stop)
    size = check_texts(text for message in request.messages for text in _texts(message))
    if size > MAX_PROMPT_BYTES:
        raise Invalid(
            "model.prompt_too_long",
            f"the prompt has {size:,} bytes; no model here has room for {MAX_PROMPT_BYTES:,}. Shorten it",
        )
    if request.max_tokens < 1:
        raise Invalid("model.bad_max_tokens", f"max_tokens is {request.max_tokens}; it must be at least 1")
    if not 0 <= request.temperature <= 2:
        raise Invalid("model.bad_temperature", f"temperature is {request.temperature:g}; it must be from 0 to 2")
    if not 0 <= request.seed <= MAX_SEED:
        raise Invalid("model.bad_seed", f"seed is {request.seed}; it must be from 0 to {MAX_SEED}")
    _check_size_of_schemas(request)
    if request.schema is not None:
        Schema(request.schema)
    _check_tools(request)
    _check_images(request)


def offered(request: ChatRequest) -> bool:
    """Whether the model may ask for a tool."""
    return bool(request.tools) and request.tool_choice != "none"


def refuse_images(request: ChatRequest) -> None:
    """Raise Invalid when the request has pictures; for models that read none."""
    if any(message.images for message in request.messages):
        raise Invalid("model.no_images", f"model {request.model!r} reads text, and the request holds a picture")


def _texts(message: ChatMessage) -> Iterator[str]:
    yield message.content
    for call in message.tool_calls:
        yield from (call.id, call.name, call.arguments)


def _check_size_of_schemas(request: ChatRequest) -> None:
    schemas = [request.schema, *(tool.parameters for tool in request.tools)]
    size = sum(len(encode(schema)) for schema in schemas if schema)  # not too deep, and Unicode
    if size > MAX_SCHEMA_BYTES:
        raise Invalid(
            "model.schema_too_large",
            f"the schemas of the request, those of tools included, have {size:,} bytes; {MAX_SCHEMA_BYTES:,} are read",
        )


def _check_tools(request: ChatRequest) -> None:
    names = [tool.name for tool in request.tools]
    if len(names) > MAX_TOOLS:
        raise Invalid("model.bad_tools", f"{len(names)} tools are offered; a model takes {MAX_TOOLS}")
    for tool in request.tools:
        if not _TOOL_NAME.fullmatch(tool.name) or names.count(tool.name) > 1:
            raise Invalid(
                "model.bad_tools",
                f"a tool is called {tool.name[:80]!r}; names are 1 to 64 letters, digits, dashes and underscores, "
                "and each stands once",
            )
        check_texts((tool.description,))
        encode(tool.parameters)
        Schema(tool.parameters)
    if request.tool_choice not in ("auto", "none", *(["required"] if names else []), *names):
        raise Invalid(
            "model.bad_tools",
            f"tool_choice is {request.tool_choice[:80]!r}; it is auto, none, required, or the name of an offered tool",
        )
    unanswerable = next((turn for turn in request.messages if turn.role == "tool" and not turn.tool_call_id), None)
    if unanswerable is not None:
        raise Invalid("model.bad_tools", "a message of the role 'tool' does not say in tool_call_id what it answers")


def _check_images(request: ChatRequest) -> None:
    for image in (image for message in request.messages for image in message.images):
        if image.media_type not in IMAGES:
            raise Invalid(
                "model.no_images", f"a picture is of type {image.media_type[:40]!r}; known are {', '.join(IMAGES)}"
            )


def check_texts(texts: Iterable[str]) -> int:
    """Bytes of all texts together. Raises Invalid for one that is not Unicode (a lone surrogate)."""
    size = 0
    for number, text in enumerate(texts, 1):
        try:
            size += len(text.encode())
        except UnicodeEncodeError as error:
            raise Invalid(
                "model.bad_text",
                f"text {number} is not valid Unicode: a lone surrogate at character {error.start}. Repair it where it "
                "comes from",
            ) from None
    return size


def check_reply(reply: ChatReply, request: ChatRequest) -> ChatReply:
    """The reply, when it keeps the request's schema and its tools. Raises StepFailure; asked again, it would come out
    the same. The failure says in its fact `took` which tokens, in and out, the answer took: they were spent."""
    names = {tool.name for tool in request.tools} if offered(request) else set()
    if not {call.name for call in reply.tool_calls} <= names:
        there = ", ".join(sorted(names)) or "none"
        raise _unfit(reply, f"it asks for a tool that was not offered; it may ask for: {there}", "the tools")
    if names and not reply.tool_calls and request.tool_choice != "auto":
        raise _unfit(reply, "it asks for no tool, and tool_choice wants one", "the tools")
    if request.schema is None or reply.tool_calls:
        return reply
    if reply.finish_reason == "length":
        raise StepFailure(
            "model.answer_cut",
            f"model {reply.model!r} used {reply.output_tokens} tokens and the JSON that the schema asks for is not "
            "complete. Raise max_tokens, or bound the schema with maxLength and maxItems",
            retryable=False,
            took=(reply.input_tokens, reply.output_tokens),
        )
    try:
        answer = parse(reply.text)
    except Invalid as error:
        raise _unfit(reply, error.message) from None
    fault = Schema(request.schema).fault(answer)
    if fault:
        raise _unfit(reply, fault)
    return reply


def fingerprint(identity: dict[str, str], **request: object) -> str:
    """A short name for engine, build, weights, context and sampling: `llama_cpp 0.3.36 b179c9523d0e 81f2c3d4e5f6`."""
    return f"{identity['engine']} {identity['weights'][:12]} {digest({**identity, **request})[7:19]}"


def _unfit(reply: ChatReply, reason: str, what: str = "the schema") -> StepFailure:
    return StepFailure(
        "model.answer_invalid",
        f"model {reply.model!r} did not keep {what}: {reason}",
        retryable=False,
        took=(reply.input_tokens, reply.output_tokens),
    )
