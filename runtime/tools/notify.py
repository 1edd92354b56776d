"""The kind `notify`: tells the people of this site something: a ticket of the category `notice`, and a line of the log.

Nothing leaves the appliance. The log's line has the notice's number and who sent it, never its text.
"""

import logging
from typing import ClassVar

from runtime.domain.canonical import Json
from runtime.domain.ids import RunId, StepId
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Unavailable
from runtime.ports import ToolContext
from runtime.tools.arguments import only, text_of
from runtime.tools.registry import ToolServices

CATEGORY = "notice"

log = logging.getLogger(__name__)


class NotifyTool:
    """Leaves a notice. Implements Tool; the answer is `{id, status}`."""

    dry_answer: ClassVar[Json] = {"id": "T-000000", "status": "not sent"}
    """What a what-if is told, which tells nobody."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._services = services

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Leave it, once per key. Raises Invalid for other arguments than title and message."""
        tool, sender, tickets = self.spec.id, ctx.sender, self._services.tickets
        if tickets is None:
            raise Unavailable("tool.no_tickets", f"tool {tool!r} leaves notices, and no table of them is open")
        only(call.arguments, ("title", "message"), tool)
        given: Json = {
            "title": text_of(call.arguments, "title", tool, default=""),
            "message": text_of(call.arguments, "message", tool),
        }
        given = await self._services.kept(RunId(sender.run), given)
        kept = given if isinstance(given, dict) else {}
        notice = await tickets.create(
            idempotency_key=call.idempotency_key,
            at_us=ctx.clock.now_us(),
            tenant=sender.tenant,
            run=RunId(sender.run),
            step=StepId(sender.step),
            subject=str(kept.get("title") or self.spec.description or tool),
            category=CATEGORY,
            summary=str(kept.get("message", "")),
        )
        log.warning("notice %s of tool %s, run %s", notice.id, tool, sender.run or "-")
        return {"id": notice.id, "status": "sent"}
