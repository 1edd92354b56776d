"""What the dashboard's panels show, over HTTP; of the caller's tenant. Only reads."""

from contextlib import suppress
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.config.costs import budgets_of
from appliance.costs.estimates import estimated
from appliance.costs.report import Asked, costs_view, instant_of
from appliance.panels.agents import AgentsView, agents_view
from appliance.panels.calls import CallsView, newest_calls
from appliance.panels.glances import MOST_RUNS as MOST_GLANCES
from appliance.panels.glances import GlancesView, glance_of
from appliance.panels.memories import CollectionsView, CollectionView, RecallView, passage_views
from appliance.panels.plans import PlanShapeView, plan_shape
from appliance.panels.spending import ESTIMATED_RUNS, SpendingPanelView, alerts_of, estimated_view, hour_views
from appliance.panels.waiting import MOST_RUNS, WaitsView, waits_view
from runtime.domain.chat import EmbedRequest
from runtime.domain.ids import RunId
from runtime.domain.memory import Collection, MemoryQuery
from runtime.errors import Corrupt, NotFound, Unavailable
from runtime.memory.embedding import DEFAULT_MODEL
from runtime.memory.retrieval import WORDS_SHARE, confidence


class MemoryQueryOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to look for."""

    collection: Annotated[str, Meta(min_length=1, max_length=200, description="Name of a collection.")]
    text: Annotated[str, Meta(min_length=1, max_length=4_000, description="A question, as an agent would ask it.")]
    limit: Annotated[int, Meta(ge=1, le=100, description="How many passages at most.")] = 10


class GlanceQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs to look at."""

    run: Annotated[
        list[Annotated[str, Meta(max_length=200)]],
        Meta(min_length=1, max_length=MOST_GLANCES, description="A run's id; may be given up to 50 times."),
    ]


class CallsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls to list."""

    run: Annotated[str, Meta(max_length=200, description="Only those of this run.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most.")] = 200


class SpendingQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which period to add up."""

    since: Annotated[
        str, Meta(max_length=40, description="Begin of the period: month, today, 12h, 7d, or a date; of UTC.")
    ] = "24h"


@get(
    "/v1/panels/agents",
    name="panel_agents",
    **describes("Agents and model servers: load, queue, failures", tag="panels", answers={200: AgentsView}),
)
async def panel_agents(service: NamedDependency[Service]) -> AgentsView:
    """Those agents that a run has needed since the start."""
    return agents_view(service.engine.loads(), service.appliance.models.status())


@get(
    "/v1/panels/plan/{definition:str}",
    name="panel_plan",
    **describes("A definition's plan as nodes", tag="panels", answers={200: PlanShapeView}, errors=(404,)),
)
async def panel_plan(definition: FromPath[str], service: NamedDependency[Service]) -> PlanShapeView:
    """By a workflow's name or a definition's hash."""
    return plan_shape(await service.appliance.workflows.find(definition))


@get(
    "/v1/panels/memory",
    name="panel_memory",
    **describes("List the collections of long-term memory", tag="panels", answers={200: CollectionsView}),
)
async def panel_memory(request: ApiRequest, service: NamedDependency[Service]) -> CollectionsView:
    """With how much each holds."""
    found = await service.appliance.memory.collections(request.user.tenant)
    return CollectionsView(
        collections=[CollectionView(name=name, documents=docs, passages=passages) for name, docs, passages in found]
    )


@get(
    "/v1/panels/memory/search",
    name="panel_memory_search",
    **describes(
        "Search a collection, and see why each passage is found",
        tag="panels",
        answers={200: RecallView},
        errors=(403, 404, 422),
        query=MemoryQueryOf,
    ),
)
async def panel_memory_search(request: ApiRequest, service: NamedDependency[Service]) -> RecallView:
    """As agents find it: by meaning and by words. A local model embeds the question."""
    query, appliance, tenant = read_query(request, MemoryQueryOf), service.appliance, request.user.tenant
    names = [name for name, _, _ in await appliance.memory.collections(tenant)]
    if query.collection not in names:
        known = ", ".join(names) or "none"
        raise NotFound("memory.unknown_collection", f"no collection is called {query.collection!r}; known: {known}")
    reply = await appliance.models.embed(EmbedRequest(model=DEFAULT_MODEL, texts=(query.text,)))
    asked = MemoryQuery(text=query.text, vector=reply.vectors, limit=query.limit)
    passages = passage_views(
        await appliance.memory.search(Collection(tenant, query.collection), asked), words_share=WORDS_SHARE
    )
    best = max((passage.similarity for passage in passages), default=None)
    return RecallView(
        collection=query.collection, passages=passages, confidence=0.0 if best is None else round(confidence(best), 4)
    )


