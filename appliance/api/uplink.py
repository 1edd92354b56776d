"""The uplink over HTTP: how it is; and, for commands on this machine alone, trying it and keeping checkpoints there."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.audit.uplink_anchor import AnchorView, KeptNote, anchor_tenant, anchored_note
from appliance.auth.callers import LOCAL_CALLER
from appliance.uplink.view import UplinkView
from runtime.domain.forward import StreamView
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Refused


class TryUplink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the uplink is tried."""

    create: Annotated[bool, Meta(description="Make the stream where there is none.")] = False


class AnchorTenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose chain."""

    tenant: Annotated[str, Meta(min_length=1, max_length=128, description="The tenant.")] = DEFAULT_TENANT


@get(
    "/v1/uplink",
    name="show_uplink",
    **describes("How the uplink is", tag="egress", answers={200: UplinkView}),
)
async def show_uplink(service: NamedDependency[Service]) -> UplinkView:
    """Where it goes, how far it has come, what waits, and why nothing leaves when nothing does."""
    return await service.appliance.uplink.status()


@post(
    "/v1/uplink/test",
    name="try_uplink",
    status_code=200,
    **describes(
        "Ask the broker for the stream, on behalf of a command on this machine",
        tag="egress",
        answers={200: StreamView},
        errors=(403, 404, 415, 422, 503),
        body=TryUplink,
    ),
)
async def try_uplink(request: ApiRequest, service: NamedDependency[Service]) -> StreamView:
    """Through the guard and the door, as everything else."""
    _require_local(request)
    asked = await read_json(request, TryUplink)
    return await service.appliance.uplink.look(create=asked.create)


@post(
    "/v1/uplink/checkpoints",
    name="anchor_uplink",
    status_code=200,
    **describes(
        "Sign where a chain of the audit log ends, and have the stream keep that",
        tag="egress",
        answers={200: AnchorView},
        errors=(403, 404, 415, 422, 503),
        body=AnchorTenant,
    ),
)
async def anchor_uplink(request: ApiRequest, service: NamedDependency[Service]) -> AnchorView:
    """For `af audit anchor --to uplink`."""
    _require_local(request)
    asked = await read_json(request, AnchorTenant)
    return await anchor_tenant(service.appliance, TenantId(asked.tenant), actor="cli")


@post(
    "/v1/uplink/anchored",
    name="show_anchored",
    status_code=200,
    **describes(
        "Read the newest checkpoint of a chain that the stream keeps",
        tag="egress",
        answers={200: KeptNote},
        errors=(403, 404, 415, 422, 503),
        body=AnchorTenant,
    ),
)
async def show_anchored(request: ApiRequest, service: NamedDependency[Service]) -> KeptNote:
    """For `af audit verify --anchor uplink`."""
    _require_local(request)
    asked = await read_json(request, AnchorTenant)
    return KeptNote(await anchored_note(service.appliance.uplink, TenantId(asked.tenant)))


def _require_local(request: ApiRequest) -> None:
    if request.user is not LOCAL_CALLER:
        raise Refused("uplink.local_only", "only commands on this machine, over the UNIX socket, may try the uplink")
