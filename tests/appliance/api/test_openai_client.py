"""The official Python client, which refuses any field of the wrong shape, over a served appliance."""

from base64 import b64encode
from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import (
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
    ChatCompletionToolUnionParam,
    ChatCompletionUserMessageParam,
)
from pydantic import BaseModel

from models.gateway import Gateway
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from tests.appliance.api.serving import Served
from tests.appliance.api.test_openai import Scripted
from tests.appliance.api.tooling import ARGUMENTS, Tooling, tooling_gateway

USER: ChatCompletionUserMessageParam = {"role": "user", "content": "Say hello."}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


class Weather(BaseModel):
    """What the arguments of a call, or a structured answer, say."""

    city: str
    days: int


@pytest.fixture
async def client(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    """Over scripted models."""
    backends = [Scripted("model.llama_cpp"), Scripted("model.onnx")]
    served.appliance.models = Gateway(backends, Guard(EgressPolicy()))
    async with client_of(served) as opened:
        yield opened


@pytest.fixture
async def caller(served: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    """Over a model that calls tools."""
    served.appliance.models = tooling_gateway(Tooling())
    async with client_of(served) as opened:
        yield opened


def client_of(served: Served, *, is_strict: bool = True) -> openai.AsyncOpenAI:
    """A client, by default one that believes nothing."""
    key = served.client.headers["authorization"].removeprefix("Bearer ")
    url = f"{served.address.url}/v1"
    return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, _strict_response_validation=is_strict)


async def test_whole_answers(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="greeter", messages=[USER])
    assert ("Hello there, dear customer.", "stop", 6) == (
        answer.choices[0].message.content,
        answer.choices[0].finish_reason,
        answer.usage and answer.usage.total_tokens,
    )


async def test_streams(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model="greeter", messages=[USER], stream_options={"include_usage": True}
    ) as stream:
        answer = await stream.get_final_completion()
    assert "Hello there, dear customer." == answer.choices[0].message.content
    assert answer.usage
    assert 6 == answer.usage.total_tokens


async def test_tools_are_called_and_answered(caller: openai.AsyncOpenAI) -> None:
    """The whole way: offered, asked for, answered."""
    messages: list[ChatCompletionMessageParam] = [USER]
    asked = await caller.chat.completions.create(
        model="caller", messages=messages, tools=[WEATHER], tool_choice="required", parallel_tool_calls=True
    )
    message = asked.choices[0].message
    assert message.tool_calls
    [call] = message.tool_calls
    assert call.type == "function"
    assert (None, "tool_calls", "weather", ARGUMENTS) == (
        message.content,
        asked.choices[0].finish_reason,
        call.function.name,
        call.function.arguments,
    )
    # as programs do it: the answer goes back as it came
    messages.append(message.model_dump())
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
    answer = await caller.chat.completions.create(model="caller", messages=messages, tools=[WEATHER])
    assert ("It says: rain", "stop") == (answer.choices[0].message.content, answer.choices[0].finish_reason)


async def test_calls_come_in_pieces(caller: openai.AsyncOpenAI) -> None:
    tools: list[ChatCompletionToolUnionParam] = [WEATHER, {"type": "function", "function": {"name": "news"}}]
    stream = await caller.chat.completions.create(model="caller", messages=[USER], tools=tools, stream=True)
    names: dict[int, str] = {}
    arguments = {0: "", 1: ""}
    reasons = []
    async for chunk in stream:
        reasons.append(chunk.choices[0].finish_reason)
        for call in chunk.choices[0].delta.tool_calls or ():
            assert call.function
            names.setdefault(call.index, call.function.name or "")
            arguments[call.index] += call.function.arguments or ""
    assert ({0: "weather", 1: "news"}, {0: ARGUMENTS, 1: ARGUMENTS}) == (names, arguments)
    assert ["tool_calls"] == [reason for reason in reasons if reason]


async def test_the_client_puts_streamed_calls_together(caller: openai.AsyncOpenAI) -> None:
    tool = openai.pydantic_function_tool(Weather, name="weather")
    async with caller.chat.completions.stream(model="caller", messages=[USER], tools=[tool]) as stream:
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.tool_calls
    assert Weather(city="Ljubljana", days=3) == answer.choices[0].message.tool_calls[0].function.parsed_arguments


async def test_structured_answers(caller: openai.AsyncOpenAI) -> None:
    answer = await caller.chat.completions.parse(model="caller", messages=[USER], response_format=Weather)
    assert Weather(city="Ljubljana", days=3) == answer.choices[0].message.parsed


async def test_pictures(caller: openai.AsyncOpenAI) -> None:
    url = f"data:image/png;base64,{b64encode(b'png').decode()}"
    message: ChatCompletionMessageParam = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": url}}],
    }
    answer = await caller.chat.completions.create(model="caller", messages=[message])
    assert "I see 1 pictures." == answer.choices[0].message.content


async def test_a_broken_stream_raises(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="breaking", messages=[USER], stream=True)
    with pytest.raises(openai.APIError, match="the engine failed"):
        async for _ in stream:
            pass


async def test_vectors_in_both_encodings_are_the_same(served: Served, client: openai.AsyncOpenAI) -> None:
    """Where no format is given the client asks for base64 and decodes it, which its own strictness does not foresee."""
    async with client_of(served, is_strict=False) as lenient:
        decoded = await lenient.embeddings.create(model="any", input=["a", "b"])
    numbers = await client.embeddings.create(model="any", input=["a", "b"], encoding_format="float")
    assert [384, 384] == [len(line.embedding) for line in decoded.data]
    assert [line.embedding for line in decoded.data] == [line.embedding for line in numbers.data]


async def test_models(client: openai.AsyncOpenAI) -> None:
    names = {model.id async for model in client.models.list()}
    assert {"greeter", "workflow:echo"} <= names
    assert "workflow" == (await client.models.retrieve("workflow:echo")).owned_by


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("full", openai.BadRequestError),
        ("openai/gpt-4", openai.PermissionDeniedError),
        ("absent", openai.NotFoundError),
        ("workflow:ask", openai.ConflictError),
        ("busy", openai.InternalServerError),
    ],
)
async def test_errors_become_the_clients_own(
    client: openai.AsyncOpenAI, model: str, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as raised:
        await client.chat.completions.create(model=model, messages=[USER])
    assert raised.value.code


async def test_a_wrong_key_is_told(served: Served, client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.AuthenticationError, match="send a valid API key"):
        await client.with_options(api_key="af_wrong").models.list()


async def test_headers_are_read_with_the_raw_answer(client: openai.AsyncOpenAI) -> None:
    """How a program learns what answered, and gives its conversation and the class of its data."""
    raw = await client.chat.completions.with_raw_response.create(
        model="greeter",
        messages=[USER],
        metadata={"conversation": "c-17"},
        extra_headers={"x-agentflow-data-class": "restricted"},
    )
    assert raw.headers["x-agentflow-route"]
    assert raw.headers["x-agentflow-run"].startswith("c-")
    assert "Hello there, dear customer." == raw.parse().choices[0].message.content
