"""What a step keeps of a model's answer beside the output: who gave it, and why that one."""

from runtime.domain.canonical import Json
from runtime.domain.chat import ChatReply, EmbedReply


def evidence_of(reply: ChatReply | EmbedReply) -> dict[str, Json]:
    """What answered; and why that one, and who counted the tokens, where that is no matter of course."""
    evidence: dict[str, Json] = {
        "backend": reply.backend,
        "model": reply.model,
        "fingerprint": reply.fingerprint,
    }
    if reply.route:
        evidence["route"] = reply.route
    if isinstance(reply, ChatReply) and reply.usage != "counted":
        evidence["usage"] = reply.usage
    return evidence
