"""Lines of the audit log that commands on this machine leave, over the UNIX socket alone."""

from http import HTTPStatus

from litestar import post
from litestar.di import NamedDependency

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.audit_notes import ROUTE, Note
from appliance.auth.callers import LOCAL_CALLER
from runtime.errors import Refused


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
    if request.user is not LOCAL_CALLER:
        raise Refused("audit.local_only", "only commands on this machine, over the UNIX socket, may tell the audit log")
    await service.appliance.record(told.entry("cli"))
