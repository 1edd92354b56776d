"""What answers at the door of a tool's program: HTTP, to the hosts of its profile alone, cleared like a tool's own."""

from base64 import b64decode, b64encode

import msgspec

from runtime.domain.exec_profile import Answer
from runtime.domain.http import HttpRequest
from runtime.errors import AgentFlowError
from runtime.ports import HttpAccess


class _Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str = ""
    """Text."""
    body_base64: str = ""
    """Bytes, where it is no text."""


def answering(http: HttpAccess) -> Answer:
    """The answer for each line; a refusal is an answer, too. `http` knows the hosts, and on whose behalf it sends."""

    async def answer(line: bytes) -> bytes:
        try:
            asked = msgspec.json.decode(line, type=_Asked)
            body = b64decode(asked.body_base64, validate=True) if asked.body_base64 else asked.body.encode()
            request = HttpRequest(method=asked.method, url=asked.url, headers=asked.headers, body=body)
            reply = await http.send(request)
        except AgentFlowError as error:
            return _error(error.code, str(error))
        except (msgspec.MsgspecError, ValueError) as error:
            return _error("door.not_a_request", f"a line at the door is no request: {error}")
        said: dict[str, object] = {"status": reply.status, "headers": reply.headers}
        try:
            said["body"] = reply.body.decode()
        except UnicodeDecodeError:
            said["body_base64"] = b64encode(reply.body).decode()
        return msgspec.json.encode(said)

    return answer


def _error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": message}})
