"""Budgets at the door, end to end: a real server at loopback that charges, and clients that ask through the API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.config.costs import BudgetLine
from appliance.config.settings import ModelSettings
from models.servers import ModelServer
from runtime.domain.ids import DEFAULT_TENANT
from tests.appliance.api.serving import Api, open_api
from tests.models.stand_in import Play, StandIn, reply, send, stand_in, well

PRICES = {"vllm/*": {"input_per_1k": "0.001", "output_per_1k": "0.002"}}  # 1 and 2 micro-dollars a token
QUESTION = {
    "model": "vllm/llama3",
    "max_tokens": 5,
    "temperature": 1,  # at 0, equal questions at the same time are asked once
    "messages": [{"role": "user", "content": "hello"}],
}
BOUND = 64 + 8 + 5 + 2 * 5
DEAR = """
name: dear
agents:
  say: {type: llm, prompt: hello, model: {provider: vllm, name: llama3, max_tokens: 5}, retry: {max_attempts: 1}}
"""
COST = 7 + 2 * 2
"""What the stand-in says it took: 7 tokens in, 2 out."""


@asynccontextmanager
async def paid(data: Path, *, play: Play | None = None, **budget: object) -> AsyncIterator[tuple[Api, StandIn]]:
    """The API with a server that costs money, and one budget."""
    async with stand_in(play) as server:
        backend = ModelServer(name="vllm", url=server.url, models=("llama3",), at_once=64)
        limits = (msgspec.convert(budget, BudgetLine),) if budget else ()
        async with open_api(data, prices=PRICES, budgets=limits, models=ModelSettings(backends=(backend,))) as api:
            yield api, server


async def costs(api: Api, query: str = "") -> dict[str, Any]:
    answer = await api.client.get(f"/v1/costs{query}")
    assert 200 == answer.status_code, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_call_that_has_no_room_is_refused_and_never_sent(data_folder: Path) -> None:
    """403, with the budget, what is left and when it renews; the server hears nothing."""
    limit = (BOUND + COST - 1) / 10**6
    async with paid(data_folder, scope={"tenant": "*"}, per="day", usd=f"{limit:f}") as (api, server):
        assert 200 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        refused = await api.client.post("/v1/chat/completions", json=QUESTION)
        assert (403, 1) == (refused.status_code, len(server.asked))
        error = refused.json()["error"]
        assert ("budget.exceeded", "permission_error") == (error["code"], error["type"])
        assert "0.000097 USD a day of tenant 'default', 0.000086 USD is left" in error["message"]
        assert "UTC, when it renews" in error["message"]
        assert [("egress.refused", "budget.exceeded")] == [
            (line["event"], line["outcome"])
            for line in (await api.client.get("/v1/egress?event=egress.refused")).json()["lines"]
        ]


async def test_two_hundred_clients_with_room_for_a_hundred_never_overspend(data_folder: Path) -> None:
    """Issue 4's own test, through the whole program; the stand-in keeps the bill."""
    limit = 100 * COST
    async with paid(data_folder, per="month", usd=f"{limit / 10**6:f}") as (api, server):
        asked = (api.client.post("/v1/chat/completions", json=QUESTION) for _ in range(200))
        statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert {200, 403} == set(statuses)
        billed = COST * len(server.asked)
        assert statuses.count(200) == len(server.asked)
        assert billed <= limit
        while (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code == 200:
            pass
        assert limit - BOUND < COST * len(server.asked) <= limit, "used up, as far as a bound fits"
        assert COST * len(server.asked) == (await costs(api))["total"]["cost_usd_micros"]


async def test_a_server_that_lies_about_its_usage_is_billed_the_bound(data_folder: Path) -> None:
    """Numbers that no database takes, and negative ones."""

    async def lie(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        used = (
            {"prompt_tokens": 10**18, "completion_tokens": 10**18} if len(server.asked) % 2 else {"prompt_tokens": -1}
        )
        message = {"role": "assistant", "content": "Hello."}
        choice = {"finish_reason": "stop", "index": 0, "message": message}
        reply(writer, {"choices": [choice], "usage": used, "model": body["model"], "id": "x", "created": 1})

    async with paid(data_folder, play=lie, per="day", usd="1") as (api, _):
        for _ in range(2):
            await api.client.post("/v1/chat/completions", json=QUESTION)
        report = await costs(api)
        assert 0 < report["total"]["cost_usd_micros"] <= 2 * BOUND
        assert report["budgets"][0]["left_usd_micros"] == 10**6 - report["total"]["cost_usd_micros"]


async def test_a_stream_is_settled_at_its_end(data_folder: Path) -> None:
    """With what its last chunk says."""
    async with paid(data_folder, per="day", usd="1") as (api, _):
        answer = await api.client.post("/v1/chat/completions", json={**QUESTION, "stream": True})
        assert "[DONE]" in answer.text
        report = await costs(api)
        assert (COST, 0) == (report["total"]["cost_usd_micros"], report["budgets"][0]["set_aside_usd_micros"])


async def test_a_call_that_is_broken_off_counts_as_its_bound(data_folder: Path) -> None:
    """The server may charge for what it was asked, whoever hung up."""

    async def break_off(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        send(
            writer,
            b'data: {"choices": [{"index": 0, "delta": {"content": "Once "}}]}\n\n',
            media_type="text/event-stream",
        )

    async with paid(data_folder, play=break_off, per="day", usd="1") as (api, _):
        await api.client.post("/v1/chat/completions", json={**QUESTION, "stream": True})
        report = await costs(api)
        assert (BOUND, 0) == (report["total"]["cost_usd_micros"], report["budgets"][0]["set_aside_usd_micros"])


async def test_a_call_that_is_turned_away_costs_nothing(data_folder: Path) -> None:
    """A busy server worked on nothing."""

    async def busy(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        reply(writer, {"error": {"message": "busy"}}, status=429)

    async with paid(data_folder, play=busy, per="day", usd="1") as (api, _):
        assert 503 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        assert 0 == (await costs(api))["total"]["calls"]


async def test_what_is_under_way_is_set_aside_and_a_client_that_is_cancelled_settles(data_folder: Path) -> None:
    """Its line is closed; nothing stays open."""
    asked, answers = asyncio.Event(), asyncio.Event()

    async def hang(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answers.wait()
        await well(server, path, body, writer)

    async with paid(data_folder, play=hang, per="day", usd="1") as (api, _):
        calling = asyncio.ensure_future(api.client.post("/v1/chat/completions", json=QUESTION))
        await asked.wait()
        assert BOUND == (await costs(api))["budgets"][0]["set_aside_usd_micros"]
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        budgets = api.service.appliance.spending.budgets
        assert budgets is not None
        await budgets.stop()
        report = await costs(api)
        assert (BOUND, 0) == (report["total"]["cost_usd_micros"], report["budgets"][0]["set_aside_usd_micros"])


async def test_costs_are_added_up_by_what_is_asked_for(data_folder: Path) -> None:
    """Free calls of local models too, at once."""
    async with paid(data_folder) as (api, _):
        await api.client.post("/v1/chat/completions", json=QUESTION)
        await api.run("echo", input={"text": "hi"}, wait=True)
        by_model = await costs(api, "?since=today")
        assert {"vllm/llama3": COST, "scripted/scripted": 0} == {
            line["name"]: line["cost_usd_micros"] for line in by_model["spending"]
        }
        by_workflow = await costs(api, "?by=workflow")
        assert {"echo", ""} == {line["name"] for line in by_workflow["spending"]}
        assert [] == (await costs(api, "?by=tool"))["spending"]
        assert [] == by_model["budgets"]


async def test_a_period_that_is_none_is_named(data_folder: Path) -> None:
    async with paid(data_folder) as (api, _):
        answer = await api.client.get("/v1/costs?since=yesteryear")
        assert (422, "urn:agentflow:problem:costs.since") == (answer.status_code, answer.json()["type"])
        assert "7d" in answer.json()["detail"]
        assert 422 == (await api.client.get("/v1/costs?by=colour")).status_code


async def test_a_soft_budget_lets_pass_and_leaves_a_line_in_the_audit_log(data_folder: Path) -> None:
    """Once."""
    async with paid(data_folder, scope={"model": "*"}, per="day", usd="0", hard=False) as (api, _):
        for _ in range(2):
            assert 200 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        audit = api.service.appliance.audit
        assert audit is not None
        entries = [json.loads(line.detail)["entry"] for line in await audit.newest(DEFAULT_TENANT, 100)]
        warned = [entry["outcome"] for entry in entries if entry["event"] == "budget.warned"]
        assert ["0 USD a day of model 'vllm/llama3'"] == warned


@pytest.mark.parametrize(
    ("is_hard", "status", "subject"), [(False, 200, "budgets.warned"), (True, 403, "budgets.exceeded")]
)
async def test_a_budget_that_is_gone_over_is_an_alert_on_the_bus(
    data_folder: Path, is_hard: bool, status: int, subject: str
) -> None:
    """Once for each name and period, so that a program that subscribes can wake somebody."""
    async with paid(data_folder, scope={"model": "*"}, per="day", usd="0", hard=is_hard) as (api, _):
        for _ in range(2):
            assert status == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        (line,) = await api.service.appliance.bus_desk.messages(DEFAULT_TENANT, "budgets.>")
        told = line.envelope
        assert (subject, "alert", "appliance") == (told["subject"], told["type"], told["from"])
        payload = told["payload"]
        assert isinstance(payload, dict)
        assert ("0 USD a day of model 'vllm/llama3'", "model:vllm/llama3") == (payload["budget"], payload["item"])


async def test_a_call_that_broke_off_counts_in_its_run(data_folder: Path) -> None:
    """A failed step costs what the server may charge for it."""

    async def broken(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        send(writer, b'{"choices": ', media_type="application/json")
        writer.close()

    async with paid(data_folder, play=broken) as (api, _):
        published = await api.client.put("/v1/workflows/dear", content=DEAR)
        assert published.is_success, published.text
        run: dict[str, Any] = await api.run("dear", wait=True)
        assert "failed" == run["status"]
        spent = (await costs(api, "?by=workflow"))["total"]["cost_usd_micros"]
        assert spent == round(run["usage"]["cost_usd"] * 10**6) > 0


async def test_a_budget_of_a_role_counts_chats_and_runs_of_its_keys(data_folder: Path) -> None:
    """The role of an API key stands in its chats and in the journal of its runs."""
    async with paid(data_folder, scope={"role": "guest"}, per="day", usd=f"{(BOUND + COST - 1) / 10**6:f}") as (api, _):
        keys = data_folder / "auth/keys.json"
        keys.write_text(json.dumps([{**key, "role": "guest"} for key in json.loads(keys.read_text())]))
        assert 200 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code, "not read yet"
        api.service.read_keys()
        assert 200 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        assert 403 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        assert {"", "guest"} == {line["name"] for line in (await costs(api, "?by=role"))["spending"]}
        assert (await api.client.put("/v1/workflows/dear", content=DEAR)).is_success
        run: dict[str, Any] = await api.run("dear", wait=True)
        assert ("failed", "budget.exceeded") == (run["status"], run["error"]["code"])


async def test_a_request_over_http_costs_what_its_host_costs(data_folder: Path) -> None:
    """It is the tool `http/HOST`; where nobody is there, nobody charges."""
    async with stand_in() as server:
        host = server.url.removeprefix("http://").removesuffix("/v1")
        prices = {f"http/{host}": {"per_call": "0.5"}, "http/127.0.0.1": {"per_call": "0.25"}}
        limit = msgspec.convert({"scope": {"tool": f"http/{host}"}, "per": "day", "usd": 1}, BudgetLine)
        async with open_api(data_folder, prices=prices, budgets=(limit,)) as api:
            for name, url in (("ask", server.url), ("lost", "http://127.0.0.1:1/v1")):
                agent = (
                    f"{{type: http, url: '{url}/chat', body: {{max_tokens: 1, model: m}}, retry: {{max_attempts: 1}}}}"
                )
                definition = f"name: {name}x\nagents: {{say: {agent}}}"
                assert (await api.client.put(f"/v1/workflows/{name}x", content=definition)).is_success
            lost = await api.run("lostx", wait=True)
            assert ("failed", 0) == (lost["status"], lost["usage"]["cost_usd"])  # type: ignore[index]
            asked = [await api.run("askx", wait=True) for _ in range(3)]
            assert ["succeeded", "succeeded", "failed"] == [run["status"] for run in asked]
            assert [0.5, 0.5, 0.0] == [run["usage"]["cost_usd"] for run in asked]  # type: ignore[index]
            assert "budget.exceeded" == asked[2]["error"]["code"]  # type: ignore[index]
            (line,) = (await costs(api, "?by=tool"))["spending"]
            assert (f"http/{host}", 2, 10**6) == (line["name"], line["calls"], line["cost_usd_micros"])


async def test_a_model_whose_price_nobody_named_is_warned_of_or_refused(
    data_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the setting `unpriced` says; the log names it once."""
    async with stand_in() as server:
        models = ModelSettings(backends=(ModelServer(name="vllm", url=server.url, models=("llama3",)),))
        async with open_api(data_folder, models=models) as api:
            assert 200 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        async with open_api(data_folder, models=models, unpriced="warn") as api:
            for _ in range(2):
                assert 200 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code
        told = [record.getMessage() for record in caplog.records if "price of model" in record.getMessage()]
        assert ["nobody has named the price of model vllm/llama3"] == [line.partition(",")[0] for line in told]
        async with open_api(data_folder, models=models, unpriced="refuse") as api:
            refused = await api.client.post("/v1/chat/completions", json=QUESTION)
            assert (403, "budget.no_price") == (refused.status_code, refused.json()["error"]["code"])
            assert (await api.client.put("/v1/workflows/dear", content=DEAR)).is_success
            plan = (await api.client.post("/v1/preflight", json={"workflow": "dear"})).json()
            assert ["vllm/llama3"] == plan["unpriced_models"]
        free = {"vllm/*": {"per_call": 0}}
        async with open_api(data_folder, models=models, unpriced="refuse", prices=free) as api:
            assert 200 == (await api.client.post("/v1/chat/completions", json=QUESTION)).status_code


async def test_a_step_that_ran_out_of_time_costs_what_the_server_may_charge(data_folder: Path) -> None:
    """It was asked, whoever stopped waiting."""
    ends = asyncio.Event()

    async def hang(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await ends.wait()

    async with paid(data_folder, play=hang) as (api, _):
        impatient = DEAR.replace("retry:", "timeout: 300ms, retry:")
        assert (await api.client.put("/v1/workflows/dear", content=impatient)).is_success
        run: dict[str, Any] = await api.run("dear", wait=True)
        assert ("failed", "step.timeout") == (run["status"], run["error"]["code"])
        assert BOUND == round(run["usage"]["cost_usd"] * 10**6) == (await costs(api))["total"]["cost_usd_micros"]
        ends.set()


async def test_a_run_pays_for_each_server_of_a_route_that_was_asked(data_folder: Path) -> None:
    """The one that broke off at its bound, and the one that answered for its answer."""

    async def broken(server: StandIn, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        send(writer, b'{"choices": ', media_type="application/json")
        writer.close()

    async with stand_in(broken) as bad, stand_in() as good:
        servers = tuple(
            ModelServer(name=name, url=each.url, models=("llama3",)) for name, each in (("a", bad), ("b", good))
        )
        models = ModelSettings(backends=servers, routes={"pair": (("a/llama3",), ("b/llama3",))})
        prices = {"a/*": PRICES["vllm/*"], "b/*": PRICES["vllm/*"]}
        async with open_api(data_folder, prices=prices, models=models) as api:
            paired = DEAR.replace("provider: vllm, name: llama3", "provider: local, name: pair")
            assert (await api.client.put("/v1/workflows/dear", content=paired)).is_success
            run: dict[str, Any] = await api.run("dear", wait=True)
            assert ("succeeded", BOUND + COST) == (run["status"], round(run["usage"]["cost_usd"] * 10**6))
            assert {"a/llama3": BOUND, "b/llama3": COST} == {
                line["name"]: line["cost_usd_micros"] for line in (await costs(api))["spending"]
            }
