"""Which requests the audit log tells of: a key's first in an hour, and refusals of keys and of webhooks' signatures, at
most one of each in ten seconds."""

from collections import defaultdict

from runtime.domain.audit import AuditEntry
from runtime.domain.egress import Sender
from runtime.domain.ids import TenantId

HOUR_US = 3_600_000_000
PAUSE_US = 10_000_000


class Logins:
    """What was told of already."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], int] = {}
        self._keys = _Refusals()
        self._webhooks: defaultdict[str, _Refusals] = defaultdict(_Refusals)

    def accepted(self, actor: str, tenant: TenantId, now_us: int) -> AuditEntry | None:
        """A request with a good key; None where that was told of within the hour."""
        told_us = self._told.get((tenant, actor))
        if told_us is not None and now_us - told_us < HOUR_US:
            return None
        self._told[tenant, actor] = now_us
        return AuditEntry(event="login.accepted", sender=Sender(tenant=tenant), actor=actor, outcome="ok")

    def refused(self, now_us: int) -> AuditEntry | None:
        """A request whose key is none; the line counts those since the last one, so that guessing fills no disk."""
        requests = self._keys.told(now_us)
        if not requests:
            return None
        return AuditEntry(event="login.refused", outcome="auth.key_required", found={"requests": requests})

    def unsigned(self, trigger: str, code: str, now_us: int) -> AuditEntry | None:
        """A request to a webhook that was refused; counted likewise, for each."""
        requests = self._webhooks[trigger].told(now_us)
        if not requests:
            return None
        return AuditEntry(event="webhook.refused", subject=trigger, outcome=code, found={"requests": requests})


class _Refusals:
    """Of one kind: how many were not told of yet."""

    def __init__(self) -> None:
        self._told_us = -PAUSE_US
        self._count = 0

    def told(self, now_us: int) -> int:
        """One more; how many to tell of now, 0 where that is to wait."""
        self._count += 1
        if now_us - self._told_us < PAUSE_US:
            return 0
        self._told_us, count, self._count = now_us, self._count, 0
        return count
