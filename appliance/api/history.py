"""Runs at any point of their journals, and why they failed, over HTTP."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.runs.causes import WhyView, why_view
from appliance.runs.history import StateView, state_view
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.workflow import Workflow
from runtime.errors import AgentFlowError


class StateQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which point of a run to show."""

    at: Annotated[
        str,
        Meta(max_length=64, description="An entry's sequence number or an RFC 3339 instant; absent: the last entry."),
    ] = ""
    restore: Annotated[
        bool, Meta(description="With what pseudonyms of a minimised run stand for; the audit log says who looked.")
    ] = False


@get(
    "/v1/runs/{run_id:str}/state",
    name="show_state",
    **describes(
        "Show a run as it was at one point, and what its entry changed",
        tag="runs",
        answers={200: StateView},
        errors=(404, 422),
        query=StateQuery,
        run_at="/run_id",
    ),
)
async def show_state(run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> StateView:
    """Of a minimised run with its pseudonyms, unless `restore` asks for what they stand for."""
    query, run = read_query(request, StateQuery), RunId(run_id)
    summary = await service.store.run(run)
    workflow = await service.appliance.workflows.pinned(summary.definition)
    engine, who = service.engine, request.user
    if query.restore:
        restored = service.appliance.minimising.restored_entries
        return state_view(run, await restored(engine, run, tenant=who.tenant, actor=who.actor), query.at, workflow)
    return state_view(run, await engine.entries(run), query.at, workflow)


@get(
    "/v1/runs/{run_id:str}/why",
    name="explain_run",
    **describes(
        "Say why a run failed: its first cause, and what that led to",
        tag="runs",
        answers={200: WhyView},
        errors=(404,),
        run_at="/run_id",
    ),
)
async def explain_run(run_id: FromPath[str], service: NamedDependency[Service]) -> WhyView:
    """As `af runs why --json` prints it. Of a run that has not failed, `first` is null."""

    async def pinned(definition: DefinitionHash) -> Workflow | None:
        try:
            return await service.appliance.workflows.pinned(definition)
        except AgentFlowError:
            return None

    return await why_view(service.store, pinned, RunId(run_id))
