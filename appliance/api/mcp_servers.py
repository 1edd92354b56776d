"""Servers of tools over HTTP, for `af mcp` beside a running server: over the UNIX socket alone, for no API key."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.auth.callers import LOCAL_CALLER, Caller
from appliance.mcp.servers import ServerLine
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.errors import Refused
from runtime.tools.mcp.servers import ServerState, ToolState

_Name = Annotated[str, Meta(min_length=1, max_length=128)]
ERRORS = (403, 404, 415, 422)


class McpServerList(msgspec.Struct, frozen=True):
    """The declared servers, by name."""

    servers: list[ServerLine]


class ApproveTools(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tools to approve as they are now."""

    tools: Annotated[list[_Name], Meta(max_length=500, description="Empty: all that may be used.")] = []
    digest: Annotated[str, Meta(max_length=80, description="Approve one tool only as it was seen then.")] = ""


class RevokeTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose approval to take back."""

    tool: _Name


class CallTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call."""

    tool: _Name
    arguments: dict[str, Json] = {}


class ApprovedTools(msgspec.Struct, frozen=True):
    """What was approved."""

    approved: list[ToolState]


class Revoked(msgspec.Struct, frozen=True):
    """Whether there was an approval."""

    was_approved: bool


class ToolAnswer(msgspec.Struct, frozen=True):
    """What a tool answered."""

    output: Json


@get(
    "/v1/mcp/servers",
    name="list_mcp_servers",
    **describes("List servers of tools", tag="mcp", answers={200: McpServerList}),
)
async def list_mcp_servers(service: NamedDependency[Service]) -> McpServerList:
    """As the settings declare them; none of them is asked."""
    return McpServerList(service.appliance.tool_servers.lines())


@get(
    "/v1/mcp/servers/{name:str}",
    name="show_mcp_server",
    **describes("Ask a server what tools it has", tag="mcp", answers={200: ServerState}, errors=(403, 404)),
)
async def show_mcp_server(name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> ServerState:
    """What it says of itself is foreign text."""
    return await service.appliance.tool_servers.state(name, sender=_local(request.user))


@post(
    "/v1/mcp/servers/{name:str}/approve",
    name="approve_mcp_tools",
    status_code=200,
    **describes(
        "Approve tools of a server",
        tag="mcp",
        answers={200: ApprovedTools},
        errors=ERRORS,
        body=ApproveTools,
        example={"tools": ["read_file"]},
    ),
)
async def approve_mcp_tools(
    name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> ApprovedTools:
    """As they describe themselves now."""
    sender = _local(request.user)
    asked = await read_json(request, ApproveTools)
    return ApprovedTools(
        await service.appliance.tool_servers.approve(
            name, asked.tools, digest=asked.digest, actor=request.user.actor, sender=sender
        )
    )


@post(
    "/v1/mcp/servers/{name:str}/revoke",
    name="revoke_mcp_tool",
    status_code=200,
    **describes(
        "Take the approval of a tool back",
        tag="mcp",
        answers={200: Revoked},
        errors=ERRORS,
        body=RevokeTool,
        example={"tool": "read_file"},
    ),
)
async def revoke_mcp_tool(name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> Revoked:
    """No agent may call it from then on."""
    sender = _local(request.user)
    asked = await read_json(request, RevokeTool)
    was = await service.appliance.tool_servers.revoke(name, asked.tool, actor=request.user.actor, sender=sender)
    return Revoked(was)


@post(
    "/v1/mcp/servers/{name:str}/call",
    name="call_mcp_tool",
    status_code=200,
    **describes(
        "Call a tool of a server",
        tag="mcp",
        answers={200: ToolAnswer},
        errors=(*ERRORS, 502),
        body=CallTool,
        example={"tool": "read_file", "arguments": {"path": "/srv/handbook/cards.md"}},
    ),
)
async def call_mcp_tool(name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> ToolAnswer:
    """By hand, to try it; agents call tools by their own grants."""
    sender = _local(request.user)
    asked = await read_json(request, CallTool)
    return ToolAnswer(await service.appliance.tool_servers.call(name, asked.tool, asked.arguments, sender=sender))


def _local(caller: Caller) -> Sender:
    if caller is not LOCAL_CALLER:
        raise Refused(
            "mcp.local_only",
            "servers of tools are looked at, approved and called by hand on this machine alone: af mcp, or the UNIX "
            "socket; an API key may not",
        )
    return Sender(purpose="af mcp", tenant=caller.tenant)
