"""Signs where the audit chains end, every so often and when the appliance stops, and keeps copies elsewhere."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.audit.anchors import UPLINK, Anchor
from appliance.audit.keys import AuditKeys
from runtime.domain.ids import TenantId
from runtime.errors import AgentFlowError
from runtime.ports import Clock
from runtime.store.audit import AuditLog, overdue_s

if TYPE_CHECKING:
    from appliance.config.settings import Settings

log = logging.getLogger(__name__)


def checkpoints_of(settings: Settings, audit: AuditLog, clock: Clock) -> Checkpoints:
    """What signs this log as the settings say, with the key of this appliance, which is made where there is none.

    Raises what writing a file raises.
    """
    keys, given = AuditKeys(settings), settings.audit
    keys.make()
    return Checkpoints(audit, keys, clock, every_s=given.checkpoint_s, anchor=given.anchor)


class Checkpoints:
    """Signs the chains of one audit log."""

    def __init__(self, audit: AuditLog, keys: AuditKeys, clock: Clock, *, every_s: float, anchor: str = "") -> None:
        """`every_s`: 0 signs at the end alone. `anchor`: where copies are kept; empty, or the uplink: not from here."""
        self._audit = audit
        self._keys = keys
        self._clock = clock
        self._every_s = every_s
        self._anchor = Anchor(Path(anchor).expanduser()) if anchor not in ("", UPLINK) else None
        self._overdue: set[TenantId] = set()
        """Chains that were found without checkpoints that they must have had: this process signs none."""
        self._signing: asyncio.Task[None] | None = None

    async def start(self, *, is_taken_over: bool = False) -> None:
        """Sign what a process that was killed left unsigned, and from now on; `is_taken_over`: see `sign_found`."""
        await self.sign_found(is_taken_over=is_taken_over)
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

    async def sign_found(self, *, is_taken_over: bool = False) -> None:
        """Sign as `sign` does, what another process wrote, but for chains that it must have signed before.

        `is_taken_over`: the log had another format until now, and no checkpoints.
        """
        await self._sign_all(within_s=0.0 if is_taken_over else overdue_s(self._every_s))

    async def sign(self) -> None:
        """Sign every chain that has grown. What goes wrong is told in the log: what runs need not end for it."""
        await self._sign_all(within_s=0.0)

    async def _sign_all(self, *, within_s: float) -> None:
        for head in await self._audit.heads():
            if head.signed == head.size or head.tenant in self._overdue:
                continue
            try:
                named = self._keys.named(head.tenant)
                kept = await self._audit.sign(head.tenant, named, self._keys.key.sign, within_s=within_s)
                if kept is not None and self._anchor is not None:
                    await asyncio.to_thread(self._anchor.keep, head.tenant, kept.note)
            except AgentFlowError as error:
                if error.code == "audit.overdue":
                    self._overdue.add(head.tenant)
                log.error("the audit log of tenant %s has no new checkpoint: %s", head.tenant, error)

    async def _sign_for_ever(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_us() + round(self._every_s * 1e6))
            try:
                await self.sign()
            except AgentFlowError as error:
                log.error("the audit log has no new checkpoint: %s", error)
