"""Runs over HTTP: ask for one, look at it, list them, answer it, cancel it."""

import asyncio
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json, read_query
from appliance.api.idempotency import KEY_PATTERN, key_of
from appliance.api.operations import Header, describes
from appliance.api.service import Service
from appliance.auth.callers import LOCAL_CALLER, Caller, person_of
from appliance.runs.views import RunLine, RunView, accepted_view, run_lines, run_view
from appliance.runs.within import with_tasks
from runtime.domain.canonical import Json
from runtime.domain.ids import RunId
from runtime.domain.run import FINAL, RunStatus
from runtime.domain.trace import context_of
from runtime.engine.migrate import Migration
from runtime.errors import NotFound
from runtime.ports import RunKind

LONGEST_WAIT_S = 600
DEFAULT_WAIT_S = 60
SETTLED = FINAL | {"waiting"}


class CreateRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a run."""

    workflow: Annotated[str, Meta(min_length=1, max_length=200, description="Name of a workflow, or its hash.")]
    input: Annotated[Json, Meta(description="What the workflow works on; any JSON.")] = None
    wait: Annotated[
        bool | Annotated[float, Meta(gt=0, le=LONGEST_WAIT_S)],
        Meta(description=f"Seconds to wait until the run is final or waits; true: {DEFAULT_WAIT_S}."),
    ] = False
    preflight: Annotated[bool, Meta(description="Keep with the run what it is expected to take.")] = False
    role: Annotated[str, Meta(max_length=100, description="The role to ask for it in; over the UNIX socket alone.")] = (
        ""
    )
    restore: Annotated[
        bool, Meta(description="With `wait`: answer with what pseudonyms of a minimised run stand for.")
    ] = False


class RunsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs to list."""

    status: Annotated[list[RunStatus], Meta(description="Only these; may be given several times.")] = []
    workflow: Annotated[str, Meta(max_length=200, description="Only runs of this workflow.")] = ""
    kind: Annotated[
        list[RunKind], Meta(description="Only these; may be given several times. Absent: all but what-ifs.")
    ] = msgspec.field(default_factory=lambda: ["run", "imported"])
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many at most.")] = 100
    before: Annotated[str, Meta(max_length=64, description="Only runs older than this one.")] = ""


class ShowQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to show a run."""

    restore: Annotated[
        bool, Meta(description="With what pseudonyms of a minimised run stand for; the audit log says who looked.")
    ] = False


class RunPage(msgspec.Struct, frozen=True):
    """Runs, newest first."""

    runs: list[RunLine]
    next: str | None
    """Path of the next page; null behind the last one."""


class CancelRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a run is cancelled."""

    reason: Annotated[str, Meta(max_length=1000)] = ""


class MigrateRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Move a run to another definition."""

    definition: Annotated[str, Meta(min_length=1, max_length=200, description="A definition's hash, or a workflow.")]
    dry_run: Annotated[bool, Meta(description="Only say what would change.")] = False


class SignalRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answer a waiting run."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="One of the run's `awaiting`.")]
    payload: Annotated[Json, Meta(description="Becomes the waiting step's output; any JSON.")] = None
    actor: Annotated[str, Meta(max_length=200, description="Who answers; over the UNIX socket alone.")] = ""
    role: Annotated[str, Meta(max_length=200, description="In what role; over the UNIX socket alone.")] = ""


@post(
    "/v1/runs",
    name="create_run",
    **describes(
        "Ask for a run; it is durable when this answers",
        tag="runs",
        answers={202: RunView, 200: RunView},
        errors=(403, 404, 409, 415, 422, 507),
        body=CreateRun,
        headers={
            "Idempotency-Key": Header(
                "A text of your own: a repeated request with it finds the first one's run.", KEY_PATTERN
            ),
            "traceparent": Header(
                "W3C trace context: the run becomes a part of your trace. One that can't be read counts as none.", ".*"
            ),
        },
        run_at="/run_id",
        example={"workflow": "support", "input": {"message": "My card was swallowed by the machine."}},
    ),
)
async def create_run(request: ApiRequest, service: NamedDependency[Service]) -> Response[RunView]:
    """200 when the run was waited for and is final or waits itself; 202 otherwise."""
    asked = await read_json(request, CreateRun)
    key = key_of(request.headers.get("idempotency-key"))
    workflow = await service.appliance.workflows.find(asked.workflow)
    caller = request.user
    if caller is LOCAL_CALLER and asked.role:
        caller = msgspec.structs.replace(caller, role=asked.role)
    submitted = await service.submissions.submit(
        workflow,
        asked.input,
        caller,
        key,
        with_estimate=asked.preflight,
        traceparent=context_of(request.headers.get("traceparent")),
    )
    headers = {"location": f"/v1/runs/{submitted.run}"}
    if submitted.is_replay:
        headers["idempotency-replayed"] = "true"
    if asked.wait:
        await wait_for(service, submitted.run, DEFAULT_WAIT_S if asked.wait is True else float(asked.wait))
        view = await show(service, submitted.run, restored_for=request.user if asked.restore else None)
        status = HTTPStatus.OK if view.status in SETTLED else HTTPStatus.ACCEPTED
        return Response(view, status_code=status, headers=headers)
    # nothing has been read back: the caller asked for a run, not for a look at it
    view = await show(service, submitted.run) if submitted.is_replay else accepted_view(submitted.run, workflow)
    return Response(view, status_code=HTTPStatus.ACCEPTED, headers=headers)


@get(
    "/v1/runs",
    name="list_runs",
    **describes(
        "List runs, newest first",
        tag="runs",
        answers={200: RunPage},
        errors=(404, 422),
        query=RunsQuery,
    ),
)
async def list_runs(request: ApiRequest, service: NamedDependency[Service]) -> RunPage:
    """`next` leads to the older ones."""
    query = read_query(request, RunsQuery)
    before = RunId(query.before) if query.before else None
    found = await service.store.runs(
        status=query.status, workflow=query.workflow, kinds=query.kind, limit=query.limit + 1, before=before
    )
    page = run_lines(found[: query.limit])
    return RunPage(page, _next_page(query, page[-1].run_id) if len(found) > query.limit else None)


@get(
    "/v1/runs/{run_id:str}",
    name="show_run",
    **describes(
        "Show one run", tag="runs", answers={200: RunView}, errors=(404, 422), query=ShowQuery, run_at="/run_id"
    ),
)
async def show_run(run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]) -> RunView:
    """As `af run --json` prints it."""
    query = read_query(request, ShowQuery)
    return await show(service, RunId(run_id), restored_for=request.user if query.restore else None)


@post(
    "/v1/runs/{run_id:str}/cancel",
    name="cancel_run",
    **describes(
        "Cancel a run and stop what it is doing",
        tag="runs",
        answers={200: RunView},
        errors=(404, 409, 415, 422, 507),
        body=CancelRun,
        is_body_optional=True,
        example={"reason": "asked twice"},
    ),
)
async def cancel_run(
    run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[RunView]:
    """The cancellation is durable when this answers; 409 when the run is already final."""
    asked = await read_json(request, CancelRun, empty=CancelRun())
    await service.engine.cancel(RunId(run_id), asked.reason, actor=request.user.actor)
    return Response(await show(service, RunId(run_id)), status_code=HTTPStatus.OK)


@post(
    "/v1/runs/{run_id:str}/migrate",
    name="migrate_run",
    **describes(
        "Move a run to another definition",
        tag="runs",
        answers={200: Migration},
        errors=(404, 409, 415, 422, 507),
        body=MigrateRun,
        example={"definition": "support", "dry_run": True},
    ),
)
async def migrate_run(
    run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[Migration]:
    """The move is durable when this answers; 409 says what speaks against it, as `refusals` do with `dry_run`."""
    asked = await read_json(request, MigrateRun)
    to = await service.appliance.workflows.find(asked.definition)
    engine, run = service.engine, RunId(run_id)
    moved = await (engine.migration(run, to) if asked.dry_run else engine.migrate(run, to, actor=request.user.actor))
    return Response(moved, status_code=HTTPStatus.OK)


@post(
    "/v1/runs/{run_id:str}/signal",
    name="signal_run",
    **describes(
        "Answer a run that waits",
        tag="runs",
        answers={200: RunView},
        errors=(404, 409, 415, 422, 507),
        body=SignalRun,
        example={"name": "resolved", "payload": {"answer": "A colleague has called the customer."}},
    ),
)
async def signal_run(
    run_id: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[RunView]:
    """The signal is durable when this answers; 409 when the run does not wait for it."""
    asked = await read_json(request, SignalRun)
    by = person_of(request.user, asked.actor, asked.role)
    if (await service.store.run(RunId(run_id))).tenant != request.user.tenant:
        raise NotFound("run.not_found", f"tenant {request.user.tenant!r} has no run {run_id[:40]!r}")
    await service.engine.signal(RunId(run_id), asked.name, asked.payload, actor=by.name, role=by.role)
    return Response(await show(service, RunId(run_id)), status_code=HTTPStatus.OK)


async def wait_for(service: Service, run: RunId, seconds: float) -> None:
    """Return once the run is final or waits, the time is up, or the server drains. Raises what stopped the run here."""
    settled = asyncio.ensure_future(service.engine.wait(run))
    draining = asyncio.ensure_future(service.lifecycle.draining.wait())
    try:
        await asyncio.wait({settled, draining}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if settled.done() and not settled.cancelled():
            settled.result()
    finally:
        settled.cancel()
        draining.cancel()


async def show(service: Service, run: RunId, *, restored_for: Caller | None = None) -> RunView:
    summary = await service.store.run(run)
    workflow = await service.appliance.workflows.pinned(summary.definition)
    if restored_for is not None:
        who = restored_for
        state = await service.appliance.minimising.restored_state(
            service.engine, run, tenant=who.tenant, actor=who.actor
        )
        return await with_tasks(run_view(state, workflow), service.engine.state)
    # a state that the engine works on goes on changing, so it is looked at without a pause in between
    return await with_tasks(run_view(await service.engine.state(run), workflow), service.engine.state)


def _next_page(query: RunsQuery, last: RunId) -> str:
    asked = [*(("status", status) for status in query.status), ("limit", str(query.limit)), ("before", last)]
    if query.kind != RunsQuery().kind:
        asked += [("kind", kind) for kind in query.kind]
    if query.workflow:
        asked.append(("workflow", query.workflow))
    return f"/v1/runs?{urlencode(asked)}"
