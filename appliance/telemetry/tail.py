"""The one live reader of the journal: feeds projections and wakes whoever watches a run.

Rows reach a projection once each, in the order of their commits, from the moment the tail started.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from runtime.domain.ids import RunId
from runtime.domain.journal import Row
from runtime.errors import AgentFlowError
from runtime.ports import StateStore

RETRY_S = 1.0

log = logging.getLogger(__name__)


class Tail:
    """Follows the journal while started."""

    def __init__(self, project: Callable[[Row], None]) -> None:
        self._project = project
        self._watchers: defaultdict[RunId, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    async def start(self, store: StateStore) -> None:
        """Follow from the journal's present end."""
        self._task = asyncio.create_task(self._follow(store, await store.head()), name="journal-tail")

    async def stop(self) -> None:
        """Stop following. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @contextmanager
    def watch(self, run: RunId) -> Iterator[asyncio.Event]:
        """An event that is set whenever the run's journal grows; the watcher clears it."""
        changed = asyncio.Event()
        self._watchers[run].add(changed)
        try:
            yield changed
        finally:
            self._watchers[run].discard(changed)
            if not self._watchers[run]:
                del self._watchers[run]

    def wake_all(self) -> None:
        """Wake every watcher, so that it sees that the server is draining."""
        for events in self._watchers.values():
            for event in events:
                event.set()

    async def _follow(self, store: StateStore, cursor: int) -> None:
        while True:
            try:
                async for position, row in store.follow(cursor):
                    cursor = position
                    self._deliver(row)
            except AgentFlowError:
                # streams also look for themselves at every heartbeat, so a store that is down delays, never loses
                log.exception("the journal could not be followed from %d; trying again in %s s", cursor, RETRY_S)
            await asyncio.sleep(RETRY_S)

    def _deliver(self, row: Row) -> None:
        self._project(row)
        for event in self._watchers.get(row.run, ()):
            event.set()
