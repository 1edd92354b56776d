"""What is remembered of triggers, in the journal's file: how far each has come, and what came of it last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import DEFAULT_TENANT, RunId
from runtime.domain.trigger import TriggerState
from runtime.store.chains import Chains
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = "workflow, name, is_paused, cursor_us, fired, failed, last_us, last_run, last_error"


class TriggerStates:
    """The states of all triggers."""

    def __init__(self, database: Database, audit: Chains | None = None) -> None:
        """`audit`: the log that is told when somebody pauses a trigger, or has it go on."""
        self._database = database
        self._audit = audit

    async def all(self) -> Sequence[TriggerState]:
        """Of every trigger that ever acted or was paused."""
        return await self._database.read(lambda c: _select(c, "1", ()))

    async def one(self, workflow: str, name: str) -> TriggerState:
        """Of one trigger; a fresh one where nothing is remembered."""
        found = await self._database.read(lambda c: _select(c, "workflow = ? AND name = ?", (workflow, name)))
        return found[0] if found else TriggerState(workflow=workflow, name=name)

    async def move(self, workflow: str, name: str, cursor_us: int) -> None:
        """A schedule's times were seen to up to here; durable when this returns."""
        await self._change(workflow, name, "cursor_us = ?", (cursor_us,))

    async def fired(self, workflow: str, name: str, *, at_us: int, run: RunId) -> None:
        """It started a run."""
        change = "fired = fired + (last_run <> ?1), last_us = ?2, last_run = ?1, last_error = ''"
        await self._change(workflow, name, change, (run, at_us))

    async def failed(self, workflow: str, name: str, *, at_us: int, error: str) -> None:
        """It could start none."""
        await self._change(workflow, name, "failed = failed + 1, last_us = ?, last_error = ?", (at_us, error))

    async def pause(self, workflow: str, name: str, *, at_us: int, by: str) -> None:
        """Have it start nothing; durable when this returns, with a line in the audit log."""
        told = _told("trigger.paused", workflow, name, by)
        await self._change(workflow, name, "is_paused = 1", (), told=told, at_us=at_us)

    async def resume(self, workflow: str, name: str, *, at_us: int, by: str) -> None:
        """Have it go on, from now: what a schedule missed while it was paused is not made up for."""
        told = _told("trigger.resumed", workflow, name, by)
        await self._change(workflow, name, "is_paused = 0, cursor_us = ?", (at_us,), told=told, at_us=at_us)

    async def forget(self, workflow: str, name: str) -> None:
        """There is no such trigger any more."""
        await self._database.write(
            lambda c: c.execute("DELETE FROM trigger_state WHERE workflow = ? AND name = ?", (workflow, name)).rowcount
        )

    async def _change(
        self,
        workflow: str,
        name: str,
        change: str,
        values: tuple[object, ...],
        *,
        told: AuditEntry | None = None,
        at_us: int = 0,
    ) -> None:
        def work(connection: sqlite3.Connection) -> None:
            place = (workflow, name)
            connection.execute("INSERT INTO trigger_state(workflow, name) VALUES(?,?) ON CONFLICT DO NOTHING", place)
            statement = f"UPDATE trigger_state SET {change} WHERE workflow = ? AND name = ?"
            connection.execute(statement, (*values, *place))
            if told is not None and self._audit is not None:
                self._audit.add(connection, told, at_us)

        await self._database.write(work)


def _told(event: Literal["trigger.paused", "trigger.resumed"], workflow: str, name: str, by: str) -> AuditEntry:
    sender = Sender(purpose=by, tenant=DEFAULT_TENANT)
    return AuditEntry(event=event, sender=sender, actor=by, subject=f"{workflow}/{name}", outcome="ok")


def _select(connection: sqlite3.Connection, wanted: str, values: tuple[object, ...]) -> Sequence[TriggerState]:
    statement = f"SELECT {_COLUMNS} FROM trigger_state WHERE {wanted} ORDER BY workflow, name"
    return [
        TriggerState(
            workflow=workflow,
            name=name,
            is_paused=bool(is_paused),
            cursor_us=cursor_us,
            fired=fired,
            failed=failed,
            last_us=last_us,
            last_run=RunId(last_run),
            last_error=last_error,
        )
        for workflow, name, is_paused, cursor_us, fired, failed, last_us, last_run, last_error in connection.execute(
            statement, values
        ).fetchall()
    ]
