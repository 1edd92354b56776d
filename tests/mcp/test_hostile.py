"""Servers of tools that lie, die, flood, hang or change: one clear error each, and nothing left behind."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from runtime.domain.mcp import McpServer
from runtime.engine.clock import SystemClock
from runtime.errors import AgentFlowError, Invalid, Refused, StepFailure, Unavailable
from runtime.tools.mcp.approvals import Approvals
from runtime.tools.mcp.servers import McpServers
from tests.mcp.clients import BOUND_S
from tests.mcp.programs import HOSTILE, Plain

STARTED = Plain()


@asynccontextmanager
async def hostile(data: Path, mode: str, **changes: object) -> AsyncIterator[McpServers]:
    """One such server, its tools approved; all of its processes have ended when this does."""
    limit_s = 1.0 if mode in ("never", "hangs") else BOUND_S
    changes = {"timeout_s": limit_s, "start_s": BOUND_S, "max_reply_bytes": 2**20, "relist_s": 0.0, **changes}
    server = McpServer(name=mode, command=(sys.executable, "-I", str(HOSTILE), mode), **changes)  # type: ignore[arg-type]
    servers = McpServers([server], Approvals(data), SystemClock(), find=STARTED.place, open_http=_no_http)
    STARTED.started.clear()
    try:
        yield servers
    finally:
        await servers.stop()
        assert not [pid for pid in STARTED.started if _is_alive(pid)]


def _no_http(*_: object) -> object:
    raise AssertionError("no server here is asked over HTTP")


def _is_alive(group: int) -> bool:
    """Whether a process of the group is more than a name that nobody has collected yet."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, found = stat.read_text().rpartition(")")[2].split()[:3]
            if int(found) == group and state not in "ZX":
                return True
    return False


async def _call(servers: McpServers, mode: str, tool: str = "echo", **arguments: object) -> object:
    await servers.approve(mode, [tool], by="tests")
    return await servers.call(mode, tool, dict(arguments))  # type: ignore[arg-type]  # JSON all of it


@pytest.mark.parametrize(
    ("mode", "kind", "code"),
    [
        ("never", Unavailable, "mcp.timeout"),
        ("hangs", Unavailable, "mcp.timeout"),
        ("dies", Unavailable, "mcp.server_died"),
        ("floods", StepFailure, "mcp.flooded"),
        ("gigabyte", StepFailure, "mcp.reply_too_large"),
        ("babbles", StepFailure, "mcp.no_protocol"),
        ("lies", StepFailure, "mcp.bad_output"),
        ("slow-pattern", StepFailure, "mcp.bad_output"),
        ("shape", StepFailure, "mcp.bad_answer"),
        ("broken", StepFailure, "mcp.bad_message"),
        ("error", StepFailure, "mcp.server_error"),
        ("fails", StepFailure, "mcp.tool_failed"),
    ],
)
async def test_a_call_that_goes_wrong_is_one_clear_error(
    tmp_path: Path, mode: str, kind: type[AgentFlowError], code: str
) -> None:
    """Whoever wrote the server decides what it sends; the run takes its error path whatever that is."""
    async with hostile(tmp_path, mode) as servers:
        with pytest.raises(kind) as failed:
            await asyncio.wait_for(_call(servers, mode), BOUND_S)
        assert (code, True) == (failed.value.code, mode in failed.value.message)
        assert len(failed.value.message) < 700


@pytest.mark.parametrize(
    ("mode", "code"), [("dead", "mcp.server_died"), ("silent", "mcp.timeout"), ("version", "mcp.bad_answer")]
)
async def test_a_server_that_does_not_start_is_one_clear_error(tmp_path: Path, mode: str, code: str) -> None:
    """With what it said last, which is most often why."""
    async with hostile(tmp_path, mode, start_s=1.5 if mode == "silent" else BOUND_S) as servers:
        with pytest.raises(AgentFlowError) as failed:
            await servers.state(mode)
    assert code == failed.value.code
    assert mode != "dead" or "no such configuration" in failed.value.message


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("other-id", "yours"),
        ("twice", "once"),
        ("asks", "thanks"),
        ("greets", '{"n": 1}'),
        ("progress", "done"),
        ("endless", '{"n": 1}'),
    ],
)
async def test_oddities_that_do_no_harm_are_lived_with(tmp_path: Path, mode: str, said: str) -> None:
    """Answers to nothing, questions that nobody answers, a greeting, a list without an end."""
    async with hostile(tmp_path, mode) as servers:
        assert said == await _call(servers, mode, n=1)


async def test_bad_schemas_take_no_other_tool_with_them(tmp_path: Path) -> None:
    """A list of tools is as foreign as an answer; no reference leads out of a schema."""
    async with hostile(tmp_path, "schemas") as servers:
        state = await servers.state("schemas")
        assert {"cyclic", "echo"} == {each.tool for each in state.tools}
        problems = {problem.tool: problem.code for problem in state.problems}
        bad = ("not-an-object", "no-schema", "remote", "file", "nowhere", "itself")
        assert dict.fromkeys(bad, "mcp.bad_schema") == {name: problems[name] for name in bad}
        assert "mcp.bad_tool" == problems["big"] == problems["a b\x1b[31m"] == problems["echo"]
        with pytest.raises(Invalid, match=r"mcp\.bad_arguments.*a/a"):
            await _call(servers, "schemas", "cyclic", a={"a": 5})


