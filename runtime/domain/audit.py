"""What the audit log says of one thing that happened. Never a value: names, counts and sizes."""

from typing import Final, Literal

import msgspec

from runtime.domain.egress import APPLIANCE, Destination, Sender
from runtime.domain.exec_profile import Used

AuditEvent = Literal[
    "egress.sent",
    "egress.refused",
    "egress.settled",
    "budget.warned",
    "vault.restored",
    "vault.purged",
    "vault.erased",
    "tool.called",
    "tool.refused",
    "tool.settled",
    "run.started",
    "run.finished",
    "cancel.requested",
    "run.migrated",
    "human.decided",
    "human.moved",
    "login.accepted",
    "login.refused",
    "key.created",
    "key.revoked",
    "secret.set",
    "secret.rotated",
    "secret.removed",
    "config.changed",
    "definition.changed",
    "data.exported",
    "data.imported",
    "data.erased",
    "audit.migrated",
    "audit.exported",
    "audit.anchored",
    "mcp.approved",
    "mcp.revoked",
    "bus.retried",
    "bus.replayed",
    "ticket.closed",
    "ticket.reopened",
    "trigger.paused",
    "trigger.resumed",
    "webhook.refused",
    "workflow.published",
    "memory.forgotten",
]

HERE: Final = Destination("", "local")
"""The destination of what stays in the appliance."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the audit log, before it has a place in the chain."""

    event: AuditEvent
    passage: str = ""
    """Joins what was sent, called or refused with how it ended; empty: it is over with this line."""
    sender: Sender = APPLIANCE
    """On whose behalf it happened; its tenant's chain has the line."""
    destination: Destination = HERE
    size_bytes: int = 0
    """Of the payload as it left, or of the reply once it is settled."""
    policy: str = ""
    """The redaction policy that was applied; of a tool the profile that it ran under. Empty: none."""
    found: dict[str, int] = {}
    """How many values of each entity were found, by `ENTITY:action`."""
    outcome: str = ""
    """The code of a refusal or a failure; `ok`; `cancelled`."""
    usd_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    actor: str = ""
    """Who did it: an API key's name, `cli`, `local`; empty: the appliance itself."""
    subject: str = ""
    """What it was done to: a tool, a signal, a setting, a definition. A name, never a value."""
    entry: int = 0
    """The entry of the run's journal that says the same; 0: none does."""
    entry_hash: str = ""
    """Its hash in hex; of `run.finished` SHA-256 over the hashes of all entries up to it."""
    wanted: str = ""
    """The level that the workflow asks for; it decides whether the line is written, and does not stand in it."""
    marks: dict[str, str] = {}
    """What can be compared without being read: a definition's hash, salted hashes of settings, arguments."""
    driver: str = ""
    """The sandbox that held a tool; empty: it ran inside the appliance."""
    is_cached: bool = False
    """Whether a tool's answer was one that was kept."""
    used: Used | None = None
    """What the programs of a tool took of the machine; None: no sandbox ran any to its end."""


def tool_entry(
    event: Literal["tool.called", "tool.refused", "tool.settled"],
    tool: str,
    sender: Sender,
    *,
    passage: str,
    profile: str = "",
    outcome: str = "",
    size_bytes: int = 0,
    usd_micros: int = 0,
    arguments: str = "",
    driver: str = "",
    is_cached: bool = False,
    used: Used | None = None,
    wanted: str = "",
) -> AuditEntry:
    """The line of a call of a tool. `passage`: what joins its lines. `profile`: what it ran under.
    `arguments`: their hash.

    `tool.called` is recorded before the tool does anything, `tool.settled` when it has ended, and `tool.refused`,
    with the code as `outcome`, in place of both.
    """
    return AuditEntry(
        event=event,
        passage=passage,
        sender=sender,
        destination=Destination("tool", "local", ""),
        subject=tool,
        policy=profile,
        outcome=outcome,
        size_bytes=size_bytes,
        usd_micros=usd_micros,
        marks={"arguments": arguments} if arguments else {},
        driver=driver,
        is_cached=is_cached,
        used=used,
        wanted=wanted,
    )
