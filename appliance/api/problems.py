"""Errors as RFC 9457 problem documents: one shape for every answer that is not a success.

A document never holds a secret, a prompt or a stack trace; what only an operator may see goes to the log
under the request's id, which the document names.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import quote

import msgspec
from litestar.exceptions import HTTPException

from runtime.domain.problem import Problem
from runtime.errors import (
    AgentFlowError,
    Conflict,
    Corrupt,
    Invalid,
    InvalidDefinition,
    NotFound,
    Refused,
    StoreFull,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
URN = "urn:agentflow:problem:"
RETRY_AFTER_S = 1
MAX_BODY_BYTES = 10 * 2**20

TITLES: dict[type[AgentFlowError], str] = {
    InvalidDefinition: "The definition has problems",
    NotFound: "No such thing here",
    Invalid: "The input is wrong",
    Refused: "Policy says no",
    StoreFull: "The disk is full",
    Unavailable: "A part is missing, busy or down",
    Conflict: "The state does not allow this",
    Corrupt: "Stored data is damaged",
    AgentFlowError: "The appliance failed",
}

log = logging.getLogger(__name__)


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finding about one place in the input."""

    detail: str
    pointer: str = ""
    """JSON Pointer as a URI fragment, such as `#/agents/answer/model`."""
    line: int = 0
    """From 1, of the body as it was sent; absent when it has no lines."""
    hint: str = ""
    severity: str = "error"


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457, with `errors` for every finding."""

    type: str
    """`urn:agentflow:problem:` and the error's stable code."""
    title: str
    status: int
    detail: str
    instance: str
    """The request's id, also in the header X-Request-Id and in the log."""
    errors: list[Fault] | msgspec.UnsetType = msgspec.UNSET


class HttpError(AgentFlowError):
    """The request breaks a rule of HTTP itself; carries its own status."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code, message)
        self.http_status = status
        self.headers = dict(headers or {})


class InvalidBody(Invalid):
    """A body or query of the wrong shape, with every finding."""

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__("request.invalid", message)
        self.faults = tuple(faults)


class Answer(msgspec.Struct, frozen=True):
    """A problem ready to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer(error: Exception, request_id: str) -> Answer:
    """The answer to give for an error; one that nobody foresaw is logged with its trace."""
    if isinstance(error, HTTPException):
        error = _from_router(error)
    if not isinstance(error, AgentFlowError):
        log.error("request %s failed", request_id, exc_info=error)
        error = AgentFlowError("internal.error", f"the appliance failed; its log says why under request {request_id}")
    document = ProblemDocument(
        type=f"{URN}{error.code}",
        title=_title(error),
        status=error.http_status,
        detail=_detail(error),
        instance=request_id,
        errors=_faults(error) or msgspec.UNSET,
    )
    return Answer(error.http_status, _headers(error), msgspec.json.encode(document))


def pointer(keys: Sequence[str]) -> str:
    """A JSON Pointer (RFC 6901) as a URI fragment: `#/agents/answer/tools/0`."""
    return "#" + "".join(f"/{quote(key.replace('~', '~0').replace('/', '~1'), safe='~')}" for key in keys)


def keys_of(path: str) -> list[str]:
    """The keys of a path such as `agents.answer.tools[0]`."""
    return [key for key in path.replace("[", ".").replace("]", "").split(".") if key]


def _from_router(error: HTTPException) -> HttpError:
    status = HTTPStatus(error.status_code)
    return HttpError(status, f"http.{_NAMES.get(status, status.name.lower())}", _router_detail(status), error.headers)


# Python 3.13 renamed these two; a code stays what it is
_NAMES = {413: "content_too_large", 422: "unprocessable_content"}


def _router_detail(status: HTTPStatus) -> str:
    match status:
        case HTTPStatus.NOT_FOUND:
            return "there is no such path; /openapi.json lists those there are"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return "this path does not take that method; the Allow header lists those it takes"
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return f"the body is larger than {MAX_BODY_BYTES // 2**20} MiB"
        case _:
            return status.description or status.phrase


def _title(error: AgentFlowError) -> str:
    if isinstance(error, HttpError):
        return HTTPStatus(error.http_status).phrase
    return next(title for kind, title in TITLES.items() if isinstance(error, kind))


def _detail(error: AgentFlowError) -> str:
    if isinstance(error, InvalidDefinition):  # `errors` lists them, and the server's own path is nobody's business
        return f"the definition has {len(error.problems)} problem(s)"
    return error.message


def _headers(error: AgentFlowError) -> dict[str, str]:
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
    if isinstance(error, HttpError):
        headers |= {name.lower(): value for name, value in error.headers.items()}
    elif error.retryable and (error.http_status == HTTPStatus.SERVICE_UNAVAILABLE or "retry_after_s" in error.facts):
        wait_s = error.facts.get("retry_after_s")
        headers["retry-after"] = str(math.ceil(wait_s) if isinstance(wait_s, float) else RETRY_AFTER_S)
    return headers


def _faults(error: AgentFlowError) -> list[Fault]:
    if isinstance(error, InvalidBody):
        return list(error.faults)
    if isinstance(error, InvalidDefinition):
        return [fault_of(problem) for problem in error.problems]
    return []


def fault_of(problem: Problem) -> Fault:
    place = pointer(keys_of(problem.path)) if problem.path else ""
    return Fault(problem.message, place, problem.line, problem.hint, problem.severity)
