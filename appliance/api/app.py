"""The HTTP API as one ASGI application: routes, what handlers are given, and how errors are answered."""

from collections import defaultdict
from functools import cache
from http import HTTPStatus

from litestar import Litestar, Response, route
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import Scope

from appliance.api import (
    archive,
    audit,
    backends,
    bus,
    bus_pulls,
    costs,
    egress,
    events,
    health,
    history,
    human,
    live,
    manual,
    mcp_servers,
    openai,
    panels,
    preflight,
    runs,
    sessions,
    threats,
    tickets,
    tools,
    triggers,
    uplink,
    vault,
    what_if,
    workflows,
)
from appliance.api.bodies import ApiRequest
from appliance.api.mcp import mcp
from appliance.api.openai_errors import answer_at
from appliance.api.problems import MAX_BODY_BYTES
from appliance.api.service import Service

HANDLERS = (
    runs.create_run,
    runs.list_runs,
    runs.show_run,
    runs.cancel_run,
    runs.migrate_run,
    runs.signal_run,
    events.stream_events,
    live.stream_all_events,
    history.show_state,
    history.explain_run,
    what_if.ask_what_if,
    what_if.compare_runs,
    archive.export_runs,
    archive.import_runs,
    workflows.list_workflows,
    workflows.show_workflow,
    workflows.store_workflow,
    workflows.deploy_workflow,
    workflows.roll_back_workflow,
    workflows.show_workflow_history,
    openai.create_chat_completion,
    openai.create_embeddings,
    openai.list_models,
    openai.show_model,
    backends.list_backends,
    egress.list_egress,
    audit.note_audit,
    audit.erase_audit,
    uplink.show_uplink,
    uplink.try_uplink,
    uplink.anchor_uplink,
    uplink.show_anchored,
    threats.list_threats,
    costs.show_costs,
    preflight.ask_preflight,
    panels.panel_agents,
    panels.panel_plan,
    panels.panel_memory,
    panels.panel_memory_search,
    panels.panel_calls,
    panels.panel_costs,
    panels.panel_runs,
    panels.panel_waiting,
    mcp_servers.list_mcp_servers,
    mcp_servers.show_mcp_server,
    mcp_servers.approve_mcp_tools,
    mcp_servers.revoke_mcp_tool,
    mcp_servers.call_mcp_tool,
    tools.list_tools,
    tools.call_tool,
    human.list_human_tasks,
    human.show_human_task,
    human.claim_human_task,
    human.assign_human_task,
    human.return_human_task,
    human.complete_human_task,
    tickets.list_tickets,
    tickets.show_ticket,
    tickets.close_ticket,
    tickets.reopen_ticket,
    triggers.list_triggers,
    triggers.fire_trigger,
    triggers.pause_trigger,
    triggers.resume_trigger,
    triggers.take_request,
    bus.show_bus,
    bus.show_consumer,
    bus.rewind_consumer,
    bus.list_dead_letters,
    bus.retry_dead_letters,
    bus.list_messages,
    bus.publish_message,
    bus.tail_bus,
    bus_pulls.take_messages,
    bus_pulls.settle_messages,
    sessions.list_sessions,
    sessions.show_session,
    sessions.forget_session,
    vault.show_vault,
    vault.purge_vault,
    vault.erase_value,
    health.healthz,
    health.readyz,
    health.metrics,
    manual.openapi,
    manual.docs,
    manual.docs_asset,
)


@cache
def build_app() -> Litestar:
    """The router and its handlers.

    Keeps nothing and knows no appliance, so one does for all: the `Gate` in front says whose each request is.
    """
    return Litestar(
        [*_options(), *HANDLERS, mcp],
        dependencies={"service": Provide(_service_of, sync_to_thread=False)},
        exception_handlers={Exception: _answer_error},
        openapi_config=None,  # the description is made in `openapi`
        logging_config=None,  # errors are logged where they are answered, without bodies
        request_max_body_size=MAX_BODY_BYTES,
    )


def _service_of(scope: Scope) -> Service:
    service: Service = scope["service"]  # type: ignore[typeddict-item]  # set by the gate, as is the id below
    return service


def _answer_error(request: ApiRequest, error: Exception) -> Response[bytes]:
    problem = answer_at(request.scope["path"], error, request.scope["request_id"])  # type: ignore[typeddict-item]
    body = _service_of(request.scope).appliance.known.mask_text(problem.body.decode()).encode()
    return Response(body, status_code=problem.status, headers=problem.headers)


def _options() -> list[HTTPRouteHandler]:
    """An answer to OPTIONS for each path; the router's own would name the methods of the path's first handler only."""
    methods: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for handler in HANDLERS:
        for path in handler.paths:
            methods[path] |= handler.http_methods
    return [_options_of(path, ", ".join(sorted(allowed))) for path, allowed in methods.items()]


def _options_of(path: str, allowed: str) -> HTTPRouteHandler:
    @route(path, http_method="OPTIONS", status_code=HTTPStatus.NO_CONTENT)
    async def options() -> Response[None]:
        return Response(None, headers={"allow": allowed})

    return options
