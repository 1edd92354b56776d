"""Servers of tools as operators and agents use them: over HTTP through the guard, confined over pipes, from `af`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.config.mcp import mcp_servers
from appliance.config.settings import McpSettings, SandboxSettings
from appliance.mcp.servers import ToolServers
from appliance.wiring import Appliance
from runtime.audit.record import entry_of
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.mcp import Descriptor, McpServer
from runtime.domain.tool import ToolCall
from runtime.errors import Refused, Unavailable
from runtime.ports import Tool
from runtime.tools.mcp.mapping import descriptor_digest, missing_grant, spec_of
from runtime.tools.mcp.starting import own_files
from tests.appliance.api.serving import Served, appliance_at, open_server
from tests.appliance.cli.conftest import Af, af
from tests.mcp.programs import Programs, known_sandbox, programs
from tests.runtime.tools.contexts import context

assert af
assert known_sandbox
assert programs  # fixtures
SENDER = Sender(purpose="the tests")
PEEK = """\
import json, os, socket, sys

def tried(what):
    try:
        return what() or "done"
    except Exception as error:
        return type(error).__name__

def look():
    return {
        "secret": tried(lambda: open(SECRET).read()),
        "own": tried(lambda: open(__file__).read() and "read"),
        "passwd": tried(lambda: open("/etc/passwd").read()),
        "given": tried(lambda: open(GIVEN + "/a.txt").read()),
        "written": tried(lambda: open(GIVEN + "/b.txt", "w").close()),
        "scratch": tried(lambda: open("scratch.txt", "w").close()),
        "outside": tried(lambda: open("/var/tmp/af-mcp-outside", "w").close()),
        "inet": tried(lambda: socket.socket().close()),
        "unix": tried(lambda: socket.socket(socket.AF_UNIX).close()),
        "program": tried(os.fork),
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]) <= 3,
        "environment": sorted(set(os.environ) - {"LC_CTYPE", "PWD", "SHLVL", "_"}),
    }

