"""The appliance as a server of tools, asked by the official client over both of its wires."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
import pytest_asyncio
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from appliance.auth.api_keys import ApiKey, new_key
from runtime.audit.record import entry_of
from runtime.domain.ids import DEFAULT_TENANT
from tests.appliance.api.serving import Served, open_server
from tests.mcp.clients import LEGACY, MODERN, client_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIRES = pytest.mark.parametrize("mode", [MODERN, LEGACY])
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
RULES = "tool_registry: {tools: {create_ticket: {type: ticket, rate_limit: 3/hour}}}\n"
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A real server on a free port, for all the tests here: a start takes a second."""
    data = tmp_path_factory.mktemp("data")
    (data / "config.yaml").write_text("mcp: {tools: [create_*, echo]}\n")
    (data / "tools.yaml").write_text(RULES)
    async with open_server(data, heartbeat_s=0.05) as opened:
        yield opened


async def _audited(served: Served) -> list[tuple[str, str, str, str]]:
    log = served.appliance.audit
    assert log is not None
    entries = [entry_of(line) for line in await log.read(DEFAULT_TENANT)]
    called = [entry for entry in entries if entry.event.startswith("tool.")]
    return [(entry.event, entry.subject, entry.outcome, entry.sender.purpose) for entry in called]


@WIRES
async def test_a_workflow_is_a_tool_with_its_own_input_schema(served: Served, mode: str) -> None:
    """A model behind a client can only call it right when it is told what it takes."""
    async with client_of(served, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {"ask", "echo", "failing", "slow", "support"} <= set(tools)
    assert {"type": "object", "properties": {"text": {"type": "string"}}} == tools["echo"].input_schema
    assert tools["support"].description is not None
    assert tools["support"].description.startswith("Answers a retail bank's customers")


@WIRES
async def test_a_call_is_a_run_and_its_output_the_answer(served: Served, mode: str) -> None:
    """The run's id stands in the answer, so that whoever asked can look at the journal."""
    told: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with client_of(served, mode=mode) as client:
        answer = await client.call_tool("echo", {"text": "hi"}, progress_callback=on_progress)
    content = answer.structured_content
    assert content is not None
    assert ("succeeded", {"text": "hello"}, False) == (content["status"], content["output"], answer.is_error)
    assert ["say is done"] == told
    run = (await served.client.get(f"/v1/runs/{content['run_id']}")).json()
    assert "succeeded" == run["status"]


async def test_the_audit_log_says_who_called_what(served: Served) -> None:
    """What another program made the appliance do is told like what an agent does."""
    async with client_of(served) as client:
        await client.call_tool("echo", {"text": "hi"})
        await client.call_tool("failing", {})
    assert [
        ("tool.called", "mcp:echo", "", "MCP client 'first'"),
        ("tool.settled", "mcp:echo", "ok", "MCP client 'first'"),
        ("tool.called", "mcp:failing", "", "MCP client 'first'"),
        ("tool.settled", "mcp:failing", "model.broken", "MCP client 'first'"),
    ] == (await _audited(served))[-4:]


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("failing", {}, "model.broken"),
        ("echo", {"text": 5}, "run.input_invalid"),
        ("ask", {}, "run.waits"),
    ],
)
async def test_what_fails_is_said_with_its_code(
    served: Served, tool: str, arguments: dict[str, object], code: str
) -> None:
    """A model can mend its arguments or give up only when it is told what was wrong."""
    async with client_of(served) as client:
        answer = await client.call_tool(tool, arguments)
    [content] = answer.content
    assert isinstance(content, TextContent)
    assert (True, True) == (answer.is_error, content.text.startswith(f"{code}: "))


@WIRES
async def test_a_chosen_tool_is_offered_and_called_by_the_rules_of_any_call(served: Served, mode: str) -> None:
    """Other programs reach a tool as agents do: by its schema, its rate, and with lines of the audit log."""
    async with client_of(served, mode=mode) as client:
        [offered] = [tool for tool in (await client.list_tools()).tools if tool.name == "create_ticket"]
        answer = await client.call_tool("create_ticket", {"subject": "Card lost"})
        fault = await client.call_tool("create_ticket", {"subject": 5})
        after = [await client.call_tool("create_ticket", {"subject": "Card lost"}) for _ in range(3)]
    assert ["subject"] == offered.input_schema["required"]
    if mode == MODERN:  # the hour's calls are used up when the second wire is tried
        assert answer.structured_content is not None
        assert "open" == answer.structured_content["output"]["status"]
        assert "tool.arguments" == _code(fault)
    assert "tool.rate_limited" == _code(after[-1])
    assert ("tool.refused", "create_ticket", "tool.rate_limited", "MCP client 'first'") == (await _audited(served))[-1]


