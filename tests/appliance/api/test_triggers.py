"""Triggers over HTTP: requests that start runs, and operators who steer."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from appliance.triggers.desk import Acting, Triggers
from runtime.audit.record import entry_of
from runtime.domain.ids import DEFAULT_TENANT
from runtime.errors import Unavailable
from tests.appliance.api.serving import WORKFLOWS, Api, open_api

SECRET = "correct-horse"
DESK = """\
name: desk
input_schema: {type: object, properties: {text: {type: string}}, required: [text]}
agents:
  say: {type: llm, prompt: "{{ input.text }}", model: {provider: scripted, answers: [hello]}}
output: {given: "{{ input }}"}
triggers:
  - http_endpoint: {path: /chat}
  - http_endpoint: {path: /later, wait: false}
    name: later
    input: {text: "{{ query.q }} {{ headers.x_tone }}"}
  - http_endpoint: {path: /look, method: GET}
    name: look
  - webhook: {path: /push, secret: git-hook, signature: github, events: [push]}
    input: {text: "{{ body.ref }}"}
  - name: slack
    webhook: {path: /slack, secret: git-hook, signature: slack}
  - schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
  - message: {subject: orders.>}
    input: {text: "{{ message.payload.name }}"}
"""


@pytest.fixture
async def api(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    key = tmp_path / "master.key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    monkeypatch.setenv("AGENTFLOW_MASTER_KEY_FILE", str(key))
    monkeypatch.setitem(WORKFLOWS, "desk", DESK)
    async with open_api(data_folder) as opened:
        opened.service.appliance.secrets._required().put(DEFAULT_TENANT, "git-hook", SECRET)
        yield opened


def signed(body: bytes, *, secret: str = SECRET, event: str = "push", id: str = "d-1") -> dict[str, str]:
    made = hmac.digest(secret.encode(), body, sha256).hex()
    return {
        "x-hub-signature-256": f"sha256={made}",
        "x-github-event": event,
        "x-github-delivery": id,
        "content-type": "application/json",
    }


async def listed(api: Api) -> dict[str, dict[str, object]]:
    answer = await api.client.get("/v1/triggers")
    assert 200 == answer.status_code
    return {each["name"]: each for each in answer.json()["triggers"]}


async def test_a_request_starts_a_run_and_gets_its_answer(api: Api) -> None:
    answer = await api.client.post("/hooks/desk/chat", json={"text": "hi"})
    assert (200, "succeeded") == (answer.status_code, answer.json()["status"])
    assert {"given": {"text": "hi"}} == answer.json()["output"]
    told = (await listed(api))["http-endpoint"]
    assert (1, 0, answer.json()["run_id"]) == (told["fired"], told["failed"], told["last_run"])


async def test_a_request_may_be_read_by_a_template_and_not_waited_for(api: Api) -> None:
    answer = await api.client.post("/hooks/desk/later?q=now", headers={"x-tone": "kind", "x-api-key": "k"})
    assert 202 == answer.status_code
    run = (await api.client.get(answer.headers["location"])).json()
    assert run["run_id"] == answer.json()["run_id"]
    shown = (await api.client.get(f"/v1/runs/{run['run_id']}/events")).text
    assert '"text":"now kind"' in shown.replace(": ", ":")


async def test_a_get_request_gives_its_query(api: Api) -> None:
    answer = await api.client.get("/hooks/desk/look?text=hi")
    assert {"given": {"text": "hi"}} == answer.json()["output"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/hooks/desk/nowhere", 404, "trigger.unknown"),
        ("GET", "/hooks/desk/chat", 404, "trigger.unknown"),
        ("POST", "/hooks/echo/chat", 404, "trigger.unknown"),
        ("POST", "/hooks/support/chat", 404, "trigger.unknown"),
        ("POST", "/hooks/desk/chat", 422, "run.input_invalid"),
    ],
)
async def test_what_no_trigger_takes_is_refused(api: Api, method: str, path: str, status: int, code: str) -> None:
    answer = await api.client.request(method, path, json={"txt": 1} if method == "POST" else None)
    assert (status, code) == (answer.status_code, answer.json()["type"].rpartition(":")[2]), answer.text


async def test_an_endpoint_needs_a_key(api: Api) -> None:
    async with api.client_with({}) as stranger:
        answer = await stranger.post("/hooks/desk/chat", json={"text": "hi"})
        assert (401, "Bearer") == (answer.status_code, answer.headers["www-authenticate"].split()[0])
    async with api.client_with({"authorization": "Bearer af_wrong"}) as stranger:
        assert 401 == (await stranger.post("/hooks/desk/chat", json={"text": "hi"})).status_code


async def test_a_signed_request_needs_none_and_starts_one_run_however_often_it_comes(api: Api) -> None:
    body = json.dumps({"ref": "main"}).encode()
    async with api.client_with({}) as sender:
        first = await sender.post("/hooks/desk/push", content=body, headers=signed(body))
        again = await sender.post("/hooks/desk/push", content=body, headers=signed(body))
        other = await sender.post("/hooks/desk/push", content=body, headers=signed(body, id="d-2"))
    assert [202, 202, 202] == [each.status_code for each in (first, again, other)]
    runs = [each.json()["run_id"] for each in (first, again, other)]
    assert runs[0] == runs[1] != runs[2]
    assert 2 == (await listed(api))["webhook"]["fired"]


async def test_what_is_not_signed_starts_nothing_and_learns_nothing(api: Api) -> None:
    body = b'{"ref": "main"}'
    async with api.client_with({}) as sender:
        for headers in (signed(body, secret="another-secret"), {}, signed(b"{}")):
            answer = await sender.post("/hooks/desk/push", content=body, headers=headers)
            assert (403, True) == (answer.status_code, "trigger.signature" in answer.text), answer.text
            assert SECRET not in answer.text
    assert 0 == (await listed(api))["webhook"]["fired"]


async def test_other_events_are_answered_and_start_nothing(api: Api) -> None:
    body = b'{"ref": "main"}'
    async with api.client_with({}) as sender:
        answer = await sender.post("/hooks/desk/push", content=body, headers=signed(body, event="ping"))
    assert (200, "ignored") == (answer.status_code, answer.json()["status"])


async def test_the_challenge_of_slack_is_answered(api: Api) -> None:
    body = b'{"type": "url_verification", "challenge": "c-1"}'
    at = str(api.service.appliance.clock.now_us() // 1_000_000)
    made = hmac.digest(SECRET.encode(), b"v0:" + at.encode() + b":" + body, sha256).hex()
    headers = {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={made}", "content-type": "application/json"}
    async with api.client_with({}) as sender:
        answer = await sender.post("/hooks/desk/slack", content=body, headers=headers)
    assert (200, {"challenge": "c-1"}) == (answer.status_code, answer.json())


async def test_a_form_and_json_that_says_it_is_one_are_read(api: Api) -> None:
    form = await api.client.post("/hooks/desk/chat", data={"text": "hi"})
    curl = await api.client.post(
        "/hooks/desk/chat", content=b'{"text": "hi"}', headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert [200, 200] == [form.status_code, curl.status_code]
    assert form.json()["output"] == curl.json()["output"]
    binary = await api.client.post("/hooks/desk/chat", content=b"x", headers={"content-type": "image/png"})
    broken = await api.client.post("/hooks/desk/chat", content=b"{", headers={"content-type": "application/json"})
    assert [415, 400] == [binary.status_code, broken.status_code]


async def test_a_paused_trigger_takes_nothing_until_it_goes_on(api: Api) -> None:
    paused = await api.client.post("/v1/triggers/desk/http-endpoint/pause", json={})
    assert (200, True) == (paused.status_code, paused.json()["is_paused"])
    assert 503 == (await api.client.post("/hooks/desk/chat", json={"text": "hi"})).status_code
    by_hand = await api.client.post("/v1/triggers/desk/http-endpoint/fire", json={"input": {"text": "x"}})
    assert 202 == by_hand.status_code
    resumed = await api.client.post("/v1/triggers/desk/http-endpoint/resume", json={})
    assert (200, False) == (resumed.status_code, resumed.json()["is_paused"])
    assert 200 == (await api.client.post("/hooks/desk/chat", json={"text": "hi"})).status_code
    assert 404 == (await api.client.post("/v1/triggers/desk/nothing/pause", json={})).status_code


async def test_a_schedule_says_when_it_is_due_and_a_paused_one_does_not(api: Api) -> None:
    assert str((await listed(api))["schedule"]["next_at"]).endswith(":00:00.000000Z")
    await api.client.post("/v1/triggers/desk/schedule/pause", json={})
    assert (await listed(api))["schedule"]["next_at"] is None


async def test_a_message_starts_a_run_and_a_new_definition_takes_over(api: Api) -> None:
    async def started(name: str) -> None:
        await api.client.post("/v1/bus/messages", json={"subject": "orders.created", "payload": {"name": name}})
        async with asyncio.timeout(30):
            while (await listed(api))["message"]["fired"] != int(name):
                await asyncio.sleep(0)

    await started("1")
    put = await api.client.put(
        "/v1/workflows/desk",
        content=DESK.replace("path: /chat", "path: /talk").encode(),
        headers={"content-type": "application/yaml"},
    )
    assert put.is_success, put.text
    await started("2")
    assert 404 == (await api.client.post("/hooks/desk/chat", json={"text": "hi"})).status_code
    assert 200 == (await api.client.post("/hooks/desk/talk", json={"text": "hi"})).status_code


async def test_the_journal_and_the_audit_log_say_who_asked(api: Api) -> None:
    body = b'{"ref": "main"}'
    async with api.client_with({}) as sender:
        run = (await sender.post("/hooks/desk/push", content=body, headers=signed(body))).json()["run_id"]
    rows = await api.service.store.read(run, limit=1)
    assert b'"trigger:webhook"' in rows[0].data
    await api.client.post("/v1/triggers/desk/schedule/pause", json={})
    assert api.service.appliance.audit is not None
    lines = await api.service.appliance.audit.newest(DEFAULT_TENANT, 20)
    assert any(b'"trigger.paused"' in line.record and b'"desk/schedule"' in line.record + line.detail for line in lines)


async def test_a_body_is_not_read_before_its_sender_is_known(api: Api) -> None:
    """Parsing costs, and what is wrong with a body is nothing for strangers; nor whether a trigger is paused."""
    await api.client.post("/v1/triggers/desk/webhook/pause", json={})
    async with api.client_with({"content-type": "application/json"}) as stranger:
        hook = await stranger.post("/hooks/desk/push", content=b"{")
        endpoint = await stranger.post("/hooks/desk/chat", content=b"{")
    assert [403, 401] == [hook.status_code, endpoint.status_code]
    assert "webhook is paused" not in hook.text
    body = b'{"ref": "main"}'
    assert 503 == (await api.client.post("/hooks/desk/push", content=body, headers=signed(body))).status_code


async def test_unsigned_requests_are_counted_and_one_line_of_the_audit_log_tells_of_them(api: Api) -> None:
    async with api.client_with({}) as stranger:
        for _ in range(3):
            assert 403 == (await stranger.post("/hooks/desk/push", content=b"{}")).status_code
    counts = api.service.triggers.counts()
    assert {("desk", "webhook", "webhook", "refused"): 3} == {each: count for each, count in counts.items() if count}
    assert 0 == counts["desk", "schedule", "schedule", "failed"]
    assert "agentflow_triggered_total{" in (await api.client.get("/metrics")).text
    await asyncio.gather(*api.service._telling)
    assert api.service.appliance.audit is not None
    lines = map(entry_of, await api.service.appliance.audit.read(DEFAULT_TENANT))
    refused = [line for line in lines if line.event == "webhook.refused"]
    assert [("desk/webhook", "trigger.signature", {"requests": 1})] == [
        (line.subject, line.outcome, line.found) for line in refused
    ]
    told = (await listed(api))["webhook"]
    assert (0, "") == (told["failed"], told["last_error"])


async def test_a_secret_that_is_not_there_is_told_to_operators_alone(api: Api) -> None:
    api.service.appliance.secrets._required().remove(DEFAULT_TENANT, "git-hook")
    body = b"{}"
    async with api.client_with({}) as sender:
        answer = await sender.post("/hooks/desk/push", content=body, headers=signed(body))
    assert (403, False) == (answer.status_code, "git-hook" in answer.text)
    assert "'git-hook'" in str((await listed(api))["webhook"]["last_error"])


async def test_a_request_that_comes_again_finds_its_run_under_a_new_definition(api: Api) -> None:
    """A sender that tries again has not asked for another thing because the operator has changed the input."""
    body = b'{"ref": "main"}'
    first = await api.client.post("/hooks/desk/push", content=body, headers=signed(body))
    await api.client.put(
        "/v1/workflows/desk",
        content=DESK.replace("{{ body.ref }}", "on {{ body.ref }}").encode(),
        headers={"content-type": "application/yaml"},
    )
    await listed(api)
    again = await api.client.post("/hooks/desk/push", content=body, headers=signed(body))
    assert (202, first.json()["run_id"]) == (again.status_code, again.json().get("run_id")), again.text


async def test_what_keeps_a_trigger_from_acting_is_told_and_tried_again(api: Api) -> None:
    """One odd file must not end what looks into its folder until somebody restarts the server."""
    times = 0
    is_at_work = asyncio.Event()

    async def watch(acting: Acting) -> None:
        nonlocal times
        if acting.each.trigger.name != "schedule":
            return
        times += 1
        if times < 3:
            raise OSError("odd") if times == 1 else Unavailable("trigger.folder", "it is not there")
        is_at_work.set()

    desk = Triggers(api.service.appliance, api.service.submissions, watch, try_again_us=1)
    await desk.start()
    async with asyncio.timeout(30):
        await is_at_work.wait()
    await desk.stop()
    told = (await listed(api))["schedule"]
    assert (2, "trigger.folder: it is not there") == (told["failed"], told["last_error"])


async def test_a_trigger_that_is_gone_is_forgotten_and_begins_anew(api: Api) -> None:
    """Its consumer would hold the bus's messages for ever, and its times would be made up for in a year."""
    triggers, states = api.service.triggers, api.service.appliance.store.triggers
    async with asyncio.timeout(30):
        while not api.service.appliance.bus_desk.bus.counts():
            await asyncio.sleep(0)
    await api.client.post("/v1/triggers/desk/webhook/pause", json={})
    gone = await triggers.forget()
    assert frozenset() == gone
    await put(api, DESK[: DESK.index("triggers:")])
    await triggers.refresh()
    gone = await triggers.forget(gone)
    assert {("desk", "message"), ("desk", "schedule"), ("desk", "webhook")} == gone
    assert 3 == len(await states.all()), "it may be away for a moment, as while a folder is replaced"
    await triggers.forget(gone)
    assert ([], []) == ([*await states.all()], [*await api.service.appliance.bus_desk.bus.consumers()])


