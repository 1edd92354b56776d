"""On whose behalf a client of the OpenAI API asks: its key, its conversation, the class of its data."""

import re
from hashlib import sha256

from msgspec import UNSET

from appliance.api.bodies import ApiRequest
from appliance.api.openai_errors import unsupported
from appliance.api.operations import Header
from appliance.api.service import Service
from appliance.auth.callers import Caller
from runtime.domain.canonical import Json
from runtime.domain.egress import Sender
from runtime.domain.trace import context_of
from runtime.policies.residency import DATA_CLASSES

CONVERSATION_HEADER = "x-agentflow-conversation"
DATA_CLASS_HEADER = "x-agentflow-data-class"
CONVERSATION = "conversation"
"""Its key in a request's `metadata`."""

_ID = "^[!-~]([ -~]{0,198}[!-~])?$"
HEADERS = {
    CONVERSATION_HEADER: Header(
        "A text of your own: a value keeps its pseudonym in all requests of one key that carry it.", _ID
    ),
    DATA_CLASS_HEADER: Header(
        "How sensitive the request is: a class of the setting data_classes, which narrows where it may go.",
        "^[a-z0-9_-]{1,64}$",
    ),
    "traceparent": Header("W3C trace context, which what is asked on carries on.", ".*"),
}


def sender_of(request: ApiRequest, service: Service, metadata: dict[str, Json] | None = None) -> Sender:
    """The sender of a request. Raises Invalid for a conversation without a usable name and an unknown class of data."""
    caller = request.user
    return Sender(
        purpose=f"API client {caller.actor!r}",
        tenant=caller.tenant,
        role=caller.role,
        run=_conversation(request.headers.get(CONVERSATION_HEADER), metadata or {}, caller),
        trace=context_of(request.headers.get("traceparent")) or UNSET,
        data_class=_data_class(request.headers.get(DATA_CLASS_HEADER), service),
    )


def _conversation(header: str | None, metadata: dict[str, Json], caller: Caller) -> str:
    """Its name in the audit log: neither what a client calls it, which may be personal, nor anybody else's."""
    given = metadata.get(CONVERSATION) if header is None else header
    if given is None:
        return ""
    if not isinstance(given, str) or not re.fullmatch(_ID, given):
        raise unsupported(CONVERSATION_HEADER, "send 1 to 200 printable ASCII characters, such as a UUID")
    whole = "\0".join((caller.tenant, caller.actor, given))
    return f"c-{sha256(whole.encode()).hexdigest()[:26]}"


def _data_class(header: str | None, service: Service) -> str:
    known = {**DATA_CLASSES, **service.appliance.settings.data_classes}
    if header is not None and header not in known:
        raise unsupported(DATA_CLASS_HEADER, f"there is no class {header[:64]!r}; known are {', '.join(sorted(known))}")
    return header or ""
