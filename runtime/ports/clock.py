"""Time, and small callables that many are handed."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from runtime.domain.audit import AuditEntry
from runtime.domain.ids import RunId


class Clock(Protocol):
    """Time and new ids, so that neither is taken anywhere else."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC; never decreases within a process."""

    async def sleep_until(self, at_us: int) -> None:
        """Return at or after the instant."""

    def new_run_id(self) -> RunId:
        """A fresh id; later ids sort after earlier ones."""


Sleep = Callable[[float], Awaitable[None]]


Record = Callable[[AuditEntry], Awaitable[object]]
"""Writes a line of the audit log; durable when it returns. Raises Unavailable or StoreFull: then what it tells of
must not happen."""


Progress = Callable[[str, int, int], None]
"""Told what takes long (`classify: examples embedded`), how much of it is done, and how much there is."""


async def nothing_recorded(entry: AuditEntry) -> None:
    """Where nobody keeps an audit log."""
