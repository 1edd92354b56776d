"""Budgets that hold: room is taken in memory at once, and what may be charged for is written down before it is sent.

What a process leaves open when it dies counts as the most that it could cost: whoever was asked may charge for it.
Of what nobody charges for, such as this machine's own models, tools and free servers, nothing is written before it
ends, so that a process that dies gives back what it had set aside. What no budget counts and costs nothing is added up
in memory and written every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING

from runtime.costs.ledger import Hold, Ledger, falls_under, within
from runtime.costs.periods import HOUR_US
from runtime.costs.tally import Tallies
from runtime.domain.cost import Budget
from runtime.domain.egress import CostBound, Sender
from runtime.errors import AgentFlowError, Refused
from runtime.store import charges
from runtime.store.charges import Charges, Place
from runtime.store.database import Database

if TYPE_CHECKING:
    import sqlite3

WRITE_EVERY_S = 5.0
"""How long totals stay in memory alone; as much is lost of them when the process is killed."""

Settle = Callable[[CostBound], Awaitable[None] | None]
Warned = Callable[[Sender, CostBound, str], Awaitable[None]]
"""Told, in words, of a soft budget that something may go over; once for each budget, name and period."""

log = logging.getLogger(__name__)


class Budgets:
    """The budgets of one appliance, over a database that is started and stopped by whoever made it."""

    def __init__(
        self,
        database: Database,
        now_us: Callable[[], int],
        budgets: Sequence[Budget] = (),
        *,
        on_warning: Warned | None = None,
        on_refusal: Warned | None = None,
    ) -> None:
        """`budgets`: those of the settings; a sender brings those of its workflow and agent.

        `on_warning`, `on_refusal`: told the first time that a soft one may be gone over, and that a hard one refuses.
        """
        self._database = database
        self.charges = Charges(database)
        """What was spent, to be looked at; `flush` first brings it up to date."""
        self.tallies = Tallies()
        """What open steps have spent."""
        self._now_us = now_us
        self._budgets = tuple(budgets)
        self._on_warning = on_warning
        self._on_refusal = on_refusal
        self._ledger = Ledger()
        self._totals: dict[Place, list[int]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._is_behind = False
        """Whether what was spent could not be written the last time; said once."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take over what an ended process has left open."""
        lost = await self._database.write(charges.give_up_open)
        if lost:
            calls = "1 call was" if lost == 1 else f"{lost:,} calls were"
            log.warning("%s under way when the last process ended; the most that can be charged counts", calls)

    async def stop(self) -> None:
        """Write what is in memory alone. Safe to call twice."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.flush()

    def counts_tokens(self, sender: Sender) -> bool:
        """Whether there is a budget of tokens that may concern a sender, so that an exact count is worth its price."""
        return any(budget.tokens is not None for budget in (*self._budgets, *sender.budgets))

    async def reserve(self, sender: Sender, bound: CostBound) -> Settle:
        """Set the bound aside in every budget it falls under; the answer takes what was spent, and gives the rest back.

        When this returns, what may be charged for is durable. Raises Refused, naming the budget, what is left of it
        and when it renews; StoreFull or Unavailable when it cannot be written.
        """
        now_us = self._now_us()
        counted = falls_under(self._budgets, sender, bound, now_us) if self._budgets or sender.budgets else []
        if not counted and not bound.usd_micros:
            return partial(self._add_up, sender, bound, now_us)
        # the last look at what is missing and the hold come in one go, so that no count is forgotten in between
        while missing := self._ledger.missing(key for _, key in counted):
            for key in missing:
                usd_micros, tokens = await self._database.read(partial(charges.spent_under, key=key))
                self._ledger.open(key, usd_micros=usd_micros, tokens=tokens)
        try:
            hold = self._ledger.hold(counted, sender, bound, now_us)
        except Refused as refused:
            if refused.facts.get("is_first"):
                log.warning("%s has no room for %s of %s", refused.facts["budget"], bound.item, sender.purpose)
                if self._on_refusal is not None:
                    await self._on_refusal(sender, bound, str(refused.facts["budget"]))
            raise
        call = _Call(self, sender, hold, now_us)
        await call.open(partial(self._warn, sender, bound))
        return call.settle

    async def flush(self) -> None:
        """Write the totals now."""
        totals, self._totals = self._totals, {}
        if totals:
            try:
                await self._database.write(lambda c: charges.add_totals(c, totals.items()))
            except AgentFlowError:
                self._merge(totals)
                raise

    async def written(self, work: Callable[[sqlite3.Connection], int]) -> int:
        """Run a write of one statement; what it gives."""
        return await self._database.write(work, savepoint=False)

    def settled(self, sender: Sender, hold: Hold, spent: CostBound) -> None:
        """Give back in memory what is no longer set aside."""
        self._ledger.settle(hold, spent)
        self.tallies.add(sender, spent)

    def later(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Do something to its end, whoever stops waiting for it; `stop` waits."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _add_up(self, sender: Sender, bound: CostBound, at_us: int, spent: CostBound) -> None:
        """Count what cost nothing; done at once. What names nothing that was used was not used."""
        if not (bound.item and (spent.item or spent.input_tokens + spent.output_tokens)):
            return
        spent = within(spent, bound)
        self.tallies.add(sender, spent)
        place = Place(at_us - at_us % HOUR_US, sender.tenant, sender.workflow, sender.agent, sender.role, bound.item)
        self._merge({place: [1, 0, spent.input_tokens, spent.output_tokens]})

    def _merge(self, totals: dict[Place, list[int]]) -> None:
        for place, added in totals.items():
            sums = self._totals.get(place)
            if sums is None:
                self._totals[place] = added
            else:
                sums[:] = [one + other for one, other in zip(sums, added, strict=True)]
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(WRITE_EVERY_S, self._write_soon)

    def _write_soon(self) -> None:
        self._alarm = None
        self.later(self._flush_or_log())

    async def _flush_or_log(self) -> None:
        try:
            await self.flush()
        except AgentFlowError as error:
            if not self._is_behind:
                log.error("what was spent cannot be written yet (%s); it is kept in memory", error.code)
            self._is_behind = True
        else:
            self._is_behind = False

    async def _warn(self, sender: Sender, bound: CostBound, over: Sequence[str]) -> None:
        for words in over:
            log.warning("%s may go over the budget of %s", sender.purpose, words)
            if self._on_warning is not None:
                await self._on_warning(sender, bound, words)


def may_be_charged(bound: CostBound) -> bool:
    """Whether somebody may want money for it once it is sent, whatever becomes of this process."""
    return bool(bound.payee) and (bound.usd_micros > 0 or not bound.has_price)


class _Call:
    """One reservation on its way from the ledger to the file."""

    def __init__(self, budgets: Budgets, sender: Sender, hold: Hold, at_us: int) -> None:
        self._budgets = budgets
        self._sender = sender
        self._hold = hold
        self._at_us = at_us
        self._line: asyncio.Task[int] | None = None
        self._is_settled = False

    async def open(self, warn: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """Make it durable where somebody may charge for it, and warn; what is not sent after all is given back."""
        try:
            if may_be_charged(self._hold.bound):
                self._line = asyncio.create_task(self._add(self._hold.bound, "open"))
                await asyncio.shield(self._line)
            await warn(self._hold.over)
        except BaseException:
            self._budgets.later(self._give_back())
            raise

    async def settle(self, spent: CostBound) -> None:
        """Count what was spent, durably; the second time does nothing. Goes on to its end when it is cancelled."""
        if self._is_settled:
            return
        self._is_settled = True
        await asyncio.shield(self._budgets.later(self._close(spent)))

    async def _close(self, spent: CostBound) -> None:
        bound = self._hold.bound
        counted = within(spent, bound)
        if spent.usd_micros > bound.usd_micros or spent.input_tokens + spent.output_tokens > (
            bound.input_tokens + bound.output_tokens
        ):
            log.warning("%s is said to have used more than it can; the bound is counted", bound.item)
        try:
            if self._line is not None:
                line = await self._line
                await self._budgets.written(partial(charges.settle, line=line, spent=counted))
            elif counted.usd_micros or counted.input_tokens or counted.output_tokens:
                await self._add(counted, "settled")
        finally:
            # only now: a count that nothing is set aside in may be forgotten, and is then read from the file
            self._budgets.settled(self._sender, self._hold, counted)

    async def _add(self, cost: CostBound, state: str) -> int:
        work = partial(charges.add, sender=self._sender, cost=cost, at_us=self._at_us, state=state)
        return await self._budgets.written(work)

    async def _give_back(self) -> None:
        try:
            await self.settle(CostBound())
        except AgentFlowError as error:
            log.error("what was set aside for %s cannot be given back (%s)", self._hold.bound.item, error.code)
