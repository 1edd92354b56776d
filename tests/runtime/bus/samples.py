"""Buses, messages and takers for the tests of the bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.bus.local import LocalBus
from runtime.domain.bus import Delivery, Terms
from runtime.domain.canonical import Json
from runtime.domain.envelope import Envelope, message
from runtime.domain.ids import DEFAULT_TENANT, RunId, TenantId
from runtime.engine.clock import SystemClock
from runtime.engine.relay import Relay
from runtime.store.journal import Journal, journal_database
from runtime.store.key import Key
from runtime.store.lock import hold
from tests.runtime.store.samples import NOON_US

QUICK = Terms(ack_s=5.0, max_deliveries=3, back_off_s=(0.01,))
PATIENCE_S = 60


def said(
    subject: str,
    payload: Json = None,
    *,
    id: str = "",
    run: str = "",
    tenant: TenantId = DEFAULT_TENANT,
    at_us: int = NOON_US,
) -> Envelope:
    """A message; its id is its payload's where none is given."""
    return message(subject, payload, id=id or f"m-{payload}", at_us=at_us, tenant=tenant, run=RunId(run))


class Taker:
    """Takes messages, and remembers them."""

    def __init__(self, *, fails: int = 0, error: Exception | None = None) -> None:
        """`fails`: so many deliveries fail first."""
        self.deliveries: list[Delivery] = []
        self._came = asyncio.Event()
        self.held = asyncio.Event()
        self.held.set()
        self._fails = fails
        self._error = error or OSError("no")

    async def __call__(self, delivery: Delivery) -> None:
        await self.held.wait()
        self.deliveries.append(delivery)
        self._came.set()
        if len(self.deliveries) <= self._fails:
            raise self._error

    @property
    def payloads(self) -> list[Json]:
        """What was taken, or tried to, in order."""
        return [delivery.envelope.payload for delivery in self.deliveries]

    async def has(self, count: int) -> list[Json]:
        """Wait until there are so many; the payloads."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.deliveries) < count:
                self._came.clear()
                await self._came.wait()
        return self.payloads


@asynccontextmanager
async def open_bus(folder: Path, key: Key | None = None) -> AsyncIterator[tuple[LocalBus, Journal]]:
    """A bus over a journal in a folder."""
    with hold(folder, what="test", now_us=NOON_US) as lock:
        database = journal_database(folder, lock=lock, key=key)
        await database.start()
        journal = Journal(database)
        bus = LocalBus(journal.messages, SystemClock())
        await Relay(journal.messages, bus.begin, bus.deliver).start()
        try:
            yield bus, journal
        finally:
            await bus.stop()
            await database.stop()
