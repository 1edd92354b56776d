"""Hands every entry and message to the bus, in order, once it is durable and not before."""

from collections.abc import Callable

from runtime.domain.bus import Batch
from runtime.ports import BusStore


class Relay:
    """Between a store and a bus."""

    def __init__(self, store: BusStore, begin: Callable[[int], None], deliver: Callable[[Batch], None]) -> None:
        """`begin`: told the position that the bus begins behind. `deliver`: given what comes then."""
        self._store, self._begin, self._deliver = store, begin, deliver

    async def start(self) -> None:
        """Begin at the store's head; what came before is in the store, for whoever asks."""
        self._store.listen(self._deliver)  # first, so that nothing falls between; what is told twice is told once
        self._begin(await self._store.head())
