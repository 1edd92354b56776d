"""An HTTP call as data, so that it can be cleared before it is made."""

import msgspec

from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import StepFailure

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of a service that may answer if it is asked again."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent or a tool wants to send."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""
    credentials: tuple[str, ...] = ()
    """Names, in lower case, of headers that hold the sender's own credentials for this host: they go as they are, but
    that the door puts the values in the place of references to secrets."""
    holder: TenantId = DEFAULT_TENANT
    """Whose secrets those are."""
    onward: str = ""
    """The zone that whoever is asked passes this on to, as a search service does; empty: it stays there."""
    timeout_s: float = 30.0
    max_reply_bytes: int = 1_048_576


class HttpReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    """Names in lower case; the last value where a name came twice."""
    body: bytes


def check_status(reply: HttpReply, asked: str) -> None:
    """Raise StepFailure for a reply that is none; `asked`: who asked for what. A busy one may be asked again."""
    if reply.status >= 400:
        raise StepFailure(
            "http.status",
            f"{asked} was answered with status {reply.status}",
            retryable=reply.status in BUSY,
            status=reply.status,
        )
