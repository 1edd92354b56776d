"""All servers of tools that are declared: what they have, what is approved, and calls.

A tool may be called when a pattern of its server's takes it, when what it needs is granted, and when a person has
approved it as it describes itself today. Descriptions are foreign text: shown and hashed, never obeyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.ids import TenantId
from runtime.domain.journal import rfc3339
from runtime.domain.mcp import Approval, Descriptor, McpServer
from runtime.domain.schema import Schema
from runtime.domain.tool import ToolSpec
from runtime.errors import Invalid, NotFound, Refused, StepFailure
from runtime.ports import Clock
from runtime.tools.mcp.approvals import Approvals
from runtime.tools.mcp.mapping import (
    Problem,
    descriptor_digest,
    is_taken,
    missing_grant,
    needed,
    sent,
    spec_of,
    tool_of,
)

if TYPE_CHECKING:
    from runtime.tools.mcp.client import Connection, Find, OpenHttp, Tell
    from runtime.tools.mcp.starting import Place


class ToolState(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of a server, and whether it may be called."""

    tool: str
    status: str
    """`approved`, `new`, `changed`, `not_granted`, `left_out` (by the server's patterns) or `gone`."""
    needs: str
    """`read`, `write` or `destroy`, by what it says of itself."""
    digest: str
    descriptor: Descriptor
    approved: Approval | None = None


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """The sandbox that the program of a server runs in, and the profile of what it may do there."""

    driver: str
    profile_id: str
    """`sha256:…` of the whole profile, which nobody is told: variables may hold what is nobody else's."""
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    variables: tuple[str, ...]
    """Their names."""
    memory_bytes: int
    scratch_bytes: int
    cores: float
    tasks: int
    starts_programs: bool
    lives_s: float


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself and what is made of it."""

    server: str
    told: dict[str, str]
    """`name`, `version`, `protocol`, `instructions`: foreign text."""
    tools: tuple[ToolState, ...]
    problems: tuple[Problem, ...]
    """Tools that cannot be used, and why."""
    sandbox: Confinement | None = None
    """What its program may do; None for one that has an address."""


def approved_specs(servers: Iterable[McpServer], approvals: Approvals) -> list[ToolSpec]:
    """Every approved tool of these servers that may be called. Asks no server."""
    return [
        spec_of(server, approval.descriptor)
        for server in servers
        for approval in approvals.of(server.name).values()
        if is_taken(server, approval.tool) and missing_grant(server, approval.descriptor) is None
    ]


class McpServers:
    """The declared servers of one appliance."""

    def __init__(
        self,
        servers: Sequence[McpServer],
        approvals: Approvals,
        clock: Clock,
        *,
        find: Find,
        open_http: OpenHttp,
        version: str = "",
    ) -> None:
        self.declared: Mapping[str, McpServer] = {server.name: server for server in servers}
        self._approvals = approvals
        self._clock = clock
        self._find = find
        self._open_http = open_http
        self._version = version
        self._connections: dict[tuple[str, TenantId], Connection] = {}

    async def stop(self) -> None:
        """Close every connection. Safe to call twice."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            await connection.close()

    def specs(self) -> list[ToolSpec]:
        """Every approved tool that may be called, as the registry knows it. Asks no server."""
        return approved_specs(self.declared.values(), self._approvals)

    def spec(self, name: str) -> ToolSpec:
        """A tool by `SERVER.TOOL`, also one that may not be called: the refusal of the call says why. Raises KeyError
        where no such server is declared."""
        server, _, tool = name.partition(".")
        if not tool or server not in self.declared:
            raise KeyError(name)
        approval = self._approvals.of(server).get(tool)
        if approval is None:
            config: dict[str, Json] = {"server": server, "tool": tool}
            return ToolSpec(id=name, kind="tool.mcp", set_by=f"mcp.servers[{server}] of the settings", config=config)
        return spec_of(self.declared[server], approval.descriptor)

    async def state(self, name: str, *, sender: Sender = APPLIANCE) -> ServerState:
        """What a server has now. Raises NotFound, Unavailable, StepFailure and Refused."""
        connection = self._connection(name, sender)
        listing = await connection.list(sender=sender, is_fresh=True)
        approved = self._approvals.of(name)
        tools = [self._tool_state(connection.server, each, approved.get(each.name)) for each in listing.tools]
        known = {each.name for each in listing.tools}
        gone = [
            ToolState(
                tool=each.tool,
                status="gone",
                needs=needed(each.descriptor),
                digest=each.digest,
                descriptor=each.descriptor,
                approved=each,
            )
            for each in approved.values()
            if each.tool not in known
        ]
        return ServerState(
            server=name,
            told=connection.told,
            tools=(*tools, *gone),
            problems=listing.problems,
            sandbox=_confinement(connection.place) if connection.place else None,
        )

    async def approve(
        self, name: str, tools: Sequence[str], *, by: str, digest: str = "", sender: Sender = APPLIANCE
    ) -> list[ToolState]:
        """Approve tools as they describe themselves now; none named: every one that may be used.

        `digest`: approve one only as it was seen then. Raises Refused where it is another by now, and as `state` does.
        """
        state = await self.state(name, sender=sender)
        here = {each.tool: each for each in state.tools if each.status != "gone"}
        for tool in tools:
            if tool not in here:
                known = ", ".join(here) or "none"
                raise NotFound("mcp.unknown_tool", f"MCP server {name!r} has no usable tool {tool!r}; it has: {known}")
        chosen = [here[tool] for tool in tools] or [
            each for each in here.values() if each.status not in ("left_out", "not_granted")
        ]
        for each in chosen:
            if digest and each.digest != digest:
                raise Refused(
                    "mcp.changed",
                    f"tool {each.tool!r} of MCP server {name!r} is {each.digest} by now, not {digest}; look again: "
                    f"af mcp show {name}",
                )
        at = rfc3339(self._clock.now_us())
        made = {
            each.tool: Approval(tool=each.tool, digest=each.digest, at=at, by=by, descriptor=each.descriptor)
            for each in chosen
        }
        self._approvals.put(name, made)
        return [self._tool_state(self._server(name), each.descriptor, made[each.tool]) for each in chosen]

    def withdraw(self, name: str, tool: str) -> bool:
        """Take an approval back; whether there was one."""
        return self._approvals.drop(name, tool)

    async def call(
        self,
        name: str,
        tool: str,
        arguments: dict[str, Json],
        *,
        sender: Sender = APPLIANCE,
        key: str = "",
        tell: Tell | None = None,
    ) -> Json:
        """What an approved tool answers, held to the schemas that were approved.

        Raises NotFound, Invalid (arguments), Refused (not approved, changed, not granted), Unavailable and StepFailure.
        """
        server = self._server(name)
        self._check(server, tool)
        connection = self._connection(name, sender)
        descriptor = tool_of(await connection.list(sender=sender), name, tool)
        self._check_same(name, tool, descriptor)
        arguments = sent(descriptor, arguments)
        fault = Schema(descriptor.input_schema).fault(arguments)
        if fault:
            raise Invalid("mcp.bad_arguments", f"the arguments of tool {tool!r} of MCP server {name!r}: {fault}")
        output = await connection.call(tool, arguments, sender=sender, key=key, tell=tell)
        if descriptor.output_schema is not None and (fault := Schema(descriptor.output_schema).fault(output)):
            raise StepFailure(
                "mcp.bad_output",
                f"tool {tool!r} of MCP server {name!r} answered with what its own outputSchema does not allow: {fault}",
                retryable=False,
            )
        return output

    def _check(self, server: McpServer, tool: str) -> None:
        if not is_taken(server, tool):
            raise Refused(
                "mcp.left_out",
                f"tool {tool!r} of MCP server {server.name!r} fits none of its patterns {', '.join(server.tools)}; "
                f"the rule is tools of mcp.servers[{server.name}] in the settings",
            )
        approval = self._approvals.of(server.name).get(tool)
        if approval is None:
            raise Refused(
                "mcp.not_approved",
                f"nobody has approved tool {tool!r} of MCP server {server.name!r}; look at it and approve it: "
                f"af mcp show {server.name}, af mcp approve {server.name} {tool}",
            )
        missing = missing_grant(server, approval.descriptor)
        if missing is not None:
            raise Refused(
                "mcp.not_granted",
                f"tool {tool!r} of MCP server {server.name!r} needs {missing!r}, and the server is granted "
                f"{', '.join(server.grants) or 'nothing'}; the rule is grants of mcp.servers[{server.name}] in the "
                "settings",
            )

    def _check_same(self, name: str, tool: str, descriptor: Descriptor) -> None:
        approval = self._approvals.of(name).get(tool)
        if approval is None or approval.digest != descriptor_digest(descriptor):
            raise Refused(
                "mcp.changed",
                f"tool {tool!r} of MCP server {name!r} describes itself otherwise than when it was approved; look at "
                f"what changed and approve it again: af mcp show {name}, af mcp approve {name} {tool}",
            )

    def _tool_state(self, server: McpServer, descriptor: Descriptor, approval: Approval | None) -> ToolState:
        digest = descriptor_digest(descriptor)
        status = "approved"
        if not is_taken(server, descriptor.name):
            status = "left_out"
        elif missing_grant(server, descriptor) is not None:
            status = "not_granted"
        elif approval is None:
            status = "new"
        elif approval.digest != digest:
            status = "changed"
        return ToolState(
            tool=descriptor.name,
            status=status,
            needs=needed(descriptor),
            digest=digest,
            descriptor=descriptor,
            approved=approval,
        )

    def _server(self, name: str) -> McpServer:
        server = self.declared.get(name)
        if server is None:
            known = ", ".join(self.declared) or "none; declare one under mcp.servers in the settings"
            raise NotFound("mcp.unknown_server", f"no MCP server is called {name!r}; there are: {known}")
        return server

    def _connection(self, name: str, sender: Sender) -> Connection:
        from runtime.tools.mcp.client import Connection  # brings the library

        key = (name, sender.tenant)
        if key not in self._connections:
            self._connections[key] = Connection(
                self._server(name),
                tenant=sender.tenant,
                find=self._find,
                open_http=self._open_http,
                version=self._version,
            )
        return self._connections[key]


def _confinement(place: Place) -> Confinement:
    profile = place.profile
    return Confinement(
        driver=place.driver,
        profile_id=profile.profile_id,
        reads=profile.ro_paths,
        writes=profile.rw_paths,
        variables=tuple(sorted(profile.env)),
        memory_bytes=profile.memory_bytes,
        scratch_bytes=profile.scratch_bytes,
        cores=profile.cpu_share,
        tasks=profile.pids_max,
        starts_programs=profile.allows_subprocess,
        lives_s=profile.timeout_ms / 1_000,
    )
