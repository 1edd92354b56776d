"""Which uses of API keys the audit log tells of: a key's first in an hour, and refusals, at most one in ten seconds."""

from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import TenantId

HOUR_US = 3_600_000_000
PAUSE_US = 10_000_000


class Logins:
    """What was told of already."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], int] = {}
        self._refused_us = -PAUSE_US
        self._refusals = 0

    def accepted(self, actor: str, tenant: TenantId, now_us: int) -> AuditEntry | None:
        """A request with a good key; None where that was told of within the hour."""
        told_us = self._told.get((tenant, actor))
        if told_us is not None and now_us - told_us < HOUR_US:
            return None
        self._told[tenant, actor] = now_us
        return AuditEntry(event="login.accepted", sender=Sender(tenant=tenant), actor=actor, outcome="ok")

    def refused(self, now_us: int) -> AuditEntry | None:
        """A request whose key is none; the line counts those since the last one, so that guessing fills no disk."""
        self._refusals += 1
        if now_us - self._refused_us < PAUSE_US:
            return None
        self._refused_us, refusals, self._refusals = now_us, self._refusals, 0
        return AuditEntry(event="login.refused", outcome="auth.key_required", found={"requests": refusals})
