"""What the audit log says of one thing that happened. Never a value: names, counts and sizes."""

from typing import Literal

import msgspec

from runtime.domain.egress import Destination, Sender

AuditEvent = Literal[
    "egress.sent", "egress.refused", "egress.settled", "budget.warned", "vault.restored", "vault.purged", "vault.erased"
]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the audit log, before it has a place in the chain."""

    event: AuditEvent
    passage: str
    """Joins what was sent, or refused, with how it ended."""
    sender: Sender
    destination: Destination
    size_bytes: int = 0
    """Of the payload as it left, or of the reply once it is settled."""
    policy: str = ""
    """The redaction policy that was applied; empty: none."""
    found: dict[str, int] = {}
    """How many values of each entity were found, by `ENTITY:action`."""
    outcome: str = ""
    """The code of a refusal or a failure; `ok`; `cancelled`."""
    usd_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
