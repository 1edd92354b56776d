"""Several servers for one name: who answers when one does not, and what is told of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from models.gateway import Gateway, GatewayOptions
from models.remote import backend_for
from models.scripted import ScriptedBackend
from models.servers import ModelServer
from redaction.doors.http import HttpDoor
from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.audit import AuditEntry
from runtime.domain.chat import ChatMessage, ChatRequest, EmbedRequest
from runtime.domain.egress import Sender, ZoneRule
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from tests.models.stand_in import Play, StandIn, reply, send, stand_in

ASKED = ChatRequest(
    provider="local",
    model="support",
    messages=(ChatMessage("user", "Say hello."),),
    max_tokens=8,
    options={"answers": ["from the script"]},
)
LOCAL_ONLY = Sender(zone_rules=(ZoneRule("policies.residency of agent 'a'", ("local",)),))


class Setup:
    """A gateway over stand-ins, and what its guard wrote down."""

    def __init__(self, gateway: Gateway, servers: Sequence[StandIn], audit: list[AuditEntry]) -> None:
        self.gateway = gateway
        self.servers = servers
        self.audit = audit


@asynccontextmanager
async def setup(
    *plays: Play | None, ends_local: bool = False, equal: bool = False, model: str = "m"
) -> AsyncIterator[Setup]:
    """A route over one stand-in for each play, in their order; `ends_local`: with a scripted model behind them."""
    audit: list[AuditEntry] = []

    async def record(entry: AuditEntry) -> None:
        audit.append(entry)

    async with stand_ins(plays) as servers:
        named = [
            ModelServer(name=f"s{number}", url=server.url, models=(model,)) for number, server in enumerate(servers)
        ]
        door, guard = HttpDoor(), Guard(EgressPolicy(), record=record)
        labels = [f"{each.name}/{model}" for each in named]
        groups = [labels] if equal else [[label] for label in labels]
        routes = {"support": [*groups, *([["scripted/x"]] if ends_local else [])]}
        backends = [ScriptedBackend(), *(backend_for(each, door) for each in named)]
        gateway = Gateway(backends, guard, servers=named, options=GatewayOptions(routes=routes), door=door)
        try:
            yield Setup(gateway, servers, audit)
        finally:
            await gateway.stop()
            await door.stop()


@asynccontextmanager
async def stand_ins(plays: Sequence[Play | None]) -> AsyncIterator[list[StandIn]]:
    if not plays:
        yield []
        return
    async with stand_in(plays[0]) as first, stand_ins(plays[1:]) as others:
        yield [first, *others]


def saying(status: int) -> Play:
    async def play(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        reply(writer, {}, status)

    return play


async def gone(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.close()


async def half(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """A first word, and then nothing more."""
    chunk = json.dumps({"choices": [{"delta": {"content": "half "}}]})
    send(writer, f"data: {chunk}\n\n".encode(), media_type="text/event-stream")


async def prose(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    reply(writer, {"choices": [{"message": {"content": "no JSON at all"}, "finish_reason": "stop"}]})


async def test_the_first_of_the_list_answers() -> None:
    async with setup(None, None) as its:
        answer = await its.gateway.complete(ASKED)
        assert (answer.backend, answer.route) == ("model.s0", "s0/m: first of 2 that can answer")
        assert its.servers[1].asked == []


@pytest.mark.parametrize("play", [saying(503), saying(429), saying(404), gone], ids=["503", "429", "404", "gone"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_the_next_answers_when_one_does_not(play: Play, is_streamed: bool) -> None:
    async with setup(play, None) as its:
        if is_streamed:
            chunks = [chunk async for chunk in its.gateway.stream(ASKED)]
            assert chunks[0].route.startswith("s1/m: next of 2")
            assert chunks[-1].reply is not None
            answer = chunks[-1].reply
        else:
            answer = await its.gateway.complete(ASKED)
    assert answer.backend == "model.s1"
    assert answer.route.startswith("s1/m: next of 2 that can answer; s0/m: ")


async def test_each_that_is_asked_is_a_leave_of_its_own() -> None:
    async with setup(saying(503), None) as its:
        await its.gateway.complete(ASKED)
    written = [(entry.event, entry.destination.host, entry.outcome) for entry in its.audit]
    first, second = (server.url.removeprefix("http://").removesuffix("/v1") for server in its.servers)
    assert written == [
        ("egress.sent", first, ""),
        ("egress.settled", first, "model.server_busy"),
        ("egress.sent", second, ""),
        ("egress.settled", second, "ok"),
    ]


async def test_nothing_is_asked_again_once_something_was_told() -> None:
    """A reader must not get the beginning of one answer and the end of another."""
    async with setup(half, None) as its:
        told: list[str] = []

        async def read() -> None:
            async for chunk in its.gateway.stream(ASKED):
                told.append(chunk.text)

        with pytest.raises(StepFailure, match=r"model\.server_failed"):
            await read()
        assert "".join(told) == "half "
        assert its.servers[1].asked == []


async def test_an_answer_that_breaks_the_schema_is_not_asked_again() -> None:
    """It was given, and paid for."""
    bound = ChatRequest(provider="local", model="support", messages=ASKED.messages, schema={"type": "object"})
    async with setup(prose, None) as its:
        with pytest.raises(StepFailure, match=r"model\.answer_invalid"):
            await its.gateway.complete(bound)
        assert its.servers[1].asked == []


async def test_a_question_that_is_wrong_is_asked_of_nobody_else() -> None:
    async with setup(None, None) as its:
        with pytest.raises(Invalid, match=r"model\.no_messages"):
            await its.gateway.complete(ChatRequest(provider="local", model="support", messages=()))
        assert its.servers[1].asked == []


async def test_when_nobody_answers_the_error_names_everybody() -> None:
    async with setup(saying(503), gone) as its:
        with pytest.raises(Unavailable, match=r"model\.none_answered.*s0/m: model\.server_busy; s1/m: http\.broken"):
            await its.gateway.complete(ASKED)


async def test_residency_decides_before_anybody_is_asked() -> None:
    async with setup(None, ends_local=True) as its:
        answer = await its.gateway.complete(ASKED, sender=LOCAL_ONLY)
        assert (answer.backend, answer.text) == ("model.scripted", "from the script")
        assert answer.route == "scripted/x: first of 1 that can answer; s0/m: skipped, egress.zone_refused"
        assert its.servers[0].asked == []


async def test_where_all_are_forbidden_the_guard_says_why() -> None:
    async with setup(None, None) as its:
        with pytest.raises(Refused, match=r"policies\.residency of agent 'a'"):
            await its.gateway.complete(ASKED, sender=LOCAL_ONLY)
    assert [entry.event for entry in its.audit] == ["egress.refused"]


async def test_one_that_fails_again_and_again_is_left_alone() -> None:
    async with setup(saying(503), None) as its:
        for number in range(8):
            await its.gateway.complete(
                ChatRequest(provider="local", model="support", messages=ASKED.messages, seed=number)
            )
        assert len(its.servers[0].asked) == 5
        assert [status.breaker for status in its.gateway.status()] == ["open", "closed"]


async def test_alone_it_says_that_it_rests() -> None:
    async with setup(saying(503)) as its:
        codes = []
        for number in range(6):
            with pytest.raises(Unavailable) as raised:
                await its.gateway.complete(
                    ChatRequest(provider="local", model="support", messages=ASKED.messages, seed=number)
                )
            codes.append(raised.value.code)
    assert codes == ["model.server_busy"] * 5 + ["model.resting"]


async def test_a_check_finds_one_that_is_unwell_and_one_that_is_back() -> None:
    async with setup(None, None) as its:
        its.servers[0].check_status = 500
        await its.gateway.check_servers()
        assert [status.health for status in its.gateway.status()] == ["model.server_busy", "well"]
        assert (await its.gateway.complete(ASKED)).backend == "model.s1"
        its.servers[0].check_status = 200
        await its.gateway.check_servers()
        assert (await its.gateway.complete(ASKED)).backend == "model.s0"


async def test_what_answers_take_is_measured() -> None:
    async with setup(None, None) as its:
        await its.gateway.complete(ASKED)
        asked, idle = its.gateway.status()
        assert asked.latency_ms is not None
        assert asked.latency_ms > 0
        assert (asked.health, idle.latency_ms, idle.health) == ("well", None, "unchecked")


async def test_vectors_of_another_model_are_no_stand_in() -> None:
    async with setup(saying(503), None, model="e") as its:
        embedded = await its.gateway.embed(EmbedRequest(model="support", texts=("a",)))
        assert embedded.backend == "model.s1"
        assert embedded.route == "s1/e: next of 2 that can answer; s0/e: model.server_busy"
    table = {"support": [["s0/e"], ["local/all-minilm-l6-v2"]]}
    async with stand_in(saying(503)) as server:
        named, door = ModelServer(name="s0", url=server.url, models=("e",)), HttpDoor()
        gateway = Gateway(
            [backend_for(named, door)], Guard(EgressPolicy()), servers=[named], options=GatewayOptions(routes=table)
        )
        with pytest.raises(AgentFlowError, match=r"model\.server_busy"):
            await gateway.embed(EmbedRequest(model="support", texts=("a",)))
        await door.stop()
