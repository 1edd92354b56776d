"""What clients send, decoded strictly: every finding at once, unknown fields refused.

JSON is read without duplicate keys and no deeper than 100 levels. A body that is larger than the app's limit
is refused before it is held in memory (`problems.MAX_BODY_BYTES`).
"""

import asyncio
import difflib
import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, TypeVar, get_args, get_origin

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from appliance.api.problems import MAX_BODY_BYTES, Fault, HttpError, InvalidBody, keys_of, pointer
from appliance.auth.callers import Caller
from runtime.domain.canonical import Json, parse
from runtime.errors import Invalid

ApiRequest = Request[Caller, None, State]
Shape = TypeVar("Shape", bound=msgspec.Struct)

JSON_TYPES = frozenset({"", "application/json"})
YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
READ_TIMEOUT_S = 60.0
THREAD_FROM_BYTES = 64 * 1024


async def read_json(
    request: ApiRequest, shape: type[Shape], *, empty: Shape | None = None, max_bytes: int = MAX_BODY_BYTES
) -> Shape:
    """Read a JSON body as `shape`; an empty body is `empty` where that is given.

    Raises HttpError 400 (not JSON), 408, 413 and 415, and InvalidBody with every finding.
    """
    expect_type(request, JSON_TYPES)
    body = await read_bytes(request, max_bytes=max_bytes)
    if not body and empty is not None:
        return empty
    # parsing holds the loop for about 10 ms per megabyte
    value = await asyncio.to_thread(_parse, body) if len(body) > THREAD_FROM_BYTES else _parse(body)
    return shaped(value, shape)


async def read_bytes(request: ApiRequest, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read the whole body. Raises HttpError 408 when it takes longer than a minute, and the router's 413."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise RequestEntityTooLarge
            return bytes(body)
    except TimeoutError:
        message = f"the body did not arrive within {READ_TIMEOUT_S:.0f} s; send it again"
        raise HttpError(HTTPStatus.REQUEST_TIMEOUT, "http.request_timeout", message) from None


def expect_type(request: ApiRequest, allowed: frozenset[str]) -> str:
    """The body's media type without parameters, empty when none is named. Raises HttpError 415 for any other."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in allowed:
        names = " or ".join(sorted(allowed - {""}))
        raise HttpError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "http.unsupported_media_type",
            f"the body's Content-Type is {found!r}; send {names}",
            {"accept-post" if request.method == "POST" else "accept": names.replace(" or ", ", ")},
        )
    return found


def read_query(request: ApiRequest, shape: type[Shape]) -> Shape:
    """Read the query string as `shape`; lists take repeated names. Raises InvalidBody with every finding."""
    lists = {field.encode_name for field in msgspec.structs.fields(shape) if takes_many(field)}
    given = request.query_params.dict()
    value = {name: values if name in lists or len(values) > 1 else values[0] for name, values in given.items()}
    return shaped(value, shape, strict=False, what="query")


def takes_many(field: msgspec.structs.FieldInfo) -> bool:
    """Whether a query field may be given several times."""
    shape = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
    return get_origin(shape) is list


def shaped(value: object, shape: type[Shape], *, strict: bool = True, what: str = "body") -> Shape:
    """Turn parsed JSON into a struct. Raises InvalidBody with every finding, each with its place."""
    if not isinstance(value, dict):
        raise InvalidBody(f"the {what} must be a JSON object", [Fault("expected an object", "#")])
    try:
        return msgspec.convert(value, shape, strict=strict)
    except msgspec.ValidationError as first:
        # the library stops at the first one; whoever has to mend the input wants to see all
        faults = [*_unknown(value, shape), *_wrong(value, shape, strict)] or [Fault(str(first))]
        raise InvalidBody(f"the {what} has {len(faults)} problem(s)", faults) from None


def _parse(body: bytes) -> Json:
    try:
        value = parse(body)
        if b"\\ud" in body.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except Invalid as error:
        raise HttpError(HTTPStatus.BAD_REQUEST, error.code, error.message) from None
    except UnicodeEncodeError:
        message = "a text in the body holds half of a surrogate pair; send whole characters"
        raise HttpError(HTTPStatus.BAD_REQUEST, "json.lone_surrogate", message) from None
    return value


def _unknown(value: Mapping[str, object], shape: type[msgspec.Struct]) -> Iterable[Fault]:
    known = [field.encode_name for field in msgspec.structs.fields(shape)]
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
            yield Fault(f"unknown field {key[:100]!r}", pointer([key]), hint=hint)


def _wrong(value: Mapping[str, object], shape: type[msgspec.Struct], strict: bool) -> Iterable[Fault]:
    for field in msgspec.structs.fields(shape):
        if field.encode_name not in value:
            if field.required:
                yield Fault(f"{field.encode_name!r} is missing", pointer([field.encode_name]))
            continue
        try:
            msgspec.convert(value[field.encode_name], field.type, strict=strict)
        except msgspec.ValidationError as error:
            detail, _, place = str(error).partition(" - at `$")
            yield Fault(detail, pointer([field.encode_name]) + pointer(keys_of(place.rstrip("`")))[1:])
