"""The OpenAI API in front of the gateway: chat completions, embeddings and models.

Any client of that API is guarded, counted and answered like an agent is. A workflow is a model too.
Nothing here decides who may answer: that is the gateway's.
"""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from struct import unpack
from typing import NamedTuple

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.openai_errors import unsupported
from appliance.api.openai_hang_up import unless_hung_up
from appliance.api.openai_replies import completion, headers_of, only_one_call, only_one_call_in
from appliance.api.openai_requests import chat_request
from appliance.api.openai_sender import HEADERS, sender_of
from appliance.api.openai_shapes import (
    Completion,
    CompletionRequest,
    Embedding,
    Embeddings,
    EmbeddingsRequest,
    EmbeddingsUsage,
    ModelLine,
    ModelList,
)
from appliance.api.openai_stream import events
from appliance.api.openai_workflows import BACKEND, PREFIX, ask_workflow
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.api.sse import stream_of
from appliance.auth.callers import Caller
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo
from runtime.domain.egress import Sender
from runtime.errors import NotFound

ROUTE = "route"
"""Who owns the name of a route."""
HIDDEN_BACKENDS = frozenset({"model.scripted"})
ERRORS = (403, 404, 409, 415, 429, 502)
MAX_TEXTS = 2_048
"""Of one request for vectors, as the OpenAI API has it."""


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
        headers=HEADERS,
        example={"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Say hello."}]},
    ),
)
async def create_chat_completion(
    request: ApiRequest, service: NamedDependency[Service]
) -> Response[Completion] | Stream:
    """As the OpenAI API answers; with `stream` as server-sent events that end in `[DONE]`."""
    asked = await read_json(request, CompletionRequest)
    asking = _Asking(service, chat_request(asked), sender_of(request, service, asked.metadata), request.user)
    wants_one_call = asked.parallel_tool_calls is False
    identity = f"chatcmpl-{secrets.token_hex(12)}"
    if not asked.stream:
        reply = await unless_hung_up(request, _complete(asking))
        reply = only_one_call(reply) if wants_one_call else reply
        answer = completion(identity, asked.model, reply, created=_now(service))
        return Response(answer, headers=headers_of(asking.sender, reply))
    chunks = only_one_call_in(_chunks(asking)) if wants_one_call else _chunks(asking)
    # the first piece decides the status: what is refused or missing is told before a stream begins
    first = await unless_hung_up(request, _next(chunks))
    wants_usage = bool(asked.stream_options and asked.stream_options.include_usage)
    return stream_of(
        events(first, chunks, identity=identity, model=asked.model, created=_now(service), wants_usage=wants_usage),
        headers_of(asking.sender, first),
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
        headers=HEADERS,
        example={"model": "all-minilm-l6-v2", "input": ["a text", "another"]},
    ),
)
async def create_embeddings(request: ApiRequest, service: NamedDependency[Service]) -> Response[bytes]:
    """One unit vector per text, as numbers or, with `encoding_format: base64`, as little-endian float32."""
    asked = await read_json(request, EmbeddingsRequest)
    texts = EmbedRequest(model=asked.model, texts=_texts(asked))
    sender = sender_of(request, service)
    reply = await unless_hung_up(request, service.appliance.models.embed(texts, sender=sender))
    if asked.dimensions not in (None, reply.dimensions):
        raise unsupported("dimensions", f"model {asked.model!r} gives {reply.dimensions} and cannot be cut")
    # 2,048 vectors of 384 numbers are 16 MB of JSON, and a quarter of a second
    body = await asyncio.to_thread(_vectors, reply, asked)
    return Response(body, headers=headers_of(sender, reply), media_type=MediaType.JSON)


@get(
    "/v1/models",
    name="list_models",
    **describes("List models", tag="models", answers={200: ModelList}, error_shape="Error"),
)
async def list_models(service: NamedDependency[Service]) -> ModelList:
    """Local models by name, others as `provider/name`, routes by theirs, workflows as `workflow:NAME`."""
    return ModelList(data=await _models(service))


