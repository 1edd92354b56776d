"""Workflows over HTTP: list, show, store."""

from http import HTTPStatus

import msgspec
from litestar import Response, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from appliance.api.bodies import JSON_TYPES, YAML_TYPES, ApiRequest, expect_type, read_bytes
from appliance.api.operations import describes
from appliance.api.problems import Fault, fault_of
from appliance.api.service import Service
from runtime.domain.canonical import Json
from runtime.domain.ids import DefinitionHash
from runtime.domain.workflow import Workflow


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
    workflow = await catalogue.put(document, name=name)
    await service.mcp.changed()
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    headers = {"etag": f'"{workflow.hash}"'} | ({"location": f"/v1/workflows/{workflow.name}"} if is_new else {})
    return Response(_view(workflow), status_code=status, headers=headers)


def _view(workflow: Workflow) -> WorkflowView:
    return WorkflowView(
        name=workflow.name,
        definition_hash=workflow.hash,
        description=workflow.description,
        document=workflow.document,
        problems=[fault_of(problem) for problem in workflow.problems],
    )
