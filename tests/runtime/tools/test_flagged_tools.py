"""The kinds `kubernetes` and `slack`: what goes over the wire, what is refused, and that both are off by default."""

import json

import pytest

from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import RunId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.engine.clock import ManualClock
from runtime.errors import Invalid, Refused, StepFailure, Unavailable
from runtime.tools.context import Means
from runtime.tools.kubernetes import KubernetesTool
from runtime.tools.registry import ToolServices
from runtime.tools.slack import SlackTool
from tests.runtime.tools.contexts import context

K8S: dict[str, Json] = {
    "server": "https://k8s.example:6443/",
    "token": "secret://k8s",
    "namespaces": ["shop", "desk"],
    "allowed": ["get deployments", "patch deployments", "list nodes"],
}
SLACK: dict[str, Json] = {"token": "secret://slack", "channels": ["#ops", "#desk"]}


class Wire:
    """Stands for the guarded door."""

    def __init__(self, answer: Json, status: int = 200) -> None:
        self.requests: list[HttpRequest] = []
        self._reply = HttpReply(status=status, headers={}, body=json.dumps(answer).encode())

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        self.requests.append(request)
        return self._reply


async def kept(run: RunId, value: Json) -> Json:
    return value


async def called(wire: Wire, kind: str, arguments: dict[str, Json], *, features: tuple[str, ...] | None = None) -> Json:
    host, config = ("k8s.example:6443", K8S) if kind == "kubernetes" else ("slack.com:443", SLACK)
    spec = ToolSpec(id="t", kind=f"tool.{kind}", permissions=(f"network.http:{host}",), config=config, set_by="a.yaml")
    services = ToolServices(
        clock=ManualClock(), kept=kept, features=frozenset((kind,) if features is None else features)
    )
    tool = KubernetesTool(spec, services) if kind == "kubernetes" else SlackTool(spec, services)
    call = ToolCall(tool="t", arguments=arguments, idempotency_key="k")
    return await tool.call(call, context(spec, means=Means(http=wire, clock=ManualClock())))


async def test_a_patch_goes_to_its_object_with_the_token_as_a_reference() -> None:
    wire = Wire({"kind": "Deployment", "metadata": {"name": "shop", "managedFields": [1]}})
    given: dict[str, Json] = {"verb": "patch", "resource": "deployments", "name": "shop", "body": {"spec": {}}}
    assert {"kind": "Deployment", "metadata": {"name": "shop"}} == await called(wire, "kubernetes", given)
    (request,) = wire.requests
    assert ("PATCH", "https://k8s.example:6443/apis/apps/v1/namespaces/shop/deployments/shop") == (
        request.method,
        request.url,
    )
    assert ("Bearer secret://k8s", ("authorization",)) == (request.headers["authorization"], request.credentials)


async def test_what_has_no_namespace_is_asked_without_one() -> None:
    wire = Wire({"items": []})
    await called(wire, "kubernetes", {"verb": "list", "resource": "nodes"})
    assert "https://k8s.example:6443/api/v1/nodes" == wire.requests[0].url


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"verb": "delete", "resource": "deployments", "name": "shop"}, Refused),
        ({"verb": "get", "resource": "pods", "name": "shop"}, Refused),
        ({"verb": "get", "resource": "deployments", "name": "a", "namespace": "kube-system"}, Refused),
        ({"verb": "get", "resource": "secrets", "name": "a"}, Invalid),
        ({"verb": "get", "resource": "deployments", "name": "../../secrets/a"}, Invalid),
        ({"verb": "get", "resource": "deployments"}, Invalid),
        ({"verb": "patch", "resource": "deployments", "name": "a"}, Invalid),
    ],
)
async def test_a_cluster_is_asked_for_nothing_else(arguments: dict[str, Json], kind: type[Exception]) -> None:
    wire = Wire({})
    with pytest.raises(kind):
        await called(wire, "kubernetes", arguments)
    assert [] == wire.requests


async def test_a_message_goes_to_a_channel_that_the_tool_names() -> None:
    wire = Wire({"ok": True})
    assert {"channel": "#ops", "sent": True} == await called(wire, "slack", {"text": "hello"})
    assert {"channel": "#ops", "text": "hello"} == json.loads(wire.requests[0].body)
    with pytest.raises(Refused, match=r"slack\.channel_refused"):
        await called(wire, "slack", {"text": "hello", "channel": "#all"})
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("answer", "status"), [({"ok": False, "error": "not_in_channel"}, 200), ("<html>", 200), ({}, 503)]
)
async def test_a_message_that_slack_does_not_take_fails(answer: Json, status: int) -> None:
    with pytest.raises(StepFailure, match=r"slack\.failed") as raised:
        await called(Wire(answer, status), "slack", {"text": "hello"})
    assert raised.value.retryable == (status == 503)


@pytest.mark.parametrize(
    ("kind", "arguments"), [("slack", {"text": "x"}), ("kubernetes", {"verb": "list", "resource": "nodes"})]
)
async def test_both_are_off_unless_the_settings_name_them(kind: str, arguments: dict[str, Json]) -> None:
    wire = Wire({"ok": True})
    with pytest.raises(Refused, match=rf"tool\.feature.*add {kind} to features"):
        await called(wire, kind, arguments, features=())
    assert [] == wire.requests


async def test_a_tool_that_names_no_cluster_says_so_when_it_is_called() -> None:
    """The source document declares one so; its definition loads."""
    spec = ToolSpec(id="deploy_k8s", kind="tool.kubernetes", set_by="a.yaml")
    services = ToolServices(clock=ManualClock(), kept=kept, features=frozenset({"kubernetes"}))
    call = ToolCall(tool="deploy_k8s", arguments={"verb": "list", "resource": "pods"}, idempotency_key="k")
    with pytest.raises(Unavailable, match="names no cluster"):
        await KubernetesTool(spec, services).call(call, context(spec, means=Means(clock=ManualClock())))
