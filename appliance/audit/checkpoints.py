"""Signs where the audit chains end, every so often and when the appliance stops, and keeps copies elsewhere."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from appliance.audit.anchors import UPLINK, Anchor
from appliance.audit.keys import AuditKeys
from runtime.errors import AgentFlowError
from runtime.ports import Clock
from runtime.store.audit import AuditLog

log = logging.getLogger(__name__)


class Checkpoints:
    """Signs the chains of one audit log."""

    def __init__(self, audit: AuditLog, keys: AuditKeys, clock: Clock, *, every_s: float, anchor: str = "") -> None:
        """`every_s`: 0 signs at the end alone. `anchor`: where copies are kept; empty, or the uplink: not from here."""
        self._audit = audit
        self._keys = keys
        self._clock = clock
        self._every_s = every_s
        self._anchor = Anchor(Path(anchor).expanduser()) if anchor not in ("", UPLINK) else None
        self._signing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sign from now on."""
        if self._every_s:
            self._signing = asyncio.create_task(self._sign_for_ever(), name="audit-checkpoints")

    async def stop(self) -> None:
        """Sign for the last time. Safe to call twice."""
        if self._signing is not None:
            self._signing.cancel()
            with suppress(asyncio.CancelledError):
                await self._signing
            self._signing = None
        await self.sign()

    async def sign(self) -> None:
        """Sign every chain that has grown. What goes wrong is told in the log: what runs need not end for it."""
        for head in await self._audit.heads():
            try:
                named = self._keys.named(head.tenant)
                kept = await self._audit.sign(head.tenant, named, self._keys.key.sign)
                if kept is not None and self._anchor is not None:
                    await asyncio.to_thread(self._anchor.keep, head.tenant, kept.note)
            except AgentFlowError as error:
                log.error("the audit log of tenant %s has no new checkpoint: %s", head.tenant, error)

    async def _sign_for_ever(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_us() + round(self._every_s * 1e6))
            try:
                await self.sign()
            except AgentFlowError as error:
                log.error("the audit log has no new checkpoint: %s", error)
