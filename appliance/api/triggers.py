"""Triggers over HTTP: which there are, firing, pausing and resuming them, and the requests that they take."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Literal, ParamSpec, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, get, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.bodies import THREAD_FROM_BYTES, ApiRequest, read_bytes, read_json
from appliance.api.gate import key_required
from appliance.api.idempotency import KEY_PATTERN, Submitted, key_of
from appliance.api.operations import Header, describes
from appliance.api.problems import HttpError
from appliance.api.runs import SETTLED, show, wait_for
from appliance.api.service import Service
from appliance.auth.callers import Caller
from appliance.runs.views import RunView
from appliance.triggers.desk import Active, TriggerList, TriggerView
from appliance.triggers.signatures import check, not_signed, said_by
from runtime.domain.canonical import Json, parse
from runtime.domain.ids import DEFAULT_TENANT
from runtime.domain.secret import SCHEME, Reference
from runtime.domain.trigger import HttpEndpoint, Webhook
from runtime.errors import AgentFlowError, Invalid

METHODS: list[Literal["GET", "POST", "PUT", "PATCH", "DELETE"]] = ["GET", "POST", "PUT", "PATCH", "DELETE"]
P = ParamSpec("P")
R = TypeVar("R")
_HIDDEN = ("token", "key", "signature", "secret", "password", "auth")
_SHOWN = frozenset({"user-agent", "content-type", "traceparent"})
"""Request headers that a template of the input may read, beside those that begin with `x-`; never a key."""


class FireTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Start a trigger's workflow by hand."""

    input: Annotated[Json, Meta(description="What the run works on, in place of what the trigger would give it.")] = (
        None
    )


class PauseTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is said of it."""


class ResumeTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is said of it."""


@get(
    "/v1/triggers",
    name="list_triggers",
    **describes("List the triggers of published workflows", tag="triggers", answers={200: TriggerList}),
)
async def list_triggers(service: NamedDependency[Service]) -> TriggerList:
    """With what each started, when it is due next, and what went wrong last."""
    return await service.triggers.all()


