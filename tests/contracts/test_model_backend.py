"""What every ModelBackend promises: the local engines, each in a process and in a thread, the shipped fake, and each
kind of server, played by a stand-in."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from msgspec.structs import replace

from models.catalog import CHAT_MODEL, EMBEDDING_MODEL
from models.embeddings import OnnxBackend
from models.llama_cpp import LlamaCppBackend
from models.pool import Mode, PoolSettings
from models.remote import backend_for
from models.scripted import ScriptedBackend
from models.servers import ModelServer, ServerKind, host_of
from redaction.doors.http import HttpDoor
from runtime.domain.canonical import Json, parse
from runtime.domain.chat import ChatMessage, ChatRequest, EmbedRequest
from runtime.domain.egress import Cleared, Payload
from runtime.errors import AgentFlowError, Invalid, StepFailure, Unavailable
from runtime.ports import ModelBackend
from tests.models.cleared import cleared
from tests.models.installed import installed_models
from tests.models.stand_in import Play, stand_in, well
from tests.models.stand_in_anthropic import anthropic
from tests.models.stand_in_ollama import ollama

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = ChatRequest(model=CHAT_MODEL, messages=(ChatMessage("user", "Say hello."),), max_tokens=8)
TEXTS = EmbedRequest(model=EMBEDDING_MODEL, texts=("one text", "another text", "one text"))
SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


def settings(mode: Mode) -> PoolSettings:
    return PoolSettings(folder=installed_models(), mode=mode, context_tokens=512)


def scripted() -> ScriptedBackend:
    return ScriptedBackend({"JSON": [{"json": {"ok": True}}], "Say": ["Hello there, dear customer."], ".*": "Yes."})


CHATTERS: dict[str, Callable[[], ModelBackend]] = {
    "llama_cpp-process": lambda: LlamaCppBackend(settings("process")),
    "llama_cpp-thread": lambda: LlamaCppBackend(settings("thread")),
    "scripted": scripted,
}
SERVERS: dict[ServerKind, Play] = {"openai_compatible": well, "ollama": ollama, "anthropic": anthropic}
HOSTS: dict[str, str] = {}
"""Backend → where its stand-in listens."""


def leave(backend: ModelBackend, payload: Payload) -> Cleared[Payload]:
    """Leave to reach what a backend asks."""
    return cleared(payload, host=HOSTS.get(backend.id, ""))


EMBEDDERS: dict[str, Callable[[], ModelBackend]] = {
    "onnx-process": lambda: OnnxBackend(settings("process")),
    "onnx-thread": lambda: OnnxBackend(settings("thread")),
    "scripted": scripted,
}


async def opened(make: Callable[[], ModelBackend]) -> AsyncIterator[ModelBackend]:
    backend = make()
    await backend.start()
    yield backend
    await backend.stop()
    await backend.stop()  # safe to call twice


@pytest_asyncio.fixture(params=[*CHATTERS, *SERVERS], scope="module", loop_scope="module")
async def chatter(request: pytest.FixtureRequest) -> AsyncIterator[ModelBackend]:
    if request.param in CHATTERS:
        async for backend in opened(CHATTERS[request.param]):
            yield backend
        return
    if request.param == "anthropic":
        pytest.importorskip("anthropic", reason="the extra is not installed")
    async with stand_in(SERVERS[request.param]) as server:
        url = server.url if request.param == "openai_compatible" else server.url.removesuffix("/v1")
        named, door = ModelServer(name="peer", kind=request.param, url=url, models=(CHAT_MODEL,)), HttpDoor()
        HOSTS["model.peer"] = host_of(url)
        async for backend in opened(lambda: backend_for(named, door)):
            yield backend
        await door.stop()


@pytest_asyncio.fixture(params=EMBEDDERS, scope="module", loop_scope="module")
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[ModelBackend]:
    async for backend in opened(EMBEDDERS[request.param]):
        yield backend


async def test_an_answer_says_who_gave_it(chatter: ModelBackend) -> None:
    reply = await chatter.complete(leave(chatter, HELLO))
    assert reply.text
    assert (chatter.id, CHAT_MODEL) == (reply.backend, reply.model)
    assert reply.fingerprint
    assert reply.input_tokens > 0
    assert reply.output_tokens > 0


async def test_equal_requests_have_equal_answers(chatter: ModelBackend) -> None:
    first = await chatter.complete(leave(chatter, HELLO))
    await chatter.complete(leave(chatter, replace(HELLO, messages=(ChatMessage("user", "Something else."),))))
    assert await chatter.complete(leave(chatter, HELLO)) == first


async def test_a_stream_is_the_answer_in_pieces(chatter: ModelBackend) -> None:
    """Whatever reads a stream must end with what `complete` gives."""
    chunks = [chunk async for chunk in chatter.stream(leave(chatter, HELLO))]
    replies = [chunk.reply for chunk in chunks if chunk.reply]
    assert replies == [await chatter.complete(leave(chatter, HELLO))]
    assert chunks[-1].reply is replies[0]
    assert "".join(chunk.text for chunk in chunks) == replies[0].text


async def test_an_answer_to_a_schema_keeps_it(chatter: ModelBackend) -> None:
    request = replace(HELLO, messages=(ChatMessage("user", "Answer in JSON."),), schema=SCHEMA, max_tokens=40)
    answer = parse((await chatter.complete(leave(chatter, request))).text)
    assert isinstance(answer, dict)
    assert isinstance(answer["ok"], bool)


async def test_an_answer_that_cannot_keep_the_schema_is_a_failure(chatter: ModelBackend) -> None:
    """The scripted answer is prose, and the engine's is cut off: neither may pass for JSON."""
    with pytest.raises(StepFailure):
        await chatter.complete(leave(chatter, replace(HELLO, schema=SCHEMA, max_tokens=1)))


