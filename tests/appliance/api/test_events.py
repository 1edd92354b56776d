"""A run's journal as a stream of events."""

import asyncio

from runtime.domain.journal import envelope_of
from tests.appliance.api.serving import Api, Served, events_in


async def _start(served: Served, workflow: str, **more: object) -> str:
    answer = await served.client.post("/v1/runs", json={"workflow": workflow, "input": {}, **more})
    run: str = answer.json()["run_id"]
    return run


async def test_a_stream_holds_the_whole_journal_and_ends(served: Served) -> None:
    """Its data are the very bytes that the entries' hashes cover, so that a client can check them."""
    run = await _start(served, "echo")
    answer = await served.client.get(f"/v1/runs/{run}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    rows = await served.appliance.store.read(run)  # type: ignore[arg-type]
    assert rows[-1].type == "run.finished"
    assert [(row.seq, row.type) for row in rows] == [(id_, type_) for id_, type_, _ in events_in(answer.text)]
    assert [envelope_of(row).decode() for row in rows] == [
        line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")
    ]


async def test_a_stream_goes_on_live_behind_the_last_event_seen(served: Served) -> None:
    """A client that was cut off misses nothing and gets nothing twice."""
    run = await _start(served, "ask", wait=True)
    seen: list[str] = []
    async with served.client.stream("GET", f"/v1/runs/{run}/events", headers={"last-event-id": "1"}) as stream:
        async for line in stream.aiter_lines():
            seen.append(line)
            if line == "event: signal.awaited":
                await served.client.post(f"/v1/runs/{run}/signal", json={"name": "resolved", "payload": {}})
    assert [int(line.removeprefix("id: ")) for line in seen if line.startswith("id: ")] == [2, 3, 4, 5, 6]
    assert [line for line in seen if line.startswith("event: ")][-1] == "event: run.finished"


async def test_a_silent_stream_is_kept_alive(served: Served) -> None:
    """Proxies drop connections that say nothing; a dead one is only noticed by writing to it."""
    run = await _start(served, "slow")
    async with served.client.stream("GET", f"/v1/runs/{run}/events") as stream:
        async for line in stream.aiter_lines():
            if line == ": still here":
                break


async def test_a_stream_that_its_client_drops_is_let_go(served: Served) -> None:
    """Each would otherwise stay until the server stops."""
    run = await _start(served, "slow")
    async with served.client.stream("GET", f"/v1/runs/{run}/events") as stream:
        await anext(stream.aiter_lines())
        assert "agentflow_event_streams 1.0" in (await served.client.get("/metrics")).text
    async with asyncio.timeout(60):
        while "agentflow_event_streams 1.0" in (await served.client.get("/metrics")).text:
            await asyncio.sleep(0)


async def test_a_client_that_has_everything_is_told_to_stop(api: Api) -> None:
    """204 ends a browser's EventSource, which would otherwise reconnect for ever."""
    document = await api.run("echo", wait=True)
    path = f"/v1/runs/{document['run_id']}/events"
    assert (await api.client.get(path, headers={"last-event-id": "4"})).status_code == 204
    assert [4] == [id_ for id_, _, _ in events_in((await api.client.get(path, headers={"last-event-id": "3"})).text)]


async def test_a_last_event_id_that_is_none_is_refused(api: Api) -> None:
    """Starting from the beginning instead would deliver everything twice."""
    document = await api.run("echo", wait=True)
    for header in ("x", "-1", "1.5", "", "9" * 16, "१"):
        headers = [(b"last-event-id", header.encode())]
        answer = await api.client.get(f"/v1/runs/{document['run_id']}/events", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:agentflow:problem:events.bad_last_event_id")
