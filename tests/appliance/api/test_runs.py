"""Asking for runs over HTTP and looking after them."""

import asyncio
from collections.abc import Sequence

import pytest

from runtime.domain.ids import RunId
from runtime.domain.journal import Entry
from tests.appliance.api.serving import Api

DOCUMENT = ["run_id", "workflow", "definition_hash", "status", "output", "path", "steps", "usage"]
BAD_BODIES: list[tuple[bytes, int, str, list[str]]] = [
    (b"", 400, "json.malformed", []),
    (b"{", 400, "json.malformed", []),
    (b'{"workflow": NaN}', 400, "json.not_a_number", []),
    (b'{"workflow": "echo", "workflow": "ask"}', 400, "json.duplicate_key", []),
    (b'{"workflow": "\xff"}', 400, "json.not_utf8", []),
    (b'{"workflow": "echo", "\\uD800": 1}', 400, "json.lone_surrogate", []),
    (b'{"workflow": "echo", "input": ' + b"[" * 101 + b"]" * 101 + b"}", 400, "json.too_deep", []),
    (b'{"workflow": "echo", "input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "json.too_deep", []),
    (b"[]", 422, "request.invalid", ["#"]),
    (b"{}", 422, "request.invalid", ["#/workflow"]),
    (b'{"workflow": 7, "wait": "soon", "inptu": {}}', 422, "request.invalid", ["#/inptu", "#/workflow", "#/wait"]),
    (b'{"workflow": "echo", "wait": 601}', 422, "request.invalid", ["#/wait"]),
    (b'{"workflow": "echo", "a/b~c": 1}', 422, "request.invalid", ["#/a~1b~0c"]),
    (b'{"workflow": "echo", "input": {"text": 7}}', 422, "run.input_invalid", []),
    (b'{"workflow": "echo", "input": {"n": 9007199254740993}}', 422, "json.not_canonical", []),
    (b'{"workflow": "nobody"}', 404, "workflow.unknown", []),
    (b'{"workflow": "../../etc/passwd"}', 404, "workflow.unknown", []),
]


async def test_a_run_is_durable_when_the_api_accepts_it(api: Api) -> None:
    """202 is a promise: whoever got it never has to ask again."""
    answer = await api.client.post("/v1/runs", json={"workflow": "echo", "input": {"text": "hi"}})
    assert answer.status_code == 202
    run = answer.json()["run_id"]
    assert answer.headers["location"] == f"/v1/runs/{run}"
    assert (await api.service.store.run(run)).workflow == "echo"


async def test_waiting_answers_with_the_finished_run(api: Api) -> None:
    """One request is enough for a short workflow, and its document is that of `af run --json`."""
    answer = await api.client.post("/v1/runs", json={"workflow": "echo", "input": {"text": "hi"}, "wait": True})
    document = answer.json()
    assert answer.status_code == 200
    assert list(document)[: len(DOCUMENT)] == DOCUMENT
    assert document["status"] == "succeeded"
    assert document["output"] == {"text": "hello"}
    assert document["path"] == ["say"]
    step = document["steps"][0]
    assert (step["step"], step["agent"], step["attempt"], step["result"]) == ("say", "say", 1, {"text": "hello"})
    assert step["evidence"]["backend"] == "model.scripted"
    assert document == (await api.client.get(f"/v1/runs/{document['run_id']}")).json()


async def test_waiting_ends_when_the_time_is_up(api: Api) -> None:
    """A slow run must not hold a connection longer than its caller said."""
    answer = await api.client.post("/v1/runs", json={"workflow": "slow", "wait": 0.01})
    assert answer.status_code == 202
    assert answer.json()["status"] == "running"


async def test_a_failed_run_says_why(api: Api) -> None:
    """The document is all that a caller over HTTP gets to see of a failure."""
    document = await api.run("failing", wait=True)
    assert document["status"] == "failed"
    assert document["error"]["code"] == "model.broken"  # type: ignore[index]
    assert document["steps"][0]["error"]["code"] == "model.broken"  # type: ignore[index]


async def test_a_signal_lets_a_waiting_run_go_on(api: Api) -> None:
    """A person answers through the API; the workflow's own `output:` then shapes the answer."""
    waiting = await api.run("ask", wait=True)
    assert (waiting["status"], waiting["awaiting"]) == ("waiting", ["resolved"])
    path = f"/v1/runs/{waiting['run_id']}"
    answer = await api.client.post(f"{path}/signal", json={"name": "resolved", "payload": {"words": "called"}})
    assert answer.status_code == 200
    await api.service.engine.wait(waiting["run_id"])  # type: ignore[arg-type]
    document = (await api.client.get(path)).json()
    assert (document["status"], document["output"]) == ("succeeded", {"answer": "called"})
    assert document["steps"][0]["agent"] is None


async def test_a_signal_that_nobody_waits_for_is_a_conflict(api: Api) -> None:
    """Dropping it silently would lose somebody's answer."""
    waiting = await api.run("ask", wait=True)
    answer = await api.client.post(f"/v1/runs/{waiting['run_id']}/signal", json={"name": "other"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:agentflow:problem:run.not_awaited")


async def test_cancelling_stops_a_run_once(api: Api) -> None:
    """The second time there is nothing left to cancel, and saying so shows who came first."""
    run = (await api.run("slow"))["run_id"]
    cancelled = await api.client.post(f"/v1/runs/{run}/cancel", json={"reason": "changed my mind"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["error"] == {"code": "run.cancelled", "message": "changed my mind", "retryable": False}
    again = await api.client.post(f"/v1/runs/{run}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "urn:agentflow:problem:run.final")


async def test_runs_are_listed_newest_first_page_by_page(api: Api) -> None:
    """Following `next` to its end meets every run once."""
    runs = [(await api.run("echo", input={"text": str(number)}, wait=True))["run_id"] for number in range(5)]
    seen: list[str] = []
    page = {"next": "/v1/runs?workflow=echo&status=succeeded&status=failed&limit=2"}
    while page["next"]:
        page = (await api.client.get(page["next"])).json()
        seen += [line["run_id"] for line in page["runs"]]
    assert seen == runs[::-1]


async def test_lists_can_be_narrowed(api: Api) -> None:
    """By status and by workflow."""
    await api.run("echo", wait=True)
    failed = await api.run("failing", wait=True)
    for query in ("status=failed", "workflow=failing"):
        lines = (await api.client.get(f"/v1/runs?{query}")).json()["runs"]
        assert [failed["run_id"]] == [line["run_id"] for line in lines]


async def test_a_bad_body_is_answered_with_every_problem(api: Api) -> None:
    """Nothing of a bad request is kept, and its sender need not mend it one error at a time."""
    for body, status, code, pointers in BAD_BODIES:
        answer = await api.client.post("/v1/runs", content=body, headers={"content-type": "application/json"})
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (status, f"urn:agentflow:problem:{code}"), body[:60]
        assert answer.headers["content-type"] == "application/problem+json"
        assert pointers == [error["pointer"] for error in problem.get("errors", [])], body[:60]
    assert [] == await api.service.store.runs()


async def test_a_typing_error_is_answered_with_the_nearest_name(api: Api) -> None:
    """The hint saves a look into the manual."""
    answer = await api.client.post("/v1/runs", json={"workflow": "echo", "inptu": {}})
    assert answer.json()["errors"] == [
        {"detail": "unknown field 'inptu'", "pointer": "#/inptu", "hint": "did you mean 'input'?"}
    ]


async def test_a_form_is_not_taken_for_json(api: Api) -> None:
    """`curl -d` says it sends a form; guessing otherwise would let any web page's form in."""
    answer = await api.client.post(
        "/v1/runs", content=b"{}", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/json"


async def test_a_bad_query_names_its_parameter(api: Api) -> None:
    """A filter that is ignored would show runs that nobody asked for."""
    expected = {
        "limit=0": ["#/limit"],
        "limit=x": ["#/limit"],
        "status=odd": ["#/status/0"],
        "limit=1&limit=2": ["#/limit"],
        "x=1&limit=1001": ["#/x", "#/limit"],
    }
    answers = {query: await api.client.get(f"/v1/runs?{query}") for query in expected}
    assert {422} == {answer.status_code for answer in answers.values()}
    assert expected == {q: [error["pointer"] for error in a.json()["errors"]] for q, a in answers.items()}


async def test_a_run_that_is_not_there_is_404(api: Api) -> None:
    """Not an empty document, and not an error of the server's."""
    for path in ("/v1/runs/r-none", "/v1/runs/r-none/events", "/v1/runs?before=r-none"):
        answer = await api.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path


async def test_a_draining_server_takes_nothing_new(api: Api) -> None:
    """It could not finish it; but what there is may still be looked at."""
    run = (await api.run("echo", wait=True))["run_id"]
    waiting = asyncio.create_task(api.client.post("/v1/runs", json={"workflow": "slow", "wait": True}))
    async with asyncio.timeout(60):
        while not await api.service.store.runs(workflow="slow"):
            await asyncio.sleep(0)
    api.service.drain()
    assert (await waiting).status_code == 202, "who waits is answered at once"
    refused = await api.client.post("/v1/runs", json={"workflow": "echo"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (await api.client.get(f"/v1/runs/{run}")).status_code == 200


async def test_a_run_is_never_shown_ahead_of_its_journal(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has seen a result may act on it; after a crash it must still be there."""
    store, written, asked = api.service.store, asyncio.Event(), asyncio.Event()
    append = store.append

    async def slow_disk(run: RunId, expected_seq: int, entries: Sequence[Entry], **more: str | None) -> int:
        if expected_seq:
            asked.set()
            await written.wait()
        return await append(run, expected_seq, entries, **more)

    monkeypatch.setattr(store, "append", slow_disk)
    run = (await api.run("echo"))["run_id"]
    await asked.wait()
    assert (await api.client.get(f"/v1/runs/{run}")).json()["status"] == "running"
    written.set()
    await api.service.engine.wait(run)  # type: ignore[arg-type]
    assert (await api.client.get(f"/v1/runs/{run}")).json()["status"] == "succeeded"
