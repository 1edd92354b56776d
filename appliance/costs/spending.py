"""What calls cost and what may be spent: the prices that hold here, and the budgets, once the store is open."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from appliance.bus import Publish
from appliance.config.costs import budgets_of
from appliance.config.settings import Settings
from models.prices import PriceTable
from runtime.costs.prices import price_of_tool
from runtime.domain.audit import AuditEntry
from runtime.domain.canonical import Json
from runtime.domain.egress import CostBound, Destination, Sender
from runtime.domain.ids import TenantId
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import Workflow
from runtime.engine.clock import SystemClock
from runtime.errors import AgentFlowError, Refused, Unavailable
from runtime.store.budgets import Budgets, Settle
from runtime.store.database import Database

log = logging.getLogger(__name__)


class Spending:
    """Prices, and what may be spent of them."""

    def __init__(self, settings: Settings, clock: SystemClock, record: Callable[[AuditEntry], Awaitable[None]]) -> None:
        """`record`: keeps a line of the audit log when a budget runs over what it warns at."""
        named = {server.name: server for server in settings.models.backends}
        self.prices = PriceTable(settings.prices, named, is_strict=settings.unpriced != "allow")
        self.budgets: Budgets | None = None
        """Open with the store, for a writer."""
        self._settings = settings
        self._clock = clock
        self._record = record
        self._told_unpriced: set[str] = set()
        self.publish: Callable[[TenantId, Publish], Awaitable[object]] | None = None
        """Puts an alert on the bus, once that is open."""

    async def open(self, journal: Database) -> None:
        """Go on with what was spent so far."""
        limits = budgets_of(self._settings.budgets)
        self.budgets = Budgets(
            journal,
            self._clock.now_us,
            limits,
            on_warning=self._note_over_budget,
            on_refusal=partial(self._alert, "budgets.exceeded"),
        )
        await self.budgets.start()

    async def close(self) -> None:
        """Keep what was spent. Safe to call twice, and before `open`."""
        if self.budgets is not None:
            await self.budgets.stop()

    async def reserve(self, sender: Sender, bound: CostBound) -> Settle:
        """Set aside what may be spent.

        Raises Refused by a budget or for want of a price, and Unavailable where it can't be kept.
        """
        if not bound.has_price:
            self._tell_unpriced(sender, bound)
        if self.budgets is not None:
            return await self.budgets.reserve(sender, bound)
        if bound.payee:
            raise Unavailable("budget.closed", "what is spent can't be written down here, so nothing leaves")
        return lambda _spent: None

    def counts_tokens(self, sender: Sender) -> bool:
        """Whether a budget of this sender counts tokens, so that they must be known before they are spent."""
        return self.budgets is not None and self.budgets.counts_tokens(sender)

    def of_tool(self, spec: ToolSpec) -> int:
        """Micro-dollars of a call that belongs to no workflow: as the settings say, else the tool itself."""
        own = self.prices.per_call("tool", spec.id)
        return spec.cost_usd_micros if own is None else own

    def of_tool_in(self, workflow: Workflow, tool: str, declared: Callable[[str], int]) -> int:
        """Micro-dollars of a call: as the settings say, else the workflow, else whoever declares the tool."""
        own = self.prices.per_call("tool", tool)
        return price_of_tool(workflow.document, tool) or declared(tool) if own is None else own

    def _tell_unpriced(self, sender: Sender, bound: CostBound) -> None:
        """Follow the setting `unpriced`. Raises Refused."""
        name, advice = bound.item.partition(":")[2], "name it under prices in the settings"
        if self._settings.unpriced == "refuse":
            raise Refused(
                "budget.no_price",
                f"{sender.purpose} asks for model {name!r}, whose price nobody has named, and unpriced in the settings "
                f"says refuse; {advice}",
            )
        if self._settings.unpriced == "warn" and name not in self._told_unpriced:
            self._told_unpriced.add(name)
            log.warning("nobody has named the price of model %s, which is asked and counts as free; %s", name, advice)

    async def _note_over_budget(self, sender: Sender, bound: CostBound, budget: str) -> None:
        kind, _, name = bound.item.partition(":")
        entry = AuditEntry(
            event="budget.warned",
            passage="",
            sender=sender,
            destination=Destination(kind, "", bound.payee or name),
            outcome=budget,
        )
        await self._record(entry)
        await self._alert("budgets.warned", sender, bound, budget)

    async def _alert(self, subject: str, sender: Sender, bound: CostBound, budget: str) -> None:
        """Say on the tenant's bus that a budget warns or refuses, the first time that it does."""
        if self.publish is None:
            return
        told: dict[str, Json] = {
            "budget": budget,
            "item": bound.item,
            "workflow": sender.workflow,
            "agent": sender.agent,
            "run": sender.run,
        }
        try:
            await self.publish(TenantId(sender.tenant), Publish(subject=subject, payload=told, type="alert"))
        except AgentFlowError as error:  # the call goes on: the log and the audit log have it
            log.error("an alert of budget %s cannot be put on the bus (%s)", budget, error.code)
