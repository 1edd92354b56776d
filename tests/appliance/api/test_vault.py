"""Minimised runs over HTTP: pseudonyms unless asked, idempotent retries, and deletion that a running server obeys."""

import asyncio
import io
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance.auth.callers import Caller
from appliance.cli.main import run as run_command
from runtime.audit.record import entry_in
from runtime.domain.ids import DEFAULT_TENANT, RunId, TenantId
from runtime.errors import NotFound
from tests.appliance.api.serving import Api, open_api, open_server

MAIL, CARD = "anna.kovacs@example.com", "4111 1111 1111 1111"
ASKED = {"text": f"I am {MAIL}, card {CARD}"}


@pytest.fixture
async def minimised(data_folder: Path, tmp_path: Path) -> AsyncIterator[Api]:
    policy = tmp_path / "patterns.yaml"
    policy.write_text("name: patterns\nextends: default\nnames: false\n")
    async with open_api(data_folder, minimise="on", redaction={"persist/*": str(policy)}) as api:
        yield api


async def audited(api: Api) -> list[tuple[str, str, str]]:
    log = api.service.appliance.audit
    assert log is not None
    found: list[tuple[str, str, str]] = []
    for line in await log.read(DEFAULT_TENANT):
        entry = entry_in(line.detail)
        if entry.event.startswith("vault."):
            found.append((entry.event, entry.sender.purpose, entry.sender.run))
    return found


async def test_a_run_is_shown_with_pseudonyms_unless_somebody_asks(minimised: Api) -> None:
    """And who asks is in the audit log before they see anything."""
    plain = await minimised.run("ask", input=ASKED, wait=True)
    run = str(plain["run_id"])
    await minimised.client.post(f"/v1/runs/{run}/signal", json={"name": "resolved", "payload": {"words": f"to {MAIL}"}})
    await minimised.service.engine.wait(RunId(run))
    shown = (await minimised.client.get(f"/v1/runs/{run}")).json()
    assert True is shown["minimised"]
    assert re.fullmatch(r"to <EMAIL_1_[A-Z2-7]{4}>", shown["output"]["answer"])
    assert [] == await audited(minimised)
    restored = (await minimised.client.get(f"/v1/runs/{run}?restore=true")).json()
    assert f"to {MAIL}" == restored["output"]["answer"]
    assert [("vault.restored", "first", run)] == await audited(minimised)
    then = [
        (await minimised.client.get(f"/v1/runs/{run}/state?at=1{query}")).json()["entry"]["data"]["input"]["text"]
        for query in ("", "&restore=true")
    ]
    assert (False, True) == tuple(MAIL in text for text in then)
    assert [("vault.restored", "first", run)] * 2 == await audited(minimised)


async def test_a_caller_that_waits_may_ask_for_the_values(minimised: Api) -> None:
    """A program that sent them needs them in the answer."""
    body = {"workflow": "ask", "input": ASKED, "wait": True, "restore": True}
    answer = await minimised.client.post("/v1/runs", json=body)
    assert answer.is_success
    assert ["vault.restored"] == [event for event, _, _ in await audited(minimised)]


async def test_a_chat_with_a_workflow_is_answered_with_values(minimised: Api) -> None:
    """The customer who has just said their address cannot be answered with its pseudonym."""
    document = """\
name: mirror
agents:
  say: {type: llm, prompt: "{{ input.message }}", model: {provider: scripted, answers: [hello]}}
output: {answer: "{{ input.message }}"}
"""
    stored = await minimised.client.put(
        "/v1/workflows/mirror", content=document, headers={"content-type": "application/yaml"}
    )
    assert stored.is_success, stored.text
    asked = {"model": "workflow:mirror", "messages": [{"role": "user", "content": f"Write to {MAIL}"}]}
    answer = await minimised.client.post("/v1/chat/completions", json=asked)
    assert f"Write to {MAIL}" == answer.json()["choices"][0]["message"]["content"]
    assert ["vault.restored"] == [event for event, _, _ in await audited(minimised)]


async def test_a_run_without_values_needs_no_vault(minimised: Api, data_folder: Path) -> None:
    """Nothing was kept, so nothing is missing."""
    run = (await minimised.run("echo", input={"text": "hello"}, wait=True))["run_id"]
    shown = await minimised.client.get(f"/v1/runs/{run}?restore=true")
    assert "succeeded" == shown.json()["status"]


async def test_events_and_the_journal_hold_no_value(minimised: Api, data_folder: Path) -> None:
    """What streams out is what is kept."""
    run = (await minimised.run("echo", input=ASKED, wait=True))["run_id"]
    stream = (await minimised.client.get(f"/v1/runs/{run}/events")).text
    assert "run.started" in stream
    assert MAIL not in stream
    held = b"".join(path.read_bytes() for path in data_folder.rglob("*") if path.is_file())
    assert MAIL.encode() not in held
    assert CARD.encode() not in held


async def test_a_retry_finds_its_run_and_another_request_does_not(minimised: Api) -> None:
    """The journal has pseudonyms, the retry the values; they are compared as they would be kept."""
    body, headers = {"workflow": "echo", "input": {**ASKED, "password": "hunter2-Xy9!"}}, {"idempotency-key": "k-1"}
    first = await minimised.client.post("/v1/runs", json=body, headers=headers)
    again = await minimised.client.post("/v1/runs", json=body, headers=headers)
    assert first.json()["run_id"] == again.json()["run_id"]
    assert "true" == again.headers["idempotency-replayed"]
    other = {**body, "input": {"text": "I am bob@example.org"}}
    assert 422 == (await minimised.client.post("/v1/runs", json=other, headers=headers)).status_code


