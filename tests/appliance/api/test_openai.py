"""The OpenAI API over scripted models: shapes, statuses, streams, workflows as models."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from struct import unpack
from typing import Any

import httpx
import pytest

from models.gateway import Gateway
from models.scripted import ScriptedBackend
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatChunk, ChatReply, ChatRequest, ModelInfo
from runtime.domain.egress import Cleared
from runtime.errors import StepFailure
from tests.appliance.api.serving import HOUR_MS, Api, Served

USER = {"role": "user", "content": "Say hello."}
SCRIPT: dict[str, Json] = {
    "greeter": "Hello there, dear customer.",
    "cut": {"text": "Once upon", "finish_reason": "length"},
    "jason": {"json": {"ok": True}},
    "busy": {"error": {"kind": "Unavailable", "code": "model.worker_died"}},
    "full": {"error": {"kind": "Invalid", "code": "model.prompt_too_long"}},
    "costly": {"error": {"kind": "Refused", "code": "budget.exceeded"}},
    "hasty": {"error": {"kind": "Refused", "code": "egress.rate_refused"}},
    "absent": {"error": {"kind": "NotFound", "code": "model.not_installed"}},
    "named": {"error": {"kind": "Invalid", "code": "model.bad_name"}},
    "broken": {"error": {"code": "model.engine_failed"}},
    "slow": {"text": "too late", "delay_ms": HOUR_MS},
}


class Scripted(ScriptedBackend):
    """The scripted models in the place of the local ones; remembers what was asked, and what was called off."""

    def __init__(self, id: str) -> None:
        super().__init__(SCRIPT)
        self.id = id
        self.asked: list[ChatRequest] = []
        self.began = asyncio.Event()
        self.called_off = asyncio.Event()

    async def complete(self, cleared: Cleared[ChatRequest]) -> ChatReply:
        self.asked.append(cleared.payload)
        self.began.set()
        try:
            return await super().complete(cleared)
        except asyncio.CancelledError:
            self.called_off.set()
            raise

    async def stream(self, cleared: Cleared[ChatRequest]) -> AsyncIterator[ChatChunk]:
        """As ever; `endless` never ends, and `breaking` breaks off."""
        match cleared.payload.model:
            case "endless":
                try:
                    yield ChatChunk(text="tick ")
                    self.began.set()
                    await asyncio.Event().wait()
                finally:
                    self.called_off.set()
            case "breaking":
                yield ChatChunk(text="Once upon ")
                raise StepFailure("model.engine_failed", "the engine failed")
            case _:
                async for chunk in super().stream(cleared):
                    yield chunk

    def describe(self) -> list[ModelInfo]:
        return [ModelInfo(backend=self.id, model="greeter", zone="local", context_tokens=512, is_loaded=True)]


@pytest.fixture
def chats() -> Scripted:
    return Scripted("model.llama_cpp")


@pytest.fixture
def models(chats: Scripted) -> Gateway:
    return Gateway([chats, Scripted("model.onnx")], Guard(EgressPolicy()))


@pytest.fixture
def ask(api: Api, models: Gateway) -> "Ask":
    api.service.appliance.models = models
    return Ask(api.client)


class Ask:
    """Sends chat requests."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, model: object = "greeter", **more: object) -> httpx.Response:
        return await self._client.post("/v1/chat/completions", json={"model": model, "messages": [USER], **more})

    async def streamed(self, model: str = "greeter", **more: object) -> list[dict[str, Any]]:
        """The events of a stream that ends in `[DONE]`."""
        answer = await self(model, stream=True, **more)
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
        events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
        assert events.pop() == "[DONE]"
        return [json.loads(event) for event in events]


async def test_an_answer_has_the_shape_that_clients_read(ask: Ask) -> None:
    answer = (await ask()).json()
    assert (answer.pop("id").startswith("chatcmpl-"), answer.pop("created") > 0) == (True, True)
    assert answer.pop("system_fingerprint").startswith("scripted ")
    message = {"role": "assistant", "content": "Hello there, dear customer.", "refusal": None}
    assert answer == {
        "object": "chat.completion",
        "model": "greeter",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
    }


