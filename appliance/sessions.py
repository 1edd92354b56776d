"""What agents remember of sessions, as people see it, and forgetting it.

In minimised workflows a session is known by the hash of its name, and its turns show pseudonyms.
"""

import msgspec

from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import TenantId
from runtime.domain.journal import rfc3339
from runtime.domain.memory import Session, SessionHeld
from runtime.errors import NotFound
from runtime.memory.short_term import hidden
from runtime.ports import Record
from runtime.store.turns import Turns


class SessionName(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions: all of one name, or those of one workflow or agent alone."""

    name: str
    workflow: str = ""
    agent: str = ""


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a session is remembered."""

    name: str
    workflow: str
    agent: str
    turns: int
    first_at: str
    last_at: str


class SessionsView(msgspec.Struct, frozen=True):
    """The sessions of a tenant, the one that was gone on with last first."""

    sessions: list[SessionView]


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and answered, as it is kept."""

    workflow: str
    agent: str
    run: str
    step: str
    at: str
    asked: str
    answered: str


class TurnsView(msgspec.Struct, frozen=True):
    """The turns of sessions, session by session, oldest first."""

    turns: list[TurnView]


class Forgotten(msgspec.Struct, frozen=True):
    """How many turns were deleted."""

    turns: int


async def sessions_of(turns: Turns, tenant: TenantId, *, now_us: int) -> SessionsView:
    """What a tenant's agents remember."""
    return SessionsView([_view(each) for each in await turns.sessions(tenant, now_us=now_us)])


async def turns_of(turns: Turns, tenant: TenantId, asked: SessionName, *, now_us: int) -> TurnsView:
    """What was said in sessions. Raises NotFound where nothing is remembered of them."""
    found = []
    for held in await _found(turns, tenant, asked, now_us):
        for turn in await turns.of(_session(tenant, held)):
            view = TurnView(
                workflow=held.workflow,
                agent=held.agent,
                run=turn.run,
                step=turn.step,
                at=rfc3339(turn.at_us),
                asked=turn.asked,
                answered=turn.answered,
            )
            found.append(view)
    return TurnsView(found)


async def forget(
    turns: Turns, tenant: TenantId, asked: SessionName, *, now_us: int, record: Record, actor: str
) -> Forgotten:
    """Delete what is remembered of sessions, for good; the audit log says who did. Raises NotFound where that is
    nothing, and what `record` raises: nothing is deleted then."""
    found = await _found(turns, tenant, asked, now_us)
    for held in found:
        await record(_told(tenant, held, actor))
    return Forgotten(sum([await turns.forget(_session(tenant, held)) for held in found]))


def _told(tenant: TenantId, held: SessionHeld, actor: str) -> AuditEntry:
    """Without the session's name, which may be a person's."""
    return AuditEntry(
        event="memory.forgotten",
        sender=Sender(purpose=actor, tenant=tenant),
        actor=actor,
        subject=f"{held.workflow}/{held.agent}",
        found={"turns": held.turns},
        outcome="ok",
    )


async def _found(turns: Turns, tenant: TenantId, asked: SessionName, now_us: int) -> list[SessionHeld]:
    named = await turns.sessions(tenant, now_us=now_us, names=(asked.name, hidden(asked.name)))
    found = [held for held in named if asked.workflow in ("", held.workflow) and asked.agent in ("", held.agent)]
    if not found:
        raise NotFound("session.not_found", f"nothing is remembered of a session {asked.name!r}")
    return found


def _session(tenant: TenantId, held: SessionHeld) -> Session:
    return Session(tenant=tenant, workflow=held.workflow, agent=held.agent, name=held.name)


def _view(held: SessionHeld) -> SessionView:
    return SessionView(
        name=held.name,
        workflow=held.workflow,
        agent=held.agent,
        turns=held.turns,
        first_at=rfc3339(held.first_us),
        last_at=rfc3339(held.last_us),
    )
