"""Answers that people give to runs, and what comes of them."""

from typing import TYPE_CHECKING

from appliance.cli.context import Af

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from appliance.cli.hosts import LocalRuns, ServedRuns
    from appliance.runs.views import RunView
    from runtime.domain.ids import RunId


async def follow_answer(
    af: Af, run: "RunId", command: str, answer: "Callable[[LocalRuns | ServedRuns], Awaitable[None]]"
) -> "RunView":
    """Answer a run, and follow it, and those that it is a part of, to their end or their next wait.

    `command`: what holds the data folder meanwhile. Raises what `answer` raises.
    """
    from appliance.cli.hosts import open_runs
    from appliance.cli.progress import RunProgress

    progress = RunProgress(af.terminal)
    try:
        async with open_runs(af.settings, command, known=af.known, progress=progress.work) as opened:
            seen = (await opened.store.run(run)).seq
            await answer(opened)
            af.parting = f"the answer is kept; go on with: {af.me} runs resume {run}"
            settled = await opened.watched(run, progress.step, after_seq=seen)
            outer = settled
            while outer.parent:  # it goes on now, and nobody else may work on it
                seen = (await opened.store.run(outer.parent.run)).seq
                outer = await opened.watched(outer.parent.run, progress.step, after_seq=seen)
            return await opened.view(settled)
    finally:
        progress.clear()
