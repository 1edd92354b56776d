"""Runs a batch of writes as one transaction, in SQLite's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runtime.store.failures import concerns_every_write

if TYPE_CHECKING:
    import sqlite3


class Unit(NamedTuple):
    """One caller's write."""

    work: Callable[[sqlite3.Connection], object]
    savepoint: bool
    """False when the work promises to raise only before its first change, so that there is nothing to take back."""


class Failed(NamedTuple):
    """A unit's own failure; its neighbours are not concerned."""

    error: Exception


def commit(
    connection: sqlite3.Connection, units: Sequence[Unit], forget: Callable[[], None]
) -> Sequence[object | Failed]:
    """Run the units in order and commit: durable when it returns, with what each returned or how it failed.

    Raises, keeping nothing of the batch, when the disk takes no more or a unit breaks its promise. `forget` is
    called then: what anybody remembers of this file may be of the lost batch.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_guarded(connection, unit) if unit.savepoint else _promised(connection, unit) for unit in units]
        connection.execute("COMMIT")
        return outcomes
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        forget()
        raise


def _guarded(connection: sqlite3.Connection, unit: Unit) -> object | Failed:
    connection.execute("SAVEPOINT unit")
    try:
        outcome = _without_cursor(connection, unit.work(connection))
    except Exception as error:
        if concerns_every_write(error):
            raise
        connection.execute("ROLLBACK TO unit")
        outcome = Failed(error)
    connection.execute("RELEASE unit")
    return outcome


def _promised(connection: sqlite3.Connection, unit: Unit) -> object | Failed:
    changes = connection.total_changes
    try:
        return _without_cursor(connection, unit.work(connection))
    except Exception as error:
        if concerns_every_write(error) or connection.total_changes != changes:
            raise
        return Failed(error)


def _without_cursor(connection: sqlite3.Connection, outcome: object) -> object | None:
    """What may leave this thread: a cursor resets its statement wherever it is dropped, also while this thread is
    using it for the next write."""
    return None if getattr(outcome, "connection", None) is connection else outcome
