"""Storing and showing workflows over HTTP."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from tests.appliance.api.serving import WORKFLOWS, Api

YAML = {"content-type": "application/yaml"}
HELLO = WORKFLOWS["echo"].replace("name: echo", "name: hello")


async def test_a_stored_workflow_can_be_run(api: Api) -> None:
    """201 the first time, 200 after; its hash is its ETag."""
    created = await api.client.put("/v1/workflows/hello", content=HELLO, headers=YAML)
    assert (created.status_code, created.headers["location"]) == (201, "/v1/workflows/hello")
    assert created.headers["etag"] == f'"{created.json()["definition_hash"]}"'
    assert (await api.run("hello", wait=True))["status"] == "succeeded"
    again = await api.client.put("/v1/workflows/hello", content=HELLO, headers=YAML)
    assert (again.status_code, again.headers["etag"]) == (200, created.headers["etag"])


async def test_json_is_taken_as_well(api: Api) -> None:
    """What `GET` shows can be sent back, and is the same definition."""
    shown = (await api.client.get("/v1/workflows/echo")).json()
    sent = await api.client.put("/v1/workflows/echo", content=json.dumps(shown["document"]))
    assert (sent.status_code, sent.json()["definition_hash"]) == (200, shown["definition_hash"])


async def test_a_replaced_workflow_leaves_runs_under_way_alone(api: Api) -> None:
    """They are pinned to the definition that they started with."""
    run = await api.run("ask", wait=True)
    changed = WORKFLOWS["ask"].replace("[hello]", "[bye]")
    assert (await api.client.put("/v1/workflows/ask", content=changed, headers=YAML)).status_code == 200
    path = f"/v1/runs/{run['run_id']}"
    await api.client.post(f"{path}/signal", json={"name": "resolved", "payload": {"words": "x"}})
    await api.service.engine.wait(run["run_id"])  # type: ignore[arg-type]
    document = (await api.client.get(path)).json()
    assert document["definition_hash"] == run["definition_hash"]
    assert document["steps"][-1]["result"] == {"text": "hello"}


async def test_a_bad_document_is_answered_with_every_problem_and_its_line(api: Api) -> None:
    """And what was published before stays as it was."""
    before = (await api.client.get("/v1/workflows/echo")).json()
    wrong = "name: echo\nagentz: {}\nagents:\n  say: {type: llm, modl: x}\n"
    refused = await api.client.put("/v1/workflows/echo", content=wrong, headers=YAML)
    problem = refused.json()
    assert (refused.status_code, problem["type"]) == (422, "urn:agentflow:problem:definition.invalid")
    places = {(error.get("line"), error.get("pointer")) for error in problem["errors"]}
    assert {(2, "#/agentz"), (4, "#/agents/say/modl")} <= places
    assert before == (await api.client.get("/v1/workflows/echo")).json()


async def test_a_document_of_another_name_is_refused(api: Api) -> None:
    """The path and the document must agree on what is replaced."""
    refused = await api.client.put("/v1/workflows/other", content=HELLO, headers=YAML)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:agentflow:problem:workflow.name")


async def test_a_workflow_may_not_reach_for_files(api: Api) -> None:
    """A document that comes over the network has no folder; one that names a file must not get this machine's."""
    document = "name: spy\nagents:\n  read: {type: custom, handler: '../../auth/keys.json:x'}\n"
    refused = await api.client.put("/v1/workflows/spy", content=document, headers=YAML)
    assert refused.status_code == 422


async def test_workflows_are_listed_by_name(api: Api) -> None:
    """Templates and published ones, each with where it comes from."""
    lines = (await api.client.get("/v1/workflows")).json()["workflows"]
    assert [line["name"] for line in lines] == sorted(line["name"] for line in lines)
    assert {"name": "echo", "source": "published"} in lines


async def test_other_kinds_of_bodies_are_refused(api: Api) -> None:
    """415 says which kinds are taken."""
    refused = await api.client.put("/v1/workflows/hello", content=HELLO, headers={"content-type": "text/plain"})
    assert refused.status_code == 415
    assert "application/yaml" in refused.headers["accept"]


async def test_a_workflow_that_is_not_there_is_404(api: Api) -> None:
    """With the names that there are."""
    answer = await api.client.get("/v1/workflows/nobody")
    assert answer.status_code == 404
    assert "echo" in answer.json()["detail"]


async def test_a_project_with_files_is_deployed_on_this_machine_alone(api: Api) -> None:
    """Its code would run here; whoever has a key is not yet whoever may bring code."""
    document = {"name": "own", "agents": {"say": {"type": "llm", "prompt": "Hi.", "model": {"provider": "scripted"}}}}
    plain = await api.client.post("/v1/workflows/own/deploy", json={"document": document})
    assert (200, True) == (plain.status_code, plain.json()["previous_hash"] == "")
    with_code = {
        "name": "own",
        "agents": {"say": {"type": "custom", "handler": "say.py:say"}},
        "files": {"say.py": sha256(b"def say(): ...").hexdigest()},
    }
    brought = {"document": with_code, "files": [b64encode(b"def say(): ...").decode()]}
    for asked in (brought, {"document": with_code}, {"document": document, "files": brought["files"]}):
        refused = await api.client.post("/v1/workflows/own/deploy", json=asked)
        assert (403, True) == (refused.status_code, "workflow.files_from_afar" in refused.text), refused.text
    history = (await api.client.get("/v1/workflows/own/history")).json()
    assert 1 == len(history["published"])


@pytest.mark.parametrize(
    "handler", ["/srv/jobs.py:main", "../../jobs.py:main", "subprocess.py:getoutput", "say.py:say"]
)
async def test_a_project_that_comes_with_a_key_names_no_path(api: Api, handler: str) -> None:
    """A normalised definition is trusted where it was kept; from afar it may point at code that lies here already."""
    reads = {"type": "rag", "memory": {"long_term": {"folder": "/etc"}}}
    for agent in ({"type": "custom", "handler": handler}, reads):
        document = {"name": "spy", "agents": {"say": agent}}
        within = {"name": "spy", "agents": {"inner": {"type": "workflow", "workflow": document}}}
        for each in (document, within):
            refused = await api.client.post("/v1/workflows/spy/deploy", json={"document": each})
            assert 422 == refused.status_code, refused.text
    assert 404 == (await api.client.get("/v1/workflows/spy/history")).status_code


async def test_a_large_project_comes_from_this_machine_alone(api: Api) -> None:
    """With a key a body is no larger than anywhere else, whether it says how long it is or not."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * 2**20

    for content in (b" " * 12 * 2**20, parts()):
        refused = await api.client.post("/v1/workflows/own/deploy", content=content)
        assert 413 == refused.status_code, refused.text
