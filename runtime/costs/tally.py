"""What each step that is being worked on has spent so far, as its calls are settled. Pure.

A journal's usage comes from here, so that it also counts what failed, what was cut off, and tools.
"""

from runtime.domain.egress import CostBound, Sender
from runtime.domain.event import NO_USAGE, Usage


class Tallies:
    """The tallies of one process; only steps that were opened are counted."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Usage] = {}

    def open(self, run: str, step: str) -> None:
        """Count what a step spends, from nothing."""
        self._open[run, step] = NO_USAGE

    def add(self, sender: Sender, spent: CostBound) -> None:
        """Count what was spent on a sender's behalf, where its step is open."""
        key = (sender.run, sender.step)
        if key in self._open:
            used = Usage(spent.input_tokens, spent.output_tokens, spent.usd_micros)
            self._open[key] = self._open[key].plus(used)

    def so_far(self, run: str, step: str) -> Usage:
        """What an open step has spent."""
        return self._open.get((run, step), NO_USAGE)

    def close(self, run: str, step: str) -> Usage:
        """What it has spent; it is no longer counted."""
        return self._open.pop((run, step), NO_USAGE)
