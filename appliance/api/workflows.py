"""Workflows over HTTP: list, show, store."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import JSON_TYPES, YAML_TYPES, ApiRequest, expect_type, read_bytes, read_json
from appliance.api.operations import describes
from appliance.api.problems import MAX_BODY_BYTES, Fault, fault_of
from appliance.api.service import Service
from appliance.auth.callers import LOCAL_CALLER
from appliance.deployment import Brought, DeploymentView, HistoryView, deploy_brought, history, roll_back
from runtime.domain.canonical import Json
from runtime.domain.ids import DefinitionHash
from runtime.domain.workflow import Workflow
from runtime.memory.short_term import remembers

MAX_PROJECT_BYTES = 80 * 2**20
"""The 50 MB of files that a definition may name, in base64, and its documents."""


class WorkflowLine(msgspec.Struct, frozen=True):
    """One workflow of the list."""

    name: str
    source: str
    """`published` here, a `template` that came with the program, or `developed`, by `af dev`."""


class WorkflowList(msgspec.Struct, frozen=True):
    """Every workflow, by name."""

    workflows: list[WorkflowLine]


class WorkflowView(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow."""

    name: str
    definition_hash: DefinitionHash
    """Changes with the definition; a run stays with the one that it was started with."""
    description: str
    document: dict[str, Json]
    """The normalised definition that the hash covers."""
    problems: list[Fault]
    """Warnings, and refusals: what keeps it from running here."""
    remembers: bool
    """Whether its agents remember what is said in the session that a run's input names."""


class RollBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Go back."""

    to: Annotated[str, Meta(max_length=80, description="Beginning of a definition's hash; empty: the one before.")] = ""
    note: Annotated[str, Meta(max_length=500, description="Kept with it.")] = ""
    dry_run: Annotated[bool, Meta(description="Only say what would change.")] = False


@get(
    "/v1/workflows",
    name="list_workflows",
    **describes("List workflows", tag="workflows", answers={200: WorkflowList}),
)
async def list_workflows(service: NamedDependency[Service]) -> WorkflowList:
    """By name; each may be shown, and asked for in a run."""
    lines = await service.appliance.workflows.list()
    return WorkflowList([WorkflowLine(line.name, line.source) for line in sorted(lines, key=lambda line: line.name)])


@get(
    "/v1/workflows/{name:str}",
    name="show_workflow",
    **describes("Show one workflow", tag="workflows", answers={200: WorkflowView}, errors=(404, 422)),
)
async def show_workflow(name: FromPath[str], service: NamedDependency[Service]) -> Response[WorkflowView]:
    """By its name or its hash."""
    workflow = await service.appliance.workflows.find(name)
    return Response(_view(workflow), headers={"etag": f'"{workflow.hash}"'})


@put(
    "/v1/workflows/{name:str}",
    name="store_workflow",
    **describes(
        "Store a workflow",
        tag="workflows",
        answers={201: WorkflowView, 200: WorkflowView},
        errors=(400, 403, 415, 422, 507),
        media_types=("application/yaml", "application/json"),
        is_document=True,
        example={"name": "hello", "agents": {"greet": {"type": "llm", "prompt": "Greet {{ input.name }}."}}},
    ),
)
async def store_workflow(
    name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[WorkflowView]:
    """201 when no workflow had the name, 200 when it was replaced; runs under way keep the definition they have."""
    expect_type(request, JSON_TYPES | YAML_TYPES)
    document = await read_bytes(request)
    catalogue = service.appliance.workflows
    is_new = name not in await catalogue.names()
    workflow = await catalogue.put(document, name=name, actor=request.user.actor)
    await _changed(service)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    headers = {"etag": f'"{workflow.hash}"'} | ({"location": f"/v1/workflows/{workflow.name}"} if is_new else {})
    return Response(_view(workflow), status_code=status, headers=headers)


@post(
    "/v1/workflows/{name:str}/deploy",
    name="deploy_workflow",
    status_code=200,
    request_max_body_size=MAX_PROJECT_BYTES,
    **describes(
        "Publish a project with its files, or say what that would change",
        tag="workflows",
        answers={200: DeploymentView},
        errors=(403, 409, 415, 422, 507),
        body=Brought,
        example={"document": {"name": "hello", "agents": {"greet": {"type": "llm", "prompt": "Hi."}}}, "dry_run": True},
    ),
)
async def deploy_workflow(
    name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> DeploymentView:
    """With files over the UNIX socket alone. Runs under way keep the definition they have."""
    caller = request.user
    is_local = caller is LOCAL_CALLER
    brought = await read_json(request, Brought, max_bytes=MAX_PROJECT_BYTES if is_local else MAX_BODY_BYTES)
    view = await deploy_brought(service.appliance, brought, name=name, actor=caller.actor, is_local=is_local)
    await _changed(service)
    return view


@post(
    "/v1/workflows/{name:str}/rollback",
    name="roll_back_workflow",
    status_code=200,
    **describes(
        "Publish once more what had the name before",
        tag="workflows",
        answers={200: DeploymentView},
        errors=(403, 404, 409, 415, 422, 507),
        body=RollBack,
        is_body_optional=True,
        example={"dry_run": True},
    ),
)
async def roll_back_workflow(
    name: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> DeploymentView:
    """Runs under way keep the definition they have."""
    asked = await read_json(request, RollBack, empty=RollBack())
    view = await roll_back(
        service.appliance, name, to=asked.to, actor=request.user.actor, note=asked.note, is_dry=asked.dry_run
    )
    await _changed(service)
    return view


@get(
    "/v1/workflows/{name:str}/history",
    name="show_workflow_history",
    **describes("List what had a name, the newest first", tag="workflows", answers={200: HistoryView}, errors=(404,)),
)
async def show_workflow_history(name: FromPath[str], service: NamedDependency[Service]) -> HistoryView:
    """What was published under it, by whom, and what it can be rolled back to."""
    return await history(service.appliance, name)


async def _changed(service: Service) -> None:
    await service.mcp.changed()
    await service.triggers.refresh()


def _view(workflow: Workflow) -> WorkflowView:
    return WorkflowView(
        name=workflow.name,
        definition_hash=workflow.hash,
        description=workflow.description,
        document=workflow.document,
        problems=[fault_of(problem) for problem in workflow.problems],
        remembers=remembers(workflow),
    )