for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    result = {"tools": [{"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]}
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "p", "version": "1"}}
        result = {"protocolVersion": version, **about}
    elif asked["method"] == "tools/call":
        result = {"content": [], "structuredContent": look()}
    elif asked["method"] != "tools/list":
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


async def called(tool: Tool, arguments: dict[str, Json]) -> Json:
    """What an agent's call gives."""
    call = ToolCall(tool=tool.spec.id, arguments=arguments, idempotency_key="k")
    return await tool.call(call, context(tool.spec, sender=SENDER))


@asynccontextmanager
async def opened(data: Path, *servers: McpServer, **changes: object) -> AsyncIterator[Appliance]:
    """An appliance with these servers of tools."""
    appliance = appliance_at(data, mcp=McpSettings(servers=servers), **changes)
    await appliance.start(recover=False)
    try:
        yield appliance
    finally:
        await appliance.stop()


async def _audited(appliance: Appliance) -> list[AuditEntry]:
    await appliance.audit_written()
    assert appliance.audit is not None
    return [entry_of(line) for line in await appliance.audit.read(DEFAULT_TENANT)]


def _served_at(served: Served, **changes: object) -> McpServer:
    key = served.client.headers["authorization"]
    told = {"grants": ("destroy",), "headers": {"authorization": key}, **changes}
    return McpServer(name="other", url=f"{served.address.url}/mcp", **told)  # type: ignore[arg-type]


async def test_tools_over_http_pass_the_guard_and_the_door(tmp_path: Path) -> None:
    """What goes to a server is egress: cleared, counted, written down; here it is another appliance."""
    async with (
        open_server(tmp_path / "other") as served,
        opened(tmp_path / "own", _served_at(served), redaction={"*": "strict"}) as appliance,
    ):
        tools = appliance.tool_servers
        await tools.approve("other", ["echo"], digest="", actor="tests", sender=SENDER)
        answer = await tools.call("other", "echo", {"text": "write to anna@example.com"}, sender=SENDER)
        assert isinstance(answer, dict)
        assert {"text": "hello"} == answer["output"]
        run = (await served.client.get(f"/v1/runs/{answer['run_id']}")).json()
        events = await served.appliance.store.read(run["run_id"], limit=1)
        assert b"anna@example.com" not in events[0].data
        lines = await _audited(appliance)
    assert {"mcp.approved", "tool.called", "tool.settled", "egress.sent", "egress.settled"} == {e.event for e in lines}
    found = [count for line in lines for entity, count in line.found.items() if entity.startswith("EMAIL")]
    assert 1 <= sum(found)


async def test_where_nothing_may_leave_no_server_is_asked(tmp_path: Path) -> None:
    """The rule that says so is named, as for every other way out."""
    server = McpServer(name="far", url="http://tools.example:9000/mcp")
    async with opened(tmp_path, server) as appliance:
        with pytest.raises(Refused) as refused:
            await appliance.tool_servers.state("far", sender=SENDER)
    assert "egress." in refused.value.code or "residency" in refused.value.code


async def test_a_server_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    """Then not asked again at once."""
    server = McpServer(name="gone", url="http://127.0.0.1:9/mcp", start_s=5.0)
    async with opened(tmp_path, server) as appliance:
        codes = []
        for _ in range(3):
            with pytest.raises(Unavailable) as failed:
                await appliance.tool_servers.state("gone", sender=SENDER)
            codes.append(failed.value.code)
    assert ["http.unreachable", "http.unreachable", "mcp.down"] == codes


async def test_a_program_gets_what_the_settings_name_and_nothing_else(tmp_path: Path, programs: Programs) -> None:
    """Whatever it was written to do: files, network, other programs, the environment. It runs in a sandbox."""
    given, script = programs.folder / "given", programs.folder / "code/peek.py"
    for folder in (given, script.parent):
        folder.mkdir()
    (given / "a.txt").write_text("for it")
    secret = programs.folder / "secret.txt"
    secret.write_text("not for it")
    script.write_text(f"SECRET, GIVEN = {str(secret)!r}, {str(given)!r}\n{PEEK}")
    server = McpServer(
        name="peek", command=programs.command("code/peek.py"), reads=(str(given),), env={"COLOUR": "blue"}
    )
    async with opened(programs.prepare(tmp_path / "data"), server) as appliance:
        tools = appliance.tool_servers
        await tools.approve("peek", ["look"], digest="", actor="tests", sender=SENDER)
        saw = await tools.call("peek", "look", {}, sender=SENDER)
        shown = (await tools.state("peek", sender=SENDER)).sandbox
    assert isinstance(saw, dict)
    assert saw.pop("written") in ("OSError", "PermissionError")
    assert {
        "secret": "FileNotFoundError",
        "own": "read",
        "passwd": "FileNotFoundError",
        "given": "for it",
        "scratch": "done",
        "outside": "FileNotFoundError",
        "inet": "PermissionError",
        "unix": "PermissionError",
        "program": "PermissionError",
        "processes": True,
        "environment": ["COLOUR", "HOME", "LANG", "PATH", "TMPDIR"],
    } == saw
    assert shown is not None
    assert ("sandbox.bubblewrap", True) == (shown.driver, str(given) in shown.reads)
    assert ("COLOUR" in shown.variables, "blue" in str(shown)) == (True, False)


async def test_no_sandbox_no_server(tmp_path: Path) -> None:
    """A weaker one is never taken, and nothing is started outside of one."""
    server = McpServer(name="far", command=("/bin/true",))
    sandbox = SandboxSettings(order=("process",))
    async with opened(tmp_path / "data", server, sandbox=sandbox) as appliance:
        with pytest.raises(Unavailable, match=r"sandbox\.none_holds.*mcp:far.*weaker than namespace"):
            await appliance.tool_servers.state("far", sender=SENDER)


async def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """In words of the settings, before anything is started."""
    server = McpServer(name="far", command=("/bin/true",), reads=("/nowhere/at/all",))
    async with opened(tmp_path / "data", server) as appliance:
        with pytest.raises(Unavailable, match=r"mcp\.no_folder.*/nowhere/at/all.*mcp\.servers\[far\]"):
            await appliance.tool_servers.state("far", sender=SENDER)


async def _called_until_it_fails(tools: ToolServers) -> None:
    while True:
        await tools.call("plain", "echo", {}, sender=SENDER)


async def test_a_server_that_has_lived_its_time_is_started_again(tmp_path: Path, programs: Programs) -> None:
    """Its limits hold for as long as it runs, and a call comes to one that runs."""
    server = McpServer(name="plain", command=programs.command("hostile.py", "plain"), lives_s=2.0, relist_s=3_600.0)
    async with opened(programs.prepare(tmp_path / "data"), server) as appliance:
        tools = appliance.tool_servers
        await tools.approve("plain", ["echo"], digest="", actor="tests", sender=SENDER)
        calling = asyncio.create_task(_called_until_it_fails(tools))
        with pytest.raises(Unavailable, match=r"mcp\.server_died.*lives_s"):
            await asyncio.wait_for(calling, 60)
        assert "{}" == await tools.call("plain", "echo", {}, sender=SENDER)


async def test_no_server_is_given_the_appliances_own_data(tmp_path: Path) -> None:
    """They hold keys and everybody's runs, whatever the settings say."""
    server = McpServer(name="greedy", command=("/bin/true",), reads=(str(tmp_path),))
    async with opened(tmp_path / "data", server) as appliance:
        with pytest.raises(Refused, match=r"mcp\.forbidden_folder"):
            await appliance.tool_servers.state("greedy", sender=SENDER)


async def test_an_agent_calls_a_tool_that_was_approved_and_no_other(tmp_path: Path, programs: Programs) -> None:
    """By `SERVER.TOOL` in its `tools:`; the refusal says how to grant it."""
    server = McpServer(name="plain", command=programs.command("hostile.py", "plain"))
    async with opened(programs.prepare(tmp_path / "data"), server) as appliance:
        box = appliance.toolboxes.own
        assert (None, ["create_ticket"]) == (box.get("nobody.echo"), list(box))
        with pytest.raises(Refused, match=r"mcp\.not_approved.*af mcp approve plain echo"):
            await called(box["plain.echo"], {})
        await appliance.tool_servers.approve("plain", ["echo"], digest="", actor="tests", sender=SENDER)
        assert ["create_ticket", "plain.echo"] == list(box)
        assert '{"n": 1}' == await called(box["plain.echo"], {"n": 1})
        await appliance.tool_servers.revoke("plain", "echo", actor="tests", sender=SENDER)
        with pytest.raises(Refused, match=r"mcp\.not_approved"):
            await called(box["plain.echo"], {})


def test_af_mcp_shows_approves_and_calls(af: Af, tmp_path: Path, programs: Programs) -> None:
    """What an operator does at a terminal, with the exit codes that scripts go by."""
    programs.prepare(tmp_path)
    server = {"name": "plain", "command": programs.command("hostile.py", "plain")}
    (tmp_path / "config.yaml").write_text(json.dumps({"mcp": {"servers": [server]}}))
    assert "plain" in af("--data", tmp_path, "mcp", "list").out
    [tool] = json.loads(af("--data", tmp_path, "mcp", "show", "plain", "--json").out)["tools"]
    assert "new" == tool["status"]
    assert "Runs in sandbox.bubblewrap, without a network" in af("--data", tmp_path, "mcp", "show", "plain").out
    refused = af("--data", tmp_path, "mcp", "call", "plain", "echo", "{}")
    assert (3, True) == (refused.code, "error[mcp.not_approved]" in refused.err)
    approved = af("--data", tmp_path, "mcp", "approve", "plain", "echo", "--digest", tool["digest"])
    assert (0, True) == (approved.code, "approved plain.echo (read)" in approved.out)
    called = af("--data", tmp_path, "mcp", "call", "plain", "echo", '{"n": 1}', "--json")
    assert {"output": '{"n": 1}'} == called.document
    assert 2 == af("--data", tmp_path, "mcp", "call", "plain", "echo", "[]").code
    assert 2 == af("--data", tmp_path, "mcp", "show", "nobody").code
    assert "approved no more" in af("--data", tmp_path, "mcp", "revoke", "plain", "echo").out


async def test_an_api_key_may_not_approve(tmp_path: Path) -> None:
    """Whoever may ask for runs over the network may not widen what agents can do."""
    async with open_server(tmp_path) as served:
        answer = await served.client.post("/v1/mcp/servers/any/approve", json={"tools": []})
        listed = await served.client.get("/v1/mcp/servers")
    assert (403, {"servers": []}) == (answer.status_code, listed.json())
    assert "urn:agentflow:problem:mcp.local_only" == answer.json()["type"]


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"name": "Files", "command": ["x"]}, "in lower case"),
        ({"name": "a"}, "either a command or a url"),
        ({"name": "a", "command": ["x"], "url": "http://h/"}, "either a command or a url"),
        ({"name": "a", "command": ["x"], "reads": ["here"]}, "absolute paths"),
        ({"name": "a", "url": "ftp://h/"}, "a url such as"),
        ({"name": "a", "url": "http://h/", "headers": {"Authorization": "Bearer abc"}}, "a reference"),
        ({"name": "a", "url": "http://h/", "writes": ["/tmp"]}, "with a command alone"),
        ({"name": "a", "url": "http://h/", "memory_bytes": 2**30}, "with a command alone"),
        ({"name": "a", "command": ["x"], "timeout_s": 0}, "timeout_s"),
        ({"name": "a", "command": ["x"], "memory_bytes": 0}, "memory_bytes"),
        ({"name": "a", "command": ["x"], "tasks": 0}, "tasks"),
        ({"name": "a", "command": ["x"], "isolation": "none"}, "isolation"),
        ({"name": "a", "command": ["x"], "grants": ["everything"]}, "grants"),
        ({"name": "a", "command": ["x"], "wirtes": []}, "wirtes"),
    ],
)
def test_a_server_that_is_declared_wrongly_is_said_so(server: dict[str, object], said: str) -> None:
    """With what is expected, and which server it is."""
    with pytest.raises(ValueError, match=said):
        mcp_servers([server])


