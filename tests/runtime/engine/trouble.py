"""A journal that can be put in trouble: full, or slow at a moment that a test chooses."""

import asyncio
from collections.abc import Sequence

from runtime.domain.ids import RunId
from runtime.domain.journal import Entry
from runtime.errors import StoreFull
from runtime.store.journal import Journal


class TroubledJournal(Journal):
    """The real journal, with a hand on its append."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal._database)
        self.is_full = False
        self.bug: Exception | None = None
        """What each append raises, as no store should."""
        self.refused: list[str] = []
        """The type of each event that found the disk full."""
        self.gate = asyncio.Event()
        """While it is not set, appends wait in front of the disk."""
        self.gate.set()
        self.waiting = 0

    async def append(
        self,
        run: RunId,
        expected_seq: int,
        entries: Sequence[Entry],
        *,
        idempotency_key: str | None = None,
        status: str | None = None,
    ) -> int:
        """Refuse, wait, or append."""
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        if self.bug is not None:
            raise self.bug
        if self.is_full:
            self.refused.append(entries[0].body.TYPE)
            raise StoreFull("store.full", "the disk is full")
        return await super().append(run, expected_seq, entries, idempotency_key=idempotency_key, status=status)
