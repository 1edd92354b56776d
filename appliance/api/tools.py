"""Tools over HTTP: which there are, and calls of them that belong to no run."""

from secrets import token_hex
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
from appliance.tools.direct_calls import ToolList, call_directly, chosen, tool_view
from runtime.domain.canonical import Json
from runtime.domain.tool import ToolSpec
from runtime.errors import Refused


class CallTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call."""

    arguments: dict[str, Json] = {}
    key: Annotated[
        str,
        Meta(max_length=200, description="Equal for every attempt at this call; a tool has its effect once per key."),
    ] = ""
    dry_run: Annotated[bool, Meta(description="Look at the rules, and have no effect.")] = False
    role: Annotated[str, Meta(max_length=100, description="The role to call it in; over the UNIX socket alone.")] = ""
    by: Annotated[str, Meta(max_length=40, description="What asks, for the audit log; the same.")] = ""
    workflow: Annotated[
        str,
        Meta(max_length=200, description="Name or hash of a workflow whose own tools may be called too; the same."),
    ] = ""


class ToolAnswer(msgspec.Struct, frozen=True):
    """What a tool answered."""

    output: Json


@get(
    "/v1/tools",
    name="list_tools",
    **describes("List the tools that the caller may be let call", tag="tools", answers={200: ToolList}),
)
async def list_tools(request: ApiRequest, service: NamedDependency[Service]) -> ToolList:
    """Over the UNIX socket all that belong to no workflow; with an API key those that `mcp.tools` names."""
    return ToolList([tool_view(spec) for spec in _offered(service, request.user)])


@post(
    "/v1/tools/{name:str}/call",
    name="call_tool",
    status_code=200,
    **describes(
        "Call a tool",
        tag="tools",
        answers={200: ToolAnswer},
        errors=(403, 404, 409, 415, 422, 502),
        body=CallTool,
        example={"arguments": {"subject": "Card lost"}, "dry_run": True},
    ),
)
async def call_tool(name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> ToolAnswer:
    """The way of an agent's calls: rules, rates, budgets, schemas, audit log; a workflow's rules where it is named."""
    asked = await read_json(request, CallTool)
    caller, by = request.user, "API key"
    workflow = None
    if caller is LOCAL_CALLER:
        workflow = await service.appliance.workflows.find(asked.workflow) if asked.workflow else None
        caller, by = msgspec.structs.replace(caller, role=asked.role), asked.by or "API client"
    elif asked.workflow or all(spec.id != name for spec in _offered(service, caller)):
        raise Refused(
            "tool.not_offered",
            f"tool {name[:100]!r} is not offered to other programs; the setting mcp.tools says which are",
            rule="mcp.tools",
        )
    key = f"{caller.tenant}/{caller.actor}/{asked.key or token_hex(16)}/{name}"
    return ToolAnswer(
        await call_directly(
            service.appliance,
            name,
            asked.arguments,
            key=key,
            caller=caller,
            by=by,
            is_dry=asked.dry_run,
            workflow=workflow,
        )
    )


def _offered(service: Service, caller: Caller) -> list[ToolSpec]:
    specs = service.appliance.toolboxes.own.specs()
    return specs if caller is LOCAL_CALLER else chosen(specs, service.appliance.settings.mcp.tools)
