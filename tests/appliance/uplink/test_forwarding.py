"""The uplink, in front of a real broker: what arrives, what never leaves, and links and processes that break."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
import nats
import pytest

from appliance.cli.main import run as run_command
from appliance.config.settings import UplinkSettings
from appliance.uplink.view import UplinkView
from runtime.audit.record import entry_in
from runtime.domain.envelope import Envelope, message, read
from runtime.domain.ids import DEFAULT_TENANT, RunId
from runtime.errors import Refused
from tests.appliance.api.serving import Api, open_api, open_server
from tests.nats_server import NatsServer, needs_nats

pytestmark = needs_nats
STREAM = "AGENTFLOW"
LOCAL_ONLY = """\
name: secretive
policies: {residency: [local]}
agents:
  say: {type: llm, prompt: "{{ input.text }}", model: {provider: scripted, answers: [hello]}}
"""
ONE_AGENT_LOCAL = """\
name: careful
agents:
  say:
    type: llm
    prompt: "{{ input.text }}"
    model: {provider: scripted, answers: [hello]}
    policies: {residency: [local]}
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "nats")
    made.start()
    yield made
    made.kill()


def uplink(broker: NatsServer, **more: object) -> UplinkSettings:
    return UplinkSettings(url=broker.url, **more)  # type: ignore[arg-type]


@pytest.fixture
async def api(data_folder: Path, broker: NatsServer) -> AsyncIterator[Api]:
    for name, document in (("secretive", LOCAL_ONLY), ("careful", ONE_AGENT_LOCAL)):
        folder = data_folder / "workflows" / name
        folder.mkdir(parents=True)
        (folder / "workflow.yaml").write_text(document)
    settings = uplink(broker, payloads=("runs.*.*.run.started",))
    async with open_api(data_folder, uplink=settings, redaction={"bus/*": _patterns(data_folder)}) as api:
        await api.service.appliance.uplink.look(create=True)
        yield api


def _patterns(folder: Path) -> str:
    file = folder.parent / "patterns.yaml"
    file.write_text("name: patterns\nextends: default\nnames: false\n")
    return str(file)


async def arrived(broker: NatsServer) -> list[Envelope]:
    """Everything that the stream keeps, read by a client that is not ours."""
    client = await nats.connect(broker.url)
    try:
        stream = client.jetstream()
        last = (await stream.stream_info(STREAM)).state.last_seq
        kept = [await stream.get_msg(STREAM, number) for number in range(1, last + 1)]
        assert [each.headers and each.headers["Nats-Msg-Id"] for each in kept] == [
            read(each.data or b"").id for each in kept
        ]
        return [read(each.data or b"") for each in kept]
    finally:
        await client.close()


async def until_empty(api: Api) -> None:
    """Return when nothing waits any more."""
    uplink, messages = api.service.appliance.uplink, api.service.appliance.store.messages
    while (head := await messages.head()) > uplink.view.position:
        await uplink.until(partial(_has_come_to, head))


def _has_come_to(head: int, view: UplinkView) -> bool:
    return view.position >= head


async def test_a_run_arrives_entry_by_entry(api: Api, broker: NatsServer) -> None:
    """In order, bare where the settings say nothing else, pseudonyms where they do."""
    run = await api.run("echo", input={"text": "write to anna@example.com"}, wait=True)
    await until_empty(api)
    entries = await api.service.store.read(RunId(str(run["run_id"])))
    kept = await arrived(broker)
    assert [(f"{row.run}/{row.seq}", row.type, row.hash.hex()) for row in entries] == [
        (each.id, each.type, each.metadata["entry_hash"]) for each in kept
    ]
    started, *others = kept
    assert {None} == {each.payload for each in others}
    assert isinstance(started.payload, dict)
    assert "anna@example.com" not in json.dumps(started.payload)
    assert "<EMAIL_1_" in json.dumps(started.payload)
    view = api.service.appliance.uplink.view
    assert ("connected", len(kept), 0, "") == (view.state, view.sent, view.withheld, view.fault)


async def test_what_must_stay_stays(api: Api, broker: NatsServer) -> None:
    """A workflow for this machine alone says nothing; one with such an agent says no more than that it ran."""
    before = broker.figures()
    await api.run("secretive", input={"text": "x"}, wait=True)
    await until_empty(api)
    after = broker.figures()
    assert [before[name] for name in ("in_msgs", "in_bytes")] == [after[name] for name in ("in_msgs", "in_bytes")]
    assert [] == await arrived(broker)
    await api.run("careful", input={"text": "x"}, wait=True)
    await until_empty(api)
    kept = await arrived(broker)
    assert ({"careful"}, {None}) == ({each.subject.split(".")[1] for each in kept}, {each.payload for each in kept})
    assert api.service.appliance.uplink.view.withheld > 0
    refused = [
        entry.outcome
        for row in await api.service.appliance.audit.read(DEFAULT_TENANT)  # type: ignore[union-attr]
        if (entry := entry_in(row.detail)).event == "egress.refused"
    ]
    assert {"egress.zone_refused"} == set(refused)


