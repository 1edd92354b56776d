"""An HTTP call as data, so that it can be cleared before it is made."""

import msgspec


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent or a tool wants to send."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""
    credentials: tuple[str, ...] = ()
    """Names, in lower case, of headers that hold the sender's own credentials for this host: they go as they are."""
    timeout_s: float = 30.0
    max_reply_bytes: int = 1_048_576


class HttpReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    """Names in lower case; the last value where a name came twice."""
    body: bytes
