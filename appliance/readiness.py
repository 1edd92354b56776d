"""Whether the appliance can do what it is asked for: its engine takes runs, its store keeps them, its disk has room."""

import asyncio
import shutil
from typing import TYPE_CHECKING

from runtime.errors import AgentFlowError

if TYPE_CHECKING:
    from appliance.wiring import Appliance

ANSWER_S = 2.0
"""How long the store may take to answer."""
KEPT_S = 1.0
"""How long an answer counts: whoever asks all the time costs nothing."""
LEAST_FREE_BYTES = 64 * 2**20


class Readiness:
    """Asks the parts of a started appliance."""

    def __init__(self, appliance: "Appliance") -> None:
        self._appliance = appliance
        self._asked: tuple[float, asyncio.Task[str]] | None = None

    async def fault(self) -> str:
        """What keeps it from serving, and what to do; empty: nothing."""
        now_s = asyncio.get_running_loop().time()
        if self._asked is None or now_s >= self._asked[0] + KEPT_S:
            self._asked = (now_s, asyncio.create_task(self._look()))
        return await asyncio.shield(self._asked[1])

    async def _look(self) -> str:
        if not self._appliance.engine.health().is_accepting:
            return "its engine takes no runs; the log says why, and a restart takes them up again"
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._appliance.alive()
        except TimeoutError:
            return f"its store has not answered for {ANSWER_S:g} s; look at the disk"
        except AgentFlowError as error:
            return error.message
        free = shutil.disk_usage(self._appliance.settings.data).free
        if free < LEAST_FREE_BYTES:
            return f"{free / 2**20:.0f} MiB are left on the disk of its data folder; make room"
        return ""
