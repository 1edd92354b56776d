"""What the dashboard's panels are told."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.costs.report import BudgetView
from appliance.panels.calls import calls_of
from appliance.panels.spending import alerts_of
from models.gateway import Gateway
from runtime.audit.record import FIRST_PREV, detail_of, row_of
from runtime.domain.audit import AuditEntry, tool_entry
from runtime.domain.chat import EmbedReply, EmbedRequest
from runtime.domain.egress import Destination, Sender
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.memory import Collection, Document, Passage
from tests.appliance.api.serving import Api, open_api
from tests.contracts.test_memory_store import vector

TREE = """
name: woods
agents:
  look: {type: llm, prompt: x, model: {provider: scripted, answers: [hello]}}
planner:
  type: behavior_tree
  definition:
    root: {type: selector, children: [{type: condition, check: "input.ready"}, {type: action, agent: look}]}
"""
SENDER = Sender(run="r-1", agent="say", workflow="echo", step="say")


async def _panel(api: Api, name: str) -> dict[str, Any]:
    answer = await api.client.get(f"/v1/panels/{name}")
    assert 200 == answer.status_code, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def _until_busy(api: Api) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not (agents := (await _panel(api, "agents"))["agents"]) or not agents[0]["working"]:
            await asyncio.sleep(0)
    agent: dict[str, Any] = agents[0]
    return agent


async def test_an_agent_is_idle_busy_or_failing(api: Api) -> None:
    """Health, load and the last failure are what an operator looks for first."""
    await api.run("echo", wait=True)
    await api.run("failing", wait=True)
    by_name = {agent["agent"]: agent for agent in (await _panel(api, "agents"))["agents"]}
    say, broken = by_name["say"], by_name["break"]
    assert ("idle", 1, 0, "") == (say["health"], say["answered"], say["failed"], say["last_error"])
    assert ("failing", 1, "model.broken") == (broken["health"], broken["failed_in_a_row"], broken["last_error"])
    assert say["active_at"] <= broken["active_at"]
    await api.run("slow")
    busy = await _until_busy(api)
    assert ("wait", "busy", 1, 16) == (busy["agent"], busy["health"], busy["working"], busy["limit"])


async def test_attempts_behind_a_bulkhead_are_a_queue(data_folder: Path) -> None:
    """Seventeen attempts at an agent that takes sixteen: one waits."""
    async with open_api(data_folder) as api:
        for _ in range(17):
            await api.run("slow")
        async with asyncio.timeout(60):
            while not (busy := await _until_busy(api))["queued"]:
                await asyncio.sleep(0)
        assert ("queueing", 16, 1) == (busy["health"], busy["working"], busy["queued"])


async def test_a_machine_is_told_with_its_ways(api: Api) -> None:
    """Enough to draw it: what each state does, and where it leads."""
    plan = await _panel(api, "plan/ask")
    assert ("fsm", 1) == (plan["planner"], len(plan["machines"]))
    (machine,) = plan["machines"]
    assert "person" == machine["initial"]
    person, say = machine["nodes"]
    assert ("person", "wait", "resolved") == (person["name"], person["kind"], person["waits_for"])
    assert [{"to": "say", "when": "success"}] == person["leads_to"]
    assert ("say", "agent", []) == (say["name"], say["kind"], say["leads_to"])


async def test_a_tree_is_told_in_the_order_of_its_memory(api: Api) -> None:
    """The letters of `tree.kept` stand for the nodes in this order."""
    answer = await api.client.put("/v1/workflows/woods", content=TREE, headers={"content-type": "application/yaml"})
    assert answer.is_success, answer.text
    (machine,) = (await _panel(api, "plan/woods"))["machines"]
    assert [("selector", 0), ("condition", 1), ("action", 1)] == [
        (node["kind"], node["depth"]) for node in machine["nodes"]
    ]
    assert 404 == (await api.client.get("/v1/panels/plan/nothing")).status_code


@pytest.fixture
async def remembering(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A collection of two documents, and a model that embeds every question as the first one."""

    async def embed(self: Gateway, request: EmbedRequest, **_: object) -> EmbedReply:
        return EmbedReply(vectors=vector(1), dimensions=64, input_tokens=1, backend="b", model="m", fingerprint="f")

    monkeypatch.setattr(Gateway, "embed", embed)
    texts = {"near.md": ("the card was swallowed", vector(1)), "far.md": ("opening hours", vector(0, 1))}
    documents = [
        Document(source=source, digest="1", passages=(Passage(heading=source, text=text, vector=at),))
        for source, (text, at) in texts.items()
    ]
    await api.service.appliance.memory.save(Collection(DEFAULT_TENANT, "help"), documents)
    return api


async def test_memory_is_listed_and_searched_with_reasons(remembering: Api) -> None:
    """Whoever wonders why an agent answered so asks memory the same question."""
    assert {"collections": [{"name": "help", "documents": 2, "passages": 2}]} == await _panel(remembering, "memory")
    found = await _panel(remembering, "memory/search?collection=help&text=swallowed+card")
    near, far = found["passages"]
    assert ("near.md", 1.0, 1.0, 1.1) == (near["source"], near["similarity"], near["words_ratio"], near["score"])
    assert "very near in meaning, the most words in common" == near["why"]
    assert ("far.md", "far in meaning, no telling word in common") == (far["source"], far["why"])
    assert found["confidence"] > 0.9
    refused = await remembering.client.get("/v1/panels/memory/search?collection=halp&text=x")
    assert (404, "known: help") == (refused.status_code, refused.json()["detail"].rpartition("; ")[2])