@get(
    "/v1/models/{model:path}",
    name="show_model",
    **describes("Show one model", tag="models", answers={200: ModelLine}, errors=(404,), error_shape="Error"),
)
async def show_model(model: FromPath[str], service: NamedDependency[Service]) -> ModelLine:
    """One line of the list."""
    name = model.removeprefix("/")
    for line in await _models(service):
        if line.id == name:
            return line
    raise NotFound(
        "model.not_installed", f"there is no model {name[:300]!r} here; GET /v1/models lists those there are"
    )


class _Asking(NamedTuple):
    """One question, and who asks it."""

    service: Service
    chat: ChatRequest
    sender: Sender
    caller: Caller

    @property
    def is_for_workflow(self) -> bool:
        return self.chat.model.startswith(PREFIX)


async def _complete(asking: _Asking) -> ChatReply:
    if asking.is_for_workflow:
        return await ask_workflow(
            asking.service,
            asking.chat,
            asking.caller,
            data_class=asking.sender.data_class,
            conversation=asking.sender.run,
            traceparent=asking.sender.trace or "",
        )
    return await asking.service.appliance.models.complete(asking.chat, sender=asking.sender)


async def _chunks(asking: _Asking) -> AsyncGenerator[ChatChunk, None]:
    if asking.is_for_workflow:
        reply = await _complete(asking)
        yield ChatChunk(text=reply.text, reply=reply)
        return
    answer = asking.service.appliance.models.stream(asking.chat, sender=asking.sender)
    async with aclosing(answer) as pieces:  # type: ignore[type-var]  # it is a generator, typed as an iterator
        async for chunk in pieces:
            yield chunk


async def _next(chunks: AsyncGenerator[ChatChunk, None]) -> ChatChunk:
    return await anext(chunks)


def _now(service: Service) -> int:
    return service.appliance.clock.now_us() // 1_000_000


def _texts(asked: EmbeddingsRequest) -> tuple[str, ...]:
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    texts = tuple(text for text in given if isinstance(text, str))
    if len(given) > MAX_TEXTS:
        raise unsupported("input", f"{len(given):,} texts in one request; send up to {MAX_TEXTS:,} at a time")
    if len(texts) < len(given):
        raise unsupported("input", "numbers of tokens; send texts (langchain: check_embedding_ctx_length=False)")
    return texts


def _vectors(reply: EmbedReply, asked: EmbeddingsRequest) -> bytes:
    """The answer as JSON, made vector by vector, so that a thread that does it lets others in between."""
    size, shape = reply.dimensions * 4, f"<{reply.dimensions}f"
    lines = []
    for index in range(len(reply.vectors) // size):
        row = reply.vectors[index * size : (index + 1) * size]
        as_text = asked.encoding_format == "base64"
        numbers = b64encode(row).decode() if as_text else list(unpack(shape, row))
        lines.append(msgspec.json.encode(Embedding(index=index, embedding=numbers)))
    usage = EmbeddingsUsage(reply.input_tokens, reply.input_tokens)
    whole = msgspec.to_builtins(Embeddings(data=[], model=asked.model, usage=usage))
    return msgspec.json.encode({**whole, "data": msgspec.Raw(b"[%b]" % b",".join(lines))})


def _name(info: ModelInfo) -> str:
    return info.model if info.zone == "local" else f"{info.backend.removeprefix('model.')}/{info.model}"


async def _models(service: Service) -> list[ModelLine]:
    models = [
        ModelLine(id=_name(info), owned_by=info.backend)
        for info in service.appliance.models.describe()
        if info.backend not in HIDDEN_BACKENDS
    ]
    models += [ModelLine(id=name, owned_by=ROUTE) for name in service.appliance.models.routes()]
    names = sorted(await service.appliance.workflows.names())
    models += [ModelLine(id=f"{PREFIX}{name}", owned_by=BACKEND) for name in names]
    # a route may be called like a model, in whose place it answers
    return list({line.id: line for line in models}.values())
