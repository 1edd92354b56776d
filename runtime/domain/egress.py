"""What wants to leave, and what may. `Cleared` comes from the guard alone."""

from typing import Generic, TypeVar

import msgspec

from runtime.domain.ids import DEFAULT_TENANT, TenantId

Payload = TypeVar("Payload")


class Destination(msgspec.Struct, frozen=True):
    """Where something would go."""

    kind: str
    """`model`, `http`, `mail`, `bus`, …"""
    zone: str
    """`local`: this process and its workers. `site`: declared hosts of this network. `cloud:<region>`: the rest."""
    host: str = ""
    """Host and port as `name:port`; empty for `local`."""


class Outbound(msgspec.Struct, Generic[Payload], frozen=True, kw_only=True):
    """Something that an agent, a tool or the appliance wants to send."""

    destination: Destination
    payload: Payload
    purpose: str
    """What asks, such as `agent:answer`."""
    tenant: TenantId = DEFAULT_TENANT


class Cleared(msgspec.Struct, Generic[Payload], frozen=True):
    """Leave granted: the payload as it may leave. Only `redaction.guard` makes one; every sender takes one."""

    destination: Destination
    payload: Payload
