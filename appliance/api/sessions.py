"""What agents remember of sessions, over HTTP: of the caller's own tenant."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from msgspec import Meta

from appliance import sessions
from appliance.api.bodies import ApiRequest, read_json, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.sessions import Forgotten, SessionName, SessionsView, TurnsView


class SessionAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions."""

    name: Annotated[str, Meta(min_length=1, max_length=10_000, description="The session's name, or its hash.")]
    workflow: Annotated[str, Meta(max_length=200, description="Only that of this workflow.")] = ""
    agent: Annotated[str, Meta(max_length=200, description="Only that of this agent.")] = ""

    def wanted(self) -> SessionName:
        """The same for those who look."""
        return SessionName(name=self.name, workflow=self.workflow, agent=self.agent)


@get(
    "/v1/memory/sessions",
    name="list_sessions",
    **describes("List the sessions that agents remember", tag="memory", answers={200: SessionsView}),
)
async def list_sessions(request: ApiRequest, service: NamedDependency[Service]) -> SessionsView:
    """With how much of each; nothing that was said. At most a thousand, the latest first."""
    appliance = service.appliance
    return await sessions.sessions_of(appliance.memory.turns, request.user.tenant, now_us=appliance.clock.now_us())


@get(
    "/v1/memory/sessions/turns",
    name="show_session",
    **describes(
        "Show what was said in a session",
        tag="memory",
        answers={200: TurnsView},
        errors=(404, 422),
        query=SessionAsked,
    ),
)
async def show_session(request: ApiRequest, service: NamedDependency[Service]) -> TurnsView:
    """As it is kept: with pseudonyms where the workflow is minimised."""
    asked, appliance = read_query(request, SessionAsked).wanted(), service.appliance
    return await sessions.turns_of(appliance.memory.turns, request.user.tenant, asked, now_us=appliance.clock.now_us())


@post(
    "/v1/memory/sessions/forget",
    name="forget_session",
    status_code=200,
    **describes(
        "Forget what was said in a session",
        tag="memory",
        answers={200: Forgotten},
        errors=(404, 415, 422, 507),
        body=SessionAsked,
        example={"name": "no-such-session"},
    ),
)
async def forget_session(request: ApiRequest, service: NamedDependency[Service]) -> Forgotten:
    """For good. Journals of runs keep what they say."""
    asked, appliance = (await read_json(request, SessionAsked)).wanted(), service.appliance
    return await sessions.forget(
        appliance.memory.turns,
        request.user.tenant,
        asked,
        now_us=appliance.clock.now_us(),
        record=appliance.record,
        actor=request.user.actor,
    )
