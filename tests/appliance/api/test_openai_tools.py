"""Tools, pictures and the sender of a request: what a client of the OpenAI API may say beside its text."""

import json
from base64 import b64encode
from typing import Any

import httpx
import pytest

from runtime.domain.chat import Image, ToolCall, ToolOffer
from tests.appliance.api.serving import Api
from tests.appliance.api.tooling import ARGUMENTS, Tooling, tooling_gateway

USER = {"role": "user", "content": "What is the weather?"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}}
NEWS = {"type": "function", "function": {"name": "news"}}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}],
}
RESULT = {"role": "tool", "tool_call_id": "call_0", "content": "rain"}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def model() -> Tooling:
    return Tooling()


@pytest.fixture
def ask(api: Api, model: Tooling) -> "Ask":
    api.service.appliance.models = tooling_gateway(model)
    return Ask(api.client)


class Ask:
    """Sends chat requests."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, *, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:  # noqa: ANN401
        body = {"model": "caller", "messages": [USER], **more}
        return await self._client.post("/v1/chat/completions", json=body, headers=headers)

    async def answered(self, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # fields of the request
        """The one choice of the answer."""
        answer = await self(**more)
        assert 200 == answer.status_code, answer.text
        choice: dict[str, Any] = answer.json()["choices"][0]
        return choice

    async def deltas(self, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """What a stream adds, piece by piece, and at last why it ended."""
        answer = await self(stream=True, **more)
        events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
        assert "[DONE]" == events.pop(), answer.text
        choices = [json.loads(event)["choices"][0] for event in events]
        return [choice["delta"] for choice in choices[:-1]] + [{"finish_reason": choices[-1]["finish_reason"]}]


async def test_a_model_is_offered_tools_and_asks_for_a_call(ask: Ask, model: Tooling) -> None:
    choice = await ask.answered(tools=[WEATHER])
    call = {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    assert {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"} == choice
    assert (ToolOffer(name="weather", description="Tells it.", parameters=SCHEMA),) == model.asked[0].tools  # type: ignore[arg-type]  # JSON


async def test_a_result_goes_back_to_the_model(ask: Ask, model: Tooling) -> None:
    choice = await ask.answered(messages=[USER, CALLED, RESULT], tools=[WEATHER])
    assert ("It says: rain", "stop") == (choice["message"]["content"], choice["finish_reason"])
    assert "tool_calls" not in choice["message"]
    _, called, result = model.asked[0].messages
    assert (ToolCall(id="call_0", name="weather", arguments=ARGUMENTS),) == called.tool_calls
    assert ("tool", "rain", "call_0") == (result.role, result.content, result.tool_call_id)


@pytest.mark.parametrize(
    ("choice", "told", "calls"),
    [
        (None, "auto", ["weather", "news"]),
        ("auto", "auto", ["weather", "news"]),
        ("none", "none", []),
        ("required", "required", ["weather", "news"]),
        ({"type": "function", "function": {"name": "news"}}, "news", ["news"]),
    ],
)
async def test_a_client_chooses_whether_and_what_is_called(
    ask: Ask, model: Tooling, choice: object, told: str, calls: list[str]
) -> None:
    message = (await ask.answered(tools=[WEATHER, NEWS], tool_choice=choice))["message"]
    assert calls == [call["function"]["name"] for call in message.get("tool_calls", [])]
    assert told == model.asked[0].tool_choice


@pytest.mark.parametrize("parallel", [True, False])
async def test_one_call_is_answered_where_only_one_is_wanted(ask: Ask, parallel: bool) -> None:
    """A client that says it can make one call at a time gets no second one."""
    more: dict[str, Any] = {"tools": [WEATHER, NEWS], "parallel_tool_calls": parallel}
    whole = (await ask.answered(**more))["message"]["tool_calls"]
    streamed = {call["index"] for delta in await ask.deltas(**more) for call in delta.get("tool_calls", [])}
    assert (2 if parallel else 1) == len(whole) == len(streamed)


async def test_calls_are_streamed_in_pieces(ask: Ask) -> None:
    """The first piece of each call holds id, type and name; none of the others does."""
    first, *deltas, end = await ask.deltas(tools=[WEATHER, NEWS])
    assert ({"role": "assistant", "content": ""}, {"finish_reason": "tool_calls"}) == (first, end)
    pieces = [call for delta in deltas for call in delta["tool_calls"]]
    for index, name in enumerate(("weather", "news")):
        begun, *rest = [piece for piece in pieces if piece["index"] == index]
        assert (f"call_{index}", "function", name) == (begun["id"], begun["type"], begun["function"]["name"])
        assert all(
            {"index", "function"} == piece.keys() and {"arguments"} == piece["function"].keys() for piece in rest
        )
        assert ARGUMENTS == "".join(piece["function"]["arguments"] for piece in (begun, *rest))


async def test_calls_that_come_in_no_pieces_are_told_whole(ask: Ask) -> None:
    """Of a model that is bound to a grammar the calls are known when it has ended."""
    _, call, end = await ask.deltas(model="whole", tools=[WEATHER])
    function = {"name": "weather", "arguments": ARGUMENTS}
    assert {"tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]} == call
    assert {"finish_reason": "tool_calls"} == end


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "custom", "custom": {"name": "x"}}]},
        {"tools": [{"type": "function", "function": {"name": "required"}}]},
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "news"}}},
        {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}},
        {"tool_choice": "required"},
        {"messages": [USER, RESULT]},
        {"messages": [USER, {**CALLED, "role": "user", "content": "x"}]},
        {"model": "workflow:echo", "tools": [WEATHER]},
    ],
    ids=["custom", "reserved", "unknown", "allowed", "none-there", "no-call", "users-call", "workflow"],
)
async def test_tools_that_cannot_be_honoured_are_refused(ask: Ask, more: dict[str, Any]) -> None:
    """An answer without the call would look like a model that did not want to make it."""
    answer = await ask(**more)
    assert (400, "request.unsupported") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("name", ["", "two words", "a" * 129, "émile"])
async def test_a_tool_has_a_plain_name(ask: Ask, name: str) -> None:
    """Names and ids go to the model as they are, so no text hides in them."""
    answer = await ask(tools=[{"type": "function", "function": {"name": name}}])
    assert (400, "tools.0.function.name") == (answer.status_code, answer.json()["error"]["param"])


async def test_pictures_inside_the_request_are_shown_to_the_model(ask: Ask, model: Tooling) -> None:
    parts = [
        {"type": "text", "text": "Look: "},
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{b64encode(PNG).decode()}", "detail": "low"},
        },
        {"type": "text", "text": "what is it?"},
    ]
    choice = await ask.answered(messages=[{"role": "user", "content": parts}])
    assert "I see 1 pictures." == choice["message"]["content"]
    assert ("Look: what is it?", (Image("image/png", PNG),)) == (
        model.asked[0].messages[0].content,
        model.asked[0].messages[0].images,
    )


@pytest.mark.parametrize(
    ("role", "url"),
    [
        ("user", "https://example.com/cat.png"),
        ("user", "file:///etc/passwd"),
        ("user", "data:text/html;base64,PGI+"),
        ("user", "data:image/png;base64,%%%"),
        ("user", "data:image/png;base64,"),
        ("user", ""),
        ("system", "data:image/png;base64,iVBORw0KGgo="),
    ],
)
async def test_pictures_from_elsewhere_are_not_fetched(ask: Ask, model: Tooling, role: str, url: str) -> None:
    """A URL that the appliance follows is a way out, and a way into the site's network."""
    part = {"type": "image_url", "image_url": {"url": url}}
    answer = await ask(messages=[{"role": role, "content": [part]}])
    assert (400, "request.unsupported", []) == (answer.status_code, answer.json()["error"]["code"], model.asked)


