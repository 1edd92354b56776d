"""Has the broker of the uplink keep the audit log's checkpoints every so often: the setting `audit.anchor: uplink`.

An appliance that finds a later checkpoint there than its log has records for says so in its log, and anchors nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from appliance.audit.anchors import UPLINK
from appliance.audit.uplink_anchor import anchor_tenant, require_no_anchor
from runtime.audit.record import AuditRow, entry_of
from runtime.domain.ids import DEFAULT_TENANT, TenantId
from runtime.errors import AgentFlowError, Invalid

if TYPE_CHECKING:
    from appliance.wiring import Appliance

RETRY_S = 30.0
"""How long to wait behind one that failed, where the setting says longer."""
_OWN_LINES = 8
"""An anchor leaves five lines in the log: so many that are all of such tell nothing new."""
_OWN = ("af audit anchor", "af audit verify")

log = logging.getLogger(__name__)


class Anchoring:
    """Anchors the chains of one appliance that is served."""

    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance
        self._anchored: dict[TenantId, int] = {}
        """Records of each chain that are known to be covered."""
        self._fault = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Anchor now, and from now on; nothing where the settings say another place, or none. Raises Invalid."""
        settings = self._appliance.settings
        if settings.audit.anchor != UPLINK:
            return
        if not settings.uplink.url:
            raise Invalid(
                "audit.no_uplink",
                "audit.anchor is uplink, and no broker is set: af config set uplink.url nats://HOST:4222, or name a "
                "file or folder",
            )
        self._task = asyncio.create_task(self._anchor_for_ever(settings.audit.anchor_s), name="audit-anchor")

    async def stop(self) -> None:
        """Stop. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def anchor(self) -> bool:
        """Anchor each chain that has something to tell; whether all went well."""
        audit, fault = self._appliance.audit, ""
        assert audit is not None, "it is there from the start"
        begun = {head.tenant for head in await audit.heads()}
        for tenant in sorted({*begun, DEFAULT_TENANT}):
            covered = self._anchored.get(tenant, 0)
            if covered and _is_own(await audit.read(tenant, after_seq=covered, limit=_OWN_LINES)):
                continue
            try:
                if tenant in begun:
                    self._anchored[tenant] = (await anchor_tenant(self._appliance, tenant, actor="")).records
                else:
                    await require_no_anchor(self._appliance, tenant)
            except AgentFlowError as error:
                fault = f"{error.code}: {error.message}"
                if error.code != self._fault.partition(":")[0]:
                    log.error("the audit log of tenant %s is not anchored: %s", tenant, error)
        if self._fault and not fault:
            log.info("the audit log is anchored again")
        self._fault = fault
        self._appliance.uplink.note_anchor(fault)
        return not fault

    async def _anchor_for_ever(self, every_s: float) -> None:
        clock = self._appliance.clock
        while True:
            try:
                went_well = await self.anchor()
            except AgentFlowError as error:  # the store's: the next time may be better
                log.error("the audit log is not anchored: %s", error)
                went_well = False
            wait_s = every_s if went_well else min(every_s, RETRY_S)
            await clock.sleep_until(clock.now_us() + round(wait_s * 1e6))


def _is_own(rows: Sequence[AuditRow]) -> bool:
    """Whether these lines are about nothing but anchoring."""
    if len(rows) >= _OWN_LINES:
        return False
    return all(entry.event == "audit.anchored" or entry.sender.purpose in _OWN for entry in map(entry_of, rows))
