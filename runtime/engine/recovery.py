"""Takes up the runs that a process before this one left unfinished."""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from runtime.domain.event import RunStarted
from runtime.domain.ids import RunId
from runtime.domain.journal import read
from runtime.domain.run import RunState
from runtime.engine.subruns import is_orphan, why_ended
from runtime.errors import AgentFlowError
from runtime.ports import RunKind, StateStore

GOING: tuple[RunKind, ...] = ("run", "what_if")
"""Runs that are gone on with: not those that came from elsewhere."""

log = logging.getLogger(__name__)


class Host(Protocol):
    """What the engine does for recovery."""

    store: StateStore

    async def state(self, run: RunId) -> RunState:
        """The state now. Raises NotFound or Corrupt."""

    async def cancel(self, run: RunId, reason: str = "", *, actor: str = "") -> None:
        """Stop a run. Raises Conflict when it is final."""


async def take_up_unfinished(
    host: Host, *, take_up: Callable[[RunId], Awaitable[object]], is_working: Callable[[], bool]
) -> int:
    """Take up every unfinished run, newest first, until the engine stops; return how many were taken up.

    A run that cannot go on is logged and passed over.
    """
    taken_up = 0
    before: RunId | None = None
    parents: dict[RunId, RunState] = {}
    while page := await host.store.runs(status=("running", "waiting"), kinds=GOING, limit=500, before=before):
        for summary in page:
            if not is_working():
                return taken_up
            try:
                if not await _cancel_orphan(host, summary.run, parents):
                    await take_up(summary.run)
                    taken_up += 1
            except AgentFlowError as error:
                log.error("run %s cannot go on: %s", summary.run, error)
            except Exception:  # one run must not keep all others from going on
                log.exception("run %s cannot go on", summary.run)
        before = page[-1].run
    return taken_up


async def _cancel_orphan(host: Host, run: RunId, parents: dict[RunId, RunState]) -> bool:
    """Cancel a run whose step ended without it, which a crash kept from being said; `parents`: states so far."""
    first = read((await host.store.read(run, limit=1))[0]).body
    if not isinstance(first, RunStarted) or first.parent is None:
        return False
    parent = first.parent
    if parent.run not in parents:
        parents[parent.run] = await host.state(parent.run)
    if not is_orphan(parent, parents[parent.run]):
        return False
    await host.cancel(run, why_ended(parent.run, parent.step))
    return True
