"""The turns of sessions, in the file of memory. What is deleted is overwritten, and not only let go.

Tenants never meet: every statement about somebody's turns starts from the id of one tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.domain.ids import RunId, StepId, TenantId
from runtime.domain.memory import Session, SessionHeld, Turn
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3

MOST_LISTED = 1_000
"""Sessions in one list."""
_OF_SESSION = "tenant=? AND workflow=? AND agent=? AND session=? AND is_kept"


class Turns:
    """What was said in sessions; a turn is offered first, and counts once it is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, session: Session) -> Sequence[Turn]:
        """The turns that are kept, oldest first."""
        return await self._database.read(lambda connection: _turns(connection, session))

    async def offer(self, session: Session, turn: Turn, *, expires_us: int) -> None:
        """Put a turn aside, in place of what the same step has offered before."""
        row = (session.tenant, turn.run, turn.step, session.workflow, session.agent, session.name)
        said = (turn.at_us, expires_us, turn.asked, turn.answered)
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO turn VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", (*row, *said)
            )
        )

    async def keep(self, session: Session, turn: Turn, *, most: int) -> None:
        """Let the turn that was offered count; of its session only the newest `most` stay."""
        await self._database.write(lambda connection: _keep(connection, session, turn, most))

    async def offered(self) -> Sequence[tuple[Session, Turn]]:
        """The turns that do not count yet, of every tenant."""
        return await self._database.read(_offered)

    async def drop(self, tenant: TenantId, run: RunId, step: StepId) -> None:
        """Delete the turn of a step."""
        await self._database.write(
            lambda connection: _delete(connection, "tenant=? AND run=? AND step=?", (tenant, run, step))
        )

    async def expire(self, now_us: int) -> int:
        """Delete the turns of every tenant whose time is over; return how many."""
        return await self._database.write(lambda connection: _delete(connection, "expires_us<=?", (now_us,)))

    async def sessions(self, tenant: TenantId, *, now_us: int, names: Sequence[str] = ()) -> Sequence[SessionHeld]:
        """The sessions of a tenant in which something is remembered, or those with one of these names; the one that
        was gone on with last first, at most a thousand."""
        return await self._database.read(lambda connection: _sessions(connection, tenant, now_us, names))

    async def forget(self, session: Session) -> int:
        """Delete a session's turns; return how many there were."""
        where = "tenant=? AND workflow=? AND agent=? AND session=?"
        return await self._database.write(lambda connection: _delete(connection, where, _key(session)))


def _key(session: Session) -> tuple[str, ...]:
    return (session.tenant, session.workflow, session.agent, session.name)


def _turns(connection: sqlite3.Connection, session: Session) -> Sequence[Turn]:
    rows = connection.execute(
        f"SELECT run, step, at_us, asked, answered FROM turn WHERE {_OF_SESSION} ORDER BY at_us, run, step",
        _key(session),
    )
    return [_turn(*row) for row in rows]


def _keep(connection: sqlite3.Connection, session: Session, turn: Turn, most: int) -> None:
    step = (session.tenant, turn.run, turn.step)
    connection.execute("UPDATE turn SET is_kept=1 WHERE tenant=? AND run=? AND step=?", step)
    beyond = f"SELECT rowid FROM turn WHERE {_OF_SESSION} ORDER BY at_us DESC, run DESC, step DESC LIMIT -1 OFFSET ?"
    _delete(connection, f"rowid IN ({beyond})", (*_key(session), most))


def _offered(connection: sqlite3.Connection) -> Sequence[tuple[Session, Turn]]:
    rows = connection.execute(
        "SELECT tenant, workflow, agent, session, run, step, at_us, asked, answered FROM turn WHERE NOT is_kept"
    )
    return [
        (Session(tenant=tenant, workflow=workflow, agent=agent, name=name), _turn(*said))
        for tenant, workflow, agent, name, *said in rows
    ]


def _turn(run: str, step: str, at_us: int, asked: str, answered: str) -> Turn:
    return Turn(run=RunId(run), step=StepId(step), at_us=at_us, asked=asked, answered=answered)


def _sessions(
    connection: sqlite3.Connection, tenant: TenantId, now_us: int, names: Sequence[str]
) -> Sequence[SessionHeld]:
    named = f"AND session IN ({', '.join('?' * len(names))}) " if names else ""
    rows = connection.execute(
        "SELECT workflow, agent, session, count(*), min(at_us), max(at_us) FROM turn "
        f"WHERE tenant=? AND is_kept AND expires_us>? {named}GROUP BY workflow, agent, session "
        "ORDER BY max(at_us) DESC, workflow, agent, session LIMIT ?",
        (tenant, now_us, *names, MOST_LISTED),
    )
    return [
        SessionHeld(workflow=workflow, agent=agent, name=name, turns=turns, first_us=first, last_us=last)
        for workflow, agent, name, turns, first, last in rows
    ]


def _delete(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> int:
    connection.execute("PRAGMA secure_delete=ON")
    return connection.execute(f"DELETE FROM turn WHERE {where}", values).rowcount
