"""The built-in tool `create_ticket`: a ticket in the appliance's own table, for people to work on."""

from collections.abc import Awaitable, Callable
from typing import ClassVar

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId, StepId, TenantId
from runtime.errors import Invalid
from runtime.ports import Clock
from runtime.store.tickets import Tickets

Kept = Callable[[RunId, Json], Awaitable[Json]]


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject: str
    category: str = ""
    summary: str = ""


class CreateTicket:
    """Opens a ticket; the answer is `{id, status}`."""

    id = "create_ticket"
    dry_answer: ClassVar[Json] = {"id": "T-000000", "status": "not opened"}
    """What a what-if is told, which opens none."""

    def __init__(self, tickets: Tickets, clock: Clock, *, kept: Kept) -> None:
        """`kept`: what may stand in a table of what a run says."""
        self._kept = kept
        self._tickets = tickets
        self._clock = clock

    async def call(self, arguments: dict[str, Json], *, idempotency_key: str, tenant: TenantId) -> Json:
        """Open it, once per key. Raises Invalid for other arguments than subject, category and summary."""
        try:
            msgspec.convert(arguments, _Arguments)
        except msgspec.ValidationError as error:
            raise Invalid(
                "tool.arguments", f"create_ticket takes subject, category and summary as texts: {error}"
            ) from None
        run, step, _ = idempotency_key.split("/", 2)
        kept = await self._kept(RunId(run), arguments)
        given = msgspec.convert({"subject": "", **kept} if isinstance(kept, dict) else {"subject": ""}, _Arguments)
        ticket = await self._tickets.create(
            idempotency_key=idempotency_key,
            at_us=self._clock.now_us(),
            tenant=tenant,
            run=RunId(run),
            step=StepId(step),
            subject=given.subject,
            category=given.category,
            summary=given.summary,
        )
        return {"id": ticket.id, "status": ticket.status}