def _described(**annotations: object) -> Descriptor:
    return Descriptor(name="t", input_schema={"type": "object"}, annotations=annotations)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("annotations", "grants", "missing"),
    [
        ({}, ("read", "write"), "destroy"),
        ({"readOnlyHint": True}, ("read",), None),
        ({"readOnlyHint": "true"}, ("write",), "destroy"),
        ({"destructiveHint": False}, ("read",), "write"),
        ({"readOnlyHint": False, "destructiveHint": True}, ("write",), "destroy"),
        ({"readOnlyHint": True}, (), "read"),
    ],
)
def test_what_a_tool_says_of_itself_only_raises_what_it_needs(
    annotations: dict[str, object], grants: tuple[str, ...], missing: str | None
) -> None:
    """One that says nothing may do anything."""
    server = McpServer(name="s", command=("x",), grants=grants)  # type: ignore[arg-type]
    assert missing == missing_grant(server, _described(**annotations))


def test_a_spec_says_what_is_reached_and_a_digest_covers_every_word() -> None:
    """Permissions come from the settings; what a server says of its tool changes the digest, never the reach."""
    server = McpServer(name="s", command=("x",), reads=("/a",), writes=("/b",))
    spec = spec_of(server, _described(readOnlyHint=True))
    assert ("s.t", "low", False) == (spec.id, spec.security_level, spec.is_trusted)
    assert ("files.read:/a", "files.read:/b", "files.write:/b", "mcp.read:s") == spec.permissions
    starting = spec_of(msgspec.structs.replace(server, starts_programs=True), _described(readOnlyHint=True))
    assert ("process.spawn", *spec.permissions) == starting.permissions
    over_http = spec_of(McpServer(name="s", url="https://h:9/mcp"), _described())
    assert (("network.http:h:9", "mcp.destroy:s"), "high") == (over_http.permissions, over_http.security_level)
    words = {"title": "x", "description": "x", "output_schema": {}, "annotations": {"a": 1}, "input_schema": {}}
    plain = _described()
    changed = {descriptor_digest(msgspec.structs.replace(plain, **{name: word})) for name, word in words.items()}
    assert len(words) + 1 == len(changed | {descriptor_digest(plain)})


