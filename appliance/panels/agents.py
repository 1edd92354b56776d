"""How the agents are: load, queue, failures, last activity; and the model servers behind them with their breakers."""

from collections.abc import Iterable

import msgspec

from models.health import ServerStatus
from runtime.domain.ids import DefinitionHash
from runtime.domain.journal import rfc3339
from runtime.engine.bulkhead import AgentLoad


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """One agent of one definition, since the server started."""

    workflow: str
    definition_hash: DefinitionHash
    agent: str
    kind: str
    health: str
    """`idle`, `busy`, `queueing` when attempts wait for a place, or `failing` when the last attempt failed."""
    limit: int
    """Attempts at once."""
    working: int
    queued: int
    answered: int
    failed: int
    failed_in_a_row: int
    last_error: str
    """Code of the last failure since it last answered; empty: none."""
    mean_ms: int | None
    """Of an attempt; null before the first has ended."""
    active_at: str | None


class AgentsView(msgspec.Struct, frozen=True, kw_only=True):
    """Agents that runs have needed since the start, the busiest first; model servers in the order of the settings."""

    agents: list[AgentView]
    servers: list[ServerStatus]


def agents_view(loads: Iterable[AgentLoad], servers: list[ServerStatus]) -> AgentsView:
    """The document."""
    busiest = sorted(loads, key=lambda load: (-load.working - load.queued, -load.active_us, load.workflow, load.agent))
    return AgentsView(agents=[_view(load) for load in busiest], servers=servers)


def _view(load: AgentLoad) -> AgentView:
    ended = load.answered + load.failed
    return AgentView(
        workflow=load.workflow,
        definition_hash=load.definition,
        agent=load.agent,
        kind=load.kind,
        health=_health(load),
        limit=load.limit,
        working=load.working,
        queued=load.queued,
        answered=load.answered,
        failed=load.failed,
        failed_in_a_row=load.failed_in_a_row,
        last_error=load.last_error,
        mean_ms=load.busy_ms // ended if ended else None,
        active_at=rfc3339(load.active_us) if load.active_us else None,
    )


def _health(load: AgentLoad) -> str:
    if load.failed_in_a_row:
        return "failing"
    if load.queued:
        return "queueing"
    return "busy" if load.working else "idle"
