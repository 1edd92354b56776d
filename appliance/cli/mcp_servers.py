"""What `af mcp` does with servers of tools: here, or by the server that has the data folder."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from appliance.api.mcp_servers import ApprovedTools, McpServerList, Revoked, ToolAnswer
from appliance.cli.context import Af
from appliance.cli.opened import Served, opened
from appliance.cli.terminal import paragraphs, printable
from appliance.mcp.servers import ServerLine, ToolServers
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.tools.mcp.servers import Confinement, ServerState, ToolState

if TYPE_CHECKING:
    from runtime.domain.mcp import Descriptor

ACTOR = "cli"
TARGET = "/v1/mcp/servers"
SENDER = Sender(purpose="af mcp")

Shape = TypeVar("Shape", bound=msgspec.Struct)

_MIB = 2**20
_SIGNS = {"approved": "✓", "new": "…", "changed": "!", "not_granted": "✗", "left_out": "✗", "gone": "–"}
_SAYS = {
    "new": "nobody has approved it",
    "changed": "it says something else than when it was approved",
    "not_granted": "it needs more than the server is granted",
    "left_out": "the server's patterns leave it out",
    "gone": "it was approved, and is there no more",
}


async def listed(af: Af) -> Sequence[ServerLine]:
    """The declared servers."""
    async with _opened(af) as found:
        if isinstance(found, Served):
            return (await found.ask(McpServerList, "GET", TARGET)).servers
        return found.lines()


async def shown(af: Af, server: str) -> ServerState:
    """What a server has."""
    async with _opened(af) as found:
        if isinstance(found, Served):
            return await found.ask(ServerState, "GET", f"{TARGET}/{quote(server, safe='')}")
        return await found.state(server, sender=SENDER)


async def approved(af: Af, server: str, tools: Sequence[str], digest: str) -> Sequence[ToolState]:
    """Tools approved."""
    async with _opened(af) as found:
        if isinstance(found, Served):
            body: Json = {"tools": list(tools), "digest": digest}
            return (await found.ask(ApprovedTools, "POST", f"{TARGET}/{quote(server, safe='')}/approve", body)).approved
        return await found.approve(server, tools, digest=digest, actor=ACTOR, sender=SENDER)


async def revoked(af: Af, server: str, tool: str) -> bool:
    """Whether there was an approval to take back."""
    async with _opened(af) as found:
        if isinstance(found, Served):
            target = f"{TARGET}/{quote(server, safe='')}/revoke"
            return (await found.ask(Revoked, "POST", target, {"tool": tool})).was_approved
        return await found.revoke(server, tool, actor=ACTOR, sender=SENDER)


async def called(af: Af, server: str, tool: str, arguments: dict[str, Json]) -> Json:
    """A tool's answer."""
    from appliance.cli.progress import RunProgress

    progress = RunProgress(af.terminal)
    try:
        async with _opened(af) as found:
            if isinstance(found, Served):
                body: Json = {"tool": tool, "arguments": arguments}
                return (await found.ask(ToolAnswer, "POST", f"{TARGET}/{quote(server, safe='')}/call", body)).output

            def tell(done: float, total: float | None, what: str) -> None:
                of = f" of {total:g}" if total else ""
                progress.line.show(f"▸ {server}.{tool}: {done:g}{of} {printable(what)}")

            return await found.call(server, tool, arguments, sender=SENDER, tell=tell)
    finally:
        progress.clear()


def state_text(state: ServerState, *, me: str) -> str:
    """What a person reads before approving."""
    told = state.told
    about = " ".join(printable(told[key]) for key in ("name", "version") if told.get(key))
    lines = [f"{state.server}: calls itself {about or 'nothing'}, speaks {printable(told.get('protocol', '?'))}"]
    if state.sandbox is not None:
        lines += ["", *_sandbox_lines(state.sandbox)]
    if told.get("instructions"):
        lines += ["", "It says to models:", paragraphs(_foreign(told["instructions"]))]
    for tool in state.tools:
        lines += ["", *_tool_lines(tool)]
    for problem in state.problems:
        lines += ["", f"✗ {printable(problem.tool)}  cannot be used: {printable(problem.message)}"]
    waiting = [tool.tool for tool in state.tools if tool.status in ("new", "changed")]
    if waiting:
        lines += ["", f"Approve what may be called: {me} mcp approve {state.server} {printable(waiting[0])}"]
    return "\n".join(lines)


def _sandbox_lines(given: Confinement) -> list[str]:
    starts = "may start programs" if given.starts_programs else "starts no programs"
    return [
        f"Runs in {given.driver}, without a network; {starts}",
        f"    reads      {', '.join(given.reads) or 'the system alone'}",
        f"    writes     {', '.join((*given.writes, f'a scratch folder of {given.scratch_bytes // _MIB:,} MiB'))}",
        f"    variables  {', '.join(given.variables)}",
        f"    at most    {given.memory_bytes // _MIB:,} MiB of memory, {given.cores:g} cores, {given.tasks} tasks, "
        f"{given.lives_s:g} s",
        f"    profile    {given.profile_id}",
    ]


def output_text(output: Json) -> str:
    """A text as it is, anything else as JSON."""
    return _foreign(output) if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2)


def _tool_lines(tool: ToolState) -> list[str]:
    why = _SAYS.get(tool.status)
    lines = [f"{_SIGNS[tool.status]} {printable(tool.tool)}  ({tool.needs}){f'  {why}' if why else ''}"]
    lines.append(paragraphs(_described(tool.descriptor), indent=4))
    if tool.status == "changed" and tool.approved is not None:
        lines += ["    When it was approved:", paragraphs(_described(tool.approved.descriptor), indent=6)]
        lines += [f"    {line}" for line in _changes(tool.approved.descriptor, tool.descriptor)]
    lines.append(f"    {tool.digest}")
    return lines


def _described(descriptor: "Descriptor") -> str:
    properties = descriptor.input_schema.get("properties")
    takes = ", ".join(map(printable, properties)) if isinstance(properties, dict) else ""
    return f"{_foreign(descriptor.description) or 'It says nothing of itself.'}\nTakes: {takes or 'nothing by name'}"


def _changes(then: "Descriptor", now: "Descriptor") -> list[str]:
    parts = ("title", "description", "input_schema", "output_schema", "annotations")
    changed = [part for part in parts if getattr(then, part) != getattr(now, part)]
    return [f"Changed: {', '.join(changed)}"]


def _foreign(text: str) -> str:
    """A text of somebody else's with nothing in it that a terminal obeys."""
    return "\n".join(printable(line) for line in text.splitlines())


@asynccontextmanager
async def _opened(af: Af) -> AsyncIterator[ToolServers | Served]:
    """The servers, declared in a data folder that nobody has, or the server that has it."""
    async with opened(af, "af mcp") as found:
        yield found if isinstance(found, Served) else found.tool_servers