async def test_another_tenant_restores_nothing(minimised: Api) -> None:
    """Not even by the id of the run."""
    run = RunId(str((await minimised.run("echo", input=ASKED, wait=True))["run_id"]))
    appliance, spy = minimised.service.appliance, Caller("spy", TenantId("spy"))
    with pytest.raises(NotFound, match=r"run\.not_found"):
        await appliance.minimising.restored_state(appliance.engine, run, tenant=spy.tenant, actor=spy.actor)
    assert [] == await audited(minimised)


async def test_what_is_deleted_is_out_of_a_running_servers_reach(minimised: Api) -> None:
    """The values that it holds in memory are forgotten with those on the disk."""
    first = (await minimised.run("ask", input={"text": MAIL}, wait=True))["run_id"]
    second = (await minimised.run("echo", input={"text": f"{MAIL} {CARD}"}, wait=True))["run_id"]
    counted = (await minimised.client.get("/v1/vault")).json()
    assert (3, [first, second]) == (counted["values"], [scope["scope"] for scope in counted["scopes"]])
    aged = await minimised.client.post("/v1/vault/purge", json={"older_than_days": 0})
    assert {"values": 2} == aged.json(), "the run that waits keeps its own"
    erased = await minimised.client.post("/v1/vault/erase", json={"value": MAIL.upper()})
    assert {"values": 1} == erased.json()
    entries = [*await minimised.service.engine.restored(RunId(str(first)))]
    assert MAIL not in json.dumps(msgspec.to_builtins(entries))
    assert ["vault.purged", "vault.erased"] == [event for event, _, _ in await audited(minimised)]


@pytest.mark.parametrize("body", [{}, {"run": "r-1", "older_than_days": 1}, {"run": "r-1", "collection": "x"}])
async def test_a_purge_says_what(minimised: Api, body: dict[str, object]) -> None:
    """An empty request must not delete everything."""
    answer = await minimised.client.post("/v1/vault/purge", json=body)
    assert (422, True) == (answer.status_code, answer.json()["type"].endswith("vault.purge_what"))


async def test_an_appliance_that_minimises_nothing_has_no_vault(data_folder: Path) -> None:
    """No file, no key, no cost."""
    async with open_api(data_folder) as api:
        run = (await api.run("echo", input=ASKED, wait=True))["run_id"]
        shown = (await api.client.get(f"/v1/runs/{run}?restore=true")).json()
        assert "minimised" not in shown
        assert 0 == (await api.client.get("/v1/vault")).json()["values"]
    assert [] == list(data_folder.glob("vault*"))


async def test_old_values_are_purged_by_themselves(data_folder: Path, tmp_path: Path) -> None:
    """`vault_days` is a promise that holds without anybody doing something."""
    policy = tmp_path / "patterns.yaml"
    policy.write_text("name: patterns\nextends: default\nnames: false\n")
    on = {"minimise": "on", "redaction": {"persist/*": str(policy)}}
    async with open_api(data_folder, **on) as api:
        run = RunId(str((await api.run("echo", input=ASKED, wait=True))["run_id"]))
    async with open_api(data_folder, **on, vault_days=1) as api:
        minimising, appliance = api.service.appliance.minimising, api.service.appliance
        later_us = appliance.clock.now_us() + 2 * 86_400_000_000
        appliance.clock._latest_us = later_us  # the clock never runs backwards, so it stands two days ahead
        assert 2 == (await minimising.held(TenantId("default"))).values
        await minimising.sweep(appliance.store)
        assert 0 == (await minimising.held(TenantId("default"))).values
        assert "<EMAIL_1_" in json.dumps(msgspec.to_builtins((await appliance.engine.restored(run))[0].body))


async def test_the_command_line_asks_the_server_that_has_the_folder(
    data_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is erased on the disk alone would go on living in the server."""
    (tmp_path / "patterns.yaml").write_text("name: patterns\nextends: default\nnames: false\n")
    data_folder.mkdir()
    (data_folder / "config.yaml").write_text(
        f"minimise: on\nredaction: {{persist/journal: {tmp_path}/patterns.yaml, persist/memory: none}}\n"
    )

    async def af(*arguments: str, given: str = "") -> dict[str, object]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        capfd.readouterr()
        code = await asyncio.to_thread(run_command, [*arguments, "--json"])
        said = capfd.readouterr()
        assert 0 == code, said.err
        document: dict[str, object] = json.loads(said.out)
        return document

    async with open_server(data_folder) as served:
        answer = await served.client.post("/v1/runs", json={"workflow": "ask", "input": ASKED, "wait": True})
        run = answer.json()["run_id"]
        assert 2 == (await af("vault", "list"))["values"]
        assert {"values": 1} == await af("vault", "erase", given=f"{MAIL}\n")
        assert "waiting" == (await af("runs", "show", run, "--restore"))["status"]
        assert {"values": 1} == await af("vault", "purge", "--run", run)
        assert {"values": 0} == await af("vault", "purge", "--before", "90d")
        assert served.appliance.audit is not None
        lines = b"".join(line.detail for line in await served.appliance.audit.read(DEFAULT_TENANT))
        assert [1, 1] == [lines.count(b"vault.erased"), lines.count(b"vault.restored")]
        assert MAIL.encode() not in lines
