"""What a host asks of a model worker and what the worker answers: one JSON object per line, in both directions.

Texts that are sent must be valid Unicode; backends check that before they ask.
"""

from typing import Literal

import msgspec

from models.catalog import Kind
from runtime import errors
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatRequest
from runtime.errors import AgentFlowError, StepFailure


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="ping"):
    """Are you there?"""


class Load(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="load"):
    """Verify a model's files and load it, instead of the one that is loaded."""

    kind: Kind
    name: str
    folder: str
    """The model folder, absolute."""
    context_tokens: int = 0
    """Longest input plus output to make room for; 0, or more than the model's own: the model's own."""
    threads: int = 1


class Inspect(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="inspect"):
    """Load the model files in `folder` once, try them on a few tokens, and say what they are."""

    kind: Kind
    folder: str


class Complete(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="complete"):
    """Answer a chat; Chunks come first when `stream`."""

    request: ChatRequest
    stream: bool = False


class CountTokens(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="count_tokens"):
    """Count the input tokens of (role, content) pairs."""

    messages: tuple[tuple[str, str], ...]


class Embed(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="embed"):
    """Turn texts into vectors."""

    texts: tuple[str, ...]


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", tag="cancel"):
    """Stop working on a call. Not answered itself; the call is."""

    call: int


AnyAsk = Ping | Load | Inspect | Complete | CountTokens | Embed | Cancel


class Call(msgspec.Struct, frozen=True):
    """A numbered question."""

    id: int
    ask: AnyAsk


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="pong"):
    """Here."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="loaded"):
    """The model is ready."""

    context_tokens: int
    dimensions: int = 0
    identity: dict[str, str]
    """What decides the bytes of an answer, requests aside: engine, build, weights, context, sampling."""


class Inspected(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="inspected"):
    """What model files turned out to be."""

    context_tokens: int
    licence: str
    about: str


class Chunk(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="chunk"):
    """The next piece of an answer's text."""

    text: str


class Completed(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="completed"):
    """A finished answer."""

    text: str
    finish_reason: Literal["stop", "length"]
    input_tokens: int
    output_tokens: int


class Counted(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="counted"):
    """How many tokens."""

    tokens: int


class Embedded(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="embedded"):
    """One unit-length vector per text, float32 little-endian."""

    vectors: bytes
    dimensions: int
    input_tokens: int
    truncated_texts: int


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="cancelled"):
    """The call was stopped as asked."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="failed"):
    """The call failed; the worker goes on."""

    kind: str
    """Class name in runtime.errors."""
    code: str
    message: str
    retryable: bool
    facts: dict[str, Json] = {}


Final = Pong | Loaded | Inspected | Completed | Counted | Embedded | Cancelled | Failed


class Said(msgspec.Struct, frozen=True):
    """An answer and the number of the call it belongs to."""

    id: int
    answer: Chunk | Final


class Stopped(Exception):
    """Raised inside an engine when its call was cancelled."""


def failure(error: Exception) -> Failed:
    """An exception of an engine as an answer. Of foreign ones only the type is told: their texts may quote prompts."""
    if isinstance(error, AgentFlowError):
        facts: dict[str, Json] = {
            key: value for key, value in error.facts.items() if isinstance(value, (str, int, float))
        }
        return Failed(
            kind=type(error).__name__, code=error.code, message=error.message, retryable=error.retryable, facts=facts
        )
    message = f"the model engine failed with {type(error).__name__}; the worker's log says where"
    return Failed(kind="StepFailure", code="model.engine_failed", message=message, retryable=False)


def to_error(failed: Failed) -> AgentFlowError:
    """The error that a Failed stands for."""
    kind = getattr(errors, failed.kind, StepFailure)
    error: AgentFlowError = kind(failed.code, failed.message, retryable=failed.retryable, **failed.facts)
    return error
