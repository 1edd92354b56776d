"""The model servers over HTTP: how each is, and what its answers have shown."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_query
from appliance.api.operations import describes
from appliance.api.service import Service
from models.health import ServerStatus


class BackendsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to look."""

    check: Annotated[bool, Meta(description="Ask every server how it is first, for up to five seconds.")] = False


class Backends(msgspec.Struct, frozen=True):
    """All model servers of the settings."""

    servers: list[ServerStatus]


@get(
    "/v1/backends",
    name="list_backends",
    **describes(
        "List the model servers, and how they are",
        tag="health",
        answers={200: Backends},
        errors=(422,),
        query=BackendsQuery,
    ),
)
async def list_backends(request: ApiRequest, service: NamedDependency[Service]) -> Backends:
    """Health, breaker and measured times of every server under `models.backends`."""
    models = service.appliance.models
    if read_query(request, BackendsQuery).check:
        await models.check_servers()
    return Backends(models.status())
