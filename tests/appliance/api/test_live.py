"""The journals of all runs as one stream."""

import asyncio

from tests.appliance.api.serving import Api, Served, events_in


async def _first(served: Served, count: int, query: str = "", headers: dict[str, str] | None = None) -> str:
    """What the stream says until it has told of so many entries."""
    said: list[str] = []
    async with served.client.stream("GET", f"/v1/events{query}", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            said.append(line)
            if sum(line.startswith("data: ") for line in said) == count and not line:
                break
    return "\n".join(said) + "\n"


async def _run(served: Served, workflow: str = "echo", given: object = None) -> str:
    answer = await served.client.post(
        "/v1/runs", json={"workflow": workflow, "input": given if given is not None else {}, "wait": True}
    )
    run: str = answer.json()["run_id"]
    return run


async def test_entries_of_all_runs_come_in_the_order_of_their_commits(served: Served) -> None:
    """A screen that shows all runs needs one connection, not one a run."""
    runs = [await _run(served), await _run(served, "failing")]
    told = events_in(await _first(served, 8, "?after=0"))
    assert [1, 2, 3, 4, 5, 6, 7, 8] == [place for place, _, _ in told]
    assert [runs[0]] * 4 + [runs[1]] * 4 == [data["run"] for _, _, data in told]
    assert ["run.started", "run.finished"] == [told[0][1], told[-1][1]]


async def test_a_stream_without_a_beginning_tells_only_what_comes(served: Served) -> None:
    """A screen lists what there is, and follows what changes."""
    await _run(served)
    following = asyncio.ensure_future(_first(served, 4))
    async with asyncio.timeout(60):
        while "agentflow_event_streams 1.0" not in (await served.client.get("/metrics")).text:
            await asyncio.sleep(0)
    later = await _run(served)
    told = events_in(await following)
    assert ({later}, [5, 6, 7, 8]) == ({data["run"] for _, _, data in told}, [place for place, _, _ in told])


async def test_a_client_that_was_cut_off_goes_on_where_it_was(served: Served) -> None:
    """`Last-Event-ID` is what a browser sends by itself; it stands above the query."""
    await _run(served)
    told = events_in(await _first(served, 2, "?after=0", {"last-event-id": "2"}))
    assert [3, 4] == [place for place, _, _ in told]


async def test_brief_entries_hold_nothing_that_was_said(served: Served) -> None:
    """A dashboard stands where everybody sees it, and a letter is no business of a list of runs."""
    await _run(served, given={"text": "the secret of the letter"})
    whole, brief = await _first(served, 4, "?after=0"), await _first(served, 4, "?after=0&brief=true")
    assert "the secret of the letter" in whole
    assert "hello" in whole
    assert "the secret of the letter" not in brief
    assert "hello" not in brief
    started, scheduled, succeeded, finished = (data["data"] for _, _, data in events_in(brief))
    assert "echo" == started["workflow"]  # type: ignore[index]
    assert {"step"} == set(scheduled)  # type: ignore[call-overload]
    assert {"step", "usage"} <= set(succeeded) <= {"step", "usage", "duration_ms"}  # type: ignore[call-overload]
    assert {"status": "succeeded"} == {"status": finished["status"]}  # type: ignore[index]


async def test_a_silent_stream_says_where_it_stands_and_is_kept_alive(served: Served) -> None:
    """A client knows how far behind it is before anything happens."""
    await _run(served)
    said: list[str] = []
    async with served.client.stream("GET", "/v1/events") as stream:
        async for line in stream.aiter_lines():
            said.append(line)
            if line == ": still here":
                break
    assert ["retry: 2000", ": from 4 of 4"] == said[:2]


async def test_a_dropped_stream_is_let_go(served: Served) -> None:
    """Each would otherwise follow the journal until the server stops."""
    async with served.client.stream("GET", "/v1/events") as stream:
        await anext(stream.aiter_lines())
    async with asyncio.timeout(60):
        while "agentflow_event_streams 0.0" not in (await served.client.get("/metrics")).text:
            await asyncio.sleep(0)


async def test_a_place_that_is_none_is_refused(api: Api) -> None:
    """Starting from now instead would lose what lies between."""
    assert 422 == (await api.client.get("/v1/events?after=x")).status_code
    answer = await api.client.get("/v1/events", headers={"last-event-id": "x"})
    assert (400, "urn:agentflow:problem:events.bad_last_event_id") == (answer.status_code, answer.json()["type"])
