"""Runs are moved over HTTP as on the command line."""

import json

from tests.appliance.api.serving import Api


async def test_a_run_is_moved_to_a_published_version(api: Api) -> None:
    """With the changes said; a second time is a conflict that says why."""
    run = (await api.run("ask", wait=True))["run_id"]
    shown = (await api.client.get("/v1/workflows/ask")).json()
    document = {**shown["document"], "description": "another version"}
    published = await api.client.put("/v1/workflows/ask", content=json.dumps(document))
    definition = published.json()["definition_hash"]
    path = f"/v1/runs/{run}/migrate"
    dry = await api.client.post(path, json={"definition": definition, "dry_run": True})
    assert (200, definition, []) == (dry.status_code, dry.json()["definition"], dry.json()["refusals"])
    assert shown["definition_hash"] == (await api.client.get(f"/v1/runs/{run}")).json()["definition_hash"]
    assert 200 == (await api.client.post(path, json={"definition": "ask"})).status_code
    assert definition == (await api.client.get(f"/v1/runs/{run}")).json()["definition_hash"]
    again = await api.client.post(path, json={"definition": definition})
    assert (409, "urn:agentflow:problem:run.not_migrated") == (again.status_code, again.json()["type"])
    unknown = await api.client.post(path, json={"definition": "no-such"})
    assert 404 == unknown.status_code
