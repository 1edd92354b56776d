"""The OpenAI API in front of the gateway: chat completions, embeddings and models.

Any client of that API is guarded, counted and answered like an agent is. A workflow is a model too.
Nothing here decides who may answer: that is the gateway's.
"""

import secrets
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from struct import unpack

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.openai_errors import unsupported
from appliance.api.openai_hang_up import unless_hung_up
from appliance.api.openai_requests import chat_request
from appliance.api.openai_shapes import (
    Completion,
    CompletionAnswer,
    CompletionChoice,
    CompletionRequest,
    Embedding,
    Embeddings,
    EmbeddingsRequest,
    EmbeddingsUsage,
    ModelLine,
    ModelList,
)
from appliance.api.openai_stream import events, usage_of
from appliance.api.openai_workflows import BACKEND, PREFIX, ask_workflow
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.auth.callers import Caller
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo
from runtime.errors import NotFound

RUN_HEADER = "x-agentflow-run"
HIDDEN_BACKENDS = frozenset({"model.scripted"})
ERRORS = (403, 404, 409, 415, 502)


@post(
    "/v1/chat/completions",
    name="create_chat_completion",
    status_code=HTTPStatus.OK,
    **describes(
        "Ask a chat model, or a workflow",
        tag="models",
        answers={200: Completion},
        errors=ERRORS,
        body=CompletionRequest,
        error_shape="Error",
        example={"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Say hello."}]},
    ),
)
async def create_chat_completion(
    request: ApiRequest, service: NamedDependency[Service]
) -> Response[Completion] | Stream:
    """As the OpenAI API answers; with `stream` as server-sent events that end in `[DONE]`."""
    asked = await read_json(request, CompletionRequest)
    chat = chat_request(asked)
    identity = f"chatcmpl-{secrets.token_hex(12)}"
    if not asked.stream:
        reply = await unless_hung_up(request, _complete(service, chat, request.user))
        return Response(_completion(identity, asked.model, reply, created=_now(service)), headers=_headers(reply))
    chunks = _chunks(service, chat, request.user)
    # the first piece decides the status: what is refused or missing is told before a stream begins
    first = await unless_hung_up(request, _next(chunks))
    wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
    return Stream(
        events(first, chunks, identity=identity, model=asked.model, created=_now(service), wants_usage=wants_usage),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no", **_headers(first.reply)},
    )


@post(
    "/v1/embeddings",
    name="create_embeddings",
    status_code=HTTPStatus.OK,
    **describes(
        "Turn texts into vectors",
        tag="models",
        answers={200: Embeddings},
        errors=ERRORS,
        body=EmbeddingsRequest,
        error_shape="Error",
        example={"model": "all-minilm-l6-v2", "input": ["a text", "another"]},
    ),
)
async def create_embeddings(request: ApiRequest, service: NamedDependency[Service]) -> Embeddings:
    """One unit vector per text, as numbers or, with `encoding_format: base64`, as little-endian float32."""
    asked = await read_json(request, EmbeddingsRequest)
    texts = EmbedRequest(model=asked.model, texts=_texts(asked))
    embedding = service.appliance.models.embed(texts, purpose=_purpose(request.user), tenant=request.user.tenant)
    reply = await unless_hung_up(request, embedding)
    if asked.dimensions not in (None, reply.dimensions):
        raise unsupported("dimensions", f"model {asked.model!r} gives {reply.dimensions} and cannot be cut")
    return Embeddings(
        data=_vectors(reply, as_base64=asked.encoding_format == "base64"),
        model=asked.model,
        usage=EmbeddingsUsage(reply.input_tokens, reply.input_tokens),
    )


@get(
    "/v1/models",
    name="list_models",
    **describes("List models", tag="models", answers={200: ModelList}, error_shape="Error"),
)
async def list_models(service: NamedDependency[Service]) -> ModelList:
    """Local models by name, others as `provider/name`, workflows as `workflow:NAME`."""
    return ModelList(data=_models(service))


@get(
    "/v1/models/{model:path}",
    name="show_model",
    **describes("Show one model", tag="models", answers={200: ModelLine}, errors=(404,), error_shape="Error"),
)
async def show_model(model: FromPath[str], service: NamedDependency[Service]) -> ModelLine:
    """One line of the list."""
    name = model.removeprefix("/")
    for line in _models(service):
        if line.id == name:
            return line
    raise NotFound(
        "model.not_installed", f"there is no model {name[:300]!r} here; GET /v1/models lists those there are"
    )


async def _complete(service: Service, chat: ChatRequest, caller: Caller) -> ChatReply:
    if chat.model.startswith(PREFIX):
        return await ask_workflow(service, chat, caller)
    return await service.appliance.models.complete(chat, purpose=_purpose(caller), tenant=caller.tenant)


async def _chunks(service: Service, chat: ChatRequest, caller: Caller) -> AsyncGenerator[ChatChunk, None]:
    if chat.model.startswith(PREFIX):
        reply = await ask_workflow(service, chat, caller)
        yield ChatChunk(text=reply.text, reply=reply)
        return
    answer = service.appliance.models.stream(chat, purpose=_purpose(caller), tenant=caller.tenant)
    async with aclosing(answer) as pieces:  # type: ignore[type-var]  # it is a generator, typed as an iterator
        async for chunk in pieces:
            yield chunk


async def _next(chunks: AsyncGenerator[ChatChunk, None]) -> ChatChunk:
    return await anext(chunks)


def _purpose(caller: Caller) -> str:
    return f"API client {caller.actor!r}"


def _headers(reply: ChatReply | None) -> dict[str, str]:
    return {RUN_HEADER: reply.fingerprint} if reply is not None and reply.backend == BACKEND else {}


def _now(service: Service) -> int:
    return service.appliance.clock.now_us() // 1_000_000


def _completion(identity: str, model: str, reply: ChatReply, *, created: int) -> Completion:
    return Completion(
        id=identity,
        created=created,
        model=model,
        choices=[CompletionChoice(message=CompletionAnswer(content=reply.text), finish_reason=reply.finish_reason)],
        usage=usage_of(reply),
        system_fingerprint=reply.fingerprint,
    )


def _texts(asked: EmbeddingsRequest) -> tuple[str, ...]:
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    texts = tuple(text for text in given if isinstance(text, str))
    if len(texts) < len(given):
        raise unsupported("input", "numbers of tokens; send texts (langchain: check_embedding_ctx_length=False)")
    return texts


def _vectors(reply: EmbedReply, *, as_base64: bool) -> list[Embedding]:
    size = reply.dimensions * 4
    rows = [reply.vectors[start : start + size] for start in range(0, len(reply.vectors), size)]
    if as_base64:
        return [Embedding(index=index, embedding=b64encode(row).decode()) for index, row in enumerate(rows)]
    shape = f"<{reply.dimensions}f"
    return [Embedding(index=index, embedding=list(unpack(shape, row))) for index, row in enumerate(rows)]


def _name(info: ModelInfo) -> str:
    return info.model if info.zone == "local" else f"{info.backend.removeprefix('model.')}/{info.model}"


def _models(service: Service) -> list[ModelLine]:
    models = [
        ModelLine(id=_name(info), owned_by=info.backend)
        for info in service.appliance.models.describe()
        if info.backend not in HIDDEN_BACKENDS
    ]
    names = sorted(service.appliance.workflows.names())
    return [*models, *(ModelLine(id=f"{PREFIX}{name}", owned_by=BACKEND) for name in names)]
