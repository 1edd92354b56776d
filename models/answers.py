"""What every chat backend checks: that a request can be asked at all, and that an answer keeps its schema."""

from collections.abc import Iterable

from runtime.domain.canonical import digest, encode, parse
from runtime.domain.chat import ChatReply, ChatRequest
from runtime.domain.schema import Schema
from runtime.errors import Invalid, StepFailure

MAX_PROMPT_BYTES = 4 * 1_048_576
"""Longer prompts are refused before they are tokenised: no context here holds a tenth of it."""
MAX_SEED = 2**32 - 2
"""The engines read 2^32 - 1 as "choose one"."""


def check_request(request: ChatRequest) -> None:
    """Raise Invalid for what no chat backend can answer."""
    if not request.messages:
        raise Invalid("model.no_messages", f"a request to model {request.model!r} has no messages")
    check_texts(request.stop)
    size = check_texts(message.content for message in request.messages)
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
    if request.schema is not None:
        encode(request.schema)  # not too deep, and Unicode
        Schema(request.schema)


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
    """The reply, when it keeps the request's schema. Raises StepFailure; asked again, it would come out the same."""
    if request.schema is None:
        return reply
    if reply.finish_reason == "length":
        raise StepFailure(
            "model.answer_cut",
            f"model {reply.model!r} used {reply.output_tokens} tokens and the JSON that the schema asks for is not "
            "complete. Raise max_tokens, or bound the schema with maxLength and maxItems",
            retryable=False,
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


def _unfit(reply: ChatReply, reason: str) -> StepFailure:
    return StepFailure(
        "model.answer_invalid", f"model {reply.model!r} did not keep the schema: {reason}", retryable=False
    )
