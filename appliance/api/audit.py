"""Lines of the audit log that commands on this machine leave, over the UNIX socket alone."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.audit.notes import ROUTE, Note
from appliance.auth.callers import LOCAL_CALLER
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import Refused, Unavailable


class EraseLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines."""

    lines: Annotated[list[int], Meta(min_length=1, description="Their numbers.")]
    tenant: Annotated[str, Meta(min_length=1, max_length=128, description="Whose chain.")] = DEFAULT_TENANT


class ErasedLines(msgspec.Struct, frozen=True):
    """How many tell nothing any more."""

    lines: int


@post(
    ROUTE,
    name="note_audit",
    status_code=HTTPStatus.NO_CONTENT,
    **describes(
        "Have the audit log tell of a command",
        tag="egress",
        answers={204: None},
        errors=(403, 415, 422, 507),
        body=Note,
        example={"event": "secret.rotated", "subject": "vllm"},
    ),
)
async def note_audit(request: ApiRequest, service: NamedDependency[Service]) -> None:
    """Of what `af` does beside this server; refused to API keys, which could tell what is not so."""
    told = await read_json(request, Note)
    _require_local(request)
    await service.appliance.record(told.entry("cli"))


@post(
    "/v1/audit/erase",
    name="erase_audit",
    status_code=HTTPStatus.OK,
    **describes(
        "Erase what lines of the audit log tell of, for a command on this machine",
        tag="egress",
        answers={200: ErasedLines},
        errors=(403, 404, 415, 422, 507),
        body=EraseLines,
    ),
)
async def erase_audit(request: ApiRequest, service: NamedDependency[Service]) -> ErasedLines:
    """Their records stay, with the hashes of what they told of; a line says which they are."""
    asked = await read_json(request, EraseLines)
    _require_local(request)
    if service.appliance.audit is None:
        raise Unavailable("audit.closed", "the audit log is not open for writing here")
    return ErasedLines(await service.appliance.audit.erase(TenantId(asked.tenant), asked.lines, actor="cli"))


def _require_local(request: ApiRequest) -> None:
    if request.user is not LOCAL_CALLER:
        raise Refused("audit.local_only", "only commands on this machine, over the UNIX socket, may tell the audit log")
