"""The one place that grants leave: everything on its way out of this process passes here.

Destination known? → air gap → residency → class of data → redaction → size and rate → budget → audit, and only then
leave. It opens nothing itself. No other module makes a `Cleared`.
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from msgspec.structs import replace

from redaction.desk import Exchanged, RedactionDesk
from redaction.known import KnownSecrets
from redaction.leave import check_leave, place
from redaction.pace import Pace
from redaction.passage import Passage
from redaction.payloads import masked, size_of
from redaction.policy import EgressPolicy
from runtime.costs.ledger import within
from runtime.domain.audit import AuditEntry, AuditEvent
from runtime.domain.chat import ChatRequest, EmbedRequest
from runtime.domain.egress import Cleared, CostBound, Destination, Outbound, Payload, Sender
from runtime.domain.trace import SpanTexts, traceparent
from runtime.errors import AgentFlowError, Refused
from runtime.policies.residency import LOCAL
from runtime.ports import Record

Carried = TypeVar("Carried")

Settle = Callable[[CostBound], Awaitable[None] | None]
"""Counts what was spent and gives the rest back; what it answers with is still to be waited for, None: it is done."""
Reserve = Callable[[Sender, CostBound], Awaitable[Settle]]
"""Sets the bound aside in every budget that it falls under, or raises Refused; the answer takes what was spent."""


log = logging.getLogger(__name__)


class Guard:
    """Applies one policy, and counts what it decided."""

    def __init__(
        self,
        policy: EgressPolicy,
        desk: RedactionDesk | None = None,
        *,
        record: Record | None = None,
        reserve: Reserve | None = None,
        known: KnownSecrets | None = None,
        behind: int = 1_000,
    ) -> None:
        """`desk`: None makes one whose pseudonyms end with this guard. `record`: None keeps no audit log.

        `reserve`: None sets no budget. `known`: values that nobody is sent, wherever they stand. `behind`: how many
        calls may have ended whose last line is not in the log yet.
        """
        self._policy = policy
        self._desk = desk or RedactionDesk(secrets.token_bytes(32))
        self._record = record
        self._reserve = reserve
        self._known = KnownSecrets() if known is None else known
        self._pace = Pace(policy.per_minute)
        self._behind = behind
        self._closing: set[asyncio.Task[None]] = set()
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """Decisions by (kind of destination, zone, `cleared` or the code of the refusal)."""

    def zone_of(self, host: str) -> str:
        """The zone of a host (`name:port`): `site` for this machine and declared hosts, else as it is declared."""
        return self._policy.zone_of(host)

    def check(self, destination: Destination, sender: Sender) -> None:
        """Raise Refused where leave would be refused whatever the payload is. Grants nothing, and leaves no trace."""
        check_leave(destination, sender, self._policy)

    def redaction_name(self, destination: Destination) -> str:
        """The redaction policy of what goes to a destination; empty: none."""
        policy = self._policy.redaction_at(destination)
        return "" if policy is None else policy.name

    async def clear(self, outbound: Outbound[Payload]) -> Cleared[Payload]:
        """Leave for something that has no answer. Raises as `passage` does."""
        async with self.passage(outbound) as passage:
            return passage.cleared

    async def written(self) -> None:
        """Wait until the log says of every call that has ended by now how it ended."""
        while self._closing:
            await asyncio.wait(self._closing)

    @asynccontextmanager
    async def passage(self, outbound: Outbound[Payload]) -> AsyncIterator[Passage[Payload]]:
        """Leave to send, for as long as the block lasts; what was reserved is settled at its end.

        Raises Refused, naming the rule and where it is set, and Unavailable when the redactor or the audit log fails.
        """
        identity = secrets.token_hex(8)
        destination = outbound.destination
        try:
            passage, settle = await self._grant(outbound, identity)
        except AgentFlowError as refused:
            self.counts[destination.kind, destination.zone, refused.code] += 1
            await self._write_refusal(_entry("egress.refused", identity, outbound, outcome=refused.code))
            raise
        self.counts[destination.kind, destination.zone, "cleared"] += 1
        outcome = "cancelled"
        try:
            yield passage
            outcome = "ok"
        except AgentFlowError as error:
            outcome = error.code
            raise
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            spent = passage.spent or _unsaid(outbound.bound, outcome)
            settling = None if settle is None else settle(spent)
            try:
                if settling is not None:
                    # whoever is cancelled now must still give back what was reserved
                    await asyncio.shield(settling)
            finally:
                if self._is_audited(outbound):
                    ended = _entry("egress.settled", identity, outbound, outcome=outcome)
                    self._close(replace(ended, size_bytes=passage.reply_bytes), within(spent, outbound.bound))
            await self._catch_up()

    async def _grant(self, outbound: Outbound[Payload], identity: str) -> tuple[Passage[Payload], Settle | None]:
        destination, sender, policy = outbound.destination, outbound.sender, self._policy
        check_leave(destination, sender, policy)
        redaction = policy.redaction_at(destination)
        exchanged: Exchanged | None = None
        if redaction is not None:
            exchanged = await self._desk.redact(outbound, redaction, destination.zone)
        payload = outbound.payload if exchanged is None else cast("Payload", exchanged.payload)
        payload, secrets_found = masked(payload, self._known) if self._known else (payload, 0)
        size_bytes = 0
        if destination.zone != LOCAL:
            size_bytes = size_of(payload)
            self._check_size(outbound, size_bytes)
            self._pace.take(sender.tenant, place(destination), asyncio.get_running_loop().time())
        settle = None if self._reserve is None else await self._reserve(sender, outbound.bound)
        try:
            sent = _entry("egress.sent", identity, outbound)
            found = exchanged.looked.counts() if exchanged else {}
            found = {**found, "SECRET:mask": secrets_found} if secrets_found else found
            await self._write(
                replace(sent, size_bytes=size_bytes, policy=redaction.name if redaction else "", found=found)
            )
        except BaseException:
            settling = None if settle is None else settle(CostBound())
            if settling is not None:
                await settling
            raise
        pseudonyms = exchanged.pseudonyms if exchanged else None
        trace = traceparent(sender.run, sender.step, sender.trace or "")
        return Passage(Cleared(destination, payload, trace), pseudonyms), settle

    def _check_size(self, outbound: Outbound[Payload], size_bytes: int) -> None:
        if size_bytes > self._policy.max_bytes:
            raise Refused(
                "egress.too_large",
                f"{outbound.sender.purpose} wants to send {size_bytes:,} bytes to {place(outbound.destination)}; "
                f"{self._policy.max_bytes:,} are allowed. The rule is egress.max_bytes in the settings",
            )

    def _close(self, ended: AuditEntry, spent: CostBound) -> None:
        """Have the last line of a call written; whoever called does not wait for the disk."""
        line = replace(
            ended, usd_micros=spent.usd_micros, input_tokens=spent.input_tokens, output_tokens=spent.output_tokens
        )
        writing = asyncio.create_task(self._write_last(line))
        self._closing.add(writing)
        writing.add_done_callback(self._closing.discard)

    async def _catch_up(self) -> None:
        if self._closing:
            await asyncio.sleep(0)  # the line takes its place in the log now, before what is sent next
        if len(self._closing) > self._behind:
            await asyncio.wait(self._closing, return_when=asyncio.FIRST_COMPLETED)

    async def _write_last(self, entry: AuditEntry) -> None:
        """What was sent is in the log already, and its answer is not taken from whoever paid for it."""
        try:
            await self._write(entry)
        except AgentFlowError as error:
            log.error("how passage %s ended is not in the audit log: %s", entry.passage, error.code)

    async def _write(self, entry: AuditEntry) -> None:
        """A line of the audit log; what stays on this machine's own workers leaves none, unless it was refused."""
        if self._record is not None and (entry.destination.zone != LOCAL or entry.event == "egress.refused"):
            await self._record(entry)

    async def _write_refusal(self, entry: AuditEntry) -> None:
        """Nothing leaves either way, so a log that takes no more hides no refusal."""
        try:
            await self._write(entry)
        except AgentFlowError as error:
            log.error("a refusal is not in the audit log: %s", error.code)

    def _is_audited(self, outbound: Outbound[Payload]) -> bool:
        return self._record is not None and outbound.destination.zone != LOCAL


def _unsaid(bound: CostBound, outcome: str) -> CostBound:
    """What counts where nobody has said what was spent: the bound, as whoever was asked may charge for it."""
    return bound if outcome == "ok" or bound.payee else CostBound()


def _entry(event: AuditEvent, identity: str, outbound: Outbound[Payload], *, outcome: str = "") -> AuditEntry:
    return AuditEntry(
        event=event,
        passage=identity,
        sender=outbound.sender,
        destination=outbound.destination,
        outcome=outcome,
    )


def in_wire_form(
    cleared: Cleared[ChatRequest] | Cleared[EmbedRequest] | Cleared[SpanTexts], payload: Carried
) -> Cleared[Carried]:
    """The same leave for the same content as a protocol spells it; for backends, which add nothing of their own."""
    return Cleared(cleared.destination, payload, cleared.trace)
