"""What left and what was refused, over HTTP, and the guard's counts as a metric."""

import re

import pytest

from appliance.api import egress
from runtime.domain.audit import AuditEntry, AuditEvent
from runtime.domain.egress import Destination, Sender
from runtime.domain.ids import TenantId
from tests.appliance.api.serving import Api

SITE = Destination("model", "site", "gpu-1:8000")
EU = Destination("model", "cloud:eu", "api.eu.example.com:443")


@pytest.fixture
async def lines(api: Api) -> None:
    """Five passages: sent and settled, one refused, one beyond the site, one of a run, one of another tenant."""
    await _append(api, "egress.sent", "p1", size_bytes=210, policy="default", found={"EMAIL:pseudonymise": 1})
    await _append(api, "egress.settled", "p1", outcome="ok", usd_micros=1_500, input_tokens=7, output_tokens=3)
    await _append(api, "egress.refused", "p2", destination=EU, outcome="egress.zone_refused")
    await _append(api, "egress.sent", "p3", sender=Sender(run="c-1", workflow="support"))
    await _append(api, "egress.sent", "p4", sender=Sender(tenant=TenantId("other")))


async def _append(api: Api, event: AuditEvent, passage: str, **facts: object) -> None:
    facts = {"sender": Sender(purpose="agent 'answer'"), "destination": SITE, **facts}
    assert api.service.appliance.audit
    await api.service.appliance.audit.append(AuditEntry(event=event, passage=passage, **facts))  # type: ignore[arg-type]


async def _passages(api: Api, query: str = "") -> list[str]:
    answer = await api.client.get(f"/v1/egress{query}")
    assert 200 == answer.status_code, answer.text
    return [line["passage"] for line in answer.json()["lines"]]


@pytest.mark.usefixtures("lines")
async def test_lines_say_who_where_to_and_what_became_of_it(api: Api) -> None:
    settled, sent = (await api.client.get("/v1/egress")).json()["lines"][-2:]
    assert ("p1", "agent 'answer'", "default", "model", "site", "gpu-1:8000", 210, {"EMAIL:pseudonymise": 1}) == (
        sent["passage"],
        sent["purpose"],
        sent["tenant"],
        sent["kind"],
        sent["zone"],
        sent["host"],
        sent["size_bytes"],
        sent["found"],
    )
    assert ("egress.settled", "ok", 0.0015, 7, 3) == (
        settled["event"],
        settled["outcome"],
        settled["cost_usd"],
        settled["input_tokens"],
        settled["output_tokens"],
    )
    assert ("", 1) == (sent["outcome"], settled["seq"] - sent["seq"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", sent["at"])
    assert re.fullmatch("[0-9a-f]{64}", sent["hash"])


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("query", "passages"),
    [
        ("", ["p3", "p2", "p1", "p1"]),
        ("?event=egress.refused", ["p2"]),
        ("?event=egress.refused&event=egress.settled", ["p2", "p1"]),
        ("?outcome=egress.zone_refused", ["p2"]),
        ("?outcome=ok", ["p1"]),
        ("?zone=cloud:*", ["p2"]),
        ("?zone=site", ["p3", "p1", "p1"]),
        ("?run=c-1", ["p3"]),
        ("?before=4", ["p1", "p1"]),
        ("?before=1", []),
        ("?zone=local", []),
    ],
)
async def test_lines_are_chosen(api: Api, query: str, passages: list[str]) -> None:
    """Newest first; what another tenant sent is nobody else's business."""
    assert passages == await _passages(api, query)


@pytest.mark.usefixtures("lines")
async def test_pages_follow_each_other_to_the_end(api: Api) -> None:
    """The filter goes on with the page."""
    found, path = [], "/v1/egress?zone=site&limit=1"
    while path:
        page = (await api.client.get(path)).json()
        found += [line["passage"] for line in page["lines"]]
        path = page["next"]
    assert ["p3", "p1", "p1"] == found


@pytest.mark.usefixtures("lines")
async def test_a_request_looks_at_so_many_lines_and_says_where_to_go_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request must not read a log of years."""
    monkeypatch.setattr(egress, "LOOKED_AT", 2)
    page = (await api.client.get("/v1/egress?outcome=ok")).json()
    assert ([], True) == (page["lines"], page["next"].startswith("/v1/egress?outcome=ok&limit=100&before="))
    while not page["lines"]:
        page = (await api.client.get(page["next"])).json()
    assert ["p1"] == [line["passage"] for line in page["lines"]]


async def test_an_empty_log_has_one_empty_page(api: Api) -> None:
    assert {"lines": [], "next": None} == (await api.client.get("/v1/egress")).json()


@pytest.mark.parametrize("query", ["?event=run.started", "?limit=0", "?before=0", "?outcomes=ok"])
async def test_a_wrong_filter_is_refused(api: Api, query: str) -> None:
    """A filter that is silently ignored shows too much, or hides what is looked for."""
    answer = await api.client.get(f"/v1/egress{query}")
    assert (422, "urn:agentflow:problem:request.invalid") == (answer.status_code, answer.json()["type"])


async def test_a_key_is_asked_for(api: Api) -> None:
    async with api.client_with({}) as stranger:
        assert 401 == (await stranger.get("/v1/egress")).status_code


async def test_decisions_are_counted(api: Api) -> None:
    """A refusal that nobody looks at is found by an alert."""
    body = {"model": "any", "input": "x"}
    api.service.appliance.settings.data_classes["sealed"] = "site"
    before = (await api.client.get("/metrics")).text
    answer = await api.client.post("/v1/embeddings", json=body, headers={"x-agentflow-data-class": "sealed"})
    after = (await api.client.get("/metrics")).text
    assert (403, "egress.data_class_refused") == (answer.status_code, answer.json()["error"]["code"])
    series = 'agentflow_egress_total{kind="model",outcome="egress.data_class_refused",zone="local"} 1.0'
    assert (False, True) == (series in before, series in after)
    assert "# TYPE agentflow_egress_total counter" in before
    assert ["egress.data_class_refused"] == [
        line["outcome"] for line in (await api.client.get("/v1/egress?zone=local")).json()["lines"]
    ]
