"""The OpenAPI 3.1 description, made of the routes and of what stands beside each handler.

Made here and not by the router's own generator, so that every error is a problem document, bodies are described
by the very structs that decode them, and answers link to the operations that take their run.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from inspect import cleandoc

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from appliance.api.bodies import takes_many
from appliance.api.openai_shapes import ErrorDocument
from appliance.api.operations import KEY, Operation
from appliance.api.problems import MEDIA_TYPE, ProblemDocument
from runtime.domain.canonical import Json

REFS = "#/components/schemas/{name}"
KEY_SCHEME = "apiKey"
EVERYWHERE = (400, 421, 500)
WITH_KEY = (401, 503)
WITH_BODY = (408, 413)
TAKING_A_RUN = (
    "show_run",
    "cancel_run",
    "migrate_run",
    "signal_run",
    "stream_events",
    "show_state",
    "explain_run",
    "ask_what_if",
    "compare_runs",
)
TAGS = (
    "runs",
    "workflows",
    "models",
    "egress",
    "costs",
    "panels",
    "tools",
    "tickets",
    "triggers",
    "human-tasks",
    "mcp",
    "bus",
    "memory",
    "vault",
    "health",
    "manual",
)
DESCRIPTION = """\
Runs teams of AI agents as deterministic, replayable workflows on one server with no internet.

Every request carries an API key as `Authorization: Bearer af_…`; the first start wrote one to `auth/first.key` in the
data folder. Over the appliance's UNIX socket none is needed: whoever may open the file may do everything.
Every error is an RFC 9457 problem document whose `type` is stable and whose `instance` is the request's id; under the
routes of the OpenAI API it has the shape that its clients read.
"""

Object = dict[str, Json]


def describe(app: Litestar, version: str) -> bytes:
    """The whole description as JSON."""
    operations = sorted(_operations(app), key=lambda found: (TAGS.index(found[3].tag), found[0], found[1]))
    shapes = _shapes(operation for _, _, _, operation in operations)
    references, schemas = msgspec.json.schema_components(shapes, ref_template=REFS)
    refs = dict(zip(shapes, references, strict=True))
    paths: dict[str, Object] = {}
    for path, method, handler, operation in operations:
        paths.setdefault(path, {})[method] = _operation(path, method, handler, operation, refs)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "AgentFlow", "version": version, "description": DESCRIPTION},
        "security": [{KEY_SCHEME: []}],
        "tags": [{"name": tag} for tag in TAGS],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {KEY_SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "af_…"}},
            "responses": {"Problem": _problem(refs), "Error": _error(refs)},
        },
    }
    return msgspec.json.encode(document)


def _operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler, Operation]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if KEY in handler.opt:  # the router answers OPTIONS itself
                    for method in sorted(handler.http_methods):
                        yield route.path_format, method.lower(), handler, handler.opt[KEY]


def _shapes(operations: Iterable[Operation]) -> list[type[msgspec.Struct]]:
    shapes: dict[type[msgspec.Struct], None] = {ProblemDocument: None, ErrorDocument: None}
    for operation in operations:
        for shape in (operation.body, *operation.answers.values()):
            if isinstance(shape, type):
                shapes[shape] = None
    return list(shapes)


def _operation(
    path: str, method: str, handler: HTTPRouteHandler, operation: Operation, refs: dict[type, Object]
) -> Object:
    described: Object = {
        "operationId": handler.name if len(handler.http_methods) == 1 else f"{handler.name}_{method}",
        "summary": operation.summary,
        "description": cleandoc(handler.fn.__doc__ or ""),
        "tags": [operation.tag],
        "parameters": [*_path_parameters(path), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": {**_answers(operation, refs), **_errors(operation)},
    }
    if operation.is_public:
        described["security"] = []
    if (operation.body is not None or operation.is_document) and method not in ("get", "delete"):
        described["requestBody"] = _body(operation, refs)
    return described


def _path_parameters(path: str) -> Iterator[Object]:
    for part in path.split("/"):
        if part.startswith("{"):
            yield {
                "name": part.strip("{}"),
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1},
            }


def _query_parameters(operation: Operation) -> Iterator[Object]:
    if operation.query is None:
        return
    for field in msgspec.structs.fields(operation.query):
        schema = msgspec.json.schema(field.type)
        described = {"description": schema.pop("description", "")}
        if not takes_many(field) and field.default is not msgspec.NODEFAULT:
            schema["default"] = field.default
        yield {"name": field.encode_name, "in": "query", "required": field.required, "schema": schema, **described}


def _header_parameters(operation: Operation) -> Iterator[Object]:
    for name, header in operation.headers.items():
        schema: Object = {"type": "string", "pattern": header.pattern}
        yield {"name": name, "in": "header", "required": False, "description": header.meaning, "schema": schema}


def _body(operation: Operation, refs: dict[type, Object]) -> Object:
    schema: Object = refs[operation.body] if operation.body else {"type": "object"}
    content: Object = {}
    for media_type in operation.media_types:
        is_json = media_type.endswith("json")
        content[media_type] = {"schema": schema if is_json else {"type": "string"}}
        if is_json and operation.example is not None:
            content[media_type] = {"schema": schema, "example": operation.example}
    return {"required": not operation.is_body_optional, "content": content}


def _answers(operation: Operation, refs: dict[type, Object]) -> Object:
    answers: Object = {}
    for status, shape in operation.answers.items():
        answer: Object = {"description": HTTPStatus(status).phrase}
        if isinstance(shape, str):
            answer["content"] = {shape: {}}
        elif shape is not None:
            answer["content"] = {"application/json": {"schema": refs[shape]}}
        if operation.run_at:
            answer["links"] = _links(operation.run_at)
        answers[str(status)] = answer
    return answers


def _links(run_at: str) -> Object:
    where: Object = {"run_id": f"$response.body#{run_at}"}
    return {name: {"operationId": name, "parameters": where} for name in TAKING_A_RUN}


def _errors(operation: Operation) -> Object:
    has_body = operation.body is not None or operation.is_document
    statuses = {*EVERYWHERE, *operation.errors}
    statuses |= set() if operation.is_public else set(WITH_KEY)
    statuses |= set(WITH_BODY) if has_body else set()
    return {str(status): {"$ref": f"#/components/responses/{operation.error_shape}"} for status in sorted(statuses)}


def _problem(refs: dict[type, Object]) -> Object:
    return {
        "description": "A problem document (RFC 9457).",
        "headers": {"X-Request-Id": {"description": "The problem's `instance`.", "schema": {"type": "string"}}},
        "content": {MEDIA_TYPE: {"schema": refs[ProblemDocument]}},
    }


def _error(refs: dict[type, Object]) -> Object:
    return {
        "description": "An error in the shape of the OpenAI API.",
        "headers": {"X-Request-Id": {"description": "Names the request in the log.", "schema": {"type": "string"}}},
        "content": {"application/json": {"schema": refs[ErrorDocument]}},
    }
