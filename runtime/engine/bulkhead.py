"""An agent's bulkhead: so many attempts at once, the others wait; and how busy it is, for whoever watches."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from runtime.domain.ids import AgentId, DefinitionHash
from runtime.errors import AgentFlowError

CRASHED = "agent.crashed"


class AgentLoad(msgspec.Struct, kw_only=True):
    """One agent of one definition since the start of the process; counted in place."""

    workflow: str
    definition: DefinitionHash
    agent: AgentId
    kind: str
    limit: int
    """How many attempts it works on at once."""
    working: int = 0
    queued: int = 0
    """Attempts that wait for others to end."""
    answered: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    """Since it last answered."""
    last_error: str = ""
    """Code of the last failure since it last answered."""
    busy_ms: int = 0
    """Of all attempts together, waiting left out."""
    active_us: int = 0
    """When an attempt last began or ended; 0: never."""


class Bulkhead:
    """Lets so many in at once."""

    def __init__(self, load: AgentLoad, now_us: Callable[[], int]) -> None:
        self.load = load
        self._now_us = now_us
        self._places = asyncio.Semaphore(load.limit)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it for as long as the block lasts; how the block ends is counted."""
        load = self.load
        load.queued += 1
        try:
            await self._places.acquire()
        finally:
            load.queued -= 1
        began_us = load.active_us = self._now_us()
        load.working += 1
        try:
            yield
        except AgentFlowError as error:
            self._failed(error.code)
            raise
        except Exception:
            self._failed(CRASHED)
            raise
        else:
            load.answered += 1
            load.failed_in_a_row, load.last_error = 0, ""
        finally:
            self._places.release()
            load.working -= 1
            load.active_us = self._now_us()
            load.busy_ms += (load.active_us - began_us) // 1_000

    def _failed(self, code: str) -> None:
        self.load.failed += 1
        self.load.failed_in_a_row += 1
        self.load.last_error = code
