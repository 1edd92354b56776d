"""Leave for a backend, from the real guard."""

from typing import TypeVar

from redaction.guard import Guard
from redaction.policy import EgressPolicy
from runtime.domain.egress import Cleared, Destination, Outbound

Payload = TypeVar("Payload")


def cleared(payload: Payload) -> Cleared[Payload]:
    """`payload` with leave to reach a local model."""
    clearing = Guard(EgressPolicy()).clear(Outbound(destination=Destination("model", "local"), payload=payload))
    try:
        clearing.send(None)
    except StopIteration as cleared:
        granted: Cleared[Payload] = cleared.value
        return granted
    raise AssertionError("leave for this machine's own workers waits for nobody")