async def test_what_is_remembered_outlives_a_definition_that_cannot_be_read(api: Api, data_folder: Path) -> None:
    file = data_folder / "workflows" / "lost" / "workflow.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(DESK.replace("name: desk", "name: lost"))
    paused = await api.client.post("/v1/triggers/lost/webhook/pause", json={})
    assert 200 == paused.status_code
    file.write_text("agents: [")
    await api.service.triggers.refresh()
    assert frozenset() == await api.service.triggers.forget()


async def test_a_schedule_with_other_times_begins_with_the_next(api: Api) -> None:
    """Not with one that passed before it was written."""
    states, now_us = api.service.appliance.store.triggers, api.service.appliance.clock.now_us()
    await states.move("desk", "schedule", now_us - 5 * 3_600_000_000)
    await put(api, DESK.replace("0 3 * * *", "0 * * * *"))
    await listed(api)
    assert now_us <= (await states.one("desk", "schedule")).cursor_us


async def put(api: Api, document: str) -> None:
    """Publish the workflow anew."""
    headers = {"content-type": "application/yaml"}
    assert (await api.client.put("/v1/workflows/desk", content=document.encode(), headers=headers)).is_success


async def test_a_request_that_comes_twice_at_once_starts_one_run(api: Api) -> None:
    """Senders lose patience, and try again while the first is on its way to the disk."""
    body = b'{"ref": "main"}'
    answers = await asyncio.gather(
        *(api.client.post("/hooks/desk/push", content=body, headers=signed(body)) for _ in range(5))
    )
    assert [202] * 5 == [answer.status_code for answer in answers]
    assert 1 == len({answer.json()["run_id"] for answer in answers})


async def test_a_client_cannot_take_the_key_of_a_trigger(api: Api) -> None:
    """Who may start a run could have the next night's left out, otherwise."""
    body = b'{"ref": "main"}'
    key = {"idempotency-key": "trigger/desk/webhook/d-1"}
    taken = await api.client.post("/v1/runs", json={"workflow": "echo", "input": {}}, headers=key)
    assert 202 == taken.status_code
    answer = await api.client.post("/hooks/desk/push", content=body, headers=signed(body))
    assert (202, "desk") == (answer.status_code, answer.json()["workflow"])
