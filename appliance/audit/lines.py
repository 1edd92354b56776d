"""Lines of the audit log as people and programs see them: `af audit list`, `af audit show`, `GET /v1/egress`.

Written once, so that the command line and the API never disagree. A line never holds a value.
"""

from collections.abc import Iterator

import msgspec

from runtime.audit.record import AuditRow, digest, entry_of, record_in
from runtime.domain.audit import AuditEntry
from runtime.domain.exec_profile import Used
from runtime.domain.ids import TenantId
from runtime.domain.units import USD_MICROS
from runtime.policies.residency import allows
from runtime.store.audit import AuditLog

PAGE = 1_000


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line."""

    seq: int
    """Its place in its tenant's chain, from 1."""
    at: str
    event: str
    """What happened, such as `egress.sent`."""
    passage: str
    """Joins what was sent or called with how it ended."""
    actor: str
    """Who did it; empty: the appliance itself."""
    subject: str
    """What it was done to: a tool, a signal, a setting, a definition."""
    tenant: str
    purpose: str
    """What wanted it, such as `agent 'answer'`."""
    workflow: str
    agent: str
    run: str
    """The run, or the conversation of a client of the OpenAI API."""
    step: str
    data_class: str
    kind: str
    """`model`, `http`, …"""
    zone: str
    host: str
    """`name:port`; empty in the zone `local`."""
    size_bytes: int
    """Of what was sent; of the answer once it is settled."""
    policy: str
    """The redaction policy that was applied; empty: none."""
    found: dict[str, int]
    """How many values were found, by `ENTITY:action`."""
    outcome: str
    """Of a refusal its code; once settled `ok`, `cancelled` or the code of the failure; empty when it was sent."""
    cost_usd: float
    input_tokens: int
    output_tokens: int
    entry: int
    """The entry of the run's journal that says the same; 0: none does."""
    entry_hash: str
    """Its hash in hex; of the end of a run the hash over its whole journal."""
    marks: dict[str, str]
    """A definition's hash, salted hashes of settings, the hash of a tool's arguments."""
    driver: str
    """The sandbox that held a tool; empty: it ran inside the appliance."""
    is_cached: bool
    """Whether a tool's answer was one that was kept."""
    used: Used | None
    """What the programs of a tool took of the machine; null: no sandbox ran any to its end."""
    hash: str
    """SHA-256 over the record, which holds the hash of the one before, in hex."""


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted; what is empty leaves all in."""

    events: tuple[str, ...] = ()
    """Events, or what their names begin with."""
    outcome: str = ""
    zone: str = ""
    """A zone, or a pattern such as `cloud:*`."""
    run: str = ""

    def takes(self, entry: AuditEntry) -> bool:
        """Whether a line is wanted."""
        return (
            (not self.events or entry.event.startswith(self.events))
            and self.outcome in ("", entry.outcome)
            and (not self.zone or allows((self.zone,), entry.destination.zone))
            and self.run in ("", entry.sender.run)
        )


async def newest_lines(
    log: AuditLog,
    tenant: TenantId,
    query: AuditQuery,
    *,
    limit: int,
    before: int | None = None,
    look_at: int | None = None,
) -> tuple[list[AuditLine], int | None]:
    """A tenant's newest lines that a query takes, newest first, and where to go on; None when there are no more.

    `before`: only lines in front of this one. `look_at`: how many lines to look at, at most; None: all there are.
    """
    if before is None:
        newest = await log.newest(tenant, 1)
        before = newest[-1].seq + 1 if newest else 1
    stop = 1 if look_at is None else max(1, before - look_at)
    found: list[AuditLine] = []
    while before > stop:
        after_seq = max(stop, before - PAGE) - 1
        page = await log.read(tenant, after_seq=after_seq, limit=before - 1 - after_seq)
        for line in _taken(reversed(page), query):
            found.append(line)
            if len(found) == limit:
                return found, line.seq if line.seq > 1 else None
        before = after_seq + 1
    return found, before if before > 1 else None


def _taken(lines: Iterator[AuditRow], query: AuditQuery) -> Iterator[AuditLine]:
    for line in lines:
        entry = entry_of(line)
        if query.takes(entry):
            yield line_of(line, entry)


def line_of(row: AuditRow, entry: AuditEntry) -> AuditLine:
    """A record and what its detail tells of, as it is shown."""
    sender, destination = entry.sender, entry.destination
    return AuditLine(
        seq=row.seq,
        at=record_in(row.record).at,
        event=entry.event,
        passage=entry.passage,
        actor=entry.actor,
        subject=entry.subject,
        tenant=sender.tenant,
        purpose=sender.purpose,
        workflow=sender.workflow,
        agent=sender.agent,
        run=sender.run,
        step=sender.step,
        data_class=sender.data_class,
        kind=destination.kind,
        zone=destination.zone,
        host=destination.host,
        size_bytes=entry.size_bytes,
        policy=entry.policy,
        found=entry.found,
        outcome=entry.outcome,
        cost_usd=entry.usd_micros / USD_MICROS,
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        entry=entry.entry,
        entry_hash=entry.entry_hash,
        marks=entry.marks,
        driver=entry.driver,
        is_cached=entry.is_cached,
        used=entry.used,
        hash=digest(row.record),
    )
