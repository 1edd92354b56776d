"""What wants to leave, and what may. `Cleared` comes from the guard alone."""

from typing import Generic, TypeVar

import msgspec

from runtime.domain.cost import Budget
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
    onward: str = ""
    """The zone that whoever is there passes it on to: what goes there is held to that one's rules too; empty: none."""


class ZoneRule(msgspec.Struct, frozen=True):
    """Zones that somebody allows; whatever is allowed must be allowed by every rule."""

    set_by: str
    """Where it is set, such as `policies.residency of agent 'draft'`."""
    zones: tuple[str, ...]
    """`local`, `site`, `cloud:eu`, or a pattern such as `cloud:*`."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf something is sent: what policy, budgets and the audit log go by."""

    purpose: str = "the appliance"
    """What asks, such as `agent 'answer'`."""
    tenant: TenantId = DEFAULT_TENANT
    workflow: str = ""
    agent: str = ""
    run: str = ""
    """The run, or the conversation, within which a value keeps its pseudonym; empty: this request alone."""
    step: str = ""
    trace: str | msgspec.UnsetType = msgspec.UNSET
    """The W3C trace context that the run was asked for in; not set where there was none."""
    role: str = ""
    """The caller's role, where a person or a program asked."""
    zone_rules: tuple[ZoneRule, ...] = ()
    """Of the workflow and the agent; the tenant's own are the guard's."""
    data_class: str = ""
    """How sensitive the agent or the request says its data are, else the workflow; empty: nobody says anything."""
    workflow_class: str = ""
    """How sensitive the workflow says its data are, whatever its agent says; both must allow the zone."""
    budgets: tuple[Budget, ...] = ()
    """Of the workflow and the agent; those of the settings are the ledger's."""


APPLIANCE = Sender()
"""The appliance itself, on nobody's behalf."""


class CostBound(msgspec.Struct, frozen=True, kw_only=True):
    """The most that something can cost, as it is known before it is sent; or what it did cost."""

    usd_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    item: str = ""
    """What is paid for, as budgets name it: `model:vllm/llama3`, `tool:search`, `memory:long_term`."""
    payee: str = ""
    """Who may charge for it once it is sent, as `name:port`; empty: it ends with this process."""
    has_price: bool = True
    """Whether anybody has said what it costs; what has no price fits no hard budget of money."""


class Outbound(msgspec.Struct, Generic[Payload], frozen=True, kw_only=True):
    """Something that an agent, a tool or the appliance wants to send."""

    destination: Destination
    payload: Payload
    sender: Sender = APPLIANCE
    bound: CostBound = CostBound()


class Cleared(msgspec.Struct, Generic[Payload], frozen=True):
    """Leave granted: the payload as it may leave. Only `redaction.guard` makes one; every sender takes one."""

    destination: Destination
    payload: Payload
    trace: str = ""
    """The W3C trace context of the step that sends; empty: of none."""