@post(
    "/v1/triggers/{workflow:str}/{trigger:str}/fire",
    name="fire_trigger",
    **describes(
        "Start a trigger's workflow by hand, paused or not",
        tag="triggers",
        answers={202: RunView},
        errors=(403, 404, 409, 415, 422, 507),
        body=FireTrigger,
        is_body_optional=True,
        headers={
            "Idempotency-Key": Header(
                "A text of your own: a repeated request with it finds the first one's run.", KEY_PATTERN
            )
        },
        run_at="/run_id",
        example={"input": {"message": "Good morning."}},
    ),
)
async def fire_trigger(
    workflow: FromPath[str], trigger: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[RunView]:
    """The run is durable when this answers."""
    asked = await read_json(request, FireTrigger, empty=FireTrigger())
    key = key_of(request.headers.get("idempotency-key"))
    submitted = await service.triggers.fire(workflow, trigger, asked.input, request.user, key=key)
    return Response(await show(service, submitted.run), status_code=HTTPStatus.ACCEPTED, headers=_headers(submitted))


@post(
    "/v1/triggers/{workflow:str}/{trigger:str}/pause",
    name="pause_trigger",
    status_code=200,
    **describes(
        "Have a trigger start nothing",
        tag="triggers",
        answers={200: TriggerView},
        errors=(404, 415, 422, 507),
        body=PauseTrigger,
        is_body_optional=True,
    ),
)
async def pause_trigger(
    workflow: FromPath[str], trigger: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> TriggerView:
    """Requests to it are answered with 503 from then on; messages wait."""
    await read_json(request, PauseTrigger, empty=PauseTrigger())
    return await service.triggers.pause(workflow, trigger, by=request.user.actor)


@post(
    "/v1/triggers/{workflow:str}/{trigger:str}/resume",
    name="resume_trigger",
    status_code=200,
    **describes(
        "Have a paused trigger go on",
        tag="triggers",
        answers={200: TriggerView},
        errors=(404, 415, 422, 507),
        body=ResumeTrigger,
        is_body_optional=True,
    ),
)
async def resume_trigger(
    workflow: FromPath[str], trigger: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> TriggerView:
    """A schedule goes on from now; what it missed is not made up for."""
    await read_json(request, ResumeTrigger, empty=ResumeTrigger())
    return await service.triggers.resume(workflow, trigger, by=request.user.actor)


@route(
    "/hooks/{workflow:str}/{path:path}",
    http_method=METHODS,
    name="take_request",
    **describes(
        "A request that a trigger takes",
        tag="triggers",
        answers={200: RunView, 202: RunView},
        errors=(403, 404, 409, 415, 422, 507),
        is_document=True,
        is_body_optional=True,
    ),
)
async def take_request(
    workflow: FromPath[str], path: FromPath[str], request: ApiRequest, service: NamedDependency[Service]
) -> Response[Json]:
    """As the definition of the workflow says: with an API key, or signed by whoever sends it."""
    each = service.triggers.asked(workflow, f"/{str(path).strip('/')}", request.method)
    if isinstance(each.trigger.how, Webhook):
        return await _signed(each, each.trigger.how, request, service)
    assert isinstance(each.trigger.how, HttpEndpoint), "the other one that takes requests"
    return await _with_key(each, each.trigger.how, request, service)


async def _with_key(each: Active, how: HttpEndpoint, request: ApiRequest, service: Service) -> Response[Json]:
    caller: Caller | None = request.user
    if caller is None:
        raise key_required()
    key = key_of(request.headers.get("idempotency-key"))
    data = await _data(request, await read_bytes(request))
    submitted = await service.triggers.submit(each, data, key, caller, is_ours=False)
    if how.wait_s:
        await wait_for(service, submitted.run, how.wait_s)
    view = await show(service, submitted.run)
    status = HTTPStatus.OK if how.wait_s and view.status in SETTLED else HTTPStatus.ACCEPTED
    return Response(msgspec.to_builtins(view), status_code=status, headers=_headers(submitted))


async def _signed(each: Active, how: Webhook, request: ApiRequest, service: Service) -> Response[Json]:
    content = await read_bytes(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        secret = await service.appliance.secrets.reveal(DEFAULT_TENANT, Reference(how.secret.removeprefix(SCHEME)))
        now_s = service.appliance.clock.now_us() / 1e6
        await _aside(len(content), check, how.signature, secret, headers=headers, content=content, now_s=now_s)
    except AgentFlowError as refusal:
        await service.note_unsigned(each, refusal)
        raise not_signed(how.signature) from None
    data = await _data(request, content)
    body = data["body"]
    said = said_by(how.signature, headers=headers, content=content, body=body)
    if how.signature == "slack" and isinstance(body, dict) and body.get("type") == "url_verification":
        return Response({"challenge": body.get("challenge")}, status_code=HTTPStatus.OK)
    if how.events and said.event not in how.events:
        return Response({"status": "ignored", "event": said.event}, status_code=HTTPStatus.OK)
    submitted = await service.triggers.submit(
        each, data, f"trigger/{each}/{said.id}", Caller(f"trigger:{each.trigger.name}")
    )
    view = await show(service, submitted.run)
    return Response(msgspec.to_builtins(view), status_code=HTTPStatus.ACCEPTED, headers=_headers(submitted))


async def _data(request: ApiRequest, content: bytes) -> dict[str, Json]:
    """What a template may read of a request. Raises HttpError 400 and 415."""
    body = await _aside(len(content), _read, request.headers.get("content-type", ""), content)
    return {"body": body, "query": _query(request), "headers": _shown(request.headers)}


async def _aside(size_bytes: int, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Work on the bytes of a body, in a thread where they would hold up everybody else."""
    if size_bytes <= THREAD_FROM_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def _headers(submitted: Submitted) -> dict[str, str]:
    replayed = {"idempotency-replayed": "true"} if submitted.is_replay else {}
    return {"location": f"/v1/runs/{submitted.run}", **replayed}


def _read(media_type: str, content: bytes) -> Json:
    """A body as a template reads it. Raises HttpError 400 and 415."""
    if not content:
        return None
    kind = media_type.partition(";")[0].strip().lower()
    try:
        if kind in ("", "application/json") or kind.endswith("+json"):
            return parse(content)
        if kind == "application/x-www-form-urlencoded" and content.lstrip()[:1] in (b"{", b"["):
            return parse(content)  # what `curl -d` sends says that it is a form
        if kind == "application/x-www-form-urlencoded":
            return dict(parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=1_000))
        if kind.startswith("text/"):
            return content.decode()
    except (Invalid, ValueError) as error:
        said = error.message if isinstance(error, Invalid) else "it is no UTF-8, or no form"
        raise HttpError(HTTPStatus.BAD_REQUEST, "http.bad_request", f"the body cannot be read: {said}") from None
    raise HttpError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "http.unsupported_media_type",
        f"the body's Content-Type is {kind!r}; send application/json, a form or text",
    )


def _query(request: ApiRequest) -> dict[str, Json]:
    return {name: values[0] if len(values) == 1 else [*values] for name, values in request.query_params.dict().items()}


def _shown(headers: Mapping[str, str]) -> dict[str, Json]:
    """By lower-case name with `_` for `-`, so that a template can name them."""
    found: dict[str, Json] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in _SHOWN or (lower.startswith("x-") and not any(word in lower for word in _HIDDEN)):
            found[lower.replace("-", "_")] = value
    return found