async def test_the_api_calls_only_chosen_tools_for_a_key(served: Served) -> None:
    """What nobody chose to offer is out of reach of every key, and the refusal says where that is set."""
    listed = (await served.client.get("/v1/tools")).json()["tools"]
    assert ["create_ticket"] == [tool["name"] for tool in listed]
    rehearsed = await served.client.post(
        "/v1/tools/create_ticket/call", json={"arguments": {"subject": "x"}, "dry_run": True}
    )
    assert "output" in rehearsed.json()
    refused = await served.client.post("/v1/tools/other/call", json={})
    assert (403, "urn:agentflow:problem:tool.not_offered") == (refused.status_code, refused.json()["type"])


def _code(answer: CallToolResult) -> str:
    [content] = answer.content
    assert isinstance(content, TextContent)
    assert answer.is_error
    return content.text.partition(":")[0]


async def test_what_is_not_offered_is_refused_by_name(served: Served) -> None:
    """Also a workflow that exists, where the settings leave it out."""
    async with client_of(served) as client:
        with pytest.raises(MCPError, match=r"mcp\.not_offered: no tool is called 'nope' here"):
            await client.call_tool("nope", {})


@WIRES
async def test_cancelling_the_call_cancels_the_run(served: Served, mode: str) -> None:
    """A client that has given up must not leave work running that nobody will read."""
    async with client_of(served, mode=mode) as client, anyio.create_task_group() as calling:
        calling.start_soon(client.call_tool, "slow", {})
        await _until_slow_is(served, "running")
        calling.cancel_scope.cancel()
    await _until_slow_is(served, "cancelled")


async def _until_slow_is(served: Served, status: str) -> None:
    """Wait until the run of the workflow `slow` has a status."""
    async with asyncio.timeout(60):
        while status not in [run["status"] for run in await _runs_of_slow(served)]:
            await asyncio.sleep(0.02)


async def _runs_of_slow(served: Served) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await served.client.get("/v1/runs?workflow=slow")).json()["runs"]
    return found


async def test_storing_a_workflow_tells_whoever_listens(served: Served) -> None:
    """Otherwise a client goes on with a list that is no longer true."""
    document = b"name: late\nagents: {say: {type: llm, prompt: x, model: {provider: scripted, answers: [y]}}}\n"
    async with client_of(served) as client, client.listen(tools_list_changed=True) as changes:
        await served.client.put("/v1/workflows/late", content=document, headers={"content-type": "application/yaml"})
        with anyio.fail_after(10):
            async for _ in changes:
                break
        assert "late" in {tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"authorization": ""}, 401, "auth.key_required"),
        ({"authorization": "Bearer af_wrong"}, 401, "auth.key_required"),
        ({"origin": "http://evil.example"}, 403, "http.foreign_origin"),
        ({"host": "evil.example"}, 421, "http.unknown_host"),
    ],
)
async def test_the_gate_stands_in_front(served: Served, headers: dict[str, str], status: int, code: str) -> None:
    """The protocol has no keys of its own: whoever gets through may run every workflow that is offered."""
    answer = await served.client.post("/mcp", json=INITIALIZE, headers={**ACCEPT, **headers})
    assert (status, f"urn:agentflow:problem:{code}") == (answer.status_code, answer.json()["type"])


async def test_a_session_is_nobody_elses(tmp_path: Path) -> None:
    """A session's id is no secret that may stand for a key."""
    folder = tmp_path / "auth"
    folder.mkdir(mode=0o700)
    clear = {name: new_key() for name in ("first", "other")}
    keys = [ApiKey(name, sha256(key.encode()).hexdigest(), "2026-01-01T00:00:00Z") for name, key in clear.items()]
    (folder / "first.key").write_text(clear["first"])
    (folder / "keys.json").write_bytes(msgspec.json.encode(keys))
    (folder / "keys.json").chmod(0o600)
    async with open_server(tmp_path) as served:
        begun = await served.client.post("/mcp", json=INITIALIZE, headers=ACCEPT)
        session = {**ACCEPT, "mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        statuses = [
            (
                await served.client.post("/mcp", json=ping, headers={**session, "authorization": f"Bearer {key}"})
            ).status_code
            for key in clear.values()
        ]
    assert [200, 404] == statuses


async def test_a_server_that_stops_ends_its_streams(tmp_path: Path) -> None:
    """A stream that nobody ends would hold up every restart."""
    async with open_server(tmp_path) as served, client_of(served) as client:
        calling = asyncio.create_task(client.call_tool("slow", {}))
        await _until_slow_is(served, "running")
        served.task.cancel()
        await asyncio.wait({served.task}, timeout=12)  # it is cut off after a longer time
        assert served.task.done()
        await asyncio.gather(calling, return_exceptions=True)


async def test_large_and_broken_bodies_are_refused(served: Served) -> None:
    """Whatever comes in is bounded before it is parsed."""
    headers = {**ACCEPT, "content-type": "application/json"}
    broken = await served.client.post("/mcp", content=b"{", headers=headers)
    assert 400 == broken.status_code
    try:
        huge = await served.client.post("/mcp", content=b"x" * (5 * 2**20), headers=headers)
    except httpx.TransportError:  # the refusal came, and the connection went, before all of it was sent
        return
    assert 413 == huge.status_code
