"""The calls of one run, out of the audit log: one for each passage."""

from appliance.telemetry.spans import Called
from runtime.audit.record import entry_of
from runtime.domain.audit import AuditEntry
from runtime.domain.event import Usage
from runtime.domain.ids import RunId, TenantId
from runtime.store.audit import AuditLog

PAGE = 1_000
MOST_LINES = 200_000
"""Lines that are looked at, from the newest back to the run's beginning."""

_Told = list[tuple[int, AuditEntry]]


async def calls_of_run(audit: AuditLog, run: RunId, *, tenant: TenantId, since_us: int) -> list[Called]:
    """Calls in the order in which they began. `since_us`: when the run did."""
    passages: dict[str, _Told] = {}
    newest = await audit.newest(tenant, 1)
    before = newest[-1].seq + 1 if newest else 1
    oldest = max(1, before - MOST_LINES)
    while before > oldest:
        after_seq = max(oldest, before - PAGE) - 1
        page = await audit.read(tenant, after_seq=after_seq, limit=before - 1 - after_seq)
        for line in reversed(page):
            entry = entry_of(line)
            if entry.sender.run == run and entry.passage:
                passages.setdefault(entry.passage, []).insert(0, (line.at_us, entry))
        if not page or page[0].at_us < since_us:
            break
        before = after_seq + 1
    return sorted(map(_called, passages.values()), key=lambda call: call.start_us)


def _called(told: _Told) -> Called:
    (start_us, first), (end_us, last) = told[0], told[-1]
    return Called(
        passage=first.passage,
        kind=first.destination.kind,
        target=first.subject or first.destination.host,
        zone=first.destination.zone,
        step=first.sender.step,
        start_us=start_us,
        end_us=end_us,
        outcome=last.outcome,
        usage=Usage(last.input_tokens, last.output_tokens, last.usd_micros),
    )
