"""What the API's document says of an operation, written beside its handler.

`**describes(...)` puts an `Operation` into the handler's options; `openapi` reads them all.
"""

from typing import Any, TypeAlias

import msgspec

KEY = "operation"

Answers: TypeAlias = dict[int, "type[msgspec.Struct] | str | None"]
"""Status → shape of the JSON answer, or another media type, or None for an answer without a body."""


class Header(msgspec.Struct, frozen=True):
    """A request header that an operation reads."""

    meaning: str
    pattern: str
    """ECMA regular expression of the values that it takes."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, as far as its route does not say it."""

    summary: str
    tag: str
    answers: Answers
    errors: tuple[int, ...] = ()
    """Statuses that it answers with a problem document, beside those that every operation may."""
    body: type[msgspec.Struct] | None = None
    is_body_optional: bool = False
    media_types: tuple[str, ...] = ("application/json",)
    """Of the body."""
    query: type[msgspec.Struct] | None = None
    headers: dict[str, Header] = {}
    run_at: str = ""
    """JSON Pointer of a run's id in the answer, which the operations on a run take."""
    is_document: bool = False
    """Whether the body is any YAML or JSON document."""
    is_public: bool = False
    """Whether it needs no API key."""
    error_shape: str = "Problem"
    """Name of the component that its errors answer with."""
    example: dict[str, Any] | None = None
    """A body that works."""


def describes(summary: str, *, tag: str, answers: Answers, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # fields of Operation
    """The options of a handler that carry its description."""
    return {"opt": {KEY: Operation(summary=summary, tag=tag, answers=answers, **more)}, "summary": summary}