async def test_the_answer_says_who_gave_it(ask: Ask) -> None:
    assert "model.llama_cpp caller" == (await ask()).headers["x-agentflow-route"]
    assert "workflow workflow:echo" == (await ask(model="workflow:echo")).headers["x-agentflow-route"]


async def test_a_conversation_has_one_name_for_one_key(ask: Ask) -> None:
    """By header or metadata; the audit log's name for it gives nothing away of the client's own."""
    named = {"x-agentflow-conversation": "ada@example.com"}
    by_header = (await ask(headers=named)).headers["x-agentflow-run"]
    by_metadata = (await ask(metadata={"conversation": "ada@example.com"})).headers["x-agentflow-run"]
    other = (await ask(metadata={"conversation": "another"})).headers["x-agentflow-run"]
    assert (True, True, True) == (by_header == by_metadata, by_header != other, by_header.startswith("c-"))
    assert "x-agentflow-run" not in (await ask()).headers


@pytest.mark.parametrize(
    ("headers", "more", "field"),
    [
        ({"x-agentflow-data-class": "secretive"}, {}, "x-agentflow-data-class"),
        ({"x-agentflow-data-class": ""}, {}, "x-agentflow-data-class"),
        ({"x-agentflow-data-class": "internal"}, {"model": "workflow:echo"}, "x-agentflow-data-class"),
        ({"x-agentflow-conversation": "x" * 201}, {}, "x-agentflow-conversation"),
        ({}, {"metadata": {"conversation": ""}}, "x-agentflow-conversation"),
        ({}, {"metadata": {"conversation": 7}}, "x-agentflow-conversation"),
    ],
)
async def test_a_sender_that_cannot_be_honoured_is_refused(
    ask: Ask, headers: dict[str, str], more: dict[str, Any], field: str
) -> None:
    """A class of data that nobody knows would be held to no rule."""
    answer = await ask(headers=headers, **more)
    assert 400 == answer.status_code
    assert field in answer.json()["error"]["message"]


async def test_a_class_of_data_holds_vectors_too(api: Api, ask: Ask) -> None:
    body = {"model": "any", "input": "x"}
    answers = [
        await api.client.post("/v1/embeddings", json=body, headers={"x-agentflow-data-class": name})
        for name in ("restricted", "secretive")
    ]
    assert [200, 400] == [answer.status_code for answer in answers]
