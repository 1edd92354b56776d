"""What clients of the OpenAI API send and get, as far as this appliance speaks it. Shapes alone, no behaviour.

Unknown fields of a request are ignored, as those clients expect.
Source: the OpenAI API reference, chat completions, embeddings and models; held to by the `openai` package's own
response models.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runtime.domain.canonical import Json

MAX_TOKENS = 2**31 - 1
"""More than any model writes, and few enough to be counted everywhere."""

ModelName = Annotated[str, Meta(min_length=1, max_length=300, description="One of /v1/models.")]
ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$", description="Name of a tool that was called.")]
OfferedName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name of a tool, as models take it.")]
CallId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,128}$", description="Joins a call with its result.")]


class ImageAddress(msgspec.Struct, frozen=True):
    """A picture, inside the request itself."""

    url: str
    """`data:image/…;base64,…`; nothing is fetched from anywhere."""


class ContentPart(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a message: `text`, or in what a user says `image_url`."""

    type: str
    text: str = ""
    image_url: ImageAddress | None = None


class CalledFunction(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wants to be called."""

    name: ToolName
    arguments: str
    """JSON, as the model wrote it."""


class MessageToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that an answer asks for."""

    id: CallId
    type: Literal["function"] = "function"
    function: CalledFunction


class CompletionMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a conversation; `developer` is read as `system`."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[MessageToolCall] | None = None
    """What an assistant asked for in this turn."""
    tool_call_id: CallId | None = None
    """Which call a `tool` turn is the result of."""


class OfferedFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function that a model may ask to be called."""

    name: OfferedName
    description: str | None = None
    parameters: dict[str, Json] | None = None
    """JSON Schema of the arguments."""


class OfferedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool; `function` is the one type that is taken."""

    type: str
    function: OfferedFunction | None = None


class FunctionName(msgspec.Struct, frozen=True):
    """Names one of the tools."""

    name: str


class NamedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The tool that must be called."""

    type: str
    function: FunctionName | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """How a stream is told."""

    include_usage: bool | None = None


class NamedSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON Schema under a name."""

    name: str = ""
    schema: dict[str, Json] | None = None


class ResponseFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The form that the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a chat model, or a workflow as `workflow:NAME`."""

    model: ModelName
    messages: Annotated[list[CompletionMessage], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=MAX_TOKENS)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=MAX_TOKENS)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    n: int | None = None
    logprobs: bool | None = None
    tools: list[OfferedTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Json] | None = None
    function_call: Json = None
    metadata: dict[str, Json] | None = None
    """`conversation` is read, as the header `x-agentflow-conversation` is; the rest is not kept."""


class CompletionUsage(msgspec.Struct, frozen=True):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the model said."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    """Null where the model said nothing and asked for calls."""
    refusal: None = None
    tool_calls: list[MessageToolCall] | msgspec.UnsetType = msgspec.UNSET


class CompletionChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The one answer."""

    index: int = 0
    message: CompletionAnswer
    logprobs: None = None
    finish_reason: Literal["stop", "length", "tool_calls"]


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A finished answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    """Unix seconds."""
    model: str
    """As the request named it."""
    choices: list[CompletionChoice]
    usage: CompletionUsage
    system_fingerprint: str
    """Engine build, weights and sampling; of a workflow, its run's id."""


class FunctionDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a call."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    arguments: str


class ToolCallDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a call; the first one of each carries its id and name."""

    index: int
    id: str | msgspec.UnsetType = msgspec.UNSET
    type: Literal["function"] | msgspec.UnsetType = msgspec.UNSET
    function: FunctionDelta


class Delta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a chunk adds."""

    role: Literal["assistant"] | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[ToolCallDelta] | msgspec.UnsetType = msgspec.UNSET


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The one answer, growing."""

    index: int = 0
    delta: Delta
    logprobs: None = None
    finish_reason: Literal["stop", "length", "tool_calls"] | None = None


class CompletionChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | msgspec.UnsetType | None = msgspec.UNSET
    """Only where `include_usage` was asked for: null, and numbers in the last chunk, which has no choices."""
    system_fingerprint: str | msgspec.UnsetType = msgspec.UNSET


class EmbeddingsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Turn texts into vectors."""

    model: ModelName
    input: Annotated[str | list[str | int | list[int]], Meta(description="A text, or several; no token numbers.")]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    """Numbers, or little-endian float32 in base64."""


class EmbeddingsUsage(msgspec.Struct, frozen=True):
    """Tokens."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """A model, or a workflow that can be called as one."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    """Always 0: the appliance does not keep when a model came in."""
    owned_by: str
    """The backend that answers, `route` or `workflow`."""


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `model` may name."""

    object: Literal["list"] = "list"
    data: list[ModelLine]


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """Why it did not work."""

    message: str
    type: str
    """`invalid_request_error`, `permission_error`, `rate_limit_error` or `server_error`."""
    param: str | None
    """The field of the request that is to blame, where one is."""
    code: str
    """OpenAI's word where it has one, such as `context_length_exceeded`; else the appliance's stable code."""


class ErrorDocument(msgspec.Struct, frozen=True):
    """The shape of every error under these paths."""

    error: ErrorBody