async def test_more_tools_than_anybody_has_are_cut(tmp_path: Path) -> None:
    """A model that is offered thousands of tools reads nothing else."""
    async with hostile(tmp_path, "thousands") as servers:
        state = await servers.state("thousands")
    assert (500, "mcp.bad_tool") == (len(state.tools), state.problems[-1].code)


async def test_a_tool_that_changes_its_words_needs_a_new_approval(tmp_path: Path) -> None:
    """What a description says reaches a model; what was approved is what may reach it."""
    async with hostile(tmp_path, "changes", relist_s=3_600.0) as servers:
        assert "{}" == await _call(servers, "changes")
        with pytest.raises(Refused, match=r"mcp\.changed.*af mcp approve changes echo"):
            await _call_on(servers)
        [now] = (await servers.state("changes")).tools
        assert ("changed", "Says it again.") == (now.status, now.approved and now.approved.descriptor.description)
        await servers.approve("changes", ["echo"], by="tests", digest=now.digest)
        assert "{}" == await servers.call("changes", "echo", {})


async def _call_on(servers: McpServers) -> None:
    """Call until it has been heard that something changed."""
    async with asyncio.timeout(60):
        while True:
            await servers.call("changes", "echo", {})


async def test_an_approval_is_for_what_was_seen(tmp_path: Path) -> None:
    """Between looking and approving a server may change."""
    async with hostile(tmp_path, "changes") as servers:
        [seen] = (await servers.state("changes")).tools
        with pytest.raises(Refused, match=r"mcp\.changed.*look again"):
            await servers.approve("changes", ["echo"], by="tests", digest=seen.digest)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"tools": ("read_*",)}, "mcp.left_out"), ({"grants": ()}, "mcp.not_granted"), ({}, "mcp.not_approved")],
)
async def test_a_server_gets_nothing_by_declaring_it(tmp_path: Path, changes: dict[str, object], code: str) -> None:
    """Patterns, grants and a person each have to agree."""
    async with hostile(tmp_path, "plain", **changes) as servers:
        if code != "mcp.not_approved":
            await servers.approve("plain", ["echo"], by="tests")
        with pytest.raises(Refused) as refused:
            await servers.call("plain", "echo", {})
    assert code == refused.value.code
    assert [] == servers.specs()


async def test_a_server_that_died_is_started_again_and_then_left_alone_for_a_while(tmp_path: Path) -> None:
    """One that dies at once must not be started a thousand times."""
    async with hostile(tmp_path, "dies") as servers:
        codes = []
        for _ in range(4):
            with pytest.raises(Unavailable) as failed:
                await _call(servers, "dies")
            codes.append(failed.value.code)
        assert 2 <= codes.count("mcp.server_died")
    async with hostile(tmp_path, "dead") as servers:
        codes = []
        while "mcp.down" not in codes[-1:] and len(codes) < 10:
            with pytest.raises(Unavailable) as failed:
                await servers.state("dead")
            codes.append(failed.value.code)
        assert ["mcp.server_died", "mcp.server_died", "mcp.down"] == [*codes[:2], codes[-1]]
        assert len(codes) - 1 == len(STARTED.started)


async def test_a_late_server_that_still_answers_pings_is_kept(tmp_path: Path) -> None:
    """It may be at work for somebody else."""
    async with hostile(tmp_path, "never", timeout_s=0.3) as servers:
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"mcp\.timeout"):
                await _call(servers, "never")
        assert 1 == len(STARTED.started)


async def test_what_does_not_want_to_end_is_ended(tmp_path: Path) -> None:
    """Also what it has started; `hostile` looks."""
    async with hostile(tmp_path, "stays") as servers:
        await _call(servers, "stays")
        assert _is_alive(STARTED.started[0])


async def test_two_tenants_have_two_processes(tmp_path: Path) -> None:
    """A server that remembers would tell one of the other."""
    from runtime.domain.egress import Sender
    from runtime.domain.ids import TenantId

    async with hostile(tmp_path, "plain") as servers:
        await _call(servers, "plain")
        await servers.call("plain", "echo", {}, sender=Sender(tenant=TenantId("acme")))
        assert 2 == len(STARTED.started)


async def test_progress_and_the_key_of_a_call_travel(tmp_path: Path) -> None:
    """A retry after a crash has the same key, for servers that know it."""
    told: list[tuple[float, float | None, str]] = []
    async with hostile(tmp_path, "progress") as servers:
        await servers.approve("progress", ["echo"], by="tests")
        await servers.call("progress", "echo", {}, tell=lambda *news: told.append(news))
    assert [(1.0, 2.0, "step 1"), (2.0, 2.0, "step 2")] == told
    async with hostile(tmp_path, "key") as servers:
        await servers.approve("key", ["echo"], by="tests")
        meta = json.loads(str(await servers.call("key", "echo", {}, key="run/step")))
    assert "run/step" == meta["agentflow/idempotencyKey"]


async def test_cancelling_a_call_leaves_a_connection_that_works(tmp_path: Path) -> None:
    """The server is told, and others go on."""
    async with hostile(tmp_path, "never", timeout_s=30.0) as servers:
        await servers.approve("never", ["echo"], by="tests")
        calling: Awaitable[object] = servers.call("never", "echo", {})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(calling, 0.3)
        assert 1 == len((await servers.state("never")).tools)
