"""Runs taken elsewhere and back, over HTTP: whole, checked, audited, and only looked at."""

from pathlib import Path

from runtime.audit.record import entry_in
from runtime.domain.ids import DEFAULT_TENANT
from tests.appliance.api.serving import Api, open_api


async def _audited(api: Api) -> list[tuple[str, str]]:
    """Exports and imports in the audit log: which, and of which runs."""
    log = api.service.appliance.audit
    assert log is not None
    found = [entry_in(line.detail) for line in await log.read(DEFAULT_TENANT)]
    return [(entry.event, entry.subject) for entry in found if entry.event.startswith("data.")]


async def test_a_run_is_exported_here_and_imported_elsewhere(api: Api, tmp_path: Path) -> None:
    """The journal comes through unchanged, the definition with it; both audit logs say so."""
    run = str((await api.run("failing", wait=True))["run_id"])
    answer = await api.client.post("/v1/exports", json={"runs": [run]})
    assert 200 == answer.status_code, answer.text
    content = answer.json()["content"]
    assert [("data.exported", run)] == await _audited(api)
    async with open_api(tmp_path / "elsewhere") as other:
        taken = (await other.client.post("/v1/imports", json={"content": content})).json()
        assert [(run, "failing", "failed", 4, True)] == [
            (each["run_id"], each["workflow"], each["status"], each["entries"], each["is_new"])
            for each in taken["runs"]
        ]
        assert [("data.imported", run)] == await _audited(other)
        journals = [(await each.client.get(f"/v1/runs/{run}/events")).text for each in (api, other)]
        assert journals[0] == journals[1]
        line = (await other.client.get("/v1/runs")).json()["runs"][0]
        assert ("imported", taken["origin"]) == (line["kind"], line["origin"])
        assert "model.broken" == (await other.client.get(f"/v1/runs/{run}/why")).json()["first"]["code"]
        again = (await other.client.post("/v1/imports", json={"content": content})).json()
        assert [False] == [each["is_new"] for each in again["runs"]]


async def test_what_is_no_whole_file_is_refused(api: Api) -> None:
    """Cut, changed, or something else; nothing of it is kept."""
    run = str((await api.run("echo", wait=True))["run_id"])
    content = (await api.client.post("/v1/exports", json={"runs": [run], "definitions": False})).json()["content"]
    assert '"definition"' not in content.splitlines()[1]
    for bad, code in (
        ("hello", "archive.not_one"),
        (content.replace("hello", "hullo"), "archive.changed"),
        ("".join(content.splitlines(keepends=True)[:-2]), "archive.changed"),
    ):
        answer = await api.client.post("/v1/imports", json={"content": bad})
        assert f"urn:agentflow:problem:{code}" == answer.json()["type"], answer.text
        assert answer.status_code >= 400
    missing = await api.client.post("/v1/exports", json={"runs": ["r-none"]})
    assert (404, "urn:agentflow:problem:run.not_found") == (missing.status_code, missing.json()["type"])
    assert 422 == (await api.client.post("/v1/exports", json={"runs": []})).status_code


async def test_an_imported_run_stays_as_it_came(api: Api, tmp_path: Path) -> None:
    """It is another site's, and has one journal: it is not gone on with here, and nothing later is mixed in."""
    async with open_api(tmp_path / "elsewhere") as other:
        run = str((await other.run("ask", wait=True))["run_id"])
        early = (await other.client.post("/v1/exports", json={"runs": [run]})).json()["content"]
        await other.client.post(f"/v1/runs/{run}/cancel", json={})
        late = (await other.client.post("/v1/exports", json={"runs": [run]})).json()["content"]
    assert 200 == (await api.client.post("/v1/imports", json={"content": early})).status_code
    answer = await api.client.post("/v1/imports", json={"content": late})
    assert (409, "urn:agentflow:problem:archive.other_run") == (answer.status_code, answer.json()["type"])
    refused = await api.client.post(f"/v1/runs/{run}/cancel", json={})
    assert (409, "urn:agentflow:problem:run.imported") == (refused.status_code, refused.json()["type"])
    assert "waiting" == (await api.client.get(f"/v1/runs/{run}")).json()["status"]