async def test_a_stream_adds_up_to_the_answer(ask: Ask) -> None:
    chunks = await ask.streamed()
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "Hello there, dear customer."
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({(chunk["id"], chunk["created"], chunk["object"]) for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in chunks)


async def test_a_stream_tells_its_usage_where_it_was_asked_for(ask: Ask) -> None:
    """In a last chunk without choices; the others say null."""
    *chunks, last = await ask.streamed(stream_options={"include_usage": True})
    assert [] == last["choices"]
    assert {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6} == last["usage"]
    assert all(chunk["usage"] is None for chunk in chunks)


async def test_an_answer_that_was_cut_says_so(ask: Ask) -> None:
    assert (await ask("cut")).json()["choices"][0]["finish_reason"] == "length"
    assert (await ask.streamed("cut"))[-1]["choices"][0]["finish_reason"] == "length"


async def test_what_the_model_is_asked(ask: Ask, chats: Scripted) -> None:
    """Fields that are not known are ignored, as clients of that API expect."""
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]},
    ]
    more = {"max_completion_tokens": 7, "temperature": 1, "seed": -1, "stop": "\n", "user": "u-1", "store": False}
    answer = await ask(messages=messages, **more)
    assert answer.status_code == 200, answer.text
    [asked] = chats.asked
    assert [("system", "Be brief."), ("user", "Say hello.")] == [(turn.role, turn.content) for turn in asked.messages]
    assert (7, 1.0, 2**32 - 2, ("\n",)) == (asked.max_tokens, asked.temperature, asked.seed, asked.stop)


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "flag", "schema": {"required": ["ok"]}}},
    ],
    ids=["object", "schema"],
)
async def test_json_is_asked_for_and_checked(ask: Ask, form: dict[str, object]) -> None:
    answer = await ask("jason", response_format=form)
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"ok": True}
    assert (await ask("greeter", response_format=form)).status_code == 502


