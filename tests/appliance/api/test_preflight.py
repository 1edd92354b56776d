"""`POST /v1/preflight`, and runs that keep what they were expected to take."""

from pathlib import Path
from typing import Any

from tests.appliance.api.serving import open_api

INPUT = {"text": "hi there"}


async def test_a_preflight_keeps_nothing_and_asks_nobody(data_folder: Path) -> None:
    """Its document is that of `af plan`."""
    async with open_api(data_folder) as api:
        answer = await api.client.post("/v1/preflight", json={"workflow": "echo", "input": INPUT})
        found: dict[str, Any] = answer.json()
        assert (200, "echo", 0) == (answer.status_code, found["workflow"], found["learned_from_runs"])
        assert [("say", True)] == [(step["agent"], step["input_is_exact"]) for step in found["steps"]]
        assert [] == (await api.client.get("/v1/runs")).json()["runs"]
        assert [] == (await api.client.get("/v1/costs")).json()["spending"]


async def test_a_run_is_kept_with_its_estimate_where_that_is_asked(data_folder: Path) -> None:
    """By the request, or for all by the setting."""
    async with open_api(data_folder) as api:
        assert "estimate" not in await api.run("echo", input=INPUT, wait=True)
        run: dict[str, Any] = await api.run("echo", input=INPUT, wait=True, preflight=True)
        assert (1, True) == (run["estimate"]["learned_from_runs"], run["estimate"]["tokens_p50"] > 0)
    async with open_api(data_folder, preflight="always") as api:
        again: dict[str, Any] = await api.run("echo", input=INPUT, wait=True)
        assert 2 == again["estimate"]["learned_from_runs"]
        report = (await api.client.get("/v1/costs?charge_back=true")).json()
        assert [("echo", 2)] == [(each["workflow"], each["runs"]) for each in report["estimates"]]
        assert ["default"] == [bill["tenant"] for bill in report["charge_back"]]


async def test_an_unknown_workflow_or_a_wrong_input_is_told(data_folder: Path) -> None:
    async with open_api(data_folder) as api:
        assert 404 == (await api.client.post("/v1/preflight", json={"workflow": "ecco"})).status_code
        wrong = await api.client.post("/v1/preflight", json={"workflow": "echo", "input": {"text": 1}})
        assert (422, "urn:agentflow:problem:run.input_invalid") == (wrong.status_code, wrong.json()["type"])
