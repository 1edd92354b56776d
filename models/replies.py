"""A server's answer, whatever it speaks, as the reply that whoever asked gets. Pure."""

import math
import re
from collections.abc import Sequence
from struct import pack

import msgspec

from models.answers import check_reply, fingerprint
from models.servers import ModelServer
from models.usage import spent, spent_on_texts
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest, ModelInfo, ToolCall

_CALL_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answered, whole."""

    text: str
    calls: tuple[ToolCall, ...]
    is_cut: bool
    """Whether it ended because max_tokens were used up."""
    usage: tuple[int | None, int | None]
    """Input and output tokens, as the server says."""
    fingerprint: str = ""


def reply_to(request: ChatRequest, answer: Answer, server: ModelServer) -> ChatReply:
    """The reply. Raises StepFailure when the answer does not keep the schema, or the tools."""
    took = spent(answer.usage, request, answer.text, answer.calls)
    identity = {"engine": server.name, "weights": answer.fingerprint or request.model}
    reply = ChatReply(
        text=answer.text,
        tool_calls=answer.calls,
        finish_reason="length" if answer.is_cut else "tool_calls" if answer.calls else "stop",
        input_tokens=took.input_tokens,
        output_tokens=took.output_tokens,
        usage=took.source,
        backend=backend_id(server),
        model=request.model,
        fingerprint=fingerprint(identity, model=request.model, temperature=request.temperature, seed=request.seed),
    )
    return check_reply(reply, request)


def vectors_for(
    request: EmbedRequest, rows: Sequence[Sequence[float]], tokens: int | None, server: ModelServer
) -> EmbedReply:
    """The vectors, at length 1."""
    return EmbedReply(
        vectors=b"".join(map(_unit, rows)),
        dimensions=len(rows[0]),
        input_tokens=spent_on_texts(tokens, request.texts),
        backend=backend_id(server),
        model=request.model,
        fingerprint=fingerprint({"engine": server.name, "weights": request.model}),
    )


def call_id(given: str, number: int) -> str:
    """What joins a call with its result: the server's word where it can be sent back, else one of ours by the call's
    number in the answer."""
    return given if _CALL_ID.fullmatch(given) else f"call_{number}"


def described(server: ModelServer) -> list[ModelInfo]:
    """The models that the settings list for a server; it is not asked."""
    return [
        ModelInfo(backend=backend_id(server), model=name, zone=server.zone, context_tokens=0, is_loaded=True)
        for name in server.models
    ]


def backend_id(server: ModelServer) -> str:
    """The dotted id of a server's backend."""
    return f"model.{server.name}"


def _unit(row: Sequence[float]) -> bytes:
    length = math.hypot(*row) or 1.0
    return pack(f"<{len(row)}f", *(number / length for number in row))
