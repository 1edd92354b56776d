"""The bus over HTTP: what is published is listed, followed and published; what nobody took is retried."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.audit.record import entry_in
from runtime.domain.bus import Terms
from runtime.domain.envelope import read
from runtime.domain.ids import DEFAULT_TENANT
from tests.appliance.api.serving import Api, Served, open_api
from tests.runtime.bus.samples import PATIENCE_S, Taker

ORDER = {"subject": "orders.created", "payload": {"order": 17}, "id": "o-17"}


@pytest.fixture
async def api(data_folder: Path) -> AsyncIterator[Api]:
    async with open_api(data_folder) as opened:
        yield opened


async def test_what_is_published_is_listed_with_its_hash(api: Api) -> None:
    """Runs and messages in one order; the same message once."""
    run = str((await api.run("echo", input={"text": "hi"}, wait=True))["run_id"])
    answers = [await api.client.post("/v1/bus/messages", json=ORDER) for _ in range(2)]
    assert [(201, True), (201, False)] == [(answer.status_code, answer.json()["is_new"]) for answer in answers]
    page = (await api.client.get("/v1/bus/messages")).json()
    assert page["next_after"] is None
    lines = page["messages"]
    assert list(range(1, len(lines) + 1)) == [line["position"] for line in lines]
    envelopes = [
        read(json.dumps(line["envelope"], separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode())
        for line in lines
    ]
    assert [f"runs.echo.{run}.run.started", "orders.created"] == [envelopes[0].subject, envelopes[-1].subject]
    assert "first" == envelopes[-1].sender
    some = (await api.client.get("/v1/bus/messages?subject=runs.*.*.step.*&limit=1")).json()
    assert (1, some["messages"][0]["position"]) == (len(some["messages"]), some["next_after"])
    assert [] == (await api.client.get("/v1/bus/messages?since=2100-01-01")).json()["messages"]
    shown = (await api.client.get("/v1/bus")).json()
    assert {"orders.created", "runs.echo.>"} == {line["subject"] for line in shown["subjects"]}


async def test_a_dead_letter_is_seen_and_retried(api: Api) -> None:
    """And the audit log says by whom."""
    taker = Taker(fails=1)
    bus = api.service.appliance.bus_desk.bus
    await bus.subscribe(DEFAULT_TENANT, "orders.>", taker, consumer="billing", terms=Terms(max_deliveries=1))
    await api.client.post("/v1/bus/messages", json=ORDER)
    async with asyncio.timeout(PATIENCE_S):
        while not (letters := (await api.client.get("/v1/bus/dead")).json()["letters"]):
            await asyncio.sleep(0.01)
    assert ("billing", "o-17", "OSError", False) == tuple(
        letters[0][name] for name in ("consumer", "message", "reason", "is_retried")
    )
    gauge = b'agentflow_bus_dead_letters{consumer="billing",tenant="default"} 1.0'
    async with asyncio.timeout(PATIENCE_S):
        while gauge not in api.service.metrics.page():  # counted once the store has the letter
            await asyncio.sleep(0.01)
    detail = (await api.client.get("/v1/bus/consumers/billing")).json()
    assert ("live", letters) == (detail["consumer"]["standing"], detail["dead"])
    assert 404 == (await api.client.post("/v1/bus/dead/retry", json={"ids": [99]})).status_code
    assert 422 == (await api.client.post("/v1/bus/dead/retry", json={})).status_code
    retried = await api.client.post("/v1/bus/dead/retry", json={"all": True})
    assert [letters[0]["id"]] == [letter["id"] for letter in retried.json()["letters"]]
    await taker.has(2)
    rewound = await api.client.post("/v1/bus/consumers/billing/rewind", json={"since": "1h"})
    assert 200 == rewound.status_code
    assert [{"order": 17}] * 3 == await taker.has(3)
    assert 404 == (await api.client.post("/v1/bus/consumers/other/rewind", json={"since": "1h"})).status_code
    assert [
        ("bus.retried", "first", f"dead letters {letters[0]['id']} of billing"),
        ("bus.replayed", "first", "consumer billing"),
    ] == await _audited(api)


async def test_a_program_outside_takes_and_settles(api: Api) -> None:
    """What it takes does not come again, what it gives back does, and what nobody can take is a dead letter."""
    target = "/v1/bus/consumers/billing"
    await api.client.post("/v1/bus/messages", json=ORDER)
    asked = {"subject": "orders.>", "wait_s": 10, "since": "1h"}
    first = (await api.client.post(f"{target}/take", json=asked)).json()["deliveries"]
    assert [({"order": 17}, 1)] == [(each["envelope"]["payload"], each["attempt"]) for each in first]
    token = first[0]["delivery"]
    settled = await api.client.post(f"{target}/settle", json={"refused": [{"delivery": token, "reason": "no_stock"}]})
    assert {"settled": 1, "unknown": []} == settled.json()
    (again,) = (await api.client.post(f"{target}/take", json=asked)).json()["deliveries"]
    assert 2 == again["attempt"]
    given = {"delivery": again["delivery"], "reason": "no_stock", "retry": False}
    settled = await api.client.post(f"{target}/settle", json={"refused": [given], "taken": [token]})
    assert {"settled": 1, "unknown": [token]} == settled.json()
    async with asyncio.timeout(PATIENCE_S):
        while not (letters := (await api.client.get("/v1/bus/dead?consumer=billing")).json()["letters"]):
            await asyncio.sleep(0)
    assert ("bus.given_back: its consumer says no_stock", 2) == (letters[0]["reason"], letters[0]["deliveries"])
    bad = await api.client.post(f"{target}/settle", json={"refused": [{"delivery": "d-1", "reason": "Anna is ill"}]})
    assert 422 == bad.status_code


async def test_who_waits_for_messages_is_answered_when_the_server_drains(api: Api) -> None:
    """Else stopping would take as long as the longest wait."""
    waiting = asyncio.create_task(
        api.client.post("/v1/bus/consumers/billing/take", json={"subject": "orders.>", "wait_s": 30})
    )
    async with asyncio.timeout(PATIENCE_S):
        while not (await api.client.get("/v1/bus")).json()["consumers"]:
            await asyncio.sleep(0)
        api.service.drain()
        assert {"deliveries": []} == (await waiting).json()


async def test_the_bus_is_followed(served: Served) -> None:
    """From a position, with ids to go on from; only what was asked for."""
    for more in ({}, {"id": "x", "subject": "other"}, {"id": "o-18", "payload": "second"}):
        await served.client.post("/v1/bus/messages", json={**ORDER, **more})
    said: list[str] = []
    tail = served.client.stream("GET", "/v1/bus/tail?subject=orders.*&after=0", headers={"last-event-id": "1"})
    async with tail as stream:
        async for line in stream.aiter_lines():
            said.append(line)
            if line.startswith("data: "):
                break
    assert ["retry: 2000", ": from 1", "", "id: 3", "event: message"] == [
        line for line in said[:-1] if line != ": still here"
    ][:5]
    assert "second" == read(said[-1].removeprefix("data: ").encode()).payload


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/v1/bus/tail?subject=a..b", "bus.bad_filter"),
        ("/v1/bus/messages?subject=a b", "bus.bad_filter"),
        ("/v1/bus/messages?since=yesterday", "bus.bad_time"),
        ("/v1/bus/consumers/nobody", "bus.no_consumer"),
    ],
)
async def test_a_bad_question_is_answered(api: Api, target: str, code: str) -> None:
    """With what is wrong with it."""
    answer = await api.client.get(target)
    assert answer.json()["type"].endswith(code)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"subject": "runs.a.b"}, "bus.reserved_subject"),
        ({"subject": "a b"}, "bus.bad_subject"),
        ({"subject": "a", "payload": "x" * 2_000_000}, "envelope.payload_too_large"),
        ({"subject": "a", "traceparent": "00-1-2-3"}, "envelope.bad_member"),
    ],
)
async def test_a_bad_message_is_refused(api: Api, asked: dict[str, object], code: str) -> None:
    """And nothing of it is kept."""
    answer = await api.client.post("/v1/bus/messages", json=asked)
    assert (422, True) == (answer.status_code, answer.json()["type"].endswith(code))
    assert [] == (await api.client.get("/v1/bus/messages")).json()["messages"]


async def _audited(api: Api) -> list[tuple[str, str, str]]:
    log = api.service.appliance.audit
    assert log is not None
    entries = [entry_in(line.detail) for line in await log.read(DEFAULT_TENANT)]
    return [(entry.event, entry.actor, entry.subject) for entry in entries if entry.event.startswith("bus.")]