@get(
    "/v1/panels/calls",
    name="panel_calls",
    **describes(
        "Calls of tools, models and hosts: allowed or refused, and why",
        tag="panels",
        answers={200: CallsView},
        errors=(422,),
        query=CallsQuery,
    ),
)
async def panel_calls(request: ApiRequest, service: NamedDependency[Service]) -> CallsView:
    """Out of the newest lines of the audit log, one call each, newest first; never a value."""
    query = read_query(request, CallsQuery)
    log = service.appliance.audit
    if log is None:
        raise Unavailable("audit.closed", "the audit log is not open here")
    await service.appliance.audit_written()
    return await newest_calls(log, tenant=request.user.tenant, run=query.run, limit=query.limit)


@get(
    "/v1/panels/costs",
    name="panel_costs",
    **describes(
        "Spending by the hour, budgets, and estimates against what runs took",
        tag="panels",
        answers={200: SpendingPanelView},
        errors=(422,),
        query=SpendingQuery,
    ),
)
async def panel_costs(request: ApiRequest, service: NamedDependency[Service]) -> SpendingPanelView:
    """Budgets at or near their end are told as alerts."""
    query, appliance = read_query(request, SpendingQuery), service.appliance
    if appliance.spending.budgets is None:
        raise Unavailable("budget.closed", "what was spent is not open here")
    await appliance.spending.budgets.flush()
    now_us, tenant = appliance.clock.now_us(), request.user.tenant
    between_us = (instant_of(query.since, now_us), now_us + 1)
    charges, limits = appliance.spending.budgets.charges, budgets_of(appliance.settings.budgets)
    asked = Asked(since=query.since, tenant=tenant)
    view = await costs_view(charges, None, limits, asked, now_us=now_us)
    estimates = []
    async for state in estimated(service.store, between_us, tenant):
        if (line := estimated_view(state)) is not None:
            estimates.append(line)
        if len(estimates) == ESTIMATED_RUNS:
            break
    return SpendingPanelView(
        hours=hour_views(await charges.hours(between_us, tenant=tenant), between_us),
        by_model=view.spending,
        total=view.total,
        budgets=view.budgets,
        alerts=alerts_of(view.budgets),
        estimates=estimates,
    )


@get(
    "/v1/panels/runs",
    name="panel_runs",
    **describes(
        "Runs at a glance: what each does, waits for, or failed with",
        tag="panels",
        answers={200: GlancesView},
        errors=(422,),
        query=GlanceQuery,
    ),
)
async def panel_runs(request: ApiRequest, service: NamedDependency[Service]) -> GlancesView:
    """Those that are not here, or cannot be read, are left out."""
    glances = []
    for run in dict.fromkeys(read_query(request, GlanceQuery).run):
        with suppress(NotFound, Corrupt):
            state = await service.engine.state(RunId(run))
            if state.tenant == request.user.tenant:
                glances.append(glance_of(state))
    return GlancesView(runs=glances)


@get(
    "/v1/panels/waiting",
    name="panel_waiting",
    **describes("What waits for a person", tag="panels", answers={200: WaitsView}),
)
async def panel_waiting(request: ApiRequest, service: NamedDependency[Service]) -> WaitsView:
    """Each is answered with `POST /v1/runs/{run_id}/signal`."""
    found = await service.store.runs(status=("waiting", "running"), limit=MOST_RUNS + 1)
    states = []
    for summary in found[:MOST_RUNS]:
        try:
            state = await service.engine.state(summary.run)
        except Corrupt:  # one damaged run hides no other; `af runs show` says what is wrong with it
            continue
        if state.tenant == request.user.tenant and not state.is_final:
            states.append(state)
    return waits_view(states, has_more=len(found) > MOST_RUNS)
