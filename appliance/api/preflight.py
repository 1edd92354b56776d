"""What a run will take, over HTTP, before it begins; learned from the caller's tenant's runs."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.auth.callers import LOCAL_CALLER
from appliance.costs.forecasts import PlanView
from runtime.domain.canonical import Json


class AskPreflight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The run that would be asked for."""

    workflow: Annotated[str, Meta(min_length=1, max_length=200, description="Name of a workflow, or its hash.")]
    input: Annotated[Json, Meta(description="What the workflow would work on; any JSON.")] = None
    role: Annotated[str, Meta(max_length=100, description="The role to ask for it in; over the UNIX socket alone.")] = (
        ""
    )


@post(
    "/v1/preflight",
    name="preflight",
    status_code=200,
    **describes(
        "Say what a run will take, before it begins",
        tag="costs",
        answers={200: PlanView},
        errors=(404, 415, 422),
        body=AskPreflight,
        example={"workflow": "support", "input": {"message": "My card was swallowed by the machine."}},
    ),
)
async def ask_preflight(request: ApiRequest, service: NamedDependency[Service]) -> PlanView:
    """As `af plan --json` prints it. No model is asked, and nothing is kept."""
    asked = await read_json(request, AskPreflight)
    workflow = await service.appliance.workflows.find(asked.workflow)
    caller = request.user
    role = asked.role if caller is LOCAL_CALLER and asked.role else caller.role
    return await service.appliance.plan(workflow, asked.input, tenant=caller.tenant, role=role)