def _told(*entries: AuditEntry) -> list[Any]:
    lines = [
        row_of(entry.event, "", detail_of(entry, ""), seq=n, at_us=n * 1_000_000, prev=FIRST_PREV)
        for n, entry in enumerate(entries, 1)
    ]
    return calls_of([(line, msgspec.json.decode(line.detail)["entry"]) for line in lines])


def test_the_lines_of_a_passage_are_one_call() -> None:
    """Sent and settled, called and settled: an operator counts calls, not lines."""
    model = Destination("model", "site", "vllm:8000")
    sent = AuditEntry(event="egress.sent", passage="a", sender=SENDER, destination=model, size_bytes=10)
    refused = AuditEntry(event="egress.refused", passage="b", sender=SENDER, destination=model, outcome="egress.zone")
    settled = AuditEntry(
        event="egress.settled", passage="a", sender=SENDER, destination=model, size_bytes=7, outcome="ok", usd_micros=5
    )
    first, second = _told(sent, refused, settled)
    assert ("allowed", "ok", "vllm:8000", 10, 7) == (
        first.verdict,
        first.outcome,
        first.target,
        first.sent_bytes,
        first.received_bytes,
    )
    assert (2_000, 0.000005) == (first.duration_ms, first.cost_usd)
    assert ("refused", "egress.zone", None) == (second.verdict, second.outcome, second.duration_ms)


def test_a_call_of_a_tool_names_it_and_its_profile() -> None:
    """Which tool, under which profile, and how it ended."""
    called = tool_entry("tool.called", "create_ticket", SENDER, passage="a")
    settled = tool_entry("tool.settled", "create_ticket", SENDER, passage="a", profile="sha256:1", outcome="step.x")
    (call,) = _told(called, settled)
    assert ("tool", "create_ticket", "failed", "sha256:1") == (call.kind, call.target, call.verdict, call.policy)


async def test_calls_are_listed_newest_first_and_by_run(api: Api) -> None:
    """What another run did is not in the way of the one that is looked at."""
    log = api.service.appliance.audit
    assert log is not None
    for tool, run in (("one", "r-1"), ("two", "r-2")):
        await log.append(
            tool_entry("tool.called", tool, msgspec.structs.replace(SENDER, run=run), passage=tool, outcome="ok")
        )
    assert ["two", "one"] == [call["target"] for call in (await _panel(api, "calls"))["calls"]]
    assert ["one"] == [call["target"] for call in (await _panel(api, "calls?run=r-1"))["calls"]]


async def test_costs_have_every_hour_and_the_estimates(api: Api) -> None:
    """A sparkline with gaps lies about time; an estimate is only as good as its last comparison."""
    await api.run("echo", wait=True, preflight=True)
    panel = await _panel(api, "costs?since=3h")
    assert 4 == len(panel["hours"])
    (line,) = panel["estimates"]
    assert ("echo", "succeeded") == (line["workflow"], line["status"])
    assert line["tokens_p50"] <= line["tokens_p95"]


def _budget(left: int, limit: int = 100) -> BudgetView:
    fields: dict[str, Any] = {
        "budget": f"{limit} tokens a day",
        "scope": {},
        "run": "",
        "per": "day",
        "is_hard": True,
        "limit_usd_micros": None,
        "limit_tokens": limit,
        "spent_usd_micros": 0,
        "spent_tokens": limit - left,
        "set_aside_usd_micros": 0,
        "set_aside_tokens": 0,
        "left_usd_micros": None,
        "left_tokens": left,
        "renews_at": "2026-01-31T00:00:00.000000Z",
    }
    return BudgetView(**fields)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (20, []),
        (19, ["19% left of 100 tokens a day, which refuses what has no room, renews at 2026-01-31T00:00Z"]),
        (0, ["100 tokens a day is spent and refuses what has no room, renews at 2026-01-31T00:00Z"]),
    ],
)
def test_budgets_near_their_end_are_alerts(left: int, expected: Sequence[str]) -> None:
    """An operator learns of it before the first refusal."""
    assert expected == [alert.message for alert in alerts_of([_budget(left)])]


async def test_what_waits_for_a_person_is_listed(api: Api) -> None:
    """The longest wait first: it is the one that somebody is angry about."""
    first, second = await api.run("ask", wait=True), await api.run("ask", wait=True)
    panel = await _panel(api, "waiting")
    assert [first["run_id"], second["run_id"]] == [wait["run_id"] for wait in panel["waits"]]
    assert ("resolved", "person", None) == tuple(panel["waits"][0][name] for name in ("signal", "step", "until"))
    await api.client.post(f"/v1/runs/{first['run_id']}/signal", json={"name": "resolved", "payload": {"words": "x"}})
    assert [second["run_id"]] == [wait["run_id"] for wait in (await _panel(api, "waiting"))["waits"]]


async def test_runs_are_told_at_a_glance(api: Api) -> None:
    """What a list of ten thousand has no room for is asked for the fifty that are seen."""
    failed, waits = await api.run("failing", wait=True), await api.run("ask", wait=True)
    done = await api.run("echo", wait=True)
    query = "&".join(f"run={run['run_id']}" for run in (failed, waits, done))
    glances = (await _panel(api, f"runs?{query}&run=r-nothing"))["runs"]
    assert [("failed", "break", "model.broken"), ("waiting", "person: resolved", ""), ("succeeded", "say", "")] == [
        (each["status"], each["doing"], each["error"]) for each in glances
    ]
    assert glances[2]["tokens"] > 0
    assert 422 == (await api.client.get("/v1/panels/runs")).status_code
    too_many = "&".join(f"run=r-{number}" for number in range(51))
    assert 422 == (await api.client.get(f"/v1/panels/runs?{too_many}")).status_code
