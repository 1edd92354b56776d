"""The kind `http`: what a call becomes on the wire, and what it may not become."""

import json

import pytest

from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import RunId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure
from runtime.tools.context import Means
from runtime.tools.http import HttpTool
from runtime.tools.registry import ToolServices
from tests.runtime.tools.contexts import context


class Wire:
    """Stands for the guarded door: keeps requests, gives one answer."""

    def __init__(self, status: int = 200, body: bytes = b'{"ok":true}', kind: str = "application/json") -> None:
        self.requests: list[HttpRequest] = []
        self._reply = HttpReply(status=status, headers={"content-type": kind}, body=body)

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        self.requests.append(request)
        return self._reply


async def kept(run: RunId, value: Json) -> Json:
    return value


async def called(wire: Wire, config: dict[str, Json], **arguments: Json) -> Json:
    spec = ToolSpec(
        id="crm",
        kind="tool.http",
        permissions=("network.http:crm.bank.example:80",),
        config=config,
        set_by="tools.yaml",
    )
    tool = HttpTool(spec, ToolServices(clock=ManualClock(), kept=kept))
    call = ToolCall(tool="crm", arguments=arguments, idempotency_key="r-1/s/crm")
    return await tool.call(call, context(spec, means=Means(http=wire, clock=ManualClock())))


FIXED: dict[str, Json] = {"url": "http://crm.bank.example/orders/{id}?full=1", "headers": {"X-Key": "secret://crm"}}


async def test_arguments_fill_the_address_and_the_query() -> None:
    wire = Wire()
    answer = await called(wire, FIXED, id="a/../b?c#d", since="2026-01-01 10:00", open=True)
    (request,) = wire.requests
    assert {"status": 200, "body": {"ok": True}} == answer
    assert "http://crm.bank.example/orders/a%2F..%2Fb%3Fc%23d?full=1&since=2026-01-01+10%3A00&open=true" == request.url
    assert ("GET", "secret://crm", b"") == (request.method, request.headers["x-key"], request.body)
    assert "x-key" in request.credentials
    assert "idempotency-key" not in request.headers


async def test_a_request_with_an_effect_carries_its_key_and_a_body() -> None:
    wire = Wire()
    await called(wire, {**FIXED, "method": "POST"}, id=7, note="x")
    (request,) = wire.requests
    assert {"note": "x"} == json.loads(request.body)
    assert "r-1/s/crm" == request.headers["idempotency-key"]


@pytest.mark.parametrize("value", [None, "", "..", ".", ["a"], {"a": 1}])
async def test_a_part_of_the_address_is_plain(value: Json) -> None:
    with pytest.raises(Invalid, match="needs 'id'"):
        await called(Wire(), FIXED, id=value)


async def test_an_address_of_a_call_stays_with_the_hosts_and_methods_of_the_tool() -> None:
    wire = Wire()
    free: dict[str, Json] = {"allowed_hosts": ["crm.bank.example:80"]}
    await called(wire, free, url="http://crm.bank.example/a")
    with pytest.raises(Refused, match=r"tool\.host_not_granted"):
        await called(wire, free, url="http://evil.example/a")
    with pytest.raises(Refused, match=r"tool\.host_not_granted"):
        await called(wire, free, url="http://crm.bank.example:80@evil.example/a")
    with pytest.raises(Invalid, match="may send GET, not DELETE"):
        await called(wire, free, url="http://crm.bank.example/a", method="DELETE")
    assert ["http://crm.bank.example/a"] == [each.url for each in wire.requests]


@pytest.mark.parametrize(("status", "is_retried"), [(404, False), (503, True), (429, True), (500, True)])
async def test_a_bad_answer_fails_the_call(status: int, is_retried: bool) -> None:
    with pytest.raises(StepFailure) as raised:
        await called(Wire(status), FIXED, id=1)
    assert ("http.status", is_retried) == (raised.value.code, raised.value.retryable)


async def test_json_that_is_none_is_named() -> None:
    with pytest.raises(AgentFlowError, match=r"http\.not_json"):
        await called(Wire(body=b"<html>"), FIXED, id=1)
