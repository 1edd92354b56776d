"""What-ifs and comparisons over HTTP."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json, read_query
from appliance.api.operations import describes
from appliance.api.runs import DEFAULT_WAIT_S, LONGEST_WAIT_S, wait_for
from appliance.api.service import Service
from appliance.runs.comparison import ComparisonView, comparison_view
from appliance.runs.suppositions import Supposition, suppose
from appliance.runs.views import RunView, run_view
from runtime.domain.ids import RunId


class AskWhatIf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask what would have been."""

    suppose: Annotated[Supposition, Meta(description="What is different.")] = Supposition()
    wait: Annotated[
        bool | Annotated[float, Meta(gt=0, le=LONGEST_WAIT_S)],
        Meta(description=f"Seconds to wait until the run is final or waits; true: {DEFAULT_WAIT_S}."),
    ] = False


class CompareQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to compare with."""

    other: Annotated[str, Meta(min_length=1, max_length=64, description="The other run's id.")]


@post(
    "/v1/runs/{run_id:str}/what-if",
    name="ask_what_if",
    **describes(
        "Run a run again with something changed, as a what-if",
        tag="runs",
        answers={202: RunView, 200: RunView},
        errors=(403, 404, 409, 415, 422, 507),
        body=AskWhatIf,
        run_at="/run_id",
        example={"suppose": {"set": {"classify.result.label": "cards"}}, "wait": True},
    ),
)
async def ask_what_if(
    run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[RunView]:
    """A run of its own, whose `what_if` says so. 200 when it was waited for and is final or waits; 202 otherwise."""
    asked = await read_json(request, AskWhatIf)
    fork = await suppose(
        service.appliance, RunId(run_id), asked.suppose, actor=request.user.actor, role=request.user.role
    )
    if asked.wait:
        await wait_for(service, fork, DEFAULT_WAIT_S if asked.wait is True else float(asked.wait))
    summary = await service.store.run(fork)
    workflow = await service.appliance.workflows.pinned(summary.definition)
    view = run_view(await service.engine.state(fork), workflow)
    is_settled = asked.wait and view.status != "running"
    status = HTTPStatus.OK if is_settled else HTTPStatus.ACCEPTED
    return Response(view, status_code=status, headers={"location": f"/v1/runs/{fork}"})


@get(
    "/v1/runs/{run_id:str}/compare",
    name="compare_runs",
    **describes(
        "Hold two runs beside each other",
        tag="runs",
        answers={200: ComparisonView},
        errors=(404, 422),
        query=CompareQuery,
    ),
)
async def compare_runs(run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> ComparisonView:
    """This one on the left, the other one on the right."""
    query = read_query(request, CompareQuery)
    return await comparison_view(service.store, RunId(run_id), RunId(query.other))
