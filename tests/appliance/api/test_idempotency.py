"""The Idempotency-Key header: a request that is sent again starts nothing again."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.api.idempotency import Submissions, key_of
from appliance.auth.callers import LOCAL_CALLER
from runtime.errors import Conflict, Invalid
from tests.appliance.api.serving import Api, open_api

BODY = {"workflow": "echo", "input": {"text": "hi", "n": 1}}


async def test_fifty_at_once_start_one_run(api: Api) -> None:
    """A client that retries in a panic must not open fifty tickets."""
    headers = {"idempotency-key": "k-1"}
    answers = await asyncio.gather(*(api.client.post("/v1/runs", json=BODY, headers=headers) for _ in range(50)))
    assert {202, 409} >= {answer.status_code for answer in answers}
    assert len({answer.json()["run_id"] for answer in answers if answer.status_code == 202}) == 1
    assert len(await api.service.store.runs()) == 1
    late = await api.client.post("/v1/runs", json=BODY, headers=headers)
    assert (late.status_code, late.headers["idempotency-replayed"]) == (202, "true")


async def test_whoever_comes_while_the_first_is_under_way_is_told_so(api: Api) -> None:
    """409, as the draft has it: there is no run yet to point at."""
    submissions = Submissions(api.service.appliance)
    workflow = await api.service.appliance.workflows.find("echo")
    first = asyncio.create_task(submissions.submit(workflow, {}, LOCAL_CALLER, "k"))
    await asyncio.sleep(0)
    with pytest.raises(Conflict) as refused:
        await submissions.submit(workflow, {}, LOCAL_CALLER, "k")
    assert refused.value.code == "idempotency.in_flight"
    assert not (await first).is_replay
    assert (await submissions.submit(workflow, {}, LOCAL_CALLER, "k")).is_replay


async def test_a_replay_shows_the_run_as_it_is_by_now(api: Api) -> None:
    """Whoever lost the first answer wants to know what became of the run, however the JSON is spelled this time."""
    headers = {"idempotency-key": '"k-2"', "content-type": "application/json"}
    first = await api.client.post("/v1/runs", json=BODY, headers=headers)
    await api.service.engine.wait(first.json()["run_id"])
    spelled = b'{"wait": true, "input": {"n": 1.0, "text": "\\u0068i"}, "workflow": "echo"}'
    second = await api.client.post("/v1/runs", content=spelled, headers=headers | {"idempotency-key": "k-2"})
    assert (second.status_code, second.json()["status"]) == (200, "succeeded")
    assert first.json()["run_id"] == second.json()["run_id"]


@pytest.mark.parametrize("other", [BODY | {"input": {"text": "bye"}}, BODY | {"workflow": "failing"}])
async def test_a_key_cannot_be_used_for_another_request(api: Api, other: dict[str, object]) -> None:
    """Answering with the first run would hide that the second request was never heard."""
    headers = {"idempotency-key": "k-3"}
    first = await api.client.post("/v1/runs", json=BODY, headers=headers)
    refused = await api.client.post("/v1/runs", json=other, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:agentflow:problem:idempotency.key_reused")
    assert first.json()["run_id"] in refused.json()["detail"]


async def test_a_refused_request_does_not_use_up_its_key(api: Api) -> None:
    """The same key must do once the input has been mended."""
    headers = {"idempotency-key": "k-4"}
    wrong = await api.client.post("/v1/runs", json=BODY | {"input": {"text": 7}}, headers=headers)
    right = await api.client.post("/v1/runs", json=BODY, headers=headers)
    assert (wrong.status_code, right.status_code) == (422, 202)


async def test_a_key_holds_across_a_restart(data_folder: Path) -> None:
    """The client cannot know that the server crashed in between."""
    runs = []
    for _ in range(2):
        async with open_api(data_folder) as api:
            answer = await api.client.post("/v1/runs", json=BODY, headers={"idempotency-key": "k-5"})
            runs.append(answer.json()["run_id"])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("header", ["", " ", "ä", "a" * 256, "a\tb", " a"])
def test_a_key_that_could_be_mangled_is_refused(header: str) -> None:
    """Proxies trim and recode such values; the key would not be the same twice."""
    with pytest.raises(Invalid):
        key_of(header)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=253))
def test_quotes_around_a_key_do_not_change_it(key: str) -> None:
    """The draft writes keys as quoted strings; everybody else does not."""
    assert key_of(f'"{key}"') == key
