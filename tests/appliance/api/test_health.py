"""Probes and metrics."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from appliance.api.gate import METHODS
from runtime.domain.ids import RunId, StepId
from tests.appliance.api.serving import Api


async def test_readiness_follows_the_phase(api: Api) -> None:
    """A balancer must send nothing to a server that starts or drains, and must not restart it either."""
    phases = {}
    for phase in ("starting", "ready", "draining"):
        api.service.lifecycle.phase = phase
        phases[phase] = [(await api.client.get(path)).status_code for path in ("/readyz", "/healthz", "/v1/runs")]
    assert phases == {"starting": [503, 200, 503], "ready": [200, 200, 200], "draining": [503, 200, 200]}


async def test_the_page_of_numbers_is_clean(api: Api) -> None:
    """What `promtool check metrics` asks for: a meaning for each, base units, `_total` on counters alone."""
    await api.run("echo", wait=True)
    families = list(text_string_to_metric_families((await api.client.get("/metrics")).text))
    own = [family for family in families if family.name.startswith("agentflow_")]
    assert own
    for family in own:
        assert family.documentation.endswith("."), family.name
        assert not family.name.endswith(("_ms", "_milliseconds", "_percent"))
        is_counter = family.type == "counter"
        assert all(sample.name.endswith("_total") is is_counter for sample in family.samples), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


async def test_runs_are_counted_from_their_journal(api: Api) -> None:
    """Tokens and outcomes are those that the journal holds."""
    await api.run("echo", wait=True)
    await api.run("failing", wait=True)
    async with asyncio.timeout(60):  # the projection follows the journal at its own pace
        while ("agentflow_runs_finished_total", "failed,failing") not in (numbers := await _numbers(api)):
            await asyncio.sleep(0)
    assert numbers["agentflow_runs_started_total", "echo"] == 1
    assert numbers["agentflow_runs_finished_total", "succeeded,echo"] == 1
    assert numbers["agentflow_runs_finished_total", "failed,failing"] == 1
    assert numbers["agentflow_steps_total", "failed,failing"] == 1
    assert numbers["agentflow_run_duration_seconds_count", "echo"] == 1
    assert numbers["agentflow_model_tokens_total", "output"] > 0


async def test_a_run_does_not_make_a_series_of_its_own(api: Api) -> None:
    """A label per run, path or made-up method would grow without bound."""
    for number in range(3):
        await api.client.get(f"/v1/runs/r-{number}")
        await api.client.request(f"MADE{number}UP", "/v1/runs")
    routes = {labels for name, labels in await _numbers(api) if name == "agentflow_http_requests_total"}
    assert {"GET,/v1/runs/{run_id},404", "other,(none),405"} == routes
    assert "TRACE" not in METHODS


async def test_what_waits_for_people_is_counted_with_the_age_of_the_oldest(api: Api) -> None:
    """So that a task that nobody takes raises an alert; what was answered waits no longer."""
    engine = api.service.engine
    runs = [RunId(str((await api.run("ask"))["run_id"])) for _ in range(2)]
    for run in runs:
        await engine.wait(run)
    opened_us = (await engine.state(runs[0])).steps[StepId("person")].scheduled_us
    page = await _numbers(api)
    assert 2 == page["agentflow_human_tasks_waiting", "default,ask"]
    at_most_s = (api.service.appliance.clock.now_us() - opened_us) / 1e6
    assert 0 <= page["agentflow_human_task_oldest_seconds", "default,ask"] <= at_most_s
    for run in runs:
        await engine.signal(run, "resolved", {"words": "x"})
        await engine.wait(run)
    assert not [name for name, _ in await _numbers(api) if "human" in name]


async def _numbers(api: Api) -> dict[tuple[str, str], float]:
    page = (await api.client.get("/metrics")).text
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
