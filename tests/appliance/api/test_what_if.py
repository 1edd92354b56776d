"""What-ifs and comparisons over HTTP."""

import asyncio

from tests.appliance.api.serving import Api


async def test_a_what_if_is_a_run_of_its_own_that_says_so(api: Api) -> None:
    """It is found under its id, and a list has it only when it is asked for."""
    run = (await api.run("failing", wait=True))["run_id"]
    asked = {"suppose": {"set": {"break.result.text": "mended"}}, "wait": True}
    answer = await api.client.post(f"/v1/runs/{run}/what-if", json=asked)
    document = answer.json()
    assert (200, "succeeded", {"text": "mended"}) == (answer.status_code, document["status"], document["output"])
    assert (run, 3, "live") == tuple(document["what_if"][key] for key in ("run_id", "at", "answers"))
    assert answer.headers["location"] == f"/v1/runs/{document['run_id']}"
    listed = [line["run_id"] for line in (await api.client.get("/v1/runs")).json()["runs"]]
    assert [run] == listed
    lines = (await api.client.get("/v1/runs?kind=what_if")).json()["runs"]
    assert [(document["run_id"], "what_if", run)] == [(each["run_id"], each["kind"], each["origin"]) for each in lines]
    async with asyncio.timeout(60):
        while 'workflow="what-if/failing"' not in (await api.client.get("/metrics")).text:
            await asyncio.sleep(0.01)  # the journal is followed


async def test_two_runs_are_held_beside_each_other(api: Api) -> None:
    """Where they part, and what came of it."""
    left, right = [(await api.run("echo", input={"text": text}, wait=True))["run_id"] for text in ("a", "b")]
    found = (await api.client.get(f"/v1/runs/{left}/compare?other={right}")).json()
    assert (left, right, False) == (found["left"]["run_id"], found["right"]["run_id"], found["is_equal"])
    assert {"left_seq": 1, "right_seq": 1, "left": "run.started", "right": "run.started"} == found["parting"]
    assert [{"path": ["text"], "before": "a", "after": "b"}] == found["input_changes"]
    assert 404 == (await api.client.get(f"/v1/runs/{left}/compare?other=r-none")).status_code


async def test_what_cannot_be_supposed_is_refused(api: Api) -> None:
    """With the code that the manual explains."""
    run = (await api.run("failing", wait=True))["run_id"]
    for body, status, code in (
        ({}, 202, ""),
        ({"suppose": {"at": 4}}, 422, "what_if.nothing"),
        ({"suppose": {"set": {"nobody.result": 1}}}, 422, "what_if.change"),
        ({"suppose": {"models": {"nobody": "x"}}}, 404, "what_if.no_such_model"),
        ({"suppose": {"script": {"break": "S"}}}, 422, "what_if.script"),
        ({"suppose": {"definition": "nothing"}}, 404, "workflow.unknown"),
        ({"suppose": {"when": 4}}, 422, "request.invalid"),
    ):
        answer = await api.client.post(f"/v1/runs/{run}/what-if", json=body)
        assert (status, code) == (answer.status_code, answer.json().get("type", "").rpartition(":")[2]), body