def test_a_program_reads_where_it_is_installed(tmp_path: Path) -> None:
    """And not the folder above, which may be somebody's home."""
    home, modules = tmp_path / "home", tmp_path / "x/node_modules/@a/b/dist"
    (home / "bin").mkdir(parents=True)
    modules.mkdir(parents=True)
    for file in (home / "tool", home / "bin/tool", modules / "index.js"):
        file.write_text("")
    assert [str(home / "tool")] == own_files(str(home / "tool"), ["--flag", "relative"])
    assert [str(home / "bin")] == own_files(str(home / "bin/tool"), [])
    assert str(tmp_path / "x/node_modules") in own_files("/usr/bin/node", [str(modules / "index.js")])


def test_an_agent_may_name_a_tool_of_a_server(tmp_path: Path) -> None:
    """Which server is declared is known when it runs, not when it is loaded."""
    from appliance.loader import load

    (tmp_path / "a.py").write_text("def f(given, ctx):\n    return given\n")
    tools = "tools: [files.read_file, nope]"
    (tmp_path / "workflow.yaml").write_text(f"name: a\nagents:\n  x: {{type: custom, handler: 'a.py:f', {tools}}}\n")
    [warned] = load(tmp_path).problems
    assert ("tool.unknown", True, False) == (warned.code, "nope" in warned.message, "files" in warned.message)
