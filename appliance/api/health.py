"""Whether the appliance lives, whether it serves, and its numbers."""

from http import HTTPStatus
from typing import Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.telemetry.metrics import MEDIA_TYPE
from runtime.errors import Unavailable

NO_STORE = {"cache-control": "no-store"}


class Health(msgspec.Struct, frozen=True):
    """Good news; bad news is a problem document."""

    status: Literal["ok", "ready"]
    version: str


@get(
    "/healthz",
    name="healthz",
    **describes("Whether the program answers", tag="health", answers={200: Health}, is_public=True),
)
async def healthz(service: NamedDependency[Service]) -> Response[Health]:
    """200 for as long as its event loop turns; restart it when this fails."""
    return Response(Health("ok", service.version), headers=NO_STORE)


@get(
    "/readyz",
    name="readyz",
    **describes(
        "Whether it serves requests",
        tag="health",
        answers={200: Health},
        errors=(HTTPStatus.SERVICE_UNAVAILABLE,),
        is_public=True,
    ),
)
async def readyz(service: NamedDependency[Service]) -> Response[Health]:
    """503 while it starts, while it drains, and while it could not keep what it is given; send it no traffic then."""
    phase = service.lifecycle.phase
    if phase != "ready":
        raise Unavailable(f"server.{phase}", f"the appliance is {phase}")
    fault = await service.readiness.fault()
    service.metrics.ready.set(0 if fault else 1)
    if fault:
        raise Unavailable("server.not_ready", f"the appliance serves no requests: {fault}")
    return Response(Health("ready", service.version), headers=NO_STORE)


@get("/metrics", name="metrics", **describes("Numbers for Prometheus", tag="health", answers={200: "text/plain"}))
async def metrics(service: NamedDependency[Service]) -> Response[bytes]:
    """Prometheus text format."""
    return Response(service.metrics.page(), media_type=MEDIA_TYPE, headers=NO_STORE)
