"""What a model is asked and what it answers, the same for every backend."""

from typing import Literal

import msgspec

from runtime.domain.canonical import Json


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a model asks for; whoever asked the model makes it, or does not."""

    id: str
    name: str
    arguments: str
    """JSON as the model wrote it; it may be none."""


class ToolOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that a model may ask for."""

    name: str
    description: str = ""
    parameters: dict[str, Json] = {}
    """JSON Schema of the arguments."""


class Image(msgspec.Struct, frozen=True):
    """A picture in a message."""

    media_type: str
    """Such as `image/png`."""
    data: bytes


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """What an assistant asked for in this turn."""
    tool_call_id: str = ""
    """Which call a `tool` turn is the result of."""
    images: tuple[Image, ...] = ()


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a chat model. Equal requests have equal answers from one engine."""

    model: str
    """The model's name; empty: the provider's default."""
    messages: tuple[ChatMessage, ...]
    provider: str = "local"
    """Who answers: `local`, `scripted`, or another provider that policy allows."""
    options: dict[str, Json] = {}
    """Keys that only this provider knows, such as the `answers` of a scripted model."""
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    schema: dict[str, Json] | None = None
    """JSON Schema that the answer's text must satisfy as JSON; None: free text."""
    tools: tuple[ToolOffer, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the tool that must be called."""


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """A finished answer."""

    text: str
    finish_reason: Literal["stop", "length", "tool_calls"]
    input_tokens: int
    output_tokens: int
    tool_calls: tuple[ToolCall, ...] = ()
    backend: str
    """Dotted id of what answered, such as `model.llama_cpp`."""
    model: str
    fingerprint: str
    """Identifies engine build, weights, context and sampling; equal fingerprints promise equal bytes."""
    route: str = ""
    """Why this backend answered, where there was a choice: `vllm: first; spare: skipped, its breaker is open`."""
    usage: Literal["counted", "estimated", "corrected", "kept"] = "counted"
    """Where the tokens come from: from what answered, from an estimate because it did not count, or from one because
    what it said cannot be; `kept`: they are those of an equal question, and this one took none."""


class ToolCallPiece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a streamed tool call."""

    index: int
    """Which call of the answer, from 0."""
    id: str = ""
    """With the first piece of a call, as is the name."""
    name: str = ""
    arguments: str = ""


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer; the last one carries the reply."""

    text: str = ""
    tool_call: ToolCallPiece | None = None
    reply: ChatReply | None = None
    route: str = ""
    """With the first piece, as `ChatReply.route`."""


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to turn into vectors."""

    model: str
    """The model's name; empty: the default one. `provider/name` reaches another provider than `local`."""
    texts: tuple[str, ...]


class EmbedReply(msgspec.Struct, frozen=True, kw_only=True):
    """One unit-length vector per text, in order."""

    vectors: bytes
    """float32 little-endian, texts × dimensions, row by row."""
    dimensions: int
    input_tokens: int
    truncated_texts: int = 0
    """How many texts were longer than the model reads; their ends do not count."""
    backend: str
    model: str
    fingerprint: str
    route: str = ""
    """As `ChatReply.route`."""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend says of itself."""

    backend: str
    model: str
    zone: str
    """`local`, `site` or `cloud:<region>`."""
    context_tokens: int
    is_loaded: bool
    detail: dict[str, Json] = {}
