"""Runs at any point, over HTTP."""

from tests.appliance.api.serving import Api


async def test_a_run_is_shown_as_it_was_with_what_the_entry_changed(api: Api) -> None:
    """What a slider needs for one of its places, in one answer."""
    run = await api.run("failing", wait=True)
    path = f"/v1/runs/{run['run_id']}/state"
    failed = (await api.client.get(path, params={"at": "3"})).json()
    assert (3, 4, "step.failed") == (failed["seq"], failed["last_seq"], failed["entry"]["type"])
    assert "running" == failed["run"]["status"]
    expected = {"path": ["steps", "break", "status"], "before": "running", "after": "failed"}
    assert expected in failed["changes"]
    last = (await api.client.get(path)).json()
    assert last["run"] == run
    assert last == (await api.client.get(path, params={"at": last["entry"]["at"]})).json()


async def test_every_point_can_be_shown_and_none_other(api: Api) -> None:
    """A slider meets each of them."""
    run = (await api.run("ask", wait=True))["run_id"]
    last = (await api.client.get(f"/v1/runs/{run}/state")).json()["last_seq"]
    shown = [(await api.client.get(f"/v1/runs/{run}/state?at={seq}")).json() for seq in range(1, last + 1)]
    assert list(range(1, last + 1)) == [each["seq"] for each in shown]
    assert all(each["changes"] for each in shown)
    missing = await api.client.get(f"/v1/runs/{run}/state?at={last + 1}")
    assert (422, "urn:agentflow:problem:run.no_such_point") == (missing.status_code, missing.json()["type"])
    assert 404 == (await api.client.get("/v1/runs/r-none/state")).status_code