@pytest.mark.parametrize(
    "request_",
    [
        replace(HELLO, messages=()),
        replace(HELLO, max_tokens=0),
        replace(HELLO, seed=-1),
        replace(HELLO, messages=(ChatMessage("user", "\ud800"),)),
        replace(HELLO, schema={"type": "objekt"}),
    ],
    ids=["no-messages", "no-tokens", "bad-seed", "lone-surrogate", "bad-schema"],
)
async def test_what_cannot_be_asked_is_invalid(chatter: ModelBackend, request_: ChatRequest) -> None:
    with pytest.raises(Invalid):
        await chatter.complete(leave(chatter, request_))
    with pytest.raises(Invalid):
        async for _ in chatter.stream(leave(chatter, request_)):
            pass


async def test_a_cancelled_caller_leaves_the_backend_usable(chatter: ModelBackend) -> None:
    asking = asyncio.create_task(chatter.complete(leave(chatter, replace(HELLO, max_tokens=200))))
    await asyncio.wait({asking}, timeout=0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (await chatter.complete(leave(chatter, HELLO))).text


async def test_several_callers_are_all_answered(chatter: ModelBackend) -> None:
    replies = await asyncio.gather(*(chatter.complete(leave(chatter, HELLO)) for _ in range(4)))
    assert replies == [replies[0]] * 4


async def test_a_counted_conversation_costs_what_it_says(chatter: ModelBackend) -> None:
    counted = await chatter.count_tokens(leave(chatter, HELLO))
    assert counted == (await chatter.complete(leave(chatter, HELLO))).input_tokens


async def test_stopping_leaves_nothing_that_cannot_start_again(chatter: ModelBackend) -> None:
    first = await chatter.complete(leave(chatter, HELLO))
    await chatter.stop()
    await chatter.start()
    assert await chatter.complete(leave(chatter, HELLO)) == first


async def test_stopping_in_the_middle_of_an_answer_ends_it(chatter: ModelBackend) -> None:
    """A server that shuts down does not wait for a long story; whoever asked hears of it."""
    story = replace(HELLO, messages=(ChatMessage("user", "Tell me a very long story."),), max_tokens=400)
    stream = chatter.stream(leave(chatter, story))
    await anext(aiter(stream))
    await chatter.stop()
    rest = aiter(stream)
    ended: object = None
    while not isinstance(ended, (StopAsyncIteration, Unavailable)):
        [ended] = await asyncio.gather(anext(rest), return_exceptions=True)
    assert getattr(ended, "code", "model.stopped") == "model.stopped"
    assert (await chatter.complete(leave(chatter, HELLO))).text


async def test_one_unit_vector_per_text(embedder: ModelBackend) -> None:
    reply = await embedder.embed(cleared(TEXTS))
    size = reply.dimensions * 4
    rows = [reply.vectors[start : start + size] for start in range(0, len(reply.vectors), size)]
    assert len(rows) == 3
    assert rows[0] == rows[2] != rows[1]
    assert (embedder.id, EMBEDDING_MODEL) == (reply.backend, reply.model)
    assert reply.input_tokens > 0
    assert reply.fingerprint


async def test_equal_texts_have_equal_vectors(embedder: ModelBackend) -> None:
    alone = await embedder.embed(cleared(replace(TEXTS, texts=("one text",))))
    together = await embedder.embed(cleared(TEXTS))
    assert together.vectors.startswith(alone.vectors)


@pytest.mark.parametrize("texts", [(), ("\ud800",)], ids=["none", "lone-surrogate"])
async def test_what_cannot_be_embedded_is_invalid(embedder: ModelBackend, texts: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        await embedder.embed(cleared(replace(TEXTS, texts=texts)))


async def test_a_backend_says_what_it_does_not_do() -> None:
    """A chat model asked for vectors, or an encoder asked to chat, is the caller's mistake."""
    chat, vectors = LlamaCppBackend(settings("process")), OnnxBackend(settings("process"))
    for refused in (chat.embed(cleared(TEXTS)), vectors.complete(cleared(HELLO))):
        with pytest.raises(Invalid):
            await refused
    with pytest.raises(Invalid):
        await anext(aiter(vectors.stream(cleared(HELLO))))


@pytest.mark.parametrize("make", [CHATTERS["llama_cpp-process"], EMBEDDERS["onnx-process"]], ids=["llama_cpp", "onnx"])
async def test_a_model_that_is_not_there_is_an_error_of_ours(make: Callable[[], ModelBackend]) -> None:
    backend = make()
    with pytest.raises(AgentFlowError, match="af models list"):
        await backend.count_tokens(cleared(replace(HELLO, model="nowhere")))


async def test_models_are_described_without_loading_them() -> None:
    for backend in (LlamaCppBackend(settings("process")), OnnxBackend(settings("process")), scripted()):
        assert backend.describe()
        assert all(info.backend == backend.id and info.zone == "local" for info in backend.describe())
