"""The official Python client, which refuses any field of the wrong shape; it is not among the requirements."""

import asyncio
from typing import Any

import pytest

from models.gateway import Gateway
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from tests.appliance.api.serving import Served
from tests.appliance.api.test_openai import USER, Scripted

openai = pytest.importorskip("openai", reason="the package openai is not installed: pip install openai")


@pytest.fixture
def client(served: Served) -> Any:  # noqa: ANN401  # the package may be absent
    backends = [Scripted("model.llama_cpp"), Scripted("model.onnx")]
    served.appliance.models = Gateway(backends, Guard(EgressPolicy()))
    key = served.client.headers["authorization"].removeprefix("Bearer ")
    url = f"{served.address.url}/v1"
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, _strict_response_validation=True)


async def test_whole_answers(client: Any) -> None:  # noqa: ANN401
    answer = await asyncio.to_thread(client.chat.completions.create, model="greeter", messages=[USER])
    assert ("Hello there, dear customer.", "stop") == (
        answer.choices[0].message.content,
        answer.choices[0].finish_reason,
    )
    assert 6 == answer.usage.total_tokens


async def test_streams(client: Any) -> None:  # noqa: ANN401
    def read() -> Any:  # noqa: ANN401
        with client.chat.completions.stream(
            model="greeter", messages=[USER], stream_options={"include_usage": True}
        ) as stream:
            return stream.get_final_completion()

    answer = await asyncio.to_thread(read)
    assert ("Hello there, dear customer.", 6) == (answer.choices[0].message.content, answer.usage.total_tokens)


async def test_a_broken_stream_raises(client: Any) -> None:  # noqa: ANN401
    def read() -> None:
        for _ in client.chat.completions.create(model="breaking", messages=[USER], stream=True):
            pass

    with pytest.raises(openai.APIError, match="the engine failed"):
        await asyncio.to_thread(read)


async def test_vectors_and_models(client: Any) -> None:  # noqa: ANN401
    vectors = await asyncio.to_thread(client.embeddings.create, model="any", input=["a"], encoding_format="float")
    assert 384 == len(vectors.data[0].embedding)
    names = await asyncio.to_thread(lambda: [model.id for model in client.models.list()])
    assert {"greeter", "workflow:echo"} <= set(names)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("full", "BadRequestError"),
        ("openai/gpt-4", "PermissionDeniedError"),
        ("absent", "NotFoundError"),
        ("busy", "InternalServerError"),
    ],
)
async def test_errors_become_the_clients_own(client: Any, model: str, error: str) -> None:  # noqa: ANN401
    with pytest.raises(getattr(openai, error)):
        await asyncio.to_thread(client.chat.completions.create, model=model, messages=[USER])
