"""Models behind the Messages API, through its own client on our transport; the stand-in says that it is one."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from msgspec.structs import replace

from models.gateway import Gateway
from models.remote import backend_for
from models.servers import ModelServer, check_servers
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatMessage, ChatReply, ChatRequest, EmbedRequest, ToolCall, ToolOffer
from runtime.errors import AgentFlowError, Invalid, NotFound, StepFailure, Unavailable
from tests.models.stand_in import Play, StandIn, send, stand_in
from tests.models.stand_in_anthropic import anthropic as well

# asked without importing it, which takes seconds
pytestmark = pytest.mark.skipif(
    find_spec("anthropic") is None, reason="the extra is not installed: pip install 'agentflow-appliance[cloud]'"
)

KEY = "sk-of-the-settings"
HELLO = ChatRequest(
    provider="claude",
    model="",
    messages=(ChatMessage("system", "Be kind."), ChatMessage("user", "Say hello.")),
    max_tokens=8,
)
LOOK_UP = ToolOffer(name="look_up", description="Find a card.", parameters={"properties": {"card": {}}})
SCHEMA: dict[str, Json] = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CLAUDE_KEY", KEY)
    yield
    logging.getLogger("anthropic").setLevel(logging.NOTSET)


@asynccontextmanager
async def asked(play: Play = well) -> AsyncIterator[tuple[Gateway, StandIn]]:
    async with stand_in(play) as server:
        url = server.url.removesuffix("/v1")
        named = ModelServer(name="claude", kind="anthropic", url=url, models=("sonnet",), key_env="CLAUDE_KEY")
        door = HttpDoor()
        gateway = Gateway([backend_for(named, door)], Guard(EgressPolicy()), servers=[named])
        try:
            yield gateway, server
        finally:
            await gateway.stop()
            await door.stop()


async def answered(gateway: Gateway, request: ChatRequest, *, is_streamed: bool) -> ChatReply:
    if not is_streamed:
        return await gateway.complete(request)
    chunks = [chunk async for chunk in gateway.stream(request)]
    assert chunks[-1].reply is not None
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].reply.text
    return chunks[-1].reply


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_an_answer_says_who_gave_it(is_streamed: bool) -> None:
    async with asked() as (models, server):
        answer = await answered(models, HELLO, is_streamed=is_streamed)
    assert ("Hello there.", "stop", 7, 2, "counted") == (
        answer.text,
        answer.finish_reason,
        answer.input_tokens,
        answer.output_tokens,
        answer.usage,
    )
    assert ("model.claude", "sonnet") == (answer.backend, answer.model)
    [sent] = server.asked
    assert ("Be kind.", [{"role": "user", "content": "Say hello."}]) == (sent["system"], sent["messages"])


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_a_model_may_ask_for_a_tool(is_streamed: bool) -> None:
    async with asked() as (models, server):
        request = replace(HELLO, tools=(LOOK_UP,), tool_choice="look_up")
        answer = await answered(models, request, is_streamed=is_streamed)
    assert (ToolCall(id="toolu_1", name="look_up", arguments='{"card": 7}'),) == answer.tool_calls
    assert "tool_calls" == answer.finish_reason
    assert {"type": "tool", "name": "look_up"} == server.asked[0]["tool_choice"]


async def test_what_a_tool_answered_goes_back() -> None:
    turns = (
        *HELLO.messages,
        ChatMessage("assistant", "Let me see.", (ToolCall(id="t-1", name="look_up", arguments='{"card": 7}'),)),
        ChatMessage("tool", "on its way", tool_call_id="t-1"),
    )
    async with asked() as (models, server):
        await models.complete(replace(HELLO, messages=turns))
    _, called, told = server.asked[0]["messages"]
    assert {"type": "tool_use", "id": "t-1", "name": "look_up", "input": {"card": 7}} == called["content"][1]
    assert [{"type": "tool_result", "tool_use_id": "t-1", "content": "on its way"}] == told["content"]


async def test_a_schema_is_passed_on_and_tokens_are_counted() -> None:
    async with asked() as (models, server):
        assert '{"ok": true}' == (await models.complete(replace(HELLO, schema=SCHEMA))).text
        assert 7 == await models.count_tokens(HELLO)
        with pytest.raises(Invalid, match=r"model\.cannot_embed"):
            await models.embed(EmbedRequest(model="claude/sonnet", texts=("a",)))
    assert SCHEMA == server.asked[0]["output_config"]["format"]["schema"]


async def test_nothing_of_the_environment_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client reads keys, tokens and headers there by itself, and tells of the machine."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "of-the-environment")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://192.0.2.1")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-spy: of-the-environment")
    async with asked() as (models, server):
        await models.complete(HELLO)
    head = server.heads[0].lower()
    assert f"x-api-key: {KEY}" in head
    assert "anthropic-version:" in head
    for leak in ("of-the-environment", "stainless", "x-spy", "python"):
        assert leak not in head


async def test_no_prompt_and_no_key_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with asked() as (models, _):
        await models.complete(HELLO)
    assert "Say hello" not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("status", "said", "kind", "code"),
    [
        (400, b'{"type": "error", "error": {"message": "4711: maximum context length"}}', Invalid, "prompt_too_long"),
        (401, b'{"type": "error", "error": {"message": "invalid x-api-key 4711"}}', Unavailable, "server_closed"),
        (404, b"{}", NotFound, "not_served"),
        (529, b"4711", Unavailable, "server_busy"),
        (200, b"<html>4711</html>", StepFailure, "server_failed"),
        (200, b'event: message_start\ndata: {"4711\n\n', StepFailure, "server_garbled"),
        (200, b'event: message_start\ndata: {"type": "message_start"}\n\n', StepFailure, "server_garbled"),
        (
            200,
            b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "4711"}}\n\n',
            StepFailure,
            "server_failed",
        ),
    ],
)
async def test_a_server_that_fails_is_one_clear_error(
    status: int, said: bytes, kind: type[AgentFlowError], code: str
) -> None:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        send(writer, said, status=status, media_type="text/event-stream")

    async with asked(play) as (models, _):
        with pytest.raises(kind) as raised:
            await answered(models, HELLO, is_streamed=True)
    assert f"model.{code}" == raised.value.code
    assert "4711" not in str(raised.value)


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    async with asked() as (models, server):
        with pytest.raises(Unavailable, match=r"agentflow-appliance\[cloud\]"):
            await models.complete(HELLO)
        assert server.asked == []


async def test_without_its_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLAUDE_KEY")
    async with asked() as (models, server):
        with pytest.raises(Unavailable, match=r"model\.no_key.*CLAUDE_KEY holds none"):
            await models.complete(HELLO)
        assert server.asked == []


def test_a_cloud_kind_says_where_it_is() -> None:
    """Whoever forgets the zone must not be led to declare a cloud as the own site."""
    server = ModelServer(name="claude", kind="anthropic", url="https://api.example", models=("sonnet",))
    with pytest.raises(ValueError, match="cloud:REGION"):
        check_servers([server])
    check_servers([replace(server, zone="cloud:us")])