async def test_messages_beside_runs_go_where_somebody_chose_them(data_folder: Path, broker: NatsServer) -> None:
    """In the order of the bus; a reply is for who asked."""
    chosen = uplink(broker, subjects=(">",), payloads=("orders.*",))
    async with open_api(data_folder, uplink=chosen, redaction={"bus/*": _patterns(data_folder)}) as api:
        await api.service.appliance.uplink.look(create=True)
        for number, subject in enumerate(("orders.created", "stock.moved", "_inbox.x"), 1):
            said = message(subject, {"n": number}, id=subject, at_us=1, tenant=DEFAULT_TENANT)
            assert await api.service.appliance.store.messages.keep(said)
        await until_empty(api)
    assert [("orders.created", {"n": 1}), ("stock.moved", None)] == [
        (each.subject, each.payload) for each in await arrived(broker)
    ]


async def test_the_link_may_be_away(api: Api, broker: NatsServer) -> None:
    """Runs go on, the server is ready, and when the broker is back everything is there once."""
    first = await api.run("echo", wait=True)
    await until_empty(api)
    broker.kill()
    runs = [str((await api.run("echo", wait=True))["run_id"]) for _ in range(5)]
    await api.service.appliance.uplink.until(lambda view: view.state == "waiting")
    view = (await api.client.get("/v1/uplink")).json()
    assert "waiting" == view["state"]
    assert view["fault_code"] in ("nats.broken", "nats.unreachable", "nats.timeout")
    assert 200 == (await api.client.get("/readyz")).status_code
    assert "agentflow_uplink_up 0.0" in (await api.client.get("/metrics")).text
    broker.start()
    await until_empty(api)
    ids = [each.id for each in await arrived(broker)]
    assert len(ids) == len(set(ids))
    assert [str(first["run_id"]), *runs] == list(dict.fromkeys(each.partition("/")[0] for each in ids))
    assert view["position"] < api.service.appliance.uplink.view.position


async def test_what_waits_is_sent_at_the_next_start(data_folder: Path, broker: NatsServer) -> None:
    """Also what was run meanwhile by a process without an uplink of its own."""
    settings = uplink(broker)
    async with open_api(data_folder, uplink=settings) as api:
        await api.service.appliance.uplink.look(create=True)
    broker.kill()
    async with open_api(data_folder, uplink=settings) as api:
        away = str((await api.run("echo", wait=True))["run_id"])
    async with open_api(data_folder) as api:
        off = str((await api.run("echo", wait=True))["run_id"])
    broker.start()
    async with open_api(data_folder, uplink=settings) as api:
        await until_empty(api)
    assert {away, off} == {each.run for each in await arrived(broker)}


async def test_a_batch_that_was_taken_but_not_noted_is_dropped_by_its_ids(
    data_folder: Path, broker: NatsServer
) -> None:
    """As after a kill between the broker's word and the place on the disk."""
    settings = uplink(broker)
    async with open_api(data_folder, uplink=settings) as api:
        await api.service.appliance.uplink.look(create=True)
        begin = (data_folder / "uplink.json").read_bytes()
        await api.run("echo", wait=True)
        await until_empty(api)
        before = [each.id for each in await arrived(broker)]
    (data_folder / "uplink.json").write_bytes(begin)
    async with open_api(data_folder, uplink=settings) as api:
        await until_empty(api)
        view = api.service.appliance.uplink.view
        assert len(before) == view.duplicates == view.sent
    assert before == [each.id for each in await arrived(broker)]


async def test_an_air_gapped_appliance_has_no_uplink(data_folder: Path, broker: NatsServer) -> None:
    """Whoever set both did not mean one of them."""
    with pytest.raises(Refused) as refused:
        async with open_api(data_folder, uplink=uplink(broker), mode="air_gapped"):
            pass
    assert "uplink.air_gapped" == refused.value.code
    assert 0 == broker.figures()["total_connections"]


async def test_a_broker_that_nobody_declared_is_waited_for(data_folder: Path) -> None:
    """Nothing is dropped for a setting that somebody can mend."""
    settings = UplinkSettings(url="nats://broker.example:4222")
    async with open_api(data_folder, uplink=settings) as api:
        await api.run("echo", wait=True)
        view = await api.service.appliance.uplink.until(lambda view: view.fault)
        assert ("waiting", "egress.cloud_refused", 0) == (view.state, view.fault_code, view.withheld)


