"""Threat detection over the audit log, for `af threats`, `GET /v1/threats`, the log and the metrics."""

import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence

import msgspec

from runtime.audit.record import entry_of
from runtime.domain.audit import AuditEntry
from runtime.domain.ids import TenantId
from runtime.domain.journal import rfc3339
from runtime.errors import AgentFlowError
from runtime.policies.threats import Alert, Detector, Use
from runtime.store.audit import AuditLog

MOST_LINES = 200_000
"""Newest lines of the log that a baseline is learned from."""
KEPT_ALERTS = 1_000
PAGE = 1_000

log = logging.getLogger(__name__)


class ThreatView(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, as people and programs see it."""

    at: str
    kind: str
    """`rate`, `first_use`, `new_target`, `denied_burst` or `data_volume`."""
    tenant: str
    subject: str
    workflow: str
    agent: str
    run: str
    observed: int
    """Calls or refusals within a minute, or bytes; 1 for what was never seen."""
    usual: int
    why: str
    line: int
    """Of the audit log."""


class Watch:
    """The detector of a running appliance."""

    def __init__(self) -> None:
        self._detector = Detector()
        self._alerts: deque[Alert] = deque(maxlen=KEPT_ALERTS)
        self._waiting: list[Use] | None = []
        """Uses that came while the baseline is being learned; None: it is."""
        self.counts: Counter[str] = Counter()
        """Alerts since the start, by kind."""

    async def learn(self, audit: AuditLog) -> None:
        """Read the log, without telling of what is old; then look at what came meanwhile.

        A log that can't be read is complained of, and nothing is learned from it.
        """
        try:
            await self._learn(audit)
        except AgentFlowError as error:
            log.error("the audit log can't be read, so what is unusual in it is not known: %s", error)
        waiting, self._waiting = self._waiting or [], None
        for use in waiting:
            self._tell(use)

    async def _learn(self, audit: AuditLog) -> None:
        ends = {head.tenant: head.size for head in await audit.heads()}
        self._waiting = [use for use in self._waiting or [] if use.seq > ends.get(TenantId(use.tenant), 0)]
        for tenant, end in ends.items():
            async for use in _newest(audit, tenant, end):
                self._alerts.extend(self._detector.observe(use))

    def note(self, entry: AuditEntry, at_us: int, seq: int) -> None:
        """Look at a line that was just written; what is unusual goes to the log."""
        use = use_of(entry, at_us, seq)
        if use is None:
            return
        if self._waiting is not None:
            self._waiting.append(use)
        else:
            self._tell(use)

    def alerts(self, tenant: str) -> Sequence[ThreatView]:
        """A tenant's, newest first."""
        return [view_of(alert) for alert in reversed(self._alerts) if alert.tenant == tenant]

    def _tell(self, use: Use) -> None:
        for alert in self._detector.observe(use):
            self._alerts.append(alert)
            self.counts[alert.kind] += 1
            log.warning(
                "unusual (%s, tenant %s): %s",
                alert.kind,
                alert.tenant,
                alert.why,
                extra={"threat": alert.kind, "run": alert.run, "audit_line": alert.seq},
            )


async def alerts_in(audit: AuditLog, tenant: str) -> Sequence[Alert]:
    """Everything unusual of a tenant in the newest lines of a log, oldest first."""
    detector, found = Detector(), list[Alert]()
    newest = await audit.newest(TenantId(tenant), 1)
    async for use in _newest(audit, TenantId(tenant), newest[-1].seq if newest else 0):
        found.extend(detector.observe(use))
    return found


def use_of(entry: AuditEntry, at_us: int, seq: int) -> Use | None:
    """What a line of the audit log says of the use of tools; None: nothing."""
    sender, where = entry.sender, entry.destination
    if where.zone == "local" and not entry.event.startswith("tool."):
        return None
    target = where.host if entry.event.startswith("egress.") else ""
    known = {
        "tool.called": Use(at_us=at_us, tenant=sender.tenant, what="call", tool=entry.subject),
        "tool.settled": Use(
            at_us=at_us, tenant=sender.tenant, what="transfer", tool=entry.subject, size_bytes=entry.size_bytes
        ),
        "tool.refused": Use(at_us=at_us, tenant=sender.tenant, what="refusal", tool=entry.subject, code=entry.outcome),
        "egress.sent": Use(
            at_us=at_us, tenant=sender.tenant, what="transfer", target=target, size_bytes=entry.size_bytes
        ),
        "egress.refused": Use(at_us=at_us, tenant=sender.tenant, what="refusal", target=target, code=entry.outcome),
    }
    use = known.get(entry.event)
    if use is None or not (sender.agent or use.tool):  # the appliance's own requests, and clients of its API
        return None
    return msgspec.structs.replace(use, agent=sender.agent, workflow=sender.workflow, run=sender.run, seq=seq)


def view_of(alert: Alert) -> ThreatView:
    """An alert as it is shown."""
    return ThreatView(
        at=rfc3339(alert.at_us),
        kind=alert.kind,
        tenant=alert.tenant,
        subject=alert.subject,
        workflow=alert.workflow,
        agent=alert.agent,
        run=alert.run,
        observed=alert.observed,
        usual=alert.usual,
        why=alert.why,
        line=alert.seq,
    )


async def _newest(audit: AuditLog, tenant: TenantId, end: int) -> AsyncIterator[Use]:
    """What a tenant's newest lines say, in order, up to a line."""
    seq = max(0, end - MOST_LINES)
    while seq < end:
        page = await audit.read(tenant, after_seq=seq, limit=min(PAGE, end - seq))
        if not page:
            return
        for line in page:
            use = use_of(entry_of(line), line.at_us, line.seq)
            if use is not None:
                yield use
        seq = page[-1].seq