@pytest.mark.parametrize(
    ("model", "status", "type", "code", "retry"),
    [
        ("full", 400, "invalid_request_error", "context_length_exceeded", "false"),
        ("openai/gpt-4", 403, "permission_error", "model.cloud_refused", "false"),
        ("costly", 403, "permission_error", "budget.exceeded", "false"),
        ("hasty", 429, "rate_limit_error", "egress.rate_refused", "false"),
        ("absent", 404, "invalid_request_error", "model_not_found", "false"),
        ("named", 404, "invalid_request_error", "model_not_found", "false"),
        ("opneai/gpt-4", 404, "invalid_request_error", "model_not_found", "false"),
        ("workflow:none", 404, "invalid_request_error", "model_not_found", "false"),
        ("workflow:failing", 502, "server_error", "model.broken", "false"),
        ("workflow:ask", 409, "invalid_request_error", "run.waits", "false"),
        ("broken", 502, "server_error", "model.engine_failed", "false"),
        ("busy", 503, "server_error", "model.worker_died", "true"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_errors_have_the_status_and_shape_that_clients_read(
    ask: Ask, model: str, status: int, type: str, code: str, retry: str, stream: bool
) -> None:
    """Also of a stream, as long as nothing was streamed."""
    answer = await ask(model, stream=stream)
    error = answer.json()["error"]
    assert (status, type, code) == (answer.status_code, error["type"], error["code"])
    assert {"message", "type", "param", "code"} == set(error)
    assert retry == answer.headers["x-should-retry"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": []}, "messages"),
        ({"temperature": 3, "unknown": 1}, "temperature"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 2**40}, "max_tokens"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
    ],
)
async def test_a_wrong_field_is_named(ask: Ask, more: dict[str, object], param: str) -> None:
    answer = await ask(**more)
    assert (400, param) == (answer.status_code, answer.json()["error"]["param"])


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"logprobs": True},
        {"functions": [{"name": "f"}]},
        {"function_call": "auto"},
        {"messages": [{"role": "function", "name": "f", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        {"response_format": {"type": "json_schema"}},
        {"stop": ["x"] * 65},
    ],
    ids=["n", "logprobs", "functions", "function-call", "function-result", "audio", "no-schema", "stops"],
)
async def test_what_cannot_be_honoured_is_refused(ask: Ask, more: dict[str, object]) -> None:
    """An answer without the picture, or without the tool, would look like a good one."""
    answer = await ask(**more)
    assert (400, "request.unsupported") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/models"])
async def test_a_key_is_asked_for(api: Api, path: str) -> None:
    async with api.client_with({}) as stranger:
        answer = await stranger.request("GET" if path == "/v1/models" else "POST", path)
    assert (401, "invalid_api_key") == (answer.status_code, answer.json()["error"]["code"])


async def test_a_stream_that_breaks_off_says_why(ask: Ask) -> None:
    """Without `[DONE]`, so that nobody takes the half for the whole."""
    answer = await ask("breaking", stream=True)
    *_, last = answer.text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "model.engine_failed"
    assert "[DONE]" not in answer.text


async def test_models_and_workflows_are_listed(api: Api, ask: Ask) -> None:
    listed = (await api.client.get("/v1/models")).json()
    assert "list" == listed["object"]
    assert {"greeter", "workflow:echo", "workflow:support"} <= {line["id"] for line in listed["data"]}
    shown = (await api.client.get("/v1/models/workflow:echo")).json()
    assert shown == {"id": "workflow:echo", "object": "model", "created": 0, "owned_by": "workflow"}
    assert (await api.client.get("/v1/models/a/b")).json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_workflow_answers_as_a_model(api: Api, ask: Ask, stream: bool) -> None:
    """Its run is kept, and named, like any other."""
    answer = await ask("workflow:echo", stream=stream, stream_options={"include_usage": True})
    assert "hello" in answer.text
    run = (await api.client.get(f"/v1/runs/{answer.headers['x-agentflow-run']}")).json()
    assert ("echo", "succeeded") == (run["workflow"], run["status"])
    first = json.loads(answer.text) if not stream else json.loads(answer.text.split("\n\n")[-3].removeprefix("data: "))
    assert first["system_fingerprint"] == run["run_id"]
    assert first["usage"]["completion_tokens"] == run["usage"]["output_tokens"]


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_vectors_come_as_numbers_or_in_base64(api: Api, ask: Ask, encoding: str) -> None:
    body = {"model": "any", "input": ["one", "two"], "encoding_format": encoding}
    replied = await api.client.post("/v1/embeddings", json=body)
    assert "model.onnx any" == replied.headers["x-agentflow-route"]
    answer = replied.json()
    rows = [line["embedding"] for line in answer["data"]]
    vectors = [list(unpack("<384f", b64decode(row))) if isinstance(row, str) else row for row in rows]
    assert [384, 384] == [len(vector) for vector in vectors]
    assert all(abs(sum(x * x for x in vector) - 1) < 1e-5 for vector in vectors)
    assert ([0, 1], "list") == ([line["index"] for line in answer["data"]], answer["object"])
    assert {"prompt_tokens": 2, "total_tokens": 2} == answer["usage"]


@pytest.mark.parametrize(
    "more", [{"input": [[1, 2]]}, {"input": [1, 2]}, {"input": "x", "dimensions": 8}, {"input": ["x"] * 2_049}]
)
async def test_vectors_that_cannot_be_made_are_refused(api: Api, ask: Ask, more: dict[str, object]) -> None:
    answer = await api.client.post("/v1/embeddings", json={"model": "any", **more})
    assert (400, "request.unsupported") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize(
    "body", [{"model": "slow"}, {"model": "slow", "stream": True}, {"model": "endless", "stream": True}]
)
async def test_hanging_up_stops_the_model(
    served: Served, chats: Scripted, models: Gateway, body: dict[str, object]
) -> None:
    """Otherwise impatient clients fill the one model with answers that nobody reads."""
    served.appliance.models = models
    body = {"messages": [USER], **body}
    asking = asyncio.create_task(_read(served.client, body))
    await asyncio.wait_for(chats.began.wait(), 60)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.wait_for(chats.called_off.wait(), 60)


async def test_hanging_up_cancels_the_run_of_a_workflow(served: Served) -> None:
    asking = asyncio.create_task(_read(served.client, {"model": "workflow:slow", "messages": [USER]}))
    while not (running := (await served.client.get("/v1/runs?status=running")).json()["runs"]):
        pass
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    path = f"/v1/runs/{running[0]['run_id']}"
    while (run := (await served.client.get(path)).json())["status"] == "running":
        pass
    assert ("cancelled", "the client hung up") == (run["status"], run["error"]["message"])


async def _read(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        async for _ in answer.aiter_raw():
            pass
