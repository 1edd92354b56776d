"""The kind `ticket`, which `create_ticket` is: a ticket in the appliance's own table, for people to work on."""

from typing import ClassVar

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId, StepId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Invalid, Unavailable
from runtime.ports import ToolContext
from runtime.tools.registry import ToolServices


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject: str
    category: str = ""
    summary: str = ""


class TicketTool:
    """Opens a ticket; the answer is `{id, status}`."""

    dry_answer: ClassVar[Json] = {"id": "T-000000", "status": "not opened"}
    """What a what-if is told, which opens none."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._services = services

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Open it, once per key. Raises Invalid for other arguments than subject, category and summary."""
        tickets, sender = self._services.tickets, ctx.sender
        if tickets is None:
            raise Unavailable("tool.no_tickets", f"tool {self.spec.id!r} opens tickets, and no table of them is open")
        try:
            given = msgspec.convert(call.arguments, _Arguments)
        except msgspec.ValidationError as error:
            raise Invalid(
                "tool.arguments", f"{self.spec.id} takes subject, category and summary as texts: {error}"
            ) from None
        kept = await self._services.kept(RunId(sender.run), msgspec.to_builtins(given))
        given = msgspec.convert({"subject": "", **kept} if isinstance(kept, dict) else {"subject": ""}, _Arguments)
        ticket = await tickets.create(
            idempotency_key=call.idempotency_key,
            at_us=ctx.clock.now_us(),
            tenant=sender.tenant,
            run=RunId(sender.run),
            step=StepId(sender.step),
            subject=given.subject,
            category=given.category,
            summary=given.summary,
        )
        return {"id": ticket.id, "status": ticket.status}
