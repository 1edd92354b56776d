"""Tasks for people over HTTP: the role is the key's, and the same rules hold as at the command line."""

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from appliance.auth.api_keys import ApiKey, KeyRing
from tests.appliance.api.serving import Api, open_api

REVIEW = """\
name: review
agents:
  ask:
    type: human_task
    config:
      assignment_rules: [{role: clerk}, {backup_role: deputy}]
      instructions: "{{ input.text or input.message }}?"
"""


@pytest.fixture
async def api(data_folder: Path) -> AsyncIterator[Api]:
    folder = data_folder / "workflows" / "review"
    folder.mkdir(parents=True)
    (folder / "workflow.yaml").write_text(REVIEW)
    async with open_api(data_folder) as opened:
        ring = opened.service._keys.all  # what `af` would read at its next start
        more = (_key("ann", "clerk"), _key("bob", "clerk"), _key("max", "deputy"), _key("local", ""))
        opened.service._keys = KeyRing((*ring, *more))
        yield opened


def _key(name: str, role: str) -> ApiKey:
    return ApiKey(name, sha256(f"af_{name}".encode()).hexdigest(), "", role)


def _by(api: Api, name: str) -> httpx.AsyncClient:
    return api.client_with({"authorization": f"Bearer af_{name}"})


async def test_keys_take_assign_return_and_answer_as_their_roles_may(api: Api) -> None:
    run = (await api.run("review", input={"text": "Fine"}, wait=10))["run_id"]
    (task,) = (await api.client.get("/v1/human-tasks?role=clerk&status=created")).json()["tasks"]
    assert (f"{run}.ask", "Fine?") == (task["task_id"], task["instructions"])
    where = f"/v1/human-tasks/{run}.ask"
    async with _by(api, "ann") as ann, _by(api, "bob") as bob, _by(api, "max") as superior:
        assert 403 == (await api.client.post(f"{where}/claim", json={})).status_code
        assert "in_progress" == (await ann.post(f"{where}/claim", json={"note": "mine"})).json()["status"]
        taken = await bob.post(f"{where}/claim", json={})
        assert (409, "human.taken") == (taken.status_code, taken.json()["type"].rpartition(":")[2])
        assert "created" == (await ann.post(f"{where}/return", json={})).json()["status"]
        assert "bob" == (await superior.post(f"{where}/assign", json={"person": "bob"})).json()["assignee"]
        behalf = await bob.post(f"{where}/complete", json={"answer": {"decision": "approve"}, "actor": "ann"})
        assert (403, "human.on_behalf") == (behalf.status_code, behalf.json()["type"].rpartition(":")[2])
        async with _by(api, "local") as named_so:  # as the UNIX socket's caller is, which may speak for others
            feigned = await named_so.post(f"{where}/claim", json={"actor": "max", "role": "deputy"})
        assert 403 == feigned.status_code
        wrong = await bob.post(f"{where}/complete", json={"answer": {"decision": "yes"}})
        assert (422, True) == (wrong.status_code, "approve, reject" in wrong.json()["detail"])
        done = (await bob.post(f"{where}/complete", json={"answer": {"decision": "reject"}})).json()
        assert ("completed", "bob", {"decision": "reject"}) == (done["status"], done["decided_by"], done["answer"])
        again = await bob.post(f"{where}/complete", json={"answer": {"decision": "reject"}})
        assert (409, "human.done") == (again.status_code, again.json()["type"].rpartition(":")[2])
    history = (await api.client.get(f"/v1/human-tasks/{run}")).json()["history"]
    assert ["opened", "taken", "returned", "assigned", "completed"] == [each["what"] for each in history]
    assert [] == (await api.client.get("/v1/human-tasks")).json()["tasks"]
    assert 404 == (await api.client.get(f"{where[:-3]}other")).status_code


async def test_whoever_chats_with_a_workflow_is_told_of_its_task(api: Api) -> None:
    """A signal without a decision would be refused."""
    asked = {"model": "workflow:review", "messages": [{"role": "user", "content": "Fine"}]}
    answer = await api.client.post("/v1/chat/completions", json=asked)
    (task,) = (await api.client.get("/v1/human-tasks")).json()["tasks"]
    assert 409 == answer.status_code
    assert answer.json()["error"]["message"].endswith(f"answer it with POST /v1/human-tasks/{task['task_id']}/complete")
