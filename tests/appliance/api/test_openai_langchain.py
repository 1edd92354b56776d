"""LangChain's OpenAI classes over a served appliance."""

from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.appliance.api.serving import Served
from tests.appliance.api.tooling import Tooling, tooling_gateway


class Weather(BaseModel):
    """What a structured answer says."""

    city: str
    days: int


@tool  # type: ignore[untyped-decorator]  # its types are not read
def weather(city: str, days: int) -> str:
    """Tells it."""
    return f"rain in {city} for {days} days"


@pytest.fixture
def address(served: Served, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Where the appliance is, and the key."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    served.appliance.models = tooling_gateway(Tooling())
    key = served.client.headers["authorization"].removeprefix("Bearer ")
    return {"base_url": f"{served.address.url}/v1", "api_key": SecretStr(key), "max_retries": 0}


@pytest.fixture
def chat(address: dict[str, Any]) -> ChatOpenAI:
    return ChatOpenAI(model="caller", **address)


async def test_invoke(chat: ChatOpenAI) -> None:
    answer = await chat.ainvoke("Say hello.")
    assert "Hello there." == answer.text
    assert answer.usage_metadata
    assert 10 == answer.usage_metadata["total_tokens"]


async def test_stream(chat: ChatOpenAI) -> None:
    pieces = [piece.text async for piece in chat.astream("Say hello.")]
    assert ("Hello there.", True) == ("".join(pieces), len([piece for piece in pieces if piece]) > 1)


async def test_tools_are_called_and_answered(chat: ChatOpenAI) -> None:
    bound = chat.bind_tools([weather])
    question = HumanMessage("What is the weather?")
    asked = await bound.ainvoke([question])
    [call] = asked.tool_calls
    assert ("weather", {"city": "Ljubljana", "days": 3}) == (call["name"], call["args"])
    result = await weather.ainvoke(call)
    assert isinstance(result, ToolMessage)
    answer = await bound.ainvoke([question, asked, result])
    assert "It says: rain in Ljubljana for 3 days" == answer.text


async def test_streamed_calls_add_up(chat: ChatOpenAI) -> None:
    whole: AIMessageChunk | None = None
    async for piece in chat.bind_tools([weather]).astream("What is the weather?"):
        assert isinstance(piece, AIMessageChunk)
        whole = piece if whole is None else whole + piece
    assert whole
    assert [{"city": "Ljubljana", "days": 3}] == [call["args"] for call in whole.tool_calls]


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_structured_output(chat: ChatOpenAI, method: Any) -> None:  # noqa: ANN401  # one of three literals
    answer = await chat.with_structured_output(Weather, method=method).ainvoke("Where, as JSON?")
    assert Weather(city="Ljubljana", days=3) == answer


async def test_embeddings(address: dict[str, Any]) -> None:
    """It sends numbers of tokens of another model's tokenizer, unless it is told not to."""
    embeddings = OpenAIEmbeddings(model="any", check_embedding_ctx_length=False, **address)
    vectors = await embeddings.aembed_documents(["a text", "another"])
    assert [384, 384] == [len(vector) for vector in vectors]
