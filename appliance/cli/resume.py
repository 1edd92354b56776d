"""`af runs resume`: goes on with what was interrupted, and with waits whose time has run out meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.cli.context import Af

if TYPE_CHECKING:
    from appliance.cli.journal import Store
    from appliance.runs.views import RunView
    from runtime.domain.ids import RunId
    from runtime.domain.run import RunState


async def resumed(af: Af, names: Sequence[str]) -> "list[RunView]":
    """Go on with these runs, with all that can go on when none is named; each as it is at its end, or its next wait."""
    from appliance.cli.hosts import open_runs
    from appliance.cli.journal import find_run, open_journal
    from appliance.cli.progress import RunProgress

    async with open_journal(af.settings) as store:
        chosen = [await find_run(store, name) for name in names] or await _unfinished(store)
    if not chosen:
        return []
    progress = RunProgress(af.terminal)
    af.parting = f"what was done is kept; go on with: {af.me} runs resume"
    try:
        async with open_runs(
            af.settings, "af runs resume", known=af.known, progress=progress.work, recover=True
        ) as opened:
            if opened.is_served:
                af.terminal.note("a server has the data folder, and goes on with its runs by itself; waiting for it")
            views = []
            for run in chosen:
                state = await _caught_up(opened.store, run)
                settled = state if state.is_final else await opened.watched(run, progress.step, after_seq=state.seq)
                views.append(await opened.view(settled))
            return views
    finally:
        progress.clear()


async def _unfinished(store: "Store") -> "list[RunId]":
    """What is under way, and what waits past a time limit, the runs of steps before those whose steps they are."""
    from runtime.engine.clock import SystemClock

    now_us = SystemClock().now_us()
    chosen: dict[RunId, None] = {}
    for summary in await store.runs(status=["running", "waiting"], kinds=("run", "what_if"), limit=100_000):
        if summary.status == "running":
            chosen[summary.run] = None
            continue
        state = await _state(store, summary.run)
        parts = [part for runs in state.awaited_within().values() for part in runs]
        if state.is_overdue(now_us) or any(part in chosen for part in parts):
            chosen[summary.run] = None
    return list(chosen)


async def _caught_up(store: "Store", run: "RunId") -> "RunState":
    """The run, once it has heard of the ends of those of its steps."""
    from appliance.cli.journal import POLL_S

    while True:
        state = await _state(store, run)
        parts = {part for runs in state.awaited_within().values() for part in runs}
        if state.is_final or not any([(await _state(store, part)).is_final for part in parts]):
            return state
        await asyncio.sleep(POLL_S)


async def _state(store: "Store", run: "RunId") -> "RunState":
    from appliance.cli.journal import entries
    from runtime.domain.run import fold

    return fold(run, await entries(store, run))