async def test_checkpoints_are_kept_at_the_other_end(data_folder: Path, broker: NatsServer) -> None:
    """And a log that began anew does not fit them."""
    data_folder.mkdir()
    (data_folder / "config.yaml").write_text(f"uplink: {{url: '{broker.url}'}}\n")
    async with open_server(data_folder) as served:
        await served.appliance.uplink.look(create=True)
        answer = await served.client.post("/v1/uplink/checkpoints", json={})
        assert (403, "uplink.local_only") == (answer.status_code, answer.json()["type"].rpartition(":")[2])
        for command in (["audit", "anchor", "--to", "uplink"], ["audit", "verify", "--anchor", "uplink"]):
            assert 0 == await asyncio.to_thread(run_command, command)
        assert 0 == await asyncio.to_thread(run_command, ["uplink", "status"])
        entries = [entry_in(row.detail) for row in await served.appliance.audit.read(DEFAULT_TENANT)]  # type: ignore[union-attr]
        assert [f"uplink {broker.host} {STREAM} 1"] == [
            each.subject for each in entries if each.event == "audit.anchored"
        ]
    assert 0 == await asyncio.to_thread(run_command, ["audit", "anchor", "--to", "uplink"])
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (data_folder / name).unlink(missing_ok=True)
    async with open_server(data_folder):
        pass
    assert 1 == await asyncio.to_thread(run_command, ["audit", "verify", "--anchor", "uplink"])
    assert 1 == await asyncio.to_thread(run_command, ["audit", "anchor", "--to", "uplink"])


async def test_killed_in_the_middle_nothing_is_lost_and_nothing_is_there_twice(
    data_folder: Path, tmp_path: Path, broker: NatsServer
) -> None:
    """The broker, and then the appliance, while runs are under way; the next start sends what is left."""
    folder = data_folder / "workflows/echo"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(
        "name: echo\nagents:\n  say: {type: llm, prompt: x, model: {provider: scripted, answers: [hello]}}\n"
    )
    (data_folder / "config.yaml").write_text(
        f"uplink: {{url: '{broker.url}'}}\nlisten: 127.0.0.1:0\nsocket: run/af.sock\n"
    )
    assert 0 == await asyncio.to_thread(run_command, ["uplink", "test", "--create"])
    asked: set[str] = set()
    served = _serve(data_folder, tmp_path / "notify")
    try:
        await _ask(data_folder, 8, asked)
        broker.kill()
        await _ask(data_folder, 4, asked)
        broker.start()
        await _ask(data_folder, 4, asked)
    finally:
        served.kill()
        served.wait(60)
    async with open_api(data_folder) as api:
        asked |= {str((await api.run("echo", wait=True))["run_id"]) for _ in range(8)}
        for run in sorted(asked):
            await api.service.appliance.engine.wait(RunId(run))
        await until_empty(api)
    kept = await arrived(broker)
    counted = Counter(each.id for each in kept)
    assert [] == [id for id, count in counted.items() if count > 1]
    expected = await asyncio.to_thread(_entries, data_folder)
    assert expected == set(counted)
    assert asked <= {each.run for each in kept}


def _serve(data: Path, notified: Path) -> "subprocess.Popen[bytes]":
    """A server that has said that it is ready, in the way that a service manager is told."""
    environment = {**os.environ, "AGENTFLOW_DATA": str(data), "NOTIFY_SOCKET": str(notified)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, (data / "serve.log").open("ab") as log:
        manager.bind(str(notified))
        manager.settimeout(60)
        served = subprocess.Popen([sys.executable, "-m", "appliance", "serve"], env=environment, stdout=log, stderr=log)
        try:
            while b"READY=1" not in manager.recv(4_096):
                continue
        except TimeoutError:
            served.kill()
            raise AssertionError((data / "serve.log").read_text()) from None
    return served


def _client(data: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(data / "run/af.sock"))
    return httpx.Client(transport=transport, base_url="http://localhost", timeout=30)


async def _ask(data: Path, count: int, asked: set[str]) -> None:
    def ask() -> None:
        with _client(data) as client:
            for _ in range(count):
                answer = client.post("/v1/runs", json={"workflow": "echo", "input": {}})
                asked.add(answer.raise_for_status().json()["run_id"])

    await asyncio.to_thread(ask)


def _entries(data: Path) -> set[str]:
    """Ids of every entry of the journal."""
    from runtime.store import driver

    connection = driver.open_raw(data / "journal.db", writer=False)
    try:
        rows = connection.execute("SELECT run.id, event.run_seq FROM event JOIN run ON run.key = event.run").fetchall()
        return {f"{run}/{seq}" for run, seq in rows}
    finally:
        connection.close()
