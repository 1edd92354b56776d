"""Errors in the shape that clients of the OpenAI API read, for the paths that speak it."""

from urllib.parse import unquote

import msgspec

from appliance.api.openai_shapes import ErrorBody, ErrorDocument
from appliance.api.problems import URN, Answer, Fault, ProblemDocument, answer
from runtime.errors import AgentFlowError, Invalid, StepFailure

PATHS = ("/v1/chat/", "/v1/embeddings", "/v1/models")

CODES = {
    "auth.key_required": "invalid_api_key",
    "model.bad_name": "model_not_found",
    "model.not_installed": "model_not_found",
    "model.not_served": "model_not_found",
    "model.prompt_too_long": "context_length_exceeded",
    "model.unknown_provider": "model_not_found",
    "workflow.unknown": "model_not_found",
}
"""OpenAI's words for what has one; programs compare them."""

_MESSAGES = {"model.not_installed": "there is no such model here; GET /v1/models lists those there are"}
"""Where the error's own words are for whoever sits at the machine, and name a folder of it."""

_STATUSES = {
    "egress.rate_refused": 429,
    "model.answer_cut": 400,
    "model.bad_name": 404,
    "model.unknown_provider": 404,
}


def answer_at(path: str, error: Exception, request_id: str) -> Answer:
    """The answer to give for an error under a path: OpenAI's shape where that API is spoken, else a problem document.

    `x-should-retry` tells the official clients whether asking again may help; they would otherwise guess.
    """
    problem = answer(error, request_id)
    if not path.startswith(PATHS):
        return problem
    document = msgspec.json.decode(problem.body, type=ProblemDocument)
    code = document.type.removeprefix(URN)
    status = _STATUSES.get(code, _status(error, problem.status))
    fault = _first_fault(document)
    param = unquote(fault.pointer).lstrip("#/").replace("/", ".") if fault else ""
    body = ErrorBody(
        message=f"{param or 'body'}: {fault.detail}" if fault else _MESSAGES.get(code, document.detail),
        type=_type(status),
        param=param or None,
        code=CODES.get(code, code),
    )
    retry = isinstance(error, AgentFlowError) and error.retryable
    headers = {
        **problem.headers,
        "content-type": "application/json",
        "x-should-retry": "true" if retry else "false",
    }
    return Answer(status, headers, error_bytes(body))


def error_bytes(body: ErrorBody) -> bytes:
    """The document around an error."""
    return msgspec.json.encode(ErrorDocument(body))


def unsupported(param: str, message: str) -> Invalid:
    """A field that is known and cannot be honoured; ignoring it would give a wrong answer."""
    return Invalid("request.unsupported", f"{param!r} is not supported: {message}")


def _status(error: Exception, status: int) -> int:
    if isinstance(error, StepFailure):
        return 502
    return 400 if status == 422 else status


def _type(status: int) -> str:
    if status == 403:
        return "permission_error"
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def _first_fault(document: ProblemDocument) -> Fault | None:
    """What is wrong with the body; that a field is unknown is no fault here."""
    faults = document.errors if isinstance(document.errors, list) else []
    return next((fault for fault in faults if not fault.detail.startswith("unknown field")), None)
