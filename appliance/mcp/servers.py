"""The servers of tools of this appliance, put together: who starts them, who lets requests out, who may call.

The library that speaks to them is imported when one is first asked.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance.private_paths import private_paths
from runtime.domain.audit import AuditEntry, tool_entry
from runtime.domain.canonical import Json, encode
from runtime.domain.egress import Sender
from runtime.domain.mcp import McpServer
from runtime.errors import AgentFlowError
from runtime.ports import Record
from runtime.tools.mcp.approvals import Approvals
from runtime.tools.mcp.servers import McpServers, ServerState, ToolState
from runtime.tools.mcp.starting import Starter

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from redaction.doors.http import HttpDoor
    from redaction.guard import Guard
    from runtime.ports import Clock
    from runtime.sandbox.registry import Sandboxes
    from runtime.tools.mcp.client import Tell


class ServerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of servers; none of them is asked for it."""

    server: str
    at: str
    """Its address, or the program that it is started by, with its script or package."""
    grants: tuple[str, ...]
    approved: tuple[str, ...]
    """The tools that a person has approved."""


class ToolServers:
    """What operators and agents do with servers of tools."""

    def __init__(self, servers: McpServers, approvals: Approvals, record: Record) -> None:
        self.servers = servers
        self._approvals = approvals
        self._record = record

    async def stop(self) -> None:
        """Close every connection. Safe to call twice."""
        await self.servers.stop()

    def lines(self) -> list[ServerLine]:
        """The declared servers."""
        return [
            ServerLine(
                server=server.name,
                at=server.url or _started_by(server.command),
                grants=server.grants,
                approved=tuple(sorted(self._approvals.of(server.name))),
            )
            for server in self.servers.declared.values()
        ]

    async def state(self, name: str, *, sender: Sender) -> ServerState:
        """What a server has now. Raises as `McpServers.state` does."""
        return await self.servers.state(name, sender=sender)

    async def approve(
        self, name: str, tools: Sequence[str], *, digest: str, actor: str, sender: Sender
    ) -> list[ToolState]:
        """Approve tools as they are now; the audit log says who did. Raises as `McpServers.approve` does."""
        approved = await self.servers.approve(name, tools, by=actor, digest=digest, sender=sender)
        for each in approved:
            subject = f"{name}.{each.tool}"
            await self._record(AuditEntry(event="mcp.approved", sender=sender, actor=actor, subject=subject))
        return approved

    async def revoke(self, name: str, tool: str, *, actor: str, sender: Sender) -> bool:
        """Take an approval back; whether there was one."""
        was = self.servers.withdraw(name, tool)
        if was:
            subject = f"{name}.{tool}"
            await self._record(AuditEntry(event="mcp.revoked", sender=sender, actor=actor, subject=subject))
        return was

    async def call(
        self, name: str, tool: str, arguments: dict[str, Json], *, sender: Sender, tell: Tell | None = None
    ) -> Json:
        """Call a tool for a person; the audit log says so. Raises as `McpServers.call` does."""
        passage, outcome, size = secrets.token_hex(8), "cancelled", 0
        subject = f"{name}.{tool}"
        await self._record(tool_entry("tool.called", subject, sender, passage=passage))
        try:
            answer = await self.servers.call(name, tool, arguments, sender=sender, key=passage, tell=tell)
            outcome, size = "ok", len(encode(answer))
            return answer
        except AgentFlowError as error:
            outcome = error.code
            raise
        finally:
            await self._record(
                tool_entry("tool.settled", subject, sender, passage=passage, outcome=outcome, size_bytes=size)
            )


def tool_servers(
    settings: Settings, guard: Guard, door: HttpDoor, *, clock: Clock, record: Record, sandboxes: Sandboxes
) -> ToolServers:
    """The declared servers, none of which is asked yet."""
    approvals = Approvals(settings.data)
    starter = Starter(sandboxes.chosen, [Path(path) for path in private_paths(settings, os.environ)])

    def open_http(server: McpServer, sender: Callable[[], Sender], failed: Callable[[AgentFlowError], str]) -> object:
        from redaction.doors.passages2 import PassageTerms, passing_client  # brings httpx2

        terms = PassageTerms(
            item=f"tool:mcp/{server.name}",
            url=server.url,
            headers=server.headers,
            timeout_s=server.timeout_s,
            max_reply_bytes=server.max_reply_bytes,
        )
        return passing_client(guard, door, terms, sender=sender, failed=failed)

    servers = McpServers(
        settings.mcp.servers, approvals, clock, find=starter.place, open_http=open_http, version=_version()
    )
    return ToolServers(servers, approvals, record)


def _started_by(command: Sequence[str]) -> str:
    """Of the arguments no more than a script: others may hold what is nobody else's."""
    script = Path(command[1]) if len(command) > 1 and command[1].startswith("/") else None
    if script is None:
        return command[0]
    _, _, package = str(script).rpartition("/node_modules/")
    names = package.split("/")[: 2 if package.startswith("@") else 1]
    return f"{Path(command[0]).name} {'/'.join(names) or script}"


def _version() -> str:
    try:
        return metadata.version("agentflow-appliance")
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        return "0"
