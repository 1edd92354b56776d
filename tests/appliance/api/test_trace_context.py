"""W3C trace context: what comes in with a trace stays in it, and what leaves carries it on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.config.settings import ModelSettings
from models.servers import ModelServer
from runtime.domain.ids import RunId
from tests.appliance.api.serving import Api, open_api
from tests.models.stand_in import stand_in

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CONTEXT = f"00-{TRACE}-00f067aa0ba902b7-01"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


@pytest.fixture
async def heads() -> AsyncIterator[tuple[str, "asyncio.Queue[str]"]]:
    """A server that answers whatever comes: its address, and the heads of the requests."""
    came: asyncio.Queue[str] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.put_nowait((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(ANSWER)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", came


@pytest.mark.parametrize("workflow", ["sends", "asks"])
@pytest.mark.parametrize(("context", "is_adopted"), [(CONTEXT, True), ("nonsense", False)])
async def test_a_run_is_a_part_of_the_trace_that_it_was_asked_for_in(
    api: Api, heads: tuple[str, "asyncio.Queue[str]"], *, workflow: str, context: str, is_adopted: bool
) -> None:
    """Its spans, its messages and what it sends, also through a sub-run; what can't be read counts as none."""
    url, came = heads
    sends = f"{{type: http, config: {{url: '{url}', method: GET}}}}"
    for name, agent in (
        ("sends", sends),
        ("asks", f"{{type: workflow, workflow: {{name: part, agents: {{send: {sends}}}}}}}"),
    ):
        answer = await api.client.put(f"/v1/workflows/{name}", content=f"name: {name}\nagents: {{say: {agent}}}")
        assert answer.is_success, answer.text
    body = {"workflow": workflow, "input": {}, "wait": True}
    run = (await api.client.post("/v1/runs", json=body, headers={"traceparent": context})).raise_for_status().json()
    assert "succeeded" == run["status"], run
    spans = await api.service.appliance.traces.of_run(RunId(run["run_id"]))
    messages = (await api.client.get("/v1/bus/messages?subject=runs.>")).json()["messages"]
    of_run = [line["envelope"] for line in messages if line["envelope"]["run"] == run["run_id"]]
    assert [is_adopted] * 2 == [f"traceparent: 00-{TRACE}-" in came.get_nowait(), spans[0].trace_id == TRACE]
    assert is_adopted is (spans[0].parent_id == "00f067aa0ba902b7")
    assert {spans[0].trace_id} == {span.trace_id for span in spans}
    assert {spans[0].trace_id} == {each["traceparent"].split("-")[1] for each in of_run}
    if is_adopted:
        assert {TRACE} == {line["envelope"]["traceparent"].split("-")[1] for line in messages}


async def test_what_subscribers_hear_at_once_is_what_is_read_later(api: Api) -> None:
    """The same entry has the same envelope, byte for byte, also after a restart."""
    heard: list[str] = []
    bus = api.service.appliance.bus_desk.bus

    async def take(delivery: object) -> None:
        heard.append(delivery.envelope.traceparent)  # type: ignore[attr-defined]

    await bus.subscribe("default", "runs.echo.>", take)  # type: ignore[arg-type]
    body = {"workflow": "echo", "input": {}, "wait": True}
    await api.client.post("/v1/runs", json=body, headers={"traceparent": CONTEXT})
    messages = (await api.client.get("/v1/bus/messages?subject=runs.echo.>")).json()["messages"]
    async with asyncio.timeout(60):
        while len(heard) < len(messages):
            await asyncio.sleep(0)
    assert heard == [line["envelope"]["traceparent"] for line in messages]


async def test_a_message_is_of_the_trace_that_it_was_published_in(api: Api) -> None:
    """The body's own word stands above the header's."""
    own = f"00-{'a' * 32}-00f067aa0ba902b7-01"
    for more, id in (({}, "a"), ({"traceparent": own}, "b")):
        body = {"subject": "orders.created", "id": id, **more}
        await api.client.post("/v1/bus/messages", json=body, headers={"traceparent": CONTEXT})
    messages = (await api.client.get("/v1/bus/messages")).json()["messages"]
    assert [CONTEXT, own] == [line["envelope"]["traceparent"] for line in messages]


async def test_a_question_to_a_model_carries_the_trace_on(data_folder: Path) -> None:
    """A program that asks by way of the OpenAI API finds the model server's spans under its own."""
    async with stand_in() as server:
        backend = ModelServer(name="vllm", url=server.url, models=("llama3",))
        async with open_api(data_folder, models=ModelSettings(backends=(backend,))) as api:
            asked = {"model": "vllm/llama3", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
            answer = await api.client.post("/v1/chat/completions", json=asked, headers={"traceparent": CONTEXT})
    assert 200 == answer.status_code, answer.text
    assert f"traceparent: {CONTEXT}" in server.heads[-1].lower()
